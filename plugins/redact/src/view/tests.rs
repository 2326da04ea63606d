use super::*;

#[test]
fn a_pair_of_surrogates_is_one_character_and_its_escape_is_one_piece() {
    let text = br"a\ud83d\ude00b";
    let view = View::of_json(text, 0..text.len());
    assert_eq!(view.bytes, "a\u{1F600}b".as_bytes());
    for part in [1..2, 1..5, 2..4, 4..5] {
        assert_eq!(view.written(part.clone()), 1..13, "{part:?}");
    }
    assert_eq!(view.written(5..6), 13..14);
    let highest = br"\udbff\udfff";
    assert_eq!(View::of_json(highest, 0..12).bytes, "\u{10FFFF}".as_bytes());
}

#[test]
fn half_a_pair_is_no_character() {
    for text in [r"\ud83dx", r"\ude00x", r"\ud83d\ud83d"] {
        let view = View::of_json(text.as_bytes(), 0..text.len());
        assert!(String::from_utf8(view.bytes).unwrap().starts_with('\u{FFFD}'), "{text}");
    }
}

#[test]
fn colours_are_taken_out_and_stay_outside_of_what_is_found() {
    let text = b"a\x1b[31mb\x1b[0mc\x1b(Bd";
    let view = View::without_colours(text).unwrap();
    assert_eq!(view.bytes, b"abcd");
    assert_eq!(view.written(1..2), 6..7);
    assert_eq!(view.written(0..2), 0..7);
    assert_eq!(view.written(3..4), 15..16);
    for written in [r"\x1b", r"\u001B", r"\\u001b", r"\033", r"\e", "^[", "#033"] {
        let text = format!("a{written}[31mb{written}[0mc");
        assert_eq!(View::without_colours(text.as_bytes()).unwrap().bytes, b"abc", "{text}");
    }
    assert!(View::without_colours(b"plain").is_none());
    assert!(View::without_colours(b"torn \x1b[31").is_none());
}

#[test]
fn one_layer_of_escapes_is_taken_off() {
    for (text, meant) in [
        (&br#"{\"a\":\"b\"}"#[..], &br#"{"a":"b"}"#[..]),
        (b"jane%40example.org", b"jane@example.org"),
        (b"jane%2540example.org", b"jane%40example.org"),
        (b"&lt;a&gt;&#64;&#x40;", b"<a>@@"),
        (br"\x1b[0m \033[1m \e[2m", b"\x1b[0m \x1b[1m \x1b[2m"),
        (br"\u0040\n", b"@\n"),
    ] {
        assert_eq!(View::unescaped(text).unwrap().bytes, meant, "{}", String::from_utf8_lossy(text));
    }
    for text in ["", "plain", "100%", "%zz", "a & b", "AT&T;", r"C:\dir", "&#;"] {
        assert!(View::unescaped(text.as_bytes()).is_none(), "{text}");
    }
}
