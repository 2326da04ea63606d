//! Which `plan` grant covers which part of the document.

use crate::pod::{Capability, Grant};

/// Whether the grant allows a change at this path.
///
/// Its scope is a dotted path; `*` stands for any one segment, and what lies below the path is covered, too. A segment that holds a dot itself, as
/// label names do, is matched by `*` only: were its parts compared one by one, `components.a.b` could mean two different things.
pub(super) fn covers(grant: &Grant, path: &[String]) -> bool {
    let mut segments = path.iter();
    grant.capability == Capability::Plan
        && grant
            .scope
            .split('.')
            .all(|wanted| segments.next().is_some_and(|segment| wanted == "*" || wanted == segment))
}

/// The narrowest scope that would cover the path.
pub(super) fn suggestion(path: &[String]) -> String {
    let plain = |segment: &String| segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    // Four segments reach any key of a component; deeper ones only make the hint long.
    path.iter().take(4).map(|segment| if plain(segment) { segment.as_str() } else { "*" }).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scope: &str, path: &str, expected: bool) {
        let grant = Grant::new(Capability::Plan, scope);
        let path: Vec<_> = path.split('/').map(str::to_owned).collect();
        assert_eq!(covers(&grant, &path), expected, "{scope} {path:?}");
    }

    #[test]
    fn a_scope_covers_its_path_and_what_lies_below() {
        check("components.*.environment", "components/app/environment/PORT", true);
        check("components.*.environment", "components/app/environment", true);
        check("components.*.environment", "components/app", false);
        check("components.*.environment", "components/app/image", false);
        check("components.app", "components/app/image", true);
        check("components.app", "components/apple/image", false);
        check("*", "init", true);
        check("*.app", "components/app/image", true);
        check("", "components", false);
    }

    #[test]
    fn a_dot_within_a_segment_never_splits_it() {
        check("components.app.labels", "components/app.labels/privileged", false);
        check("components.*.labels", "components/app/labels/traefik.enable", true);
        check("components.app.labels.traefik.enable", "components/app/labels/traefik.enable", false);
    }

    #[test]
    fn another_capability_covers_nothing() {
        let grant = Grant::new(Capability::Files, "*");
        assert!(!covers(&grant, &["components".to_owned()]));
    }

    #[test]
    fn a_suggestion_covers_what_it_is_for() {
        for path in [vec!["components", "a.b", "labels", "x.y", "z"], vec!["init"], vec!["a\nb"]] {
            let path: Vec<_> = path.into_iter().map(str::to_owned).collect();
            assert!(covers(&Grant::new(Capability::Plan, suggestion(&path)), &path), "{path:?}");
        }
    }
}
