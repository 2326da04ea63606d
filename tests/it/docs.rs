//! The documentation: its links lead somewhere, and its page about the commands is complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pages of the repository that people read.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for folder in [root.to_path_buf(), root.join("docs"), root.join("examples")] {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    pages
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !fence && !in_block
    })
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    headings
        .map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
        })
        .collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .collect()
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let found = target.exists()
                && (anchor.is_empty()
                    || target.extension().is_none_or(|ending| ending != "md")
                    || anchors(&read(&target)).contains(anchor));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
            checked += 1;
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(checked > 100, "only {checked} links");
}

#[test]
fn a_missing_anchor_is_found() {
    let text = "# A page\n\n## `copy`, and more\n\n```\n# no heading\n```\n[here](#copy-and-more) [there](#no-heading)";
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["a-page", "copy-and-more"]);
    assert_eq!(links(text), ["#copy-and-more", "#no-heading"]);
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_outrigger")).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names below the line `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The command's own flags, each with all of its forms.
fn flags(help: &str) -> Vec<Vec<&str>> {
    let own = help.split("Controller flags").next().unwrap_or_default();
    let lines = own.lines().map(str::trim_start).filter(|line| line.starts_with('-') && !line.starts_with("- "));
    let forms = lines.map(|line| {
        let words = line.split([' ', ',', '[', '=']).take_while(|word| word.is_empty() || word.starts_with('-'));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>()
    });
    forms.filter(|forms| !forms.contains(&"--help")).collect()
}

/// Whether the text has the flag as a word.
fn names(text: &str, flag: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == flag)
}

#[test]
fn every_command_and_each_of_its_flags_is_documented() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = read(&docs.join("commands.md"));
    let templates = read(&docs.join("templates.md"));
    let top = help(&[]);
    let mut all: Vec<Vec<String>> = commands(&top).into_iter().map(|name| vec![name]).collect();
    assert!(all.len() > 12, "{all:?}");
    all.retain(|command| command[0] != "plugin");
    all.extend(commands(&help(&["plugin"])).into_iter().map(|name| vec!["plugin".to_owned(), name]));
    for command in all {
        let name = command.join(" ");
        let section = page.split(&format!("\n## {name}\n")).nth(1).unwrap_or_else(|| panic!("no section `{name}`"));
        let section = section.split("\n## ").next().unwrap();
        let form = section.lines().find(|line| line.starts_with(&format!("`outrigger {name}")));
        assert!(form.is_some(), "`{name}`: no line with the form of the command");
        assert!(section.contains("```"), "`{name}`: no example");
        assert!(section.to_lowercase().contains("exit code"), "`{name}`: no exit codes");
        let words: Vec<_> = command.iter().map(String::as_str).collect();
        let help = help(&words);
        let flags = flags(&help);
        // The options of `deploy` and `template` are in the page about templates.
        let text = if ["deploy", "template"].contains(&name.as_str()) {
            format!("{section}{templates}")
        } else {
            section.to_owned()
        };
        for forms in &flags {
            assert!(forms.iter().any(|form| names(&text, form)), "`{name}`: `{forms:?}` is not documented");
        }
        let words = form.unwrap().split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        for word in words.filter(|word| word.starts_with('-') && *word != "--") {
            assert!(flags.iter().any(|forms| forms.contains(&word)), "`{name}` has no flag `{word}`");
        }
    }
}
