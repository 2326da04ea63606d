//! Streams of things with a time, made one in the order of these times.

use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::time::{Instant, sleep_until};

/// How long a stream that is silent now is waited for while others have something: the engine delivers within milliseconds what was written.
const PATIENCE: Duration = Duration::from_millis(150);

/// Many streams; at most one item of each is held.
pub(super) struct Merge<T> {
    lanes: Vec<Lane<T>>,
    /// Whether streams end when all was told; else a silent one is not waited for any longer than [`PATIENCE`].
    is_complete: bool,
}

struct Lane<T> {
    items: BoxStream<'static, (i64, T)>,
    held: Option<(i64, T)>,
    /// It was waited for in vain; the next thing that it tells makes it awaited again.
    is_silent: bool,
}

impl<T> Merge<T> {
    /// Of streams that end by themselves (`complete`), or go on.
    pub(super) fn new(is_complete: bool) -> Self {
        Self { lanes: Vec::new(), is_complete }
    }

    /// Adds a stream.
    pub(super) fn push(&mut self, items: BoxStream<'static, (i64, T)>) {
        self.lanes.push(Lane { items, held: None, is_silent: false });
    }

    /// The oldest of what there is; none when all streams have ended.
    ///
    /// Cancel safety: nothing is lost.
    pub(super) async fn next(&mut self) -> Option<T> {
        let mut deadline = None;
        loop {
            // What can be had at once, of all.
            poll_fn(|context| {
                self.lanes.retain_mut(|lane| {
                    if lane.held.is_some() {
                        return true;
                    }
                    match lane.items.poll_next_unpin(context) {
                        Poll::Ready(Some(item)) => {
                            lane.held = Some(item);
                            lane.is_silent = false;
                            true
                        }
                        Poll::Ready(None) => false,
                        Poll::Pending => true,
                    }
                });
                Poll::Ready(())
            })
            .await;
            if self.lanes.is_empty() {
                return None;
            }
            let has_any = self.lanes.iter().any(|lane| lane.held.is_some());
            let awaited = self.lanes.iter().any(|lane| lane.held.is_none() && !lane.is_silent);
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if has_any && (!awaited || is_late) {
                for lane in self.lanes.iter_mut().filter(|lane| lane.held.is_none()) {
                    lane.is_silent = true;
                }
                let oldest = self.lanes.iter_mut().filter(|lane| lane.held.is_some());
                let oldest = oldest.min_by_key(|lane| lane.held.as_ref().map_or(i64::MAX, |(at, _)| *at));
                return oldest.and_then(|lane| lane.held.take()).map(|(_, item)| item);
            }
            if has_any && !self.is_complete {
                deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
            }
            tokio::select! {
                () = changed(&mut self.lanes) => {}
                () = until(deadline) => {}
            }
        }
    }
}

/// Until one that holds nothing tells something, or ends.
async fn changed<T>(lanes: &mut Vec<Lane<T>>) {
    poll_fn(|context| {
        let mut ended = None;
        for (index, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.held.is_none()) {
            match lane.items.poll_next_unpin(context) {
                Poll::Ready(Some(item)) => {
                    lane.held = Some(item);
                    lane.is_silent = false;
                    return Poll::Ready(());
                }
                Poll::Ready(None) => {
                    ended = Some(index);
                    break;
                }
                Poll::Pending => {}
            }
        }
        match ended {
            Some(index) => {
                lanes.remove(index);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    })
    .await;
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::sync::mpsc;

    use super::*;

    fn of(times: &[i64]) -> BoxStream<'static, (i64, i64)> {
        stream::iter(times.to_vec()).map(|at| (at, at)).boxed()
    }

    async fn all(mut merge: Merge<i64>) -> Vec<i64> {
        let mut out = Vec::new();
        while let Some(at) = merge.next().await {
            out.push(at);
        }
        out
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_stored_comes_in_order() {
        let mut merge = Merge::new(true);
        merge.push(of(&[1, 4, 6]));
        // Slow, and still in its place.
        let slow = stream::once(async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            (2, 2)
        });
        merge.push(slow.chain(of(&[5])).boxed());
        merge.push(of(&[]));
        merge.push(of(&[3]));
        assert_eq!(all(merge).await, [1, 2, 3, 4, 5, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_holds_nobody_up_for_long() {
        let (sender, mut receiver) = mpsc::channel(4);
        let silent = stream::poll_fn(move |context| receiver.poll_recv(context)).boxed();
        let mut merge = Merge::new(false);
        merge.push(silent);
        merge.push(of(&[10, 20, 30]));
        let began = Instant::now();
        assert_eq!(merge.next().await, Some(10));
        assert_eq!(merge.next().await, Some(20));
        assert_eq!(began.elapsed().as_millis(), PATIENCE.as_millis(), "it is waited for once, not for each line");
        sender.send((25, 25)).await.unwrap();
        assert_eq!(merge.next().await, Some(25));
        drop(sender);
        assert_eq!(all(merge).await, [30]);
    }
}
