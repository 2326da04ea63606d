//! Swarm's placeholders, such as `{{.Task.Slot}}`. Swarm replaces them in a service's `environment`, in its `hostname` and in its mounts, and nowhere else: in a label
//! they stay as they are.

/// What a placeholder names.
const ROOTS: [&str; 3] = [".Service", ".Node", ".Task"];

/// The first placeholder of a text, from `{{` to `}}`.
#[must_use]
pub fn first(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, from)) = rest.split_once("{{") {
        let (inner, after) = from.split_once("}}")?;
        if ROOTS.iter().any(|root| names(inner, root)) {
            let length = "{{".len() + inner.len() + "}}".len();
            let begin = text.len() - from.len() - "{{".len();
            return text.get(begin..begin + length);
        }
        rest = after;
    }
    None
}

/// Whether the action of a template has this field as a word of its own, perhaps with fields below it.
fn names(inner: &str, root: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    inner.match_indices(root).any(|(at, _)| {
        let (before, after) = (inner.get(..at).unwrap_or_default(), inner.get(at + root.len()..).unwrap_or_default());
        !before.ends_with(|c| is_word(c) || matches!(c, '.' | '$' | ')')) && !after.starts_with(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_swarms_own_names_are_placeholders() {
        for (text, found) in [
            ("{{.Task.Slot}}", Some("{{.Task.Slot}}")),
            ("a-{{ .Node.Hostname }}-b", Some("{{ .Node.Hostname }}")),
            ("é{{.Name}} {{index .Service.Labels \"a\"}}", Some("{{index .Service.Labels \"a\"}}")),
            ("{{.Name}}", None),
            ("{{.Tasks}} {{.MyTask.Slot}} {{.x.Task}} {{$.Task}}", None),
            ("{{.Task.Slot", None),
            (".Task.Slot}}", None),
            ("", None),
        ] {
            assert_eq!(first(text), found, "{text}");
        }
    }
}
