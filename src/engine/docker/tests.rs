use super::*;

#[test]
fn no_socket_is_told_with_its_address() {
    for address in ["/nowhere/docker.sock", "unix:///nowhere/docker.sock", "ssh://host"] {
        let error = Docker::connect(Some(address), &Timeouts::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("no container engine at `{address}`"));
        assert_eq!(error.fault(), Fault::Transient);
    }
}

#[test]
fn references_get_a_tag() {
    let cases = [
        ("calc", "calc:latest"),
        ("acme/calc:1", "acme/calc:1"),
        ("registry:5000/calc", "registry:5000/calc:latest"),
        ("registry:5000/calc:1@sha256:ab", "registry:5000/calc:1@sha256:ab"),
        ("calc@sha256:ab", "calc@sha256:ab"),
    ];
    for (written, asked) in cases {
        assert_eq!(with_tag(written), asked);
    }
}

#[test]
fn names_can_not_lead_elsewhere() {
    for good in ["app", "registry:5000/a/b-c_d.e:1@sha256:ab"] {
        assert!(checked(Call::Inspect, good).is_ok(), "{good}");
    }
    for bad in ["", "../images", "a/../b", "a?b", "a b", "/a", "a%2f", "a#b"] {
        assert_eq!(checked(Call::Inspect, bad).unwrap_err().fault(), Fault::Permanent, "{bad}");
    }
}
