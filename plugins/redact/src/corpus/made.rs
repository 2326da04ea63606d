//! Lines that are made: notations × values × colours × encodings, and things that are none.

use super::{Labelled, Redactor, Report};

/// Notations of a field: `K` is the key, `V` the value. With a value of one word.
const WORDS: [&str; 34] = [
    "K=V",
    "level=info K=V user=jo",
    "K: V",
    "  K: V",
    "login K: V, user: jo",
    "K = V",
    "[db] K = V, port = 1",
    "{K=V, user=jo}",
    "User(name=jo, K=V)",
    "User[K=V, n=1]",
    "User { K = V, n = 1 }",
    "{User:jo K:V N:1}",
    "map[K:V user:jo]",
    "Map(user -> jo, K -> V)",
    "tool --K=V --user jo",
    "tool --K V --user jo",
    "java -DK=V -jar x.jar",
    "GET /x?K=V&user=jo HTTP/1.1",
    "GET /x?user=jo&K=V HTTP/1.1",
    "user=jo&K=V&n=1",
    "login[K]=V&login[user]=jo",
    "Server=db;K=V;User=jo",
    "redis:6379,K=V,ssl=True",
    "<K>V</K>",
    "<a:K type=\"x\">V</a:K>",
    "[user] => jo [K] => V [n] => 1",
    "args=[tool --K V run]",
    "env: K=V HOME=/root",
    "'K=V' \"n=1\"",
    "X-K: V",
    "> X-K: V",
    "curl -H 'X-K: V' https://example.org",
    "db.K=V db.n=1",
    "MY_K=V",
];

/// With a value in quotes.
const QUOTED: [&str; 30] = [
    "K=\"V\" user=jo",
    "K='V' user=jo",
    "K: \"V\"",
    "K: 'V', user: 'jo'",
    "K = \"V\"",
    "{\"K\":\"V\",\"n\":1}",
    "{\"a\":{\"b\":[{\"K\": \"V\"}]},\"n\":1}",
    "INFO {\"K\": \"V\", \"n\": 1} (done)",
    "{'K': 'V', 'n': 1}",
    "{\"K\"=>\"V\", \"n\"=>1}",
    "{:K=>\"V\", :n=>1}",
    "{K: \"V\", n: 1}",
    "array('K' => 'V', 'n' => 1)",
    "User { K: \"V\", n: 1 }",
    "User { K: Some(\"V\"), n: 1 }",
    "main.User{K:\"V\", N:1}",
    "User(K='V', n=1)",
    "[('user', 'jo'), ('K', 'V')]",
    "%{K: \"V\", n: 1}",
    "#{K => <<\"V\">>,n => 1}",
    "[{K,\"V\"},{n,1}]",
    "{:K \"V\" :n 1}",
    "K := \"V\"",
    "tool --K \"V\" --user jo",
    "tool --K='V' --user jo",
    "[\"tool\",\"--K\",\"V\",\"run\"]",
    "['tool', '--K', 'V', 'run']",
    "<db user=\"jo\" K=\"V\" n=\"1\"/>",
    "<property name=\"K\" value=\"V\"/>",
    "SET K = 'V', n = 1",
];

const KEYS: [&str; 4] = ["password", "secret", "Password", "api_key"];
const ONE_WORD: [&str; 6] =
    ["hunter2", "S3cr3t_Pass-word", "p4ss.w0rd!", "correct-horse-battery", "0123456789abcdef", "Zm9vYmFy+/9="];
const MANY_WORDS: [&str; 5] = ["hunter2", "hunter 2 two", "a,b;c", "x{y}z", "pass#1 word"];

