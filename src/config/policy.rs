//! What the controller's operator lets components have: rules of flags, variables and the policy file. Pure.
//!
//! A rule is `subject` or `subject=pattern`; in patterns `*` stands for any characters, in those of paths for any within one segment. What is allowed
//! where nobody says anything is decided by `plan::compile::policy`; here is only what the operator said.

use std::fmt;

use crate::pod::{Problem, Problems};
use crate::problem::{Place, nearest, nesting};

mod images;
mod pattern;

pub use images::ImagePattern;
pub use pattern::{glob, normal};

/// Where the operator's policy file lies in the controller. Where it is there, flags and variables can narrow what it allows, never widen it.
pub const FILE: &str = "/etc/outrigger/policy.yaml";

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// `privileged: true`.
    Privileged,
    /// `userns_mode: host`.
    Userns,
    /// Paths of the host, as bind mounts or in disguise.
    Bind,
    /// `cap_add`, without `CAP_`.
    Capability,
    /// Paths of `devices`.
    Device,
    /// Entries of `device_cgroup_rules`.
    DeviceRule,
    /// Entries of `security_opt`.
    SecurityOpt,
    /// Names of `sysctls`.
    Sysctl,
    /// Names of OCI runtimes.
    Runtime,
    /// Names of volume drivers, with whatever options.
    VolumeDriver,
    /// The `type` that the engine's own volume driver mounts.
    VolumeType,
    /// Files of the controller, as `copy` and `env_file` name them.
    File,
}

impl Subject {
    /// Every subject.
    pub const ALL: [Self; 12] = [
        Self::Privileged,
        Self::Userns,
        Self::Bind,
        Self::Capability,
        Self::Device,
        Self::DeviceRule,
        Self::SecurityOpt,
        Self::Sysctl,
        Self::Runtime,
        Self::VolumeDriver,
        Self::VolumeType,
        Self::File,
    ];

    /// Its name in rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Userns => "userns",
            Self::Bind => "bind",
            Self::Capability => "capability",
            Self::Device => "device",
            Self::DeviceRule => "device-rule",
            Self::SecurityOpt => "security-opt",
            Self::Sysctl => "sysctl",
            Self::Runtime => "runtime",
            Self::VolumeDriver => "volume-driver",
            Self::VolumeType => "volume-type",
            Self::File => "file",
        }
    }

    fn is_path(self) -> bool {
        matches!(self, Self::Bind | Self::File)
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub subject: Subject,
    /// Of what; none: of everything.
    pub pattern: Option<String>,
    /// Of a path: whether only reading, or only writing, is meant.
    access: Option<Access>,
}

/// What is done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Written, too.
    Write,
}

