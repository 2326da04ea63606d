use super::*;

fn found(fixed: Fixed, text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    fixed.find(text.as_bytes(), &mut |place| all.push(text.get(place).unwrap()));
    assert!(all.is_empty() || fixed.suspects(text.as_bytes()), "`suspects` must not miss `{text}`");
    all
}

#[track_caller]
fn finds(fixed: Fixed, text: &str, expected: &str) {
    assert_eq!(found(fixed, text), [expected], "in `{text}`");
}

#[track_caller]
fn passes_over(fixed: Fixed, text: &str) {
    assert_eq!(found(fixed, text), Vec::<&str>::new(), "in `{text}`");
}

#[test]
fn email() {
    for (text, expected) in [
        ("user bob@example.com logged in", "bob@example.com"),
        ("<a.b+c%d_e-f@mail.example.co.uk>", "a.b+c%d_e-f@mail.example.co.uk"),
        ("to: bob@example.com.", "bob@example.com"),
        ("bob@example.com-x", "bob@example.com"),
        ("jörg@example.org", "jörg@example.org"),
        (r"line\nbob@example.com", "bob@example.com"),
        ("x@y.zz", "x@y.zz"),
    ] {
        finds(Fixed::Email, text, expected);
    }
    for text in ["@", "a@", "@b.de", "a@b", "a@b.c", "a@.de", "a@-b.de", "npm i x@1.2.3", "a @ b.de", "user@localhost"]
    {
        passes_over(Fixed::Email, text);
    }
    assert_eq!(found(Fixed::Email, "a@b.de,c@d.de"), ["a@b.de", "c@d.de"]);
}

#[test]
fn card() {
    for (text, expected) in [
        ("4111111111111111", "4111111111111111"),
        ("paid with 4111 1111 1111 1111 now", "4111 1111 1111 1111"),
        ("4111-1111-1111-1111", "4111-1111-1111-1111"),
        ("amex 3782 822463 10005.", "3782 822463 10005"),
        ("card-5555555555554444-x", "5555555555554444"),
        ("2026-11-21 4012 8888 8888 1881", "4012 8888 8888 1881"),
        ("n=4222222222222;", "4222222222222"),
        ("6011000990139424, 19: 6304000000000000000", "6011000990139424"),
    ] {
        assert_eq!(found(Fixed::Card, text).first(), Some(&expected), "in `{text}`");
    }
    for text in [
        "4111111111111112",
        "411111111111",
        "41111111111111111111111",
        "1732151820125",
        "x4111111111111111",
        "4111111111111111b",
        "0.4111111111111111",
        "4111111111111111.5",
        "e29b-4111-111111111111",
        "4111-1111-1111-1111-beef",
        "52 48 31 75 60 44 21 10",
        "4111  1111  1111  1111",
        "",
    ] {
        passes_over(Fixed::Card, text);
    }
}

#[test]
fn a_card_is_found_at_every_place() {
    for length in 0..40 {
        let text = format!("{}:4111111111111111", "x".repeat(length));
        finds(Fixed::Card, &text, "4111111111111111");
    }
}

#[test]
fn iban() {
    for text in
        ["DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"]
    {
        finds(Fixed::Iban, text, text);
        finds(Fixed::Iban, &format!("from {text}, thanks"), text);
    }
    for text in [
        "DE89370400440532013001",
        "DE8937040044053201300X",
        "xDE89370400440532013000",
        "DE89370400440532013000a",
        "DE89 370 40044 0532 0130 00",
        "GET HTTP OK AND SO ON",
    ] {
        passes_over(Fixed::Iban, text);
    }
}

#[test]
fn ipv4() {
    for text in ["10.0.0.1", "255.255.255.255", "192.168.178.23"] {
        finds(Fixed::Ipv4, text, text);
        finds(Fixed::Ipv4, &format!("from={text}:8080/x"), text);
        finds(Fixed::Ipv4, &format!("net {text}/24."), text);
        finds(Fixed::Ipv4, &format!("it was {text}."), text);
    }
    for text in
        ["1.2.3", "1.2.3.4.5", "256.1.1.1", "v1.2.3.4", "1.2.3.4rc1", "1..2.3", "1000.1.1.1", "....", "1.2.3.1000"]
    {
        passes_over(Fixed::Ipv4, text);
    }
    assert_eq!(found(Fixed::Ipv4, "1.1.1.1 2.2.2.2"), ["1.1.1.1", "2.2.2.2"]);
}

#[test]
fn token() {
    for (text, expected) in [
        ("Authorization: Bearer eyJhbGciOi.JzdWIi.O4-_x==", "eyJhbGciOi.JzdWIi.O4-_x=="),
        ("bearer abc.def.ghi rest", "abc.def.ghi"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("ASIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"),
    ] {
        finds(Fixed::Token, text, expected);
    }
    for text in [
        "bearer token missing",
        "the Bearer token.",
        "Bearer ",
        "XAKIAIOSFODNN7EXAMPLE",
        "AKIAIOSFODNN7EXAMPLEX",
        "AKIA",
    ] {
        passes_over(Fixed::Token, text);
    }
}
