//! Follows a container's output, and makes sure that all of it has come.
//!
//! A followed log that ends says nothing about being complete: Docker 20.10 now and then ends it, without an error, while thousands of the last lines are
//! still to come (`docker logs -f` shows the same). So after the end we look: while that run goes on the log is followed again, and after it the stored log
//! is read once more, from where we are.
//!
//! Where we are is a time for each stream, which is why the engine is always asked for timestamps; they are cut off again where nobody wants them. Times of
//! one stream never go back, those of both together may. A terminal's output has no frames that times could be taken from: there, bytes are counted.

use std::collections::VecDeque;
use std::time::Duration;

use bollard::errors::Error;
use bytes::{Buf, Bytes};
use futures_util::stream::{BoxStream, StreamExt};

use super::fault::{self, Call};
use super::frames::{Frames, Piece};
use super::{Docker, FIRST_PAUSE};
use crate::engine::{ContainerId, Engine, EngineError, Fault, LogFrame, LogsFrom, Output, Result};

/// The engine writes times of both streams side by side; they differ by less than this.
const SKEW_NS: i64 = 1_000_000_000;

/// Longest pause before a log that keeps ending is followed again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Longest timestamp: nanoseconds and an offset, as in `2026-01-01T00:00:00.000000000+00:00`.
const LONGEST_TIME: usize = 35;

/// What was delivered of one stream: the last time, and how many frames had it.
#[derive(Debug, Default, Clone)]
struct Place {
    time: Vec<u8>,
    frames: u64,
}

/// Frames of one stream that a second reading repeats.
#[derive(Debug, Default, Clone, Copy)]
struct Skip {
    until_ns: i64,
    frames: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The run may go on.
    Following,
    /// The run is over, and the stored log is read to its end.
    Rest,
    /// Nothing more is read.
    Over,
}

/// The log of one run of one container, being read.
pub(super) struct Following {
    engine: Docker,
    id: ContainerId,
    from: LogsFrom,
    tty: bool,
    /// When the run began.
    run: String,
    bytes: BoxStream<'static, std::result::Result<Bytes, Error>>,
    frames: Frames,
    pieces: VecDeque<Piece>,
    places: [Place; 2],
    skips: [Skip; 2],
    /// Of a terminal: bytes delivered, and how many of them the present reading repeats.
    delivered: u64,
    repeated: u64,
    /// Whether the piece before was passed over, and what continues it is too.
    passing: bool,
    /// Whether the present reading gave anything new.
    news: bool,
    pause: Duration,
    stage: Stage,
    failure: Option<EngineError>,
}

impl Following {
    pub(super) async fn open(engine: Docker, id: ContainerId, from: LogsFrom) -> Result<Self> {
        let seen = engine.inspect(&id.0).await?;
        let mut following = Self {
            frames: Frames::new(seen.tty, from.timestamps),
            tty: seen.tty,
            run: seen.started_at,
            bytes: futures_util::stream::empty().boxed(),
            engine,
            id,
            from,
            pieces: VecDeque::new(),
            places: Default::default(),
            skips: Default::default(),
            delivered: 0,
            repeated: 0,
            passing: false,
            news: false,
            pause: FIRST_PAUSE,
            stage: Stage::Following,
            failure: None,
        };
        following.read("follow=1", &format!("since={}", from.since));
        Ok(following)
    }

    pub(super) async fn next(&mut self) -> Option<Result<LogFrame>> {
        loop {
            while let Some(piece) = self.pieces.pop_front() {
                if let Some(frame) = self.deliver(piece) {
                    self.news = true;
                    return Some(Ok(frame));
                }
            }
            if self.stage == Stage::Over {
                return self.failure.take().map(Err);
            }
            match self.bytes.next().await {
                Some(Ok(chunk)) => self.take(chunk),
                Some(Err(error)) => {
                    let error = fault::classify(Call::Logs, self.id.short(), self.engine.opening(), error);
                    // Removed between the end of its run and our second look: what we have is all there will be.
                    let removed = self.stage == Stage::Rest && error.fault() == Fault::NotFound;
                    self.failure = (!removed).then_some(error);
                    self.stage = Stage::Over;
                }
                None => self.ended().await,
            }
        }
    }

    fn take(&mut self, mut chunk: Bytes) {
        if self.tty {
            let old = usize::try_from(self.repeated).unwrap_or(usize::MAX).min(chunk.len());
            chunk.advance(old);
            self.repeated -= old as u64;
            self.delivered += chunk.len() as u64;
            self.news |= !chunk.is_empty();
        }
        if let Err(bad) = self.frames.push(chunk, &mut self.pieces) {
            self.fail(Box::new(bad));
        }
    }

    fn fail(&mut self, cause: Box<dyn std::error::Error + Send + Sync>) {
        self.stage = Stage::Over;
        let (verb, object) = (Call::Logs.verb(), format!("`{}`", self.id.short()));
        self.failure = Some(EngineError::Unreachable { verb, object, cause });
    }

