//! The sections `x-podlike` and `x-outrigger` of a stack file: which templates there are, for which service, and where their text comes from.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::merge::merge;
use super::{fetch::Origin, write};
use crate::labels::{Place, kind};
use crate::problem::Problems;
use crate::problem::candidates;

/// The names of the section; where both are there, what the first one says comes first.
pub const SECTIONS: [&str; 2] = ["x-outrigger", "x-podlike"];

const KEYS: [&str; 6] = ["pod", "init", "transformer", "templates", "copy", "args"];

/// How many fallbacks one template may have.
const MOST_FALLBACKS: usize = 16;

/// One template: where its text comes from, in the order to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Where it was written.
    pub at: Place,
    /// The first one, then its fallbacks.
    pub origins: Vec<Origin>,
}

/// What a stack file says of one service's pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registration {
    /// Where the first of it was written.
    pub at: Place,
    /// Of the controller.
    pub pod: Vec<Template>,
    /// Of the init components, in their order.
    pub init: Vec<Template>,
    /// Of the main component.
    pub transformer: Vec<Template>,
    /// Of the other components.
    pub templates: Vec<Template>,
    /// Of the files to copy.
    pub copy: Vec<Template>,
    /// What templates get as `.Args`; the global ones are not among them.
    pub args: Map<String, Value>,
    /// Whether something of it could not be read: what it would make is not known.
    pub is_wrong: bool,
}

/// All sections of all files.
#[derive(Debug, Default)]
pub struct Registrations {
    /// By service, in the order of the files.
    pub services: IndexMap<String, Registration>,
    /// The global arguments.
    pub args: Map<String, Value>,
    /// Whether these could not be read.
    pub are_args_wrong: bool,
}

impl Registrations {
    /// Takes the sections out of one file: first those of its services, then those at its top.
    pub fn take(&mut self, at: &Place, file: &mut Map<String, Value>, problems: &mut Problems) {
        if let Some(Value::Object(services)) = file.get_mut("services") {
            for (name, service) in services {
                let Value::Object(service) = service else { continue };
                for section in SECTIONS {
                    if let Some(value) = service.shift_remove(section) {
                        self.register(name, &at.key("services").key(name).key(section), &value, problems);
                    }
                }
            }
        }
        for section in SECTIONS {
            let at = at.key(section);
            match file.shift_remove(section) {
                None | Some(Value::Null) => {}
                Some(Value::Object(map)) => self.top(&at, &map, problems),
                Some(other) => {
                    problems.push(at.problem(format!("expected a map of services, found {}", kind(&other))));
                }
            }
        }
    }

    fn top(&mut self, at: &Place, section: &Map<String, Value>, problems: &mut Problems) {
        for (name, value) in section {
            let at = at.key(name);
            match (name.as_str(), value) {
                ("args", Value::Object(args)) => merge(&mut self.args, args, &at, problems),
                ("args", Value::Null) => {}
                ("args", other) => problems.push(at.problem(format!("expected a map, found {}", kind(other)))),
                (service, value) => self.register(service, &at, value, problems),
            }
            self.are_args_wrong |= name == "args" && !matches!(value, Value::Object(_) | Value::Null);
        }
    }

    fn register(&mut self, service: &str, at: &Place, value: &Value, problems: &mut Problems) {
        let before = problems.0.len();
        self.read(service, at, value, problems);
        if problems.0.len() > before
            && let Some(registration) = self.services.get_mut(service)
        {
            registration.is_wrong = true;
        }
    }

    fn read(&mut self, service: &str, at: &Place, value: &Value, problems: &mut Problems) {
        let entry = self.services.entry(service.to_owned());
        let registration = entry.or_insert_with(|| Registration { at: at.clone(), ..Registration::default() });
        let map = match value {
            Value::Object(map) => map,
            Value::Null => return,
            other => {
                problems.push(at.problem(format!("expected a map of templates, found {}", kind(other))));
                return;
            }
        };
        for (key, value) in map {
            let at = at.key(key);
            let list = match key.as_str() {
                "pod" => &mut registration.pod,
                "init" => &mut registration.init,
                "transformer" => &mut registration.transformer,
                "templates" => &mut registration.templates,
                "copy" => &mut registration.copy,
                "args" => {
                    match value {
                        Value::Object(args) => merge(&mut registration.args, args, &at, problems),
                        Value::Null => {}
                        other => problems.push(at.problem(format!("expected a map, found {}", kind(other)))),
                    }
                    continue;
                }
                extension if extension.starts_with("x-") => continue,
                unknown => {
                    problems.push(at.problem("unknown key").hint(candidates(unknown, KEYS)));
                    continue;
                }
            };
            match value {
                Value::Null => {}
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        list.extend(template(&at.index(index), item, problems));
                    }
                }
                item => list.extend(template(&at, item, problems)),
            }
        }
    }
}