/// What else is found, in its notations.
const PATTERNS: [(&str, char); 26] = [
    ("jane@example.org", 'e'),
    ("jane.doe+x@mail.example.co.uk", 'e'),
    ("o'neil@example.ie", 'e'),
    ("info@xn--mller-kva.de", 'e'),
    ("boss@пример.рф", 'e'),
    ("JANE@EXAMPLE.ORG", 'e'),
    ("josé@example.es", 'e'),
    ("4111111111111111", 'c'),
    ("4111 1111 1111 1111", 'c'),
    ("5555-5555-5555-4444", 'c'),
    ("378282246310005", 'c'),
    ("3782 822463 10005", 'c'),
    ("6011000990139424", 'c'),
    ("3530111333300000", 'c'),
    ("DE89370400440532013000", 'i'),
    ("DE89 3704 0044 0532 0130 00", 'i'),
    ("GB29NWBK60161331926819", 'i'),
    ("FR1420041010050500013M02606", 'i'),
    ("NL91 ABNA 0417 1643 00", 'i'),
    ("203.0.113.5", 'p'),
    ("10.20.30.40", 'p'),
    ("AKIAIOSFODNN7EXAMPLE", 't'),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", 't'),
    ("glpat-xYzAbC1234567890dEfG", 't'),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", 't'),
    ("xoxb-123456789012-1234567890123-AbCdEfGhIjKl", 't'),
];
const AROUND: [&str; 12] = [
    "V",
    "from V ok",
    "x=V y=2",
    "x=\"V\" y=2",
    "x='V', y=2",
    "<V>",
    "(V)",
    "[V]",
    "V, and V",
    "{\"x\":\"V\",\"y\":2}",
    "it was V.",
    "Thing(x=V, y=2)",
];

/// How a part of a line is coloured: before the key, behind it, before the value, behind it, and within it.
const COLOURS: [[&str; 5]; 7] = [
    ["", "", "", "", ""],
    ["", "", "␛[35m", "␛[0m", ""],
    ["␛[36m", "␛[0m", "", "", ""],
    ["␛[36m", "␛[0m", "␛[1;32m", "␛[0m", ""],
    ["␛[38;5;208m", "␛[39m", "␛[38;2;1;2;3m", "␛[39m", ""],
    ["␛[36m", "", "", "␛[0m", ""],
    ["", "", "", "", "␛[4m"],
];

/// A character as it is written, and the frame of the line, with `L` for the line; none where the line has no frame.
type Encoding = fn(&str) -> (String, &'static str);

/// How the whole line is written once more.
const ENCODINGS: [Encoding; 6] = [
    |character| (character.to_owned(), ""),
    // Docker's json-file, Fluent Bit.
    |character| (json(character, "\\u001b"), "{\"log\":\"L\",\"stream\":\"stdout\"}"),
    // Go's %q, logrus.
    |character| (json(character, "\\x1b"), "time=now msg=\"L\" n=1"),
    // JSON in JSON.
    |character| {
        let once = json(character, "\\u001b");
        (once.chars().map(|c| json(&c.to_string(), "")).collect(), "{\"m\":\"{\\\"log\\\":\\\"L\\\"}\"}")
    },
    // An address of the web. Letters of other scripts are encoded, too.
    |character| (percent(character), "GET /log?line=L&n=1 HTTP/1.1"),
    |character| (entities(character), "<log>L</log>"),
];

fn json(character: &str, escape: &str) -> String {
    match character {
        "\"" => "\\\"".to_owned(),
        "\\" => "\\\\".to_owned(),
        "\u{1b}" => escape.to_owned(),
        other => other.to_owned(),
    }
}

fn percent(character: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    character
        .bytes()
        .map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn entities(character: &str) -> String {
    match character {
        "\"" => "&quot;".to_owned(),
        "<" => "&lt;".to_owned(),
        ">" => "&gt;".to_owned(),
        "&" => "&amp;".to_owned(),
        "'" => "&#39;".to_owned(),
        other => other.to_owned(),
    }
}

/// The line in this encoding; the labels move with it.
fn encoded(labelled: &Labelled, encoding: usize) -> Labelled {
    let encode = ENCODINGS[encoding];
    let (head, tail) = encode("x").1.split_once('L').unwrap_or(("", ""));
    let mut line = head.to_owned();
    let mut places = vec![0; labelled.line.len() + 1];
    for (place, character) in labelled.line.char_indices() {
        places[place] = line.len();
        line.push_str(&encode(&character.to_string()).0);
    }
    *places.last_mut().unwrap() = line.len();
    line.push_str(tail);
    labelled.moved(line, |place| places[place])
}

fn marked(value: &str, kind: char, within: &str) -> String {
    let middle = value.char_indices().nth(value.chars().count() / 2).unwrap().0;
    format!("⟦{kind}|{}{within}{}⟧", &value[..middle], &value[middle..])
}

/// Numbers that only look random, always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap())).collect()
    }
}

