//! What others hand in, bent at random: documents of users, overlays of plugins, and binaries of plugins. Nothing may panic, or take long; a mistake has a place.
//!
//! The inputs are those in `tests/fuzz`, in `tests/cases` and in the examples; each case bends one of them. A run has as many cases as [`CASES`], from the same
//! seed each time. `make fuzz` runs more, from another one: `OUTRIGGER_FUZZ_CASES` and `OUTRIGGER_FUZZ_SEED` say so. An input that fails is written to
//! `target/tmp`: add it to `tests/fuzz`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outrigger::plan::{document, overlay::Overlays};
use outrigger::pod::lower::lower;
use outrigger::pod::read::{from_document, from_labels, from_value, sources};
use outrigger::pod::{Capability, Grant, PluginName, Problems};

use crate::plugins::Pod;
use crate::support::guests;

/// Cases of each kind, where nobody wants more.
const CASES: u64 = 300;

/// Longest time that one input may take, on a machine that has other things to do: far less is usual.
const LONGEST: Duration = Duration::from_secs(5);

/// Longest input, in bytes.
const LONGEST_INPUT: usize = 64 << 10;

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("`{variable}` is no number: {text}")))
}

/// Numbers at random, the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    /// One of the inputs, with up to four parts of it lost, doubled, overwritten, or replaced by a part of another one.
    fn bent(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let end = (at + 1 + self.below(16)).min(input.len());
            match self.below(5) {
                0 => drop(input.drain(at.min(end)..end)),
                1 => {
                    let part = input[at.min(end)..end].to_vec();
                    input.splice(at..at, part);
                }
                2 if at < input.len() => input[at] = self.next().to_le_bytes()[0],
                3 if at < input.len() => input[at] ^= 1 << self.below(8),
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    let to = (from + self.below(200)).min(other.len());
                    input.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        input.truncate(LONGEST_INPUT);
        input
    }
}

/// The files below these directories that end so, in the order of their paths.
fn corpus(directories: &[&str], endings: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = directories.iter().map(|directory| root.join(directory)).collect();
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| endings.iter().any(|ending| it == *ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{directories:?}");
    found.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Tries each input as it is, and bent ones.
fn try_all(kind: &str, corpus: &[Vec<u8>], cases: u64, judge: impl Fn(&[u8])) {
    let mut random = Random(number("OUTRIGGER_FUZZ_SEED", 1));
    let bent = (0..cases).map(|_| random.bent(corpus)).collect::<Vec<_>>();
    for input in corpus.iter().chain(&bent) {
        let began = Instant::now();
        let judged = catch_unwind(AssertUnwindSafe(|| judge(input)));
        let took = began.elapsed();
        if judged.is_err() || took > LONGEST {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{kind}"));
            fs::write(&path, input).unwrap();
            panic!("it panics, or takes long ({took:?}): the input is in {}", path.display());
        }
    }
}

/// A mistake in what somebody wrote is found by its place.
fn have_places(problems: &Problems) {
    assert!(!problems.0.is_empty(), "it fails without a reason");
    for problem in &problems.0 {
        assert!(!problem.label.is_empty() && !problem.what.is_empty(), "a problem without a place: {problem:?}");
    }
}

#[test]
fn documents_of_users() {
    let corpus = corpus(&["tests/fuzz/documents", "tests/cases", "examples"], &["yaml", "yml"]);
    try_all("documents", &corpus, number("OUTRIGGER_FUZZ_CASES", CASES), |input| {
        let text = String::from_utf8_lossy(input);
        match from_document("pod.yaml", &text).and_then(|raw| lower(&raw)) {
            Ok(spec) => drop(document::of(&spec)),
            Err(problems) => have_places(&problems),
        }
        if let Err(problems) = sources("stack.yml", &text) {
            have_places(&problems);
        }
        for label in ["pod.component.app", "pod.init.components", "pod.copy.app", "pod.plugins", "pod.options"] {
            let labels = [(label.to_owned(), text.clone().into_owned())].into();
            if let Err(problems) = from_labels(&labels).and_then(|raw| lower(&raw)) {
                have_places(&problems);
            }
        }
    });
}

#[test]
fn overlays_of_plugins() {
    let pod = "components: {app: {image: a, environment: {A: x}, labels: {l: v}}, db: {image: b, depends_on: [app]}}";
    let base = document::of(&from_document("pod.yaml", pod).and_then(|raw| lower(&raw)).unwrap());
    let grants = [Grant::new(Capability::Plan, "*")];
    let corpus = corpus(&["tests/fuzz/overlays"], &["json"]);
    try_all("overlays", &corpus, 4 * number("OUTRIGGER_FUZZ_CASES", CASES), |input| {
        let mut overlays = Overlays::new(base.clone());
        let text = String::from_utf8_lossy(input);
        match overlays.apply(&PluginName::new("p").unwrap(), None, &text, &grants) {
            Ok(()) => {
                if let Err(problems) = from_value("plan", overlays.finish()).and_then(|raw| lower(&raw)) {
                    have_places(&problems);
                }
            }
            Err(problems) => {
                have_places(&problems);
                assert_eq!(overlays.finish(), base, "an overlay that is refused changes nothing");
            }
        }
    });
}

/// Compiling takes its time, so there are fewer.
#[test]
fn binaries_of_plugins() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let host = runtime.block_on(async { Pod::new() });
    let mut corpus = corpus(&["tests/fuzz/plugins"], &["wasm"]);
    corpus.push(guests::naughty()[..8_000].to_vec());
    try_all("plugins", &corpus, number("OUTRIGGER_FUZZ_CASES", CASES), |input| {
        let name = PluginName::new("p").unwrap();
        let inspected = runtime.block_on(host.host.inspect(&host.file(input), &name, None));
        let told = inspected.map(|seen| seen.manifest.version).unwrap_or_else(|error| error.to_string());
        assert!(!told.is_empty() && told.len() < 10_000, "{told}");
    });
}
