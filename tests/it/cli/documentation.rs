//! The YAML of the documentation: whoever copies a block, or a part of a file, gets one that `check` accepts.

use std::path::{Path, PathBuf};

use super::{code, err, outrigger};

/// Blocks of YAML of a page, with the numbers of their lines; indented ones too.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut indent = None;
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().starts_with("```");
        match indent {
            None if fence && line.trim() == "```yaml" => {
                indent = Some(line.len() - line.trim_start().len());
                found.push((number + 1, String::new()));
            }
            // Of another language: up to its end.
            None if fence && line.trim() != "```" => indent = Some(usize::MAX),
            None if fence => indent = Some(usize::MAX),
            Some(_) if fence => indent = None,
            Some(indent) if indent < usize::MAX => {
                let (_, block) = found.last_mut().unwrap();
                block.push_str(line.get(indent..).unwrap_or_default());
                block.push('\n');
            }
            _ => {}
        }
    }
    found
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

/// A whole file with this block in it; none if another test reads the block. Every block is one of these.
fn whole(block: &str) -> Option<String> {
    let first = block.lines().find(|line| !line.starts_with(['#', ' ']) && !line.starts_with("version:"));
    let first = first.unwrap_or_default();
    let pods = "components:\n  app: {image: acme/app}\n  web: {image: acme/web}\n  cache: {image: acme/cache}\n";
    let pod = "pod.component.app: '{image: acme/app}'";
    let key = first.split(':').next().unwrap_or_default();
    Some(match key {
        "components" | "controller" | "x-outrigger" => block.to_owned(),
        "services" if block.contains("pod.component.") || block.contains("x-outrigger:") => {
            // A service of which the page shows only what it is about.
            match block.contains("image: outrigger") || block.contains("x-outrigger:") {
                true => block.to_owned(),
                false => block.replacen("    labels:\n", "    image: outrigger\n    labels:\n", 1),
            }
        }
        "services" => block.replacen("    image: ", &format!("    labels: {{{pod}}}\n    image: "), 1),
        "plugins" | "copy" | "options" => format!("{pods}{block}"),
        "pod.plugins" => {
            format!("services:\n  web:\n    image: outrigger\n    labels:\n      {pod}\n{}", indented(block, 6))
        }
        "configs" => {
            format!("services:\n  web:\n    image: outrigger\n    labels: {{{pod}}}\n{block}")
        }
        "logging" => format!("components:\n  app:\n    image: acme/app\n{}", indented(block, 4)),
        // The policy: `config::policy` reads the one of docs/security.md.
        "allow" => return None,
        _ => panic!("no test reads a block that begins with `{first}`"),
    })
}

#[test]
fn every_block_of_yaml_in_the_documentation_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let more = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"].map(|page| root.join(page));
    // Of the labels' reference, with single labels and values, a test of the cases reads the blocks.
    let is_read = |page: &PathBuf| page.extension().is_some_and(|it| it == "md") && !page.ends_with("labels.md");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("templates")).unwrap();
    std::fs::write(folder.path().join("templates/proxy.yml"), "proxy: {image: acme/proxy}").unwrap();
    let mut checked = 0;
    for page in pages.chain(more).filter(is_read) {
        for (line, block) in blocks(&std::fs::read_to_string(&page).unwrap()) {
            let Some(file) = whole(&block) else { continue };
            std::fs::write(folder.path().join("stack.yml"), &file).unwrap();
            let mut check = outrigger(&["check", "stack.yml"]);
            let output = check.current_dir(folder.path()).env("NGINX_VERSION", "2").env("NOTE", "x").output().unwrap();
            assert_eq!(code(&output), 0, "{}:{line}: {}\nin\n{file}", page.display(), err(&output));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(!said.contains("no pod"), "{}:{line}: {said}\nin\n{file}", page.display());
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} blocks");
}
