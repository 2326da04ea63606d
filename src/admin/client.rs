//! Asks a controller.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::AdminError;

/// For the whole exchange: below the 3 s that the image's health check waits.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Longest answer that is read: a status of hundreds of components.
const LONGEST_ANSWER: u64 = 4 * 1024 * 1024;

/// Sends one query (`health`, `status` or `metrics`) and reads the answer.
///
/// Cancel safety: nothing but the connection is lost.
///
/// # Errors
/// [`AdminError`] where nobody answers in time, or the answer is a refusal.
pub async fn ask(path: &Path, query: &str) -> Result<String, AdminError> {
    let answer = match timeout(PATIENCE, exchange(path, query)).await {
        Ok(answer) => answer?,
        Err(_) => return Err(AdminError::Timeout { path: path.to_owned(), after: PATIENCE }),
    };
    let first = answer.lines().next().unwrap_or_default();
    if first.is_empty() || first.starts_with("error: ") {
        return Err(AdminError::Refused { query: query.to_owned(), answer: first.to_owned() });
    }
    Ok(answer)
}

async fn exchange(path: &Path, query: &str) -> Result<String, AdminError> {
    let broken = |source: io::Error| AdminError::Broken { path: path.to_owned(), source };
    let mut stream =
        UnixStream::connect(path).await.map_err(|source| AdminError::NoController { path: path.to_owned(), source })?;
    stream.write_all(format!("{query}\n").as_bytes()).await.map_err(broken)?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await.map_err(broken)?;
    Ok(answer)
}