    /// The connection has ended, without an error.
    async fn ended(&mut self) {
        if let Err(cut) = self.frames.between() {
            return self.fail(Box::new(cut));
        }
        if self.stage == Stage::Rest {
            self.stage = Stage::Over;
            self.frames.end(&mut self.pieces);
            return;
        }
        let seen = match self.engine.inspect(&self.id.0).await {
            Ok(seen) => seen,
            Err(error) => {
                self.stage = Stage::Over;
                self.frames.end(&mut self.pieces);
                self.failure = if error.fault() == Fault::NotFound { None } else { Some(error) };
                return;
            }
        };
        let since = self.resume();
        // One that had not begun when we came has no other run before this one.
        if seen.running && (seen.started_at == self.run || self.run.is_empty()) {
            self.run = seen.started_at;
            self.pause = if self.news { FIRST_PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
            tokio::time::sleep(self.pause).await;
            self.read("follow=1", &since);
        } else {
            self.stage = Stage::Rest;
            let next_run = (seen.started_at != self.run).then(|| nanoseconds(seen.started_at.as_bytes())).flatten();
            match next_run {
                Some(until) => self.read("follow=0", &format!("{since}&until={}", seconds(until))),
                None => self.read("follow=0", &since),
            }
        }
    }

    /// Prepares for a reading that repeats as little as can be, and answers from when it has to be.
    fn resume(&mut self) -> String {
        self.repeated = self.delivered;
        self.skips = self
            .places
            .each_ref()
            .map(|place| Skip { until_ns: nanoseconds(&place.time).unwrap_or(i64::MIN), frames: place.frames });
        let newest = self.skips.iter().map(|skip| skip.until_ns).max().unwrap_or(i64::MIN);
        let from_ns = newest.saturating_sub(SKEW_NS);
        if newest == i64::MIN || from_ns <= self.from.since.saturating_mul(1_000_000_000) {
            return format!("since={}", self.from.since);
        }
        format!("since={}", seconds(from_ns))
    }

    /// Begins a reading.
    fn read(&mut self, how: &str, since: &str) {
        self.news = false;
        // Of a terminal only as asked: its lines could not be told from times in them.
        let timestamps = u8::from(!self.tty || self.from.timestamps);
        let prefix = self.engine.shared.api.prefix();
        let path =
            format!("{prefix}/containers/{}/logs?{how}&stdout=1&stderr=1&{since}&timestamps={timestamps}", self.id.0);
        self.bytes = self.engine.raw(&self.id, path);
    }

    /// What the caller gets of a piece; none where it had it before.
    fn deliver(&mut self, piece: Piece) -> Option<LogFrame> {
        let Piece { output, mut bytes, continues } = piece;
        if self.tty {
            return Some(LogFrame { output, bytes });
        }
        if continues {
            return (!self.passing).then_some(LogFrame { output, bytes });
        }
        let head = bytes.get(..bytes.len().min(LONGEST_TIME + 1)).unwrap_or_default();
        // An engine that gives no times is taken at its word: what it sends is new.
        let Some(end) = memchr::memchr(b' ', head) else { return Some(LogFrame { output, bytes }) };
        let time = head.get(..end).unwrap_or_default();
        let index = usize::from(output == Output::Stderr);
        self.passing = self.skips.get_mut(index).is_some_and(|skip| skip.covers(time));
        if self.passing {
            return None;
        }
        if let Some(place) = self.places.get_mut(index) {
            place.reached(time);
        }
        if !self.from.timestamps {
            bytes.advance(end + 1);
        }
        Some(LogFrame { output, bytes })
    }
}

impl Place {
    fn reached(&mut self, time: &[u8]) {
        if self.time == time {
            self.frames += 1;
        } else {
            self.time.clear();
            self.time.extend_from_slice(time);
            self.frames = 1;
        }
    }
}

impl Skip {
    fn covers(&mut self, time: &[u8]) -> bool {
        if self.until_ns == i64::MIN || self.until_ns == 0 {
            return false;
        }
        let Some(time) = nanoseconds(time) else { return false };
        if time == self.until_ns && self.frames > 0 {
            self.frames -= 1;
            return true;
        }
        if time >= self.until_ns {
            // From here on everything is new; times need not be understood any more.
            self.until_ns = i64::MIN;
            return false;
        }
        true
    }
}

/// As the engine's `since` and `until` take it.
fn seconds(ns: i64) -> String {
    format!("{}.{:09}", ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000))
}

/// Nanoseconds since the Unix epoch of an RFC 3339 time; none where it is not one.
fn nanoseconds(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (date, rest) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let offset = match zone {
        "Z" => 0,
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let offset = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    if !(1..=12).contains(&month) {
        return None;
    }
    // A date to days, in years that begin in March: http://howardhinnant.github.io/date_algorithms.html#days_from_civil
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_engine() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.000000001Z", Some(951_782_400_000_000_001)),
            ("2025-12-31T23:59:59.999999999Z", Some(1_767_225_599_999_999_999)),
            ("2026-01-01T02:00:00.5+02:00", Some(1_767_225_600_500_000_000)),
            ("2025-12-31T19:00:00-05:00", Some(1_767_225_600_000_000_000)),
            ("2026-13-01T00:00:00Z", None),
            ("line 7", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(nanoseconds(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(seconds(1_767_225_600_000_000_005), "1767225600.000000005");
    }

    #[test]
    fn a_second_reading_skips_exactly_what_was_delivered() {
        let time = |n: u8| format!("2026-01-01T00:00:0{n}.000000000Z").into_bytes();
        let mut place = Place::default();
        for n in [1, 2, 2] {
            place.reached(&time(n));
        }
        let mut skip = Skip { until_ns: nanoseconds(&place.time).unwrap(), frames: place.frames };
        let covered = [1, 2, 2, 2, 3].map(|n| skip.covers(&time(n)));
        assert_eq!(covered, [true, true, true, false, false]);
    }
}