fn template(at: &Place, value: &Value, problems: &mut Problems) -> Option<Template> {
    let mut origins = Vec::new();
    let mut next = Some((at.clone(), value));
    while let Some((at, value)) = next.take() {
        if origins.len() > MOST_FALLBACKS {
            problems.push(at.problem(format!("more than {MOST_FALLBACKS} fallbacks")));
            return None;
        }
        let (origin, fallback) = origin(&at, value, problems)?;
        origins.push(origin);
        next = fallback;
    }
    Some(Template { at: at.clone(), origins })
}

type Fallback<'v> = Option<(Place, &'v Value)>;

fn origin<'v>(at: &Place, value: &'v Value, problems: &mut Problems) -> Option<(Origin, Fallback<'v>)> {
    let map = match value {
        Value::String(text) => return Some((Origin::named(text, false), None)),
        Value::Object(map) => map,
        other => {
            problems.push(at.problem(format!(
                "expected a path, a URL, or a map with `file`, `inline` or `http`, found {}",
                kind(other)
            )));
            return None;
        }
    };
    for key in map.keys().filter(|key| !["file", "inline", "http"].contains(&key.as_str())) {
        problems.push(at.key(key).problem("unknown key").hint("write the template as `file`, `inline` or `http`"));
    }
    let found: Vec<_> = ["file", "inline", "http"].into_iter().filter_map(|key| Some((key, map.get(key)?))).collect();
    match found.as_slice() {
        [("file", value)] => {
            let at = at.key("file");
            let (path, _, fallback) = located(&at, value, "path", problems)?;
            Some((Origin::File(path), fallback))
        }
        [("http", value)] => {
            let at = at.key("http");
            let (url, insecure, fallback) = located(&at, value, "url", problems)?;
            if !super::fetch::is_url(&url) {
                problems.push(at.problem("expected a URL that begins with `http://` or `https://`"));
                return None;
            }
            Some((Origin::Http { url, insecure }, fallback))
        }
        [(_, Value::String(text))] => Some((Origin::Inline(text.clone()), None)),
        [(_, value @ Value::Object(_))] => Some((Origin::Inline(write::write(value)), None)),
        [(_, other)] => {
            problems.push(at.key("inline").problem(format!("expected text or a map, found {}", kind(other))));
            None
        }
        [] => {
            problems.push(at.problem("expected one of `file`, `inline` and `http`"));
            None
        }
        [..] => {
            problems.push(at.problem("only one of `file`, `inline` and `http` is allowed").hint(
                "write a second source, for the case that the first cannot be read, as `fallback` below the first",
            ));
            None
        }
    }
}

