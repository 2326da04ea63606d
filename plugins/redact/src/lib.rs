//! Stock plugin `redact`: keeps personal data and secrets out of the log.
#![forbid(unsafe_code)]

mod config;
mod fields;
mod json;
mod patterns;
mod redactor;
mod spans;

use outrigger_plugin::{Batch, Edit, Error, LogLine, Manifest, Plugin, Verdict, Want, host};

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

const WHY_METRICS: &str = "to count the lines it changes";

impl Plugin for Redact {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new("redact", env!("CARGO_PKG_VERSION"), "keeps personal data and secrets out of the log")
            .schema(include_str!("schema.json"))
            .want(Want::metrics(WHY_METRICS).optional())
    }

    fn new(config: Config) -> Result<Self, Error> {
        let redactor = Redactor::new(&config)?;
        Ok(Self { redactor, components: config.components, scratch: Vec::new() })
    }

    fn wants(&self) -> Vec<Want> {
        vec![Want::metrics(WHY_METRICS).optional()]
    }
}

impl LogLine for Redact {
    fn on_batch(&mut self, batch: &Batch) -> Result<Verdict, Error> {
        if self.components.as_ref().is_some_and(|names| names.iter().all(|name| name != batch.component())) {
            return Ok(Verdict::KeepAll);
        }
        let mut edit = Edit::new(batch);
        let mut changed = 0_u32;
        for line in batch.lines() {
            self.scratch.clear();
            if self.redactor.redact(line.bytes, &mut self.scratch) {
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

outrigger_plugin::register!(Redact: LogLine);

#[cfg(test)]
mod tests;
