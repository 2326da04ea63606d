//! The controller's log, as a test reads it.

use tokio::time::Instant;

use super::*;

/// A line, and the second in which it was written.
pub type Line = (u64, String);

/// The lines at INFO and above, since when they are kept.
#[derive(Clone)]
pub struct Log(Arc<Mutex<(Instant, Vec<Line>)>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let (began, lines) = &mut *self.0.lock().unwrap();
        lines.push((began.elapsed().as_secs(), String::from_utf8_lossy(bytes).trim().to_owned()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Of what this thread does from now on, until the guard is dropped.
    pub fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        outrigger::telemetry::testing::keep_statements();
        let log = Self(Arc::new(Mutex::new((Instant::now(), Vec::new()))));
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines since the last call, or the start, with the seconds since then.
    pub fn take(&self) -> Vec<Line> {
        std::mem::replace(&mut *self.0.lock().unwrap(), (Instant::now(), Vec::new())).1
    }
}
