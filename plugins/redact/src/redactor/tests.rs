use proptest::prelude::*;

use crate::ahead::Signs;
use crate::corpus::redactor;

/// A line that has all signs is looked at without any short cut.
const ALL_SIGNS: Signs = Signs { escape: true, at_sign: true, colour: true };

/// What lines of logs are made of, with and without something to hide.
const PIECES: [&str; 34] = [
    "password=",
    "hunter2",
    "\"password\":",
    "{\"a\":\"",
    "\"",
    "}",
    "{",
    "[",
    "]",
    ",",
    ": ",
    " ",
    "\\\"",
    "\\u0040",
    "%40",
    "%34",
    "&#64;",
    "&amp;",
    "^[[31m",
    "#033[1m",
    "\u{1b}[31m",
    "\u{1b}[0m",
    "jane",
    "@",
    "example.org",
    "4111 1111",
    " 1111 1111",
    "1111",
    "GB82WEST12345698765432",
    "10.1.2.3",
    "1%2E2%2E3%2E4",
    "Bearer abcdefghijklmnop1234567890",
    "https://u:p@h",
    "2026-11-21 02:46:50",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn short_cuts_change_no_result(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12)) {
        let line = pieces.concat();
        let redactor = redactor();
        let (mut short, mut whole) = (Vec::new(), Vec::new());
        redactor.redact_with_signs(line.as_bytes(), Signs::of(line.as_bytes()), &mut short);
        redactor.redact_with_signs(line.as_bytes(), ALL_SIGNS, &mut whole);
        prop_assert_eq!(String::from_utf8_lossy(&short), String::from_utf8_lossy(&whole), "{:?}", line);
    }
}
