//! Stock plugin `redact`: keeps personal data and secrets out of the log.
#![forbid(unsafe_code)]

mod ahead;
mod bytes;
mod colour;
mod config;
mod fields;
mod json;
mod patterns;
mod redactor;
mod spans;
mod view;
mod work;

use outrigger_plugin::{Batch, Edit, Error, LogLine, Manifest, Plugin, Problems, Verdict, Want, host};

use ahead::Ahead;
use config::Config;
use redactor::Redactor;

/// The plugin.
#[derive(Debug)]
pub struct Redact {
    redactor: Redactor,
    /// None: all.
    components: Option<Vec<String>>,
    /// The last line that was changed, kept for its memory.
    scratch: Vec<u8>,
}

const WHY_LINES: &str = "to replace personal data and secrets in lines";
const WHY_METRICS: &str = "to count the lines that the plugin changes";

impl Plugin for Redact {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new("redact", env!("CARGO_PKG_VERSION"), "keeps personal data and secrets out of the log")
            .schema(include_str!("schema.json"))
            .want(Want::lines("*", WHY_LINES))
            .want(Want::metrics(WHY_METRICS).optional())
    }

    fn new(config: Config) -> Result<Self, Problems> {
        let redactor = Redactor::new(&config)?;
        Ok(Self { redactor, components: config.components, scratch: Vec::new() })
    }

    fn wants(&self) -> Vec<Want> {
        let lines: Vec<_> = match &self.components {
            Some(names) => names.iter().map(|name| Want::lines(name, WHY_LINES)).collect(),
            None => vec![Want::lines("*", WHY_LINES)],
        };
        lines.into_iter().chain([Want::metrics(WHY_METRICS).optional()]).collect()
    }
}

impl LogLine for Redact {
    fn on_batch(&mut self, batch: &Batch) -> Result<Verdict, Error> {
        if self.components.as_ref().is_some_and(|names| names.iter().all(|name| name != batch.component())) {
            return Ok(Verdict::KeepAll);
        }
        self.redactor.begin_batch();
        let mut edit = Edit::new(batch);
        let mut changed = 0_u32;
        let mut ahead = Ahead::new(batch.data());
        let mut from = 0;
        for line in batch.lines() {
            self.scratch.clear();
            let place = from..from + line.bytes.len();
            from = place.end;
            if self.redactor.redact_with_signs(line.bytes, ahead.signs(place), &mut self.scratch) {
                if cut(&mut self.scratch) {
                    edit.split(line.index);
                }
                edit.rewrite(line.index, &self.scratch);
                changed += 1;
            }
        }
        if changed > 0 {
            host::count("redacted_lines", f64::from(changed), &[("component", batch.component())]);
        }
        Ok(edit.verdict())
    }
}

/// Longest line, in bytes, that the host takes from a plugin.
const LONGEST_LINE: usize = 1 << 20;

/// Makes several lines of one that has become too long; answers whether it did.
fn cut(line: &mut Vec<u8>) -> bool {
    let mut from = 0;
    while line.len() - from > LONGEST_LINE {
        let mut end = from + LONGEST_LINE;
        // Not within a character.
        while end > from + LONGEST_LINE - 4 && bytes::at(line, end) & 0xC0 == 0x80 {
            end -= 1;
        }
        line.insert(end, b'\n');
        from = end + 1;
    }
    from > 0
}

outrigger_plugin::register!(Redact: LogLine);

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
