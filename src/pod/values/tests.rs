use std::time::Duration;

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::{BadValue, cpus, duration, format_cpus, format_duration, signal, signal_name, size};

#[test]
fn durations_are_those_of_go() {
    for (text, millis) in [
        ("1m30s", 90_000),
        ("1.5s", 1_500),
        ("500ms", 500),
        ("2h", 7_200_000),
        ("1h1m1s1ms", 3_661_001),
        (".5s", 500),
        ("1.s", 1_000),
        ("0", 0),
        ("0s", 0),
        (" 10s ", 10_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    assert_eq!(duration("3us"), Ok(Duration::from_micros(3)));
    assert_eq!(duration("3µs"), Ok(Duration::from_micros(3)));
    assert_eq!(duration("7ns"), Ok(Duration::from_nanos(7)));
    assert_eq!(duration("10"), Err(BadValue::NoUnit("10".to_owned())));
    assert_eq!(duration("300000000h"), Err(BadValue::TooLong("300000000h".to_owned())));
    for text in ["", "s", "1x", "-1s", "1m-1s", "1 s", "1sm", "1..5s"] {
        assert_eq!(duration(text), Err(BadValue::Duration(text.to_owned())));
    }
    assert_eq!(duration("1"), Err(BadValue::NoUnit("1".to_owned())));
    let long = "999999999999999999999999999999999999999999s";
    assert_eq!(duration(long), Err(BadValue::TooLong(long.to_owned())));
}

#[test]
fn sizes_are_powers_of_1024() {
    for (text, bytes) in [
        ("64", 64),
        ("64b", 64),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64mb", 64 << 20),
        ("64MiB", 64 << 20),
        ("1gb", 1 << 30),
        ("1.5g", 3 << 29),
        ("1k", 1024),
        ("2 kb", 2048),
        ("1t", 1 << 40),
        ("1p", 1 << 50),
        ("0", 0),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    assert_eq!(size("99999999p"), Err(BadValue::TooLarge("99999999p".to_owned())));
    for text in ["", "m", "-1", "64mm", "64x", "64 m b", "ib", "1ib"] {
        assert_eq!(size(text), Err(BadValue::Size(text.to_owned())));
    }
}

#[test]
fn signals_have_names_and_numbers() {
    for (text, number) in [
        ("SIGTERM", 15),
        ("term", 15),
        ("SigUsr1", 10),
        ("9", 9),
        ("SIGIOT", 6),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("SIGRTMAX-1", 63),
        ("64", 64),
    ] {
        assert_eq!(signal(text), Ok(number), "{text}");
    }
    for text in ["", "SIG", "0", "65", "-9", "SIGFOO", "RTMIN+31", "RTMIN+", "RTMAX-31", "99999999999"] {
        assert_eq!(signal(text), Err(BadValue::Signal(text.to_owned())));
    }
}

#[test]
fn every_signal_is_read_from_its_name() {
    for number in 1..=64 {
        assert_eq!(signal(&signal_name(number)), Ok(number));
    }
}

#[test]
fn cpus_are_counted_in_billionths() {
    for (text, nano) in [("0.5", 500_000_000), ("2", 2_000_000_000), ("1.25", 1_250_000_000), ("0.000000001", 1)] {
        assert_eq!(cpus(text), Ok(nano), "{text}");
        assert_eq!(format_cpus(nano), text);
    }
    for text in ["", "-1", "two", "1e3", "0.5c", "99999999999999"] {
        assert_eq!(cpus(text), Err(BadValue::Cpus(text.to_owned())));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        drop((duration(&text), size(&text), signal(&text), cpus(&text)));
    }

    #[test]
    fn no_text_of_numbers_and_units_panics(text in "[0-9.]{0,40}[a-zµ+-]{0,3}[0-9.]{0,40}[kmgtpbih]{0,3}") {
        drop((duration(&text), size(&text), signal(&text), cpus(&text)));
    }

    #[test]
    fn durations_come_back(nanos in 0..i64::MAX as u64) {
        let written = Duration::from_nanos(nanos);
        prop_assert_eq!(duration(&format_duration(written)), Ok(written));
    }

    #[test]
    fn cpus_come_back(nano in 0..i64::MAX) {
        prop_assert_eq!(cpus(&format_cpus(nano)), Ok(nano));
    }
}