impl Rule {
    /// Reads `subject` or `subject=pattern`; a path's pattern may end with `:ro` or `:rw`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(raw: &str) -> Result<Self, String> {
        let (name, pattern) = raw.split_once('=').map_or((raw, None), |(name, pattern)| (name, Some(pattern)));
        let Some(subject) = Subject::ALL.into_iter().find(|subject| subject.name() == name.trim()) else {
            let known = Subject::ALL.map(Subject::name);
            let near = nearest(name.trim(), known);
            let hint = near.map_or_else(
                || format!("expected one of `{}`", known.join("`, `")),
                |it| format!("did you mean `{it}`?"),
            );
            return Err(format!("`{name}` is not a policy subject: {hint}"));
        };
        let mut access = None;
        let pattern = match pattern.map(str::trim) {
            None => None,
            Some("") => return Err(format!("the pattern of `{name}` is empty")),
            Some(_) if matches!(subject, Subject::Privileged | Subject::Userns) => {
                return Err(format!("`{}` takes no pattern", subject.name()));
            }
            Some(path) if subject.is_path() => {
                let bare = match path.rsplit_once(':') {
                    Some((bare, "ro")) => (bare, Some(Access::Read)),
                    Some((bare, "rw")) => (bare, Some(Access::Write)),
                    _ => (path, None),
                };
                access = bare.1;
                if !bare.0.starts_with('/') {
                    return Err(format!("the path `{}` is not absolute", bare.0));
                }
                Some(normal(bare.0))
            }
            Some(path) if subject == Subject::Device => Some(normal(path)),
            Some(word) if subject == Subject::Capability => Some(capability(word)),
            Some(word) => Some(word.to_owned()),
        };
        Ok(Self { subject, pattern, access })
    }

    /// Whether it is about this, whatever is done with it.
    fn is_about(&self, subject: Subject, what: &str) -> bool {
        self.subject == subject
            && self.pattern.as_deref().is_none_or(|pattern| {
                if subject.is_path() {
                    pattern::covers(pattern, what)
                } else {
                    glob(pattern, what, subject == Subject::Device)
                }
            })
    }

    fn allows(&self, subject: Subject, what: &str, access: Access) -> bool {
        // Who may write may read.
        let suffices = access == Access::Read || self.access != Some(Access::Read);
        suffices && self.is_about(subject, what)
    }

    fn denies(&self, subject: Subject, what: &str, access: Access) -> bool {
        // Whoever may not even read gets no writable mount, with which he could read, too.
        let forbids = access == Access::Write || self.access != Some(Access::Write);
        // Who gets a directory gets what lies in it.
        let holds = || {
            subject == Subject::Bind
                && self.subject == subject
                && self.pattern.as_deref().is_some_and(|pattern| pattern::leads_to(what, pattern))
        };
        forbids && (self.is_about(subject, what) || holds())
    }

    /// Whether it allows all that `other` does. A star is matched by a star alone, so that the words of a pattern can be compared.
    fn includes(&self, other: &Self) -> bool {
        let access = if other.access == Some(Access::Read) { Access::Read } else { Access::Write };
        match (&self.pattern, &other.pattern) {
            (_, Some(pattern)) => self.allows(other.subject, pattern, access),
            (None, None) => self.allows(other.subject, "", access),
            (Some(_), None) => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.subject.name())?;
        if let Some(pattern) = &self.pattern {
            write!(f, "={pattern}")?;
        }
        match self.access {
            None => Ok(()),
            Some(Access::Read) => f.write_str(":ro"),
            Some(Access::Write) => f.write_str(":rw"),
        }
    }
}

/// What the operator said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    /// Of each source that names any; an image has to match one of each.
    images: Vec<Vec<ImagePattern>>,
    /// The flag or variable that `allow` is from.
    allowed_by: String,
    /// Whether a policy file has the last word.
    has_file: bool,
}

/// What the operator said about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A rule allows it, and none denies it.
    Allowed,
    /// This rule denies it.
    Denied(String),
    /// No rule is about it: what holds by default holds.
    Unsaid,
}

