//! Rules, patterns, and how a file bounds flags.

use super::{Access, FILE, Given, ImagePattern, Policy, Rule, Subject, Verdict, glob, normal};
use crate::pod::Problems;

fn policy(allow: &[&str], deny: &[&str], images: &[&str]) -> Policy {
    let given = |list: &[&'static str]| -> Vec<Given<'static>> {
        list.iter().map(|text| Given { label: "--flag", text }).collect()
    };
    let own = |list: &[&str]| -> Vec<&'static str> {
        list.iter().map(|it| &*Box::leak((*it).to_owned().into_boxed_str())).collect()
    };
    let mut problems = Problems::default();
    let policy = Policy::parse(&given(&own(allow)), &given(&own(deny)), &given(&own(images)), &mut problems);
    assert!(problems.is_empty(), "{problems}");
    policy
}

#[test]
fn stars_stand_for_any_characters_and_in_paths_for_those_of_a_segment() {
    for (pattern, text, anywhere, in_segment) in [
        ("", "", true, true),
        ("*", "", true, true),
        ("a*c", "abbc", true, true),
        ("a*c", "ab/c", true, false),
        ("*b*", "abc", true, true),
        ("a*bc*d", "abxbcxd", true, true),
        ("a", "ab", false, false),
        ("/dev/ttyUSB*", "/dev/ttyUSB0", true, true),
        ("/dev/tty*", "/dev/tty/../sda", true, false),
        ("*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, false),
    ] {
        assert_eq!(glob(pattern, text, false), anywhere, "{pattern} {text}");
        assert_eq!(glob(pattern, text, true), in_segment, "{pattern} {text}");
    }
}

#[test]
fn paths_are_made_normal() {
    for (path, expected) in [("/a/./b//c/", "/a/b/c"), ("/a/../../b", "/b"), ("/..", "/"), ("/srv/x/../../run", "/run")]
    {
        assert_eq!(normal(path), expected);
    }
}

#[test]
fn a_path_rule_covers_what_lies_below_and_only_that() {
    let policy = policy(&["bind=/srv/*/data:ro", "bind=/mnt"], &[], &[]);
    let verdict = |path, access| policy.verdict(Subject::Bind, path, access) == Verdict::Allowed;
    assert!(verdict("/srv/a/data", Access::Read) && verdict("/srv/a/data/x", Access::Read));
    assert!(!verdict("/srv/a/data", Access::Write), "it is for reading");
    assert!(
        !verdict("/srv/a", Access::Read)
            && !verdict("/srv/a/b/data", Access::Read)
            && !verdict("/srv/a/database", Access::Read)
    );
    assert!(verdict("/mnt", Access::Write) && verdict("/mnt/x", Access::Read) && !verdict("/mntx", Access::Read));
}

#[test]
fn a_denied_path_is_denied_with_all_that_leads_to_it() {
    let policy = policy(&["bind"], &["bind=/srv/secret"], &[]);
    for denied in ["/", "/srv", "/srv/secret", "/srv/secret/key"] {
        assert_eq!(policy.verdict(Subject::Bind, denied, Access::Read), Verdict::Denied("bind=/srv/secret".to_owned()));
    }
    assert_eq!(policy.verdict(Subject::Bind, "/srv/other", Access::Write), Verdict::Allowed);
}

#[test]
fn who_may_not_read_may_not_write_either() {
    let rules = |deny: &'static str| policy(&["bind"], &[deny], &[]);
    for (deny, read, write) in [
        ("bind=/srv/secret", false, false),
        ("bind=/srv/secret:ro", false, false),
        ("bind=/srv/secret:rw", true, false),
        ("bind=/*:rw", true, false),
    ] {
        let policy = rules(deny);
        for path in ["/srv/secret", "/srv/secret/key", "/srv"] {
            for (access, allowed) in [(Access::Read, read), (Access::Write, write)] {
                let verdict = policy.verdict(Subject::Bind, path, access);
                assert_eq!(verdict == Verdict::Allowed, allowed, "{deny}: {path} {access:?}");
            }
        }
    }
    let reading = policy(&["bind=/srv:ro"], &[], &[]);
    assert_eq!(reading.verdict(Subject::Bind, "/srv", Access::Write), Verdict::Unsaid);
    let writing = policy(&["bind=/srv:rw"], &[], &[]);
    assert_eq!(writing.verdict(Subject::Bind, "/srv", Access::Read), Verdict::Allowed);
}

#[test]
fn capabilities_are_compared_without_case_and_prefix() {
    let policy = policy(&["capability=cap_sys_ptrace"], &[], &[]);
    assert_eq!(policy.verdict(Subject::Capability, "SYS_PTRACE", Access::Write), Verdict::Allowed);
    assert_eq!(policy.verdict(Subject::Capability, "SYS_ADMIN", Access::Write), Verdict::Unsaid);
}

#[test]
fn rules_that_mean_nothing_are_refused() {
    for (raw, expected) in [
        ("privilegd", "did you mean `privileged`?"),
        ("privileged=yes", "takes no pattern"),
        ("bind=srv", "is not absolute"),
        ("bind=", "is empty"),
        ("", "expected one of `privileged`"),
    ] {
        let told = Rule::parse(raw).unwrap_err();
        assert!(told.contains(expected), "{raw}: {told}");
    }
}

#[test]
fn a_rule_is_written_as_it_is_read() {
    for subject in Subject::ALL {
        assert_eq!(Rule::parse(subject.name()).unwrap().subject, subject);
    }
    for raw in ["privileged", "bind=/srv/*:ro", "device=/dev/ttyUSB*", "device-rule=c 188:* rwm"] {
        assert_eq!(Rule::parse(raw).unwrap().to_string(), raw);
    }
}

#[test]
fn images_are_compared_in_full() {
    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let pinned = format!("registry.local/a@{DIGEST}");
    let tagged = format!("registry.local/a:1@{DIGEST}");
    for (pattern, image, expected) in [
        ("registry.local/*", "registry.local/a/b:1", true),
        ("registry.local/*", "registry.local.evil/a", false),
        ("registry.local/*", "evil/registry.local/a", false),
        ("registry.local:5000/*", "registry.local:5000/a", true),
        ("nginx", "nginx:1.27", true),
        ("nginx", "docker.io/library/nginx", true),
        ("nginx", "index.docker.io/nginx", true),
        ("nginx", "evil/nginx", false),
        ("nginx", "nginx-evil", false),
        ("nginx:1.*", "nginx:1.27", true),
        ("nginx:1.*", "nginx", false),
        ("acme/*", "docker.io/acme/x", true),
        ("*", "anything/at:all", true),
        ("*@sha256:*", pinned.as_str(), true),
        ("*@sha256:*", "registry.local/a:1", false),
        ("registry.local/a:1", tagged.as_str(), false),
        ("registry.local/a", tagged.as_str(), true),
        ("*", "0123456789ab", false),
        ("*", DIGEST, false),
        ("*", "cafe:latest", true),
    ] {
        assert_eq!(ImagePattern::parse(pattern).unwrap().matches(image), expected, "{pattern} {image}");
    }
    assert!(
        ImagePattern::parse("").is_err() && ImagePattern::parse("a b").is_err() && ImagePattern::parse(":1").is_err()
    );
}

#[test]
fn an_image_has_to_match_one_pattern_of_each_source() {
    let file = Policy::read(FILE, "images: [registry.local/*, nginx]").unwrap();
    let both = file.narrowed_by(&policy(&[], &[], &["*@sha256:*", "registry.local/ok"])).unwrap();
    assert_eq!(both.refuses_image("registry.local/ok"), None);
    assert!(both.refuses_image("registry.local/a").unwrap().contains("none of `*@sha256:*`, `registry.local/ok`"));
    assert!(
        both.refuses_image("redis")
            .unwrap()
            .contains("`docker.io/library/redis:latest` matches none of `registry.local/*`")
    );
    assert!(both.refuses_image("cafe").unwrap().contains("can be the id"));
    assert_eq!(Policy::default().refuses_image("cafe"), None);
}

#[test]
fn flags_narrow_a_file_and_never_widen_it() {
    let file = || Policy::read(FILE, "allow: [privileged, 'bind=/srv']\ndeny: [userns]").unwrap();
    let told = file().narrowed_by(&policy(&["privileged", "capability=SYS_ADMIN"], &[], &[])).unwrap_err();
    assert_eq!(told.0.len(), 1, "{told}");
    assert!(told.to_string().contains("`--flag`: the policy file does not allow `capability=SYS_ADMIN`"), "{told}");
    for (part, is_one) in [
        ("bind=/srv", true),
        ("bind=/srv/a:ro", true),
        ("bind=/srv/*/data", true),
        ("bind=/srvx", false),
        ("bind=/*", false),
        ("bind", false),
    ] {
        assert_eq!(file().narrowed_by(&policy(&[part], &[], &[])).is_ok(), is_one, "{part}");
    }
    let reading = Policy::read(FILE, "allow: ['bind=/srv:ro', device]").unwrap();
    let told = reading.clone().narrowed_by(&policy(&["bind=/srv"], &[], &[])).unwrap_err().to_string();
    assert!(told.contains("the policy file does not allow `bind=/srv`"), "{told}");
    assert!(reading.narrowed_by(&policy(&["bind=/srv:ro", "device=/dev/sd*"], &[], &[])).is_ok());
    let narrowed = file().narrowed_by(&policy(&[], &["privileged"], &[])).unwrap();
    assert_eq!(narrowed.verdict(Subject::Privileged, "", Access::Write), Verdict::Denied("privileged".to_owned()));
    assert_eq!(narrowed.verdict(Subject::Bind, "/srv/x", Access::Write), Verdict::Allowed);
    assert!(matches!(narrowed.verdict(Subject::Userns, "", Access::Write), Verdict::Denied(_)));
}

#[test]
fn every_problem_of_a_file_is_told() {
    let told = Policy::read(FILE, "allow: [privilegd]\ndeny: ['bind=x']\nimages: ['a b']").unwrap_err();
    assert_eq!(told.0.len(), 3, "{told}");
    assert!(Policy::read(FILE, "alow: []").unwrap_err().to_string().contains("unknown field `alow`"));
    assert_eq!(Policy::read(FILE, "  \n").unwrap().verdict(Subject::Bind, "/x", Access::Read), Verdict::Unsaid);
}

#[test]
fn only_a_rule_without_a_star_names_a_path() {
    assert!(policy(&["bind=/run/docker.sock"], &[], &[]).names_path("/run/docker.sock"));
    for wide in ["bind", "bind=/run", "bind=/run/*", "bind=/*/docker.sock"] {
        assert!(!policy(&[wide], &[], &[]).names_path("/run/docker.sock"), "{wide}");
    }
    assert!(!policy(&["bind=/run/docker.sock"], &["bind=/run"], &[]).names_path("/run/docker.sock"));
}

#[test]
fn the_documentation_has_every_subject() {
    let page = include_str!("../../../docs/security.md");
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).collect();
    for subject in Subject::ALL {
        assert!(rows.iter().any(|(name, _)| *name == subject.name()), "`{}` has no row", subject.name());
    }
}