/// Time stamps, ids, rows of numbers, versions, dates and the like.
fn none(index: usize, numbers: &mut Numbers) -> String {
    let second = 1_400_000_000 + numbers.below(500_000_000);
    match index % 20 {
        0 => format!("at={second}{} took=3ms", numbers.digits(3)),
        1 => format!("ts {second}{} ok", numbers.digits(6)),
        2 => format!("{{\"ts\":{second}{},\"n\":1}}", numbers.digits(9)),
        3 => format!(
            "2026-{:02}-{:02} {:02}:{:02}:50.{} up",
            1 + numbers.below(12),
            1 + numbers.below(28),
            numbers.below(24),
            numbers.below(60),
            numbers.digits(3)
        ),
        4 => format!("2026{:02}{:02}{}_migrate.sql", 1 + numbers.below(12), 1 + numbers.below(28), numbers.digits(6)),
        5 => format!("row {}", (0..7).map(|_| numbers.digits(4)).collect::<Vec<_>>().join(" ")),
        6 => format!("cpu  {}", (0..10).map(|_| numbers.below(9_000_000).to_string()).collect::<Vec<_>>().join(" ")),
        7 => format!(
            "id {:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            numbers.next(),
            numbers.below(65536),
            numbers.below(4096),
            numbers.below(4096),
            numbers.next()
        ),
        8 => format!("order {} shipped", numbers.digits(12)),
        9 => format!("trace={:016x} span={:08x}", (numbers.next() << 33) | numbers.next(), numbers.next()),
        10 => format!(
            "version {}.{}.{}.{} started",
            numbers.below(20),
            numbers.below(20),
            numbers.below(20),
            numbers.below(20)
        ),
        11 => format!("Chrome/{}.0.0.0 Safari/537.36", 90 + numbers.below(60)),
        12 => format!("imei 35{} ok", numbers.digits(13)),
        13 => {
            format!("added lib{}@{}.{}.{}", numbers.below(9), numbers.below(20), numbers.below(20), numbers.below(20))
        }
        14 => format!("icon-{}@{}x.png loaded", numbers.below(99), 2 + numbers.below(2)),
        15 => format!("unit getty@tty{}.service", numbers.below(9)),
        16 => format!("{} {} {}  {}", numbers.digits(5), numbers.digits(6), numbers.digits(5), numbers.digits(4)),
        17 => format!("sku {}{} ok", ["AB", "DE", "GB", "ZZ"][numbers.below(4) as usize], numbers.digits(18)),
        18 => format!(
            "flake {} by bot",
            1_000_000_000_000_000_000 + numbers.next() * 2_000_000_000 % 900_000_000_000_000_000
        ),
        _ => format!("password_file=/run/{} secrets=2 passwordless=true", numbers.digits(4)),
    }
}

/// Judges those lines whose number is chosen.
pub(super) fn report(redactor: &Redactor, chosen: fn(usize) -> bool) -> Report {
    let mut report = Report::default();
    let mut index = 0;
    let mut judge = |written: &str| {
        let labelled = Labelled::read(written);
        for encoding in 0..ENCODINGS.len() {
            // Neighbours go to different halves, so that both see every notation.
            index += 1;
            if chosen(index + index / 7 + index / 64) {
                report.judge(redactor, &encoded(&labelled, encoding));
            }
        }
    };
    for (notations, values) in [(&WORDS[..], &ONE_WORD[..]), (&QUOTED[..], &MANY_WORDS[..])] {
        for (number, notation) in notations.iter().enumerate() {
            for (other, value) in values.iter().enumerate() {
                let key = KEYS[(number + other) % KEYS.len()];
                for [before, behind, front, back, within] in COLOURS {
                    let value = format!("{front}{}{back}", marked(value, 'f', within));
                    let line: Vec<String> = notation.split('K').map(|part| part.replace('V', &value)).collect();
                    judge(&line.join(&format!("{before}{key}{behind}")));
                }
            }
        }
    }
    for (value, kind) in PATTERNS {
        for around in AROUND {
            for [.., front, back, within] in COLOURS {
                judge(&around.replace('V', &format!("{front}{}{back}", marked(value, kind, within))));
            }
        }
    }
    let mut numbers = Numbers(4711);
    for index in 0..6000 {
        judge(&none(index, &mut numbers));
    }
    report
}
