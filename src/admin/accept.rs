//! Connections of the admin socket and of the page of metrics: a bounded number at a time.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// After a failed `accept` (no more file descriptors), before the next one.
const PAUSE: Duration = Duration::from_millis(200);

/// Accepts connections until `stop`, at most `most` at a time: each holds its permit. `accept` polls the listener, and `failed` reports an error, after which there is a pause.
pub(super) async fn connections<S>(
    most: usize,
    stop: CancellationToken,
    accept: impl Fn(&mut Context<'_>) -> Poll<io::Result<S>>,
    serve: impl Fn(S, OwnedSemaphorePermit),
    failed: impl Fn(io::Error),
) {
    let room = Arc::new(Semaphore::new(most));
    loop {
        // Never closed, so an error can't happen; if it did, there would be nothing left to serve.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = poll_fn(&accept) => accepted,
        };
        match accepted {
            Ok(stream) => serve(stream, permit),
            Err(error) => {
                failed(error);
                tokio::select! { () = stop.cancelled() => break, () = sleep(PAUSE) => {} }
            }
        }
    }
}
