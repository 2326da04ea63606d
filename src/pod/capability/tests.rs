use super::*;

fn grant(text: &str) -> Grant {
    let (capability, scope) = text.split_once(' ').unwrap();
    Grant::new(Capability::of(capability).unwrap(), scope)
}

#[test]
fn every_capability_has_a_word_of_its_own() {
    for capability in Capability::ALL {
        assert_eq!(Capability::of(capability.name()), Some(capability));
        assert_eq!(capability.check("*"), Ok(()));
    }
    assert_eq!(Capability::of("fly"), None);
}

#[test]
fn what_the_controller_keeps_for_itself_is_closed() {
    for scope in ["/var/cache/outrigger:rw", "/var/lib/outrigger/state", "/plugins", "/var/cache:rw", "/var", "/"] {
        let expected = Capability::Dir.check(scope).unwrap_err();
        assert_eq!(expected, "a directory that contains no system directory", "{scope}");
    }
    assert_eq!(Capability::Dir.check("/data:rw"), Ok(()));
}

/// The parser of grants and the granter once had a form each, and took different things for right.
#[test]
fn scopes_that_mean_nothing_are_refused() {
    for wrong in [
        "http a:0",
        "http a:65536",
        "http a b:1",
        "http a/b:1",
        "http u@a:1",
        "http *:1",
        "tcp :1",
        "tcp a",
        "env A=B",
        "env A B",
        "env ",
        "watch etc",
        "watch /etc/../x",
        "watch /a//b",
        "files app:/etc/../x",
        "files app:etc",
        "files app",
        "files -x:/etc",
        "exec -x",
        "dir /x:ro",
        "dir data",
        "dir /x/../y:rw",
        "plan a..b",
        "plan ",
        "pod everything",
    ] {
        let (capability, scope) = wrong.split_once(' ').unwrap();
        let capability = Capability::of(capability).unwrap();
        assert_eq!(capability.check(scope), Err(capability.form().described()), "{wrong}");
        assert_eq!(capability.check_granted(scope), Err(capability.form().described()), "{wrong}");
    }
    assert_eq!(Capability::Dir.check("*"), Ok(()));
    assert_eq!(Capability::Dir.check_granted("*"), Err(Form::Directory.described()));
}

#[test]
fn lines_to_write_are_yaml() {
    for (text, expected) in [
        ("exec app", "exec: [app]"),
        ("state *", "state: true"),
        ("files app:/etc/x", "files: [app:/etc/x]"),
        ("files *:/etc", "files: [\"*:/etc\"]"),
        ("plan components.*.image", "plan: [\"components.*.image\"]"),
        ("http 10.0.0.1:80", "http: [\"10.0.0.1:80\"]"),
        ("watch /a, b", "watch: [\"/a, b\"]"),
    ] {
        assert_eq!(grant(text).line(), expected);
    }
}

#[test]
fn scopes_cover_what_they_should_and_no_more() {
    for (outer, inner, expected) in [
        ("files app:/etc", "files app:/etc", true),
        ("files app:/etc", "files app:/etc/x", true),
        ("files app:/etc/", "files app:/etc/x", true),
        ("files app:/etc", "files app:/etcetera", false),
        ("files app:/etc", "files db:/etc/x", false),
        ("files *:/etc", "files db:/etc/x", true),
        ("files app:/", "files app:/etc/x", true),
        ("files *", "files db:/x", true),
        ("files app:/etc", "files *:/etc", false),
        ("http a.b:443", "http A.b:443", true),
        ("http a.b:443", "http a.b:80", false),
        ("http a.b:*", "http a.b:80", true),
        ("http a.b:*", "http x.a.b:80", false),
        ("tcp a.b:1", "http a.b:1", false),
        ("watch /etc", "watch /etc/x", true),
        ("watch /etc/x", "watch /etc", false),
        ("dir /data", "dir /data/x", true),
        ("dir /data", "dir /data:rw", false),
        ("dir /data:rw", "dir /data/x", true),
        ("plan components.*.environment", "plan components.app.environment.A", true),
        ("plan components.*.environment", "plan components.app.image", false),
        ("plan components.*.environment", "plan components.app", false),
        ("plan components.app", "plan components.*", false),
        ("env A", "env A", true),
        ("env A", "env AB", false),
    ] {
        let inner = grant(inner);
        assert_eq!(grant(outer).covers(inner.capability, &inner.scope), expected, "{outer:?} {inner:?}");
    }
}

#[test]
fn forms_are_checked() {
    for (wrong, told) in [
        ("signals a/b", "the name of a component or `*`"),
        ("files app", "`component:/path/prefix`"),
        ("files a/b:/x", "`component:/path/prefix`"),
        ("http a.b:x", "`host:port`"),
        ("http a.b:65536", "`host:port`"),
        ("http http://a.b:1", "`host:port`"),
        ("dir /a/..:rw", "an absolute path"),
        ("dir /run/x", "a directory"),
        ("dir /proc/1", "a directory"),
    ] {
        let wrong = grant(wrong);
        let error = wrong.capability.check(&wrong.scope).unwrap_err();
        assert!(error.starts_with(told), "{wrong:?}: {error}");
    }
    for right in
        ["pod *", "signals app", "files *:/x", "http a.b:*", "tcp [::1]:65535", "dir /data:rw", "dir *", "env A"]
    {
        let right = grant(right);
        assert_eq!(right.capability.check(&right.scope), Ok(()), "{right:?}");
    }
}
