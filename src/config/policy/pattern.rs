//! Patterns with `*`, and paths.

/// The path without `.`, `..` and needless slashes. Links are not followed: the host's file system can't be seen from here.
#[must_use]
pub fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether `text` is what `pattern` says; `*` stands for any characters, and, where `in_segment`, for none that is a `/`.
#[must_use]
pub fn glob(pattern: &str, text: &str, in_segment: bool) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // Where the last star was, and how much of the text it has taken: enough to go back to, so that the time is bounded by the product of both lengths.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(wanted) if wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((behind, taken)) = star else { return false };
                if in_segment && text.get(taken) == Some(&b'/') {
                    return false;
                }
                star = Some((behind, taken + 1));
                p = behind;
                t = taken + 1;
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Whether `path` is what `pattern` says, or lies below it.
pub(super) fn covers(pattern: &str, path: &str) -> bool {
    let mut path = segments(path);
    segments(pattern).all(|wanted| path.next().is_some_and(|segment| glob(wanted, segment, true)))
}

/// Whether something that `pattern` says may lie below `path`, or is it.
pub(super) fn leads_to(path: &str, pattern: &str) -> bool {
    let mut pattern = segments(pattern);
    segments(path).all(|segment| pattern.next().is_some_and(|wanted| glob(wanted, segment, true)))
}
