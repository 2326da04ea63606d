//! Tests that can show nothing here. They are never counted as passed: each says why, and `scripts/test-runner` shows that.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// The file in which `scripts/test-runner` looks for the tests that were skipped and for their reasons.
const FILE: &str = "OUTRIGGER_SKIPPED";

/// Set where every test has to run.
const CI: &str = "CI";

/// Skips the test that calls this, for want of something that every machine can have: an engine, a program, a right. The caller returns.
///
/// # Panics
/// In CI: there, everything is.
#[track_caller]
pub fn missing(what: impl Display) {
    assert!(std::env::var_os(CI).is_none(), "no test may be left out in CI, and this one cannot run: {what}");
    skip(&what.to_string());
}

/// Skips the test that calls this, because it is about something that this engine or kernel does not do: another one in CI has to run it. The caller returns.
pub fn not_applicable(why: impl Display) {
    skip(&format!("not applicable, {why}"));
}

/// Whether there must be an engine: in CI, and where `make test` has brought one.
pub fn brings_engine() -> bool {
    std::env::var_os(CI).is_some() || std::env::var_os("OUTRIGGER_TEST_ENGINE").is_some()
}

fn skip(reason: &str) {
    // libtest gives the thread of a test its name.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("main");
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match std::env::var_os(FILE) {
        // One write, so that tests side by side do not mix.
        Some(file) => {
            let opened = OpenOptions::new().append(true).open(file);
            opened
                .and_then(|mut file| file.write_all(format!("{test}\t{reason}\n").as_bytes()))
                .expect("the reason can be noted");
        }
        // Without the runner: past libtest, which shows no word of a test that returns.
        None => std::io::stderr()
            .write_all(format!("skipped: {test}: {reason}\n").as_bytes())
            .expect("the reason can be told"),
    }
}

/// A word that a test prints is captured by libtest: whoever says "skipped" otherwise than by this module is counted as passed.
#[test]
fn no_test_is_skipped_in_silence() {
    let mut open = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")];
    let silent = concat!("ln!(\"", "skipped");
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains(silent), "{}: call `support::skip` instead", path.display());
            }
        }
    }
}

/// What `cargo test` shows of a program with these tests.
fn shown(script: &str) -> (Option<i32>, String) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("it-0123456789abcdef");
    std::fs::write(&program, script).unwrap();
    let runner = root.join("scripts/test-runner");
    let shell = format!("chmod +x {0} && exec {1} {0}", program.display(), runner.display());
    let output = std::process::Command::new("sh").args(["-c", &shell]).env_remove(FILE).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn what_is_skipped_is_shown_with_its_reason_and_counted() {
    let script = r#"#!/bin/sh
printf 'a::b\tno engine\n' >> "$OUTRIGGER_SKIPPED"
echo "test a ... ok"
echo "test a::b ... ok"
echo "test c ... FAILED"
echo "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s"
exit 101
"#;
    let expected = "test a ... ok\ntest a::b ... skipped\ntest c ... FAILED\nskipped:\n    a::b: no engine\n\ntest result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
    assert_eq!(shown(script), (Some(101), expected.to_owned()));
    let nothing = "#!/bin/sh\necho 'test a ... ok'\necho 'test result: ok. 1 passed; 0 ignored;'\nexit 0\n";
    assert_eq!(shown(nothing), (Some(0), "test a ... ok\ntest result: ok. 1 passed; 0 ignored;\n".to_owned()));
}
