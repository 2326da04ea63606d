use outrigger_plugin::serde_json::{Value, from_slice, json};
use outrigger_plugin::testing::{self, configure};
use outrigger_plugin::{Batch, LogLine, Plugin, Verdict};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn redact_bytes(config: &Value, line: &[u8]) -> Vec<u8> {
    let config = outrigger_plugin::serde_json::from_value(config.clone()).unwrap();
    let mut out = Vec::new();
    if Redactor::new(&config).unwrap().redact(line, &mut out) { out } else { line.to_vec() }
}

#[track_caller]
fn check(config: Value, line: &str, expected: &str) {
    let once = redact_bytes(&config, line.as_bytes());
    assert_eq!(String::from_utf8_lossy(&once), expected, "`{line}`");
    let twice = redact_bytes(&config, &once);
    assert_eq!(String::from_utf8_lossy(&twice), expected, "a second time");
}

fn fields() -> Value {
    json!({"fields": ["password", "user.name", "pw"], "replacement": "<{name}>"})
}

#[test]
fn by_default_mail_addresses_and_cards() {
    check(
        json!({}),
        "bob@example.com paid 4111 1111 1111 1111 from 10.0.0.1",
        "[redacted] paid [redacted] from 10.0.0.1",
    );
    check(json!({"patterns": []}), "bob@example.com", "bob@example.com");
    check(json!({"replacement": "<{name}>"}), "bob@example.com 4111111111111111", "<email> <card>");
}

#[test]
fn all_patterns_together() {
    let config = json!({"patterns": ["email", "card", "iban", "ipv4", "token"]});
    check(
        config,
        "10.0.0.1 Bearer a1.b2 DE89 3704 0044 0532 0130 00 bob@example.com",
        "[redacted] Bearer [redacted] [redacted] [redacted]",
    );
}

#[test]
fn a_password_in_an_address_may_hold_what_ends_it() {
    let config = || json!({"patterns": ["token"], "replacement": "<{name}>"});
    for (line, expected) in [
        ("to postgres://user:p@ss@db:5432/x now", "to postgres://user:<token>@db:5432/x now"),
        ("amqp://u:a:b@@c@mq", "amqp://u:<token>@mq"),
        ("http://host/a@b:c@d", "http://host/a@b:c@d"),
    ] {
        check(config(), line, expected);
    }
}