/// The path or URL of a template, whether `insecure` is set, and its fallback.
fn located<'v>(
    at: &Place,
    value: &'v Value,
    key: &str,
    problems: &mut Problems,
) -> Option<(String, bool, Fallback<'v>)> {
    let map = match value {
        Value::String(text) => return Some((text.clone(), false, None)),
        Value::Object(map) => map,
        other => {
            problems.push(at.problem(format!("expected text, or a map with `{key}`, found {}", kind(other))));
            return None;
        }
    };
    let mut insecure = false;
    for (name, value) in map {
        match (name.as_str(), value) {
            ("insecure", Value::Bool(is)) if key == "url" => insecure = *is,
            ("insecure", other) if key == "url" => {
                problems.push(at.key(name).problem(format!("expected true or false, found {}", kind(other))));
            }
            ("fallback", _) => {}
            (name, _) if name == key => {}
            (name, _) => problems.push(at.key(name).problem("unknown key")),
        }
    }
    let fallback = map.get("fallback").filter(|value| !value.is_null()).map(|value| (at.key("fallback"), value));
    match map.get(key) {
        Some(Value::String(text)) => Some((text.clone(), insecure, fallback)),
        other => {
            let found = kind(other.unwrap_or(&Value::Null));
            problems.push(at.key(key).problem(format!("expected text, found {found}")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn registered(files: &[Value]) -> (Registrations, Problems) {
        let (mut registrations, mut problems) = (Registrations::default(), Problems::default());
        for file in files {
            let mut file = file.as_object().unwrap().clone();
            registrations.take(&Place::new("f"), &mut file, &mut problems);
            assert!(!Value::Object(file).to_string().contains("x-podlike"));
        }
        (registrations, problems)
    }

    #[test]
    fn every_form_of_a_source() {
        let (registrations, problems) = registered(&[json!({"x-podlike": {"s": {
            "pod": "a.yml",
            "init": {"file": "b.yml"},
            "transformer": {"http": {"url": "https://h/c", "insecure": true, "fallback": {"file": {"path": "d", "fallback": {"inline": "e"}}}}},
            "templates": ["HTTPS://h/f", {"http": "http://h/g"}, {"inline": {"x": {"image": "{{ .Args.X }}"}}}],
            "copy": null,
        }}})]);
        assert_eq!(problems, Problems::default());
        let s = &registrations.services["s"];
        let origins = |list: &[Template]| list.iter().flat_map(|it| it.origins.clone()).collect::<Vec<_>>();
        let http = |url: &str, insecure| Origin::Http { url: url.to_owned(), insecure };
        let file = |path: &str| Origin::File(path.to_owned());
        let inline = |text: &str| Origin::Inline(text.to_owned());
        assert_eq!(origins(&s.pod), [file("a.yml")]);
        assert_eq!(origins(&s.init), [file("b.yml")]);
        assert_eq!(origins(&s.transformer), [http("https://h/c", true), file("d"), inline("e")]);
        assert_eq!(
            origins(&s.templates),
            [http("HTTPS://h/f", false), http("http://h/g", false), inline("x:\n  image: '{{ .Args.X }}'\n")]
        );
        assert_eq!(s.templates[2].at.field, "x-podlike.s.templates[2]");
    }

    #[test]
    fn a_template_has_so_many_fallbacks_and_no_more() {
        let nested = |fallbacks: usize| {
            let last = json!({"inline": "x"});
            let source = (0..fallbacks).fold(last, |next, _| json!({"file": {"path": "p", "fallback": next}}));
            registered(&[json!({"x-podlike": {"s": {"pod": source}}})])
        };
        let (registrations, problems) = nested(MOST_FALLBACKS);
        assert_eq!(problems, Problems::default());
        assert_eq!(registrations.services["s"].pod[0].origins.len(), MOST_FALLBACKS + 1);
        let (registrations, problems) = nested(MOST_FALLBACKS + 1);
        assert!(problems.to_string().ends_with("more than 16 fallbacks"), "{problems}");
        assert!(registrations.services["s"].pod.is_empty());
    }

    #[test]
    fn a_second_section_adds_to_the_first_and_loses_nothing() {
        let (registrations, problems) = registered(&[
            json!({
                "services": {"s": {"image": "i", "x-podlike": {"init": "1", "pod": "1", "args": {"a": 1, "m": {"x": 1}}}}},
                "x-podlike": {"s": {"init": "2", "pod": "2", "transformer": "2", "templates": "2", "copy": "2", "args": {"a": 2, "b": 2, "m": {"y": 2}}},
                    "args": {"g": 1}},
            }),
            json!({"x-outrigger": {"s": {"init": ["3"]}, "args": {"g": 2, "h": 2}}}),
        ]);
        assert_eq!(problems, Problems::default());
        let s = &registrations.services["s"];
        let names = |list: &[Template]| {
            list.iter()
                .map(|it| if let Origin::File(path) = &it.origins[0] { path.clone() } else { String::new() })
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&s.init), ["1", "2", "3"], "podlike lost the second list of `init`");
        assert_eq!(names(&s.pod), ["1", "2"]);
        assert_eq!(
            (names(&s.transformer), names(&s.templates), names(&s.copy)),
            (vec!["2".into()], vec!["2".into()], vec!["2".into()])
        );
        assert_eq!(Value::Object(s.args.clone()), json!({"a": 1, "m": {"x": 1, "y": 2}, "b": 2}));
        assert_eq!(Value::Object(registrations.args), json!({"g": 1, "h": 2}));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let (_, problems) = registered(&[json!({"x-podlike": {"s": {
            "transfomer": "a", "pod": 3, "init": [{"file": "a", "inline": "b"}], "templates": [{}, {"file": 3}, {"http": {"insecure": true}}, {"http": {"url": "ftp://x"}}],
            "copy": {"inline": 3}, "args": []}, "t": 3, "args": 3}})]);
        let told = problems.to_string();
        for expected in [
            "`x-podlike.s.transfomer`: unknown key (hint: did you mean `transformer`?",
            "`x-podlike.s.pod`: expected a path",
            "`x-podlike.s.init[0]`: only one of",
            "`x-podlike.s.templates[0]`: expected one of",
            "`x-podlike.s.templates[1].file`: expected text",
            "`x-podlike.s.templates[2].http.url`: expected text",
            "`x-podlike.s.templates[3].http`: expected a URL",
            "`x-podlike.s.copy.inline`: expected text or a map",
            "`x-podlike.s.args`: expected a map",
            "`x-podlike.t`: expected a map of templates",
            "`x-podlike.args`: expected a map",
        ] {
            assert!(told.contains(expected), "{expected}\n{told}");
        }
    }

    #[test]
    fn fallbacks_end() {
        let mut value = json!("last");
        for _ in 0..40 {
            value = json!({"file": {"path": "x", "fallback": value}});
        }
        let (_, problems) = registered(&[json!({"x-podlike": {"s": {"pod": value}}})]);
        assert!(problems.to_string().contains("more than 16 fallbacks"), "{problems}");
    }
}