impl Policy {
    /// From lists of rules and patterns, each with the label of its flag or variable.
    pub(super) fn parse(
        allow: &[Given<'_>],
        deny: &[Given<'_>],
        images: &[Given<'_>],
        problems: &mut Problems,
    ) -> Self {
        let mut rules = |given: &[Given<'_>]| -> Vec<Rule> {
            let read =
                |it: &Given<'_>| problems.take(Rule::parse(it.text).map_err(|what| Problem::new(it.label, "", what)));
            given.iter().filter_map(read).collect()
        };
        let allowed_by = allow.first().map_or_else(String::new, |it| it.label.to_owned());
        let (allow, deny) = (rules(allow), rules(deny));
        let patterns: Vec<_> = images
            .iter()
            .filter_map(|it| {
                problems.take(ImagePattern::parse(it.text).map_err(|what| Problem::new(it.label, "", what)))
            })
            .collect();
        let images = if images.is_empty() { Vec::new() } else { vec![patterns] };
        Self { allow, deny, images, allowed_by, has_file: false }
    }

    /// Reads a policy file: a map with the lists `allow`, `deny` and `images`, none of them required.
    ///
    /// # Errors
    /// All that is wrong with it; `origin` is the file's name in messages.
    pub fn read(origin: &str, text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        nesting::check(&Place::new(origin), text).map_err(|problem| Problems(vec![problem]))?;
        let document: Document = if text.trim().is_empty() {
            Document::default()
        } else {
            match serde_yaml::from_str(text) {
                Ok(document) => document,
                Err(error) => {
                    let hint =
                        "a policy file is a map with the lists `allow`, `deny` and `images`, none of them required";
                    return Err(Problems(vec![Problem::new(origin, "", error.to_string()).hint(hint)]));
                }
            }
        };
        let given = |list: &'static str, texts: &[String]| -> Vec<(String, String)> {
            texts.iter().map(|text| (format!("{origin} {list}"), text.clone())).collect()
        };
        let (allow, deny, images) =
            (given("allow", &document.allow), given("deny", &document.deny), given("images", &document.images));
        let policy = Self::parse(&borrowed(&allow), &borrowed(&deny), &borrowed(&images), &mut problems);
        problems.or(Self { has_file: true, ..policy })
    }

    /// The policy of a file, narrowed by what flags and variables say.
    ///
    /// # Errors
    /// A [`Problem`] for each rule that would widen it; one that repeats what the file allows, or a part of that, is fine.
    pub fn narrowed_by(mut self, flags: &Self) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        for rule in flags.allow.iter().filter(|rule| !self.allow.iter().any(|ours| ours.includes(rule))) {
            problems.push(
                Problem::new(&flags.allowed_by, "", format!("the policy file does not allow `{rule}`")).hint(
                    "remove the rule, or ask the operator to add it below `allow:` in the policy file: flags and variables can only restrict the policy file (`--deny`, `--images`), not extend it",
                ),
            );
        }
        self.deny.extend(flags.deny.iter().cloned());
        self.images.extend(flags.images.iter().cloned());
        problems.or(self)
    }

    /// What was said about `what`. Paths must be [`normal`].
    #[must_use]
    pub fn verdict(&self, subject: Subject, what: &str, access: Access) -> Verdict {
        if let Some(rule) = self.deny.iter().find(|rule| rule.denies(subject, what, access)) {
            return Verdict::Denied(rule.to_string());
        }
        let is_allowed = self.allow.iter().any(|rule| rule.allows(subject, what, access));
        if is_allowed { Verdict::Allowed } else { Verdict::Unsaid }
    }

    /// Whether a rule without any `*` allows exactly this path: for what no wider rule should open by accident.
    #[must_use]
    pub fn names_path(&self, path: &str) -> bool {
        self.verdict(Subject::Bind, path, Access::Write) == Verdict::Allowed
            && self.allow.iter().any(|rule| rule.subject == Subject::Bind && rule.pattern.as_deref() == Some(path))
    }

    /// Why components don't get this image; none where they do.
    #[must_use]
    pub fn refuses_image(&self, image: &str) -> Option<String> {
        let failing = self.images.iter().find(|patterns| !patterns.iter().any(|pattern| pattern.matches(image)))?;
        if images::may_be_an_id(image) {
            return Some(format!(
                "`{image}` can be the id of any image on the engine: write the registry, repository and tag of the image"
            ));
        }
        let list = failing.iter().map(ToString::to_string).collect::<Vec<_>>().join("`, `");
        Some(format!("the image `{}` matches none of `{list}`", images::full(image)))
    }

    /// How the operator would allow it.
    #[must_use]
    pub fn remedy(&self, rule: &str) -> String {
        if self.has_file {
            format!("the operator of the controller can allow this with `{rule}` below `allow:` in the policy file")
        } else {
            format!("the operator of the controller can allow this with `--allow '{rule}'`")
        }
    }
}

/// A rule as it was written, and where.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// A flag or a variable.
    pub(super) label: &'a str,
    /// What was written.
    pub(super) text: &'a str,
}

fn borrowed(given: &[(String, String)]) -> Vec<Given<'_>> {
    given.iter().map(|(label, text)| Given { label, text }).collect()
}

/// A policy file.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    allow: Vec<String>,
    deny: Vec<String>,
    images: Vec<String>,
}

/// A capability as rules name it: upper case, without `CAP_`.
#[must_use]
pub fn capability(word: &str) -> String {
    let upper = word.trim().to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

#[cfg(test)]
mod tests;