#[test]
fn fields_of_json_at_any_depth() {
    check(fields(), r#"{"password":"x","a":[{"pw": 12.5e3 }]}"#, r#"{"password":"<password>","a":[{"pw": "<pw>" }]}"#);
    check(fields(), r#"{ "pw" : {"a": [1, "}"]}, "b":1}"#, r#"{ "pw" : "<pw>", "b":1}"#);
    check(
        fields(),
        r#"{"pw":null,"password":true,"user.name":[]}"#,
        r#"{"pw":null,"password":"<password>","user.name":"<user.name>"}"#,
    );
    check(fields(), r#"{"p\u0077":"a\"b","pw2":"c"}"#, r#"{"p\u0077":"<pw>","pw2":"c"}"#);
    check(fields(), r#"{"xpw":"x","password ":"y"}"#, r#"{"xpw":"x","password ":"y"}"#);
    check(fields(), r#"{"pw":"","a":1}"#, r#"{"pw":"","a":1}"#);
}

#[test]
fn fields_inside_of_json_strings() {
    check(fields(), r#"{"msg":"login pw=abc ok"}"#, r#"{"msg":"login pw=<pw> ok"}"#);
    check(fields(), r#"{"msg":"{\"pw\":\"a\\\"b\",\"n\":1}"}"#, r#"{"msg":"{\"pw\":\"<pw>\",\"n\":1}"}"#);
    check(fields(), r#"{"msg":"head\npw=abc\tb=1"}"#, r#"{"msg":"head\npw=<pw>\tb=1"}"#);
    check(fields(), r#"{"msg":"{\"pw\":12}"}"#, r#"{"msg":"{\"pw\":\"<pw>\"}"}"#);
}

#[test]
fn fields_of_pairs() {
    check(fields(), "a=1 pw=secret b=2", "a=1 pw=<pw> b=2");
    check(fields(), r#"pw="se \" cret" b=2"#, r#"pw="<pw>" b=2"#);
    check(fields(), "pw='se cret' b=2", "pw='<pw>' b=2");
    check(fields(), "GET /?pw=secret&b=2 HTTP/1.1", "GET /?pw=<pw>&b=2 HTTP/1.1");
    check(fields(), "{pw=secret, b=2}", "{pw=<pw>, b=2}");
    check(fields(), "pw={\"a\": 1} b=2", "pw=<pw> b=2");
    check(fields(), "pw={\"a\": 1}", "pw=<pw>");
    check(fields(), "xpw=secret pw= pw", "xpw=secret pw= pw");
    check(fields(), "user.name=bob", "user.name=<user.name>");
    check(json!({"fields": ["pw"], "replacement": "not here"}), "pw=a b=2", r#"pw="not here" b=2"#);
}

#[test]
fn fields_of_json_within_other_text() {
    check(fields(), r#"INFO {"pw":"a","n":[1]}"#, r#"INFO {"pw":"<pw>","n":[1]}"#);
    check(fields(), r#"[INFO] {"pw":"a"} (done)"#, r#"[INFO] {"pw":"<pw>"} (done)"#);
    check(fields(), r#"cut off: {"pw":"abc"#, r#"cut off: {"pw":"<pw>"#);
    check(fields(), r#"cut off: {"pw": [1, {"a": 2"#, r#"cut off: {"pw": "<pw>""#);
    check(fields(), "{'pw': 'a b', 'n': 1}", "{'pw': '<pw>', 'n': 1}");
    check(fields(), r#"body="{\"pw\": \"a\\\"b\", \"n\": 1}" x"#, r#"body="{\"pw\": \"<pw>\", \"n\": 1}" x"#);
    check(fields(), r#"{"pw": 12, oops"#, r#"{"pw": "<pw>", oops"#);
}

#[test]
fn a_colour_that_begins_in_a_string_ends_in_it() {
    let config = json!({"patterns": ["card"]});
    check(config.clone(), r#"[4111111111111111,"\u001b["]"#, r#"["[redacted]","\u001b["]"#);
    check(config, r#"["\u001b[",4111111111111111,"]"]"#, r#"["\u001b[","[redacted]","]"]"#);
}

#[test]
fn patterns_keep_json_valid() {
    check(json!({}), r#"{"to":"bob@example.com","n":4111111111111111}"#, r#"{"to":"[redacted]","n":"[redacted]"}"#);
    check(json!({}), r#"{"m":"hi\nbob@example.com\n"}"#, r#"{"m":"hi\n[redacted]\n"}"#);
    check(json!({}), r#"{"m":"bob\u0040example.com"}"#, r#"{"m":"[redacted]"}"#);
    check(json!({}), r#"{"bob@example.com":1}"#, r#"{"[redacted]":1}"#);
    check(json!({"replacement": "\"{name}\""}), r#"{"m":"bob@example.com"}"#, r#"{"m":"\"email\""}"#);
    check(json!({}), r#"{"m":"\ud83d\ude00bob@example.com"}"#, r#"{"m":"\ud83d\ude00[redacted]"}"#);
}

#[test]
fn own_expressions() {
    let config = json!({"patterns": [{"name": "order", "regex": r"order-\d+"}], "replacement": "<{name}>"});
    check(config, "order-17 and order-x", "<order> and order-x");
    let group = json!({"patterns": [{"name": "key", "regex": r"key is (\S+)"}]});
    check(group.clone(), "the key is abc.", "the key is [redacted]");
    check(group, r#"{"m":"key is a\"b c"}"#, r#"{"m":"key is [redacted] c"}"#);
    let odd = redact_bytes(&json!({"patterns": [{"name": "x", "regex": "k."}]}), b"\xff k\xfe \xff");
    assert_eq!(odd, b"\xff [redacted] \xff");
}

#[test]
fn lines_that_are_not_utf8_are_bytes() {
    assert_eq!(redact_bytes(&json!({}), b"\x80 <bob@example.com> \xff\x00"), b"\x80 <[redacted]> \xff\x00");
    assert_eq!(redact_bytes(&fields(), b"{\"a\":\"\xff\",\"pw\":\"\xfe\"}"), b"{\"a\":\"\xff\",\"pw\":\"<pw>\"}");
}

#[test]
fn deep_nesting_is_no_trouble() {
    let line = format!("{}\"bob@example.com\"{}", "[".repeat(50_000), "]".repeat(50_000));
    let out = redact_bytes(&json!({}), line.as_bytes());
    assert_eq!(out, line.replace("bob@example.com", "[redacted]").into_bytes());
}

#[test]
fn only_changed_lines_travel_back_and_are_counted() {
    let mut plugin: Redact = configure("{}").unwrap();
    let batch = Batch::of("app", &["plain", "to bob@example.com", "plain"]);
    let verdict = plugin.on_batch(&batch).unwrap();
    let Verdict::Edit(edit) = &verdict else { panic!("{verdict:?}") };
    assert_eq!((&edit.rewrite[..], &edit.data[..]), (&[1][..], &b"to [redacted]"[..]));
    assert_eq!(testing::metric("redacted_lines{component=app}"), 1.0);
    assert!(matches!(plugin.on_batch(&Batch::of("app", &["plain"])).unwrap(), Verdict::KeepAll));
}

#[test]
fn other_components_are_left_alone() {
    let mut plugin: Redact = configure(r#"{"components": ["db"]}"#).unwrap();
    assert!(matches!(plugin.on_batch(&Batch::of("app", &["a@b.de"])).unwrap(), Verdict::KeepAll));
    assert!(matches!(plugin.on_batch(&Batch::of("db", &["a@b.de"])).unwrap(), Verdict::Edit(_)));
}

#[test]
fn bad_configurations_are_named() {
    let refused = |config: &str| match configure::<Redact>(config) {
        Err(problems) => problems.to_string(),
        Ok(plugin) => panic!("{plugin:?}"),
    };
    assert!(refused(r#"{"patterns": ["mail"]}"#).contains("expected `email`, `card`"));
    assert!(refused(r#"{"patterns": [{"name": "x", "regex": "("}]}"#).starts_with("`patterns`: `x`: "));
    assert!(refused(r#"{"field": []}"#).contains("unknown field `field`"));
    assert!(refused(r#"{"fields": [""]}"#).contains("empty"));
}

#[test]
fn a_line_does_not_grow_beyond_what_the_host_takes() {
    let mut plugin: Redact = configure(&json!({"replacement": "x".repeat(2000)}).to_string()).unwrap();
    let lines = ["a@b.de ".repeat(1000), "short a@b.de".to_owned(), "c@d.de {\"n\": 4111111111111111}".repeat(100)];
    let batch = Batch::of("app", &[&lines[0], &lines[1], &lines[2]]);
    let Verdict::Edit(edit) = plugin.on_batch(&batch).unwrap() else { panic!("nothing changed") };
    let given: usize = lines.iter().map(String::len).sum();
    assert!(edit.data.len() <= 4 * given + 3 * 800, "{} of {given}", edit.data.len());
    let text = String::from_utf8_lossy(&edit.data);
    assert!(!text.contains("@b.de") && !text.contains("@d.de") && !text.contains("4111"));
}

#[test]
fn a_line_that_becomes_too_long_becomes_several() {
    let mut plugin: Redact = configure("{}").unwrap();
    let line = format!("{}é", "a@b.de ".repeat((1 << 20) / 7));
    let Verdict::Edit(edit) = plugin.on_batch(&Batch::of("app", &[&line])).unwrap() else { panic!("nothing changed") };
    assert_eq!(edit.split, [0]);
    let text = String::from_utf8(edit.data).unwrap();
    assert!(text.lines().count() > 1 && text.lines().all(|line| line.len() <= 1 << 20));
    assert!(!text.contains('@') && text.contains('é'));
}

#[test]
fn an_expression_has_a_limit_of_its_size() {
    let config = |regex: &str| json!({"patterns": [{"name": "x", "regex": regex}]}).to_string();
    assert!(configure::<Redact>(&config("[a-z]{1000}")).is_ok());
    // Some 2 MiB once it is compiled.
    let text = configure::<Redact>(&config("[a-z]{40000}")).unwrap_err().to_string();
    assert!(text.contains("exceeds size limit of 1048576 bytes"), "{text}");
}

#[test]
fn the_schema_is_json() {
    assert!(from_slice::<Value>(Redact::manifest().schema.as_bytes()).unwrap().is_object());
}

fn everything() -> Value {
    json!({"fields": ["pw", "a", "e\"x"], "patterns": ["email", "card", "iban", "ipv4", "token"]})
}

/// Pieces that mean something, put together at random.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("bob@example.com"),
        Just("@"),
        Just("4111111111111111"),
        Just("4111 1111"),
        Just("DE89370400440532013000"),
        Just("10.0.0.1"),
        Just("Bearer a1b2c3"),
        Just("AKIAIOSFODNN7EXAMPLE"),
        Just("pw="),
        Just("\"pw\":"),
        Just("\\\"pw\\\":"),
        Just("'a':"),
        Just("a="),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("\\\""),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(" "),
        Just("&"),
        Just("?"),
        Just("x"),
        Just("ö"),
        Just("1"),
        Just("-"),
        Just("."),
        Just("null"),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![fragments(), ".{0,12}", Just("\u{1F600}\u{0}\n\"\\/".to_owned())]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::from(4_111_111_111_111_111_u64)),
        text().prop_map(Value::from),
    ];
    let key = prop_oneof![Just("pw".to_owned()), Just("a".to_owned()), Just("e\"x".to_owned()), text()];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Escapes every character above ASCII, and slashes, as some writers do.
fn escaped(json: &str) -> String {
    let mut out = String::new();
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'/') => out.push_str("\\/"),
            Ok(ascii @ 0..0x80) => out.push(char::from(ascii)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

/// Of what stays, the characters that all secrets in these lines have and no other text but them.
///
/// A second time may take out more: of two replacements side by side it makes one, and `,Bearer` in `pw=,Bearer [redacted]` is a value only once no pair
/// follows it. None of that was a secret.
fn secrets(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line).replace("[redacted]", "");
    line.chars().filter(|letter| letter.is_ascii_digit() || *letter == '@').collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        redact_bytes(&everything(), &line);
    }

    #[test]
    fn text_stays_text(line in fragments()) {
        prop_assert!(String::from_utf8(redact_bytes(&everything(), line.as_bytes())).is_ok());
    }

    #[test]
    fn json_stays_json(value in value()) {
        let value = json!([value]);
        for line in [value.to_string(), escaped(&value.to_string()), format!("{value:#}")] {
            let out = redact_bytes(&everything(), line.as_bytes());
            let read = from_slice::<Value>(&out);
            prop_assert!(read.is_ok(), "`{}` became `{}`", line, String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn fields_do_not_survive(secret in "[a-z]{8}", depth in 0_usize..5) {
        let mut value = json!({"pw": {"x": [secret]}, "b": {"a": secret, "pw": secret}});
        for _ in 0..depth {
            value = json!([{"deeper": value}, value.to_string()]);
        }
        for line in [value.to_string(), format!("12:00 INFO {value}"), format!("{value} tail")] {
            let out = redact_bytes(&everything(), line.as_bytes());
            // Text in text in text is looked into once.
            prop_assert!(depth > 1 || !String::from_utf8_lossy(&out).contains(&secret), "`{}`", String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn what_holds_nothing_stays(line in "[a-z0-9 :/_{}\\[\\],-]{0,80}") {
        prop_assume!(!line.contains("pw"));
        let config = json!({"fields": ["pw"], "patterns": ["email", "iban", "ipv4", "token"]});
        prop_assert_eq!(redact_bytes(&config, line.as_bytes()), line.into_bytes());
    }
}

// One seed, so that every run has the same lines. Text has no grammar, so this property is true of nearly all lines, not of all: in `Bearer a1b2c3-pw=pw="`,
// the token hides where the value of `pw` would begin. About one random line in a million is such a line.
proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        rng_seed: RngSeed::Fixed(9),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_second_time_finds_no_secret(line in fragments()) {
        let once = redact_bytes(&everything(), line.as_bytes());
        let twice = redact_bytes(&everything(), &once);
        prop_assert_eq!(secrets(&once), secrets(&twice), "from `{}`", line);
    }

    #[test]
    fn a_second_time_finds_no_secret_in_json(value in value()) {
        for line in [value.to_string(), escaped(&value.to_string()), format!("{value:#}")] {
            let once = redact_bytes(&everything(), line.as_bytes());
            let twice = redact_bytes(&everything(), &once);
            prop_assert_eq!(secrets(&once), secrets(&twice), "from `{}`", line);
        }
    }
}

/// Brackets, quotes and elements that never close, each behind a name: read again from each of them, a line would cost the square of its length.
#[test]
fn a_line_that_would_be_read_over_and_over_is_hidden_as_a_whole() {
    let all = json!({"fields": ["password"], "patterns": ["email", "card", "iban", "ipv4", "token"]});
    let redactor = Redactor::new(&outrigger_plugin::serde_json::from_value(all).unwrap()).unwrap();
    for (head, unit) in [
        ("password=", "("),
        ("password=", "{["),
        ("password=", "{'"),
        ("", "password=( "),
        ("", "name=\"password\">"),
        ("", "password={'"),
    ] {
        let line = format!("{head}{} jane@example.org", unit.repeat((64 << 10) / unit.len()));
        let mut out = Vec::new();
        assert!(redactor.redact(line.as_bytes(), &mut out), "{head}{unit}");
        assert_eq!(String::from_utf8_lossy(&out), "[redacted]", "{head}{unit}");
    }
}

#[test]
fn sequences_that_fill_or_double_a_line_hide_no_name() {
    let fields = json!({"fields": ["password"]});
    let redactor = Redactor::new(&outrigger_plugin::serde_json::from_value(fields).unwrap()).unwrap();
    for (line, expected) in [
        ("pass\x1b#8word=hunter2 ok", "pass\x1b#8word=[redacted] ok"),
        ("\x1b#3password\x1b#4=hunter2", "\x1b#3password\x1b#4=[redacted]"),
        ("password=hun\x1b#8ter2", "password=[redacted]\x1b#8"),
    ] {
        let mut out = Vec::new();
        assert!(redactor.redact(line.as_bytes(), &mut out), "{line:?}");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

#[test]
fn a_carriage_return_or_a_nul_beside_the_sign_hides_no_value() {
    let fields = json!({"fields": ["password"]});
    let redactor = Redactor::new(&outrigger_plugin::serde_json::from_value(fields).unwrap()).unwrap();
    for (line, expected) in [
        ("password=\rhunter2", "password=\r[redacted]"),
        ("password\0=\0hunter2", "password\0=\0[redacted]"),
        ("tool\0--password\0hunter2\0-v", "tool\0--password\0[redacted]\0-v"),
    ] {
        let mut out = Vec::new();
        assert!(redactor.redact(line.as_bytes(), &mut out), "{line:?}");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
