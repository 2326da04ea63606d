//! The file `.env` beside a `pod.yaml`: variables that the environment of the command lacks, as with Compose.

use std::io::Read;
use std::path::Path;

use super::Env;
use crate::files::open_regular;
use crate::labels::dotenv;
use crate::pod::{Problem, Problems};

/// Longest file, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What the file says.
#[derive(Default)]
pub(super) struct DotEnv {
    /// Its variables.
    pub(super) values: Env,
    /// Why it can't be read, wholly or in part.
    pub(super) problems: Problems,
}

impl DotEnv {
    /// Reads the file in this folder, where there is one.
    pub(super) fn beside(folder: &Path, env: &Env) -> Self {
        let path = folder.join(".env");
        let Ok(real) = path.canonicalize() else { return Self::default() };
        let wrong = |what: String| Problem::new(path.to_string_lossy(), "", what);
        let mut text = String::new();
        let read = open_regular(&real).and_then(|(file, _)| file.take(LONGEST + 1).read_to_string(&mut text));
        match read {
            Ok(bytes) if u64::try_from(bytes).is_ok_and(|bytes| bytes <= LONGEST) => {}
            Ok(_) => return Self::failed(wrong(format!("is longer than {LONGEST} bytes"))),
            Err(error) => return Self::failed(wrong(format!("cannot be read: {error}"))),
        }
        // As with Compose, a variable that is not set is empty here.
        match dotenv::parse(&text, &|name| env.get(name).cloned(), &mut |_, _| {}) {
            Ok(found) => {
                let values = found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                Self { values, problems: Problems::default() }
            }
            Err(bad) => Self {
                values: Env::new(),
                problems: Problems(bad.into_iter().map(|it| wrong(format!("line {}: {}", it.line, it.what))).collect()),
            },
        }
    }

    fn failed(problem: Problem) -> Self {
        Self { values: Env::new(), problems: Problems(vec![problem]) }
    }

    /// A variable of the environment, or else of the file.
    pub(super) fn variable(&self, name: &str, env: &Env) -> Option<String> {
        env.get(name).or_else(|| self.values.get(name)).cloned()
    }
}
