//! The environment of a component: files first, then what is written.

use indexmap::IndexMap;

use super::{Found, Role};
use crate::labels::dotenv::{self, BadLine};
use crate::plan::SelfInfo;
use crate::pod::{Component, EnvFile, EnvFormat};

/// `NAME=value` of every variable that has a value, in the order of the files and the label.
///
/// A variable without a value takes the controller's, and where it has none the one of an `env_file` stays.
pub(super) fn environment(component: &Component, role: Role, me: &SelfInfo, found: &mut Found) -> Vec<String> {
    let mut variables = IndexMap::new();
    for EnvFile { path, required, format } in &component.env_file {
        match me.env_files.get(path) {
            None => {}
            Some(Err(why)) if !required => {
                found.warn(&component.name, format!("`env_file` `{path}` is ignored: {why}"));
            }
            Some(Err(why)) => {
                let problem = role.problem(&component.name, "env_file", format!("cannot read `{path}`: {why}"));
                found.problems.push(problem.hint(super::remedy(path, why, me)));
            }
            Some(Ok(text)) if *format == EnvFormat::Compose => {
                let known = |name: &str| me.environment.get(name).or_else(|| variables.get(name)).cloned();
                let mut unset = Vec::new();
                match dotenv::parse(text, &known, &mut |line, name| unset.push((line, name.to_owned()))) {
                    Ok(read) => read.iter().for_each(|(name, value)| set(&mut variables, name, value.as_deref(), me)),
                    Err(wrong) => found.problems.0.extend(wrong.into_iter().map(|BadLine { line, what }| {
                        role.problem(&component.name, "env_file", format!("`{path}`, line {line}: {what}"))
                    })),
                }
                for (line, name) in unset {
                    found.warn(
                        &component.name,
                        format!(
                            "`env_file` `{path}`, line {line} (`{name}`): a `$` begins a variable that is not set, and an empty value replaces it; for the character `$`, write the value in `'…'`, or write `$$`"
                        ),
                    );
                }
            }
            Some(Ok(text)) => {
                for (number, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
                    match entry(line) {
                        Ok(None) => {}
                        Ok(Some((name, value))) => set(&mut variables, name, value, me),
                        Err(what) => found.problems.push(role.problem(
                            &component.name,
                            "env_file",
                            format!("`{path}`, line {}: {what}", number + 1),
                        )),
                    }
                }
            }
        }
    }
    for (name, value) in &component.environment {
        set(&mut variables, name, value.as_deref(), me);
    }
    variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn set(variables: &mut IndexMap<String, String>, name: &str, value: Option<&str>, me: &SelfInfo) {
    if let Some(value) = value.or_else(|| me.environment.get(name).map(String::as_str)) {
        variables.insert(name.to_owned(), value.to_owned());
    }
}

/// One line, by the rules of `docker run --env-file`: the value is everything after the first `=`, quotes and blanks too.
fn entry(line: &str) -> Result<Option<(&str, Option<&str>)>, &'static str> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
    // The line is not quoted in any message: it may hold a secret.
    if name.is_empty() {
        Err("a name is missing before `=`")
    } else if name.contains(char::is_whitespace) {
        Err("the name contains white space")
    } else if line.contains('\0') {
        Err("the line contains a NUL character")
    } else {
        Ok(Some((name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_docker_reads_them() {
        for (line, expected) in [
            ("", Ok(None)),
            ("   # NAME=x", Ok(None)),
            ("A=1", Ok(Some(("A", Some("1"))))),
            ("  A= \"1\" # b ", Ok(Some(("A", Some(" \"1\" # b "))))),
            ("A=", Ok(Some(("A", Some(""))))),
            ("A=b=c", Ok(Some(("A", Some("b=c"))))),
            ("HOME", Ok(Some(("HOME", None)))),
            ("=x", Err("a name is missing before `=`")),
            ("export A=1", Err("the name contains white space")),
            ("A=\0", Err("the line contains a NUL character")),
        ] {
            assert_eq!(entry(line), expected, "{line:?}");
        }
    }
}
