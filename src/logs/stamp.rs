//! The engine's timestamps: RFC 3339 with up to nine digits of a second, and back.

/// Longest timestamp with the space behind it: nine digits of a second and a numeric offset.
pub const LONGEST: usize = 36;

const MINUTE: usize = 16;
const NANOS: u64 = 1_000_000_000;

/// Reads timestamps. Remembers the minute of the last one, because the next one nearly always lies in the same.
#[derive(Debug, Default)]
pub struct StampReader {
    minute: [u8; MINUTE],
    minute_ns: u64,
}

impl StampReader {
    /// The time at the front of these bytes in nanoseconds since the Unix epoch, and how long it is together with the space behind it.
    /// Times before 1970 and after 2554 do not count as times.
    pub fn read(&mut self, bytes: &[u8]) -> Option<(u64, usize)> {
        let (minute, rest) = bytes.split_first_chunk::<MINUTE>()?;
        let ([colon, tens, ones], mut rest) = rest.split_first_chunk::<3>()?;
        if *colon != b':' {
            return None;
        }
        let second = u64::from(digit(*tens)? * 10 + digit(*ones)?);
        if second > 60 {
            return None;
        }
        let mut fraction = 0;
        if let Some((b'.', digits)) = rest.split_first() {
            let mut left = 9_u32;
            rest = digits;
            while let Some((value, behind)) = rest.split_first().and_then(|(&b, behind)| Some((digit(b)?, behind))) {
                left = left.checked_sub(1)?;
                fraction = fraction * 10 + u64::from(value);
                rest = behind;
            }
            fraction *= 10_u64.pow(left);
        }
        let (offset_s, rest) = offset(rest)?;
        let (b' ', rest) = rest.split_first()? else { return None };
        if *minute != self.minute {
            self.minute_ns = minute_ns(minute)?;
            self.minute = *minute;
        }
        let at = i128::from(self.minute_ns + second * NANOS + fraction) - i128::from(offset_s) * i128::from(NANOS);
        Some((u64::try_from(at).ok()?, bytes.len() - rest.len()))
    }
}

/// Appends the time as RFC 3339 in UTC with nine digits of a second.
pub fn write(out: &mut Vec<u8>, at_ns: u64) {
    let (seconds, nanos) = (at_ns / NANOS, at_ns % NANOS);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's `civil_from_days`, for days that are never negative: http://howardhinnant.github.io/date_algorithms.html
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    for (value, width, behind) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3_600, 2, b':'),
        (second / 60 % 60, 2, b':'),
        (second % 60, 2, b'.'),
        (nanos, 9, b'Z'),
    ] {
        for place in (0..width).rev() {
            // One decimal digit always fits.
            out.push(b'0' + u8::try_from(value / 10_u64.pow(place) % 10).unwrap_or_default());
        }
        out.push(behind);
    }
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0, |sum, &b| Some(sum * 10 + u64::from(digit(b)?)))
}

/// `Z`, `+hh:mm` or `-hh:mm`, in seconds east of UTC.
fn offset(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, rest) = bytes.split_first()?;
    let sign = match sign {
        b'Z' | b'z' => return Some((0, rest)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let ([h1, h2, b':', m1, m2], rest) = rest.split_first_chunk::<5>()? else { return None };
    let seconds = number(&[*h1, *h2])? * 3_600 + number(&[*m1, *m2])? * 60;
    Some((sign * i64::try_from(seconds).ok()?, rest))
}

/// `2026-11-21T01:22`, as if it were UTC.
fn minute_ns(text: &[u8; MINUTE]) -> Option<u64> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T' | b't', h1, h2, b':', mi1, mi2] = *text else {
        return None;
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[mo1, mo2])?, number(&[d1, d2])?);
    let (hour, minute) = (number(&[h1, h2])?, number(&[mi1, mi2])?);
    if !(1970..=2554).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
    {
        return None;
    }
    // `days_from_civil`, from the same source as above.
    let y = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (y / 400, y % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let days = (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)?;
    Some((days * 86_400 + hour * 3_600 + minute * 60) * NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u64, usize)> {
        StampReader::default().read(text.as_bytes())
    }

    #[test]
    fn reads_what_engines_write() {
        for (text, expected) in [
            ("2026-11-21T01:22:01.521082960Z x", Some((1_795_224_121_521_082_960, 31))),
            ("2026-11-21T02:22:01.5+01:00 x", Some((1_795_224_121_500_000_000, 28))),
            ("1970-01-01T00:00:00Z ", Some((0, 21))),
            ("2024-02-29T23:59:60Z ", Some((1_709_251_200_000_000_000, 21))),
            ("1970-01-01T00:00:00+01:00 ", None),
            ("2026-11-21T01:22:01.521082960Zx", None),
            ("2026-11-21T01:22:01.5210829601Z ", None),
            ("2026-13-21T01:22:01Z ", None),
            ("2026-11-21 01:22:01Z ", None),
            ("2026-11-21T01:22:01", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn the_remembered_minute_does_not_leak_into_others() {
        let mut reader = StampReader::default();
        let at = |reader: &mut StampReader, text: &str| reader.read(text.as_bytes()).unwrap().0 / NANOS;
        assert_eq!(at(&mut reader, "1970-01-01T00:01:05Z "), 65);
        assert_eq!(at(&mut reader, "1970-01-01T00:02:05Z "), 125);
        assert_eq!(at(&mut reader, "1970-01-01T00:02:06Z "), 126);
    }

    proptest::proptest! {
        #[test]
        fn writes_what_it_reads(at_ns in 0_u64..18_000_000_000_000_000_000) {
            let mut text = Vec::new();
            write(&mut text, at_ns);
            text.push(b' ');
            proptest::prop_assert_eq!(StampReader::default().read(&text), Some((at_ns, 31)));
        }
    }
}
