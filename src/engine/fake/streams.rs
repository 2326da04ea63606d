//! Streams of the [fake engine](super): a cursor into what has happened, and a wait for more.

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use super::FakeEngine;
use super::calls::unreachable;
use super::world::World;
use crate::engine::Result;

/// What a look at the world gave.
pub(super) enum Step<T> {
    Item(T),
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    End,
}

struct Reading<B, R> {
    engine: FakeEngine,
    verb: &'static str,
    name: String,
    changes: watch::Receiver<u64>,
    /// Where to begin; taken at the first poll, when the real engine would be asked.
    begin: Option<B>,
    read: R,
    cursor: usize,
    outages: u64,
    over: bool,
}

/// A stream of what `read` finds from where `begin` says, until the engine goes away.
pub(super) fn follow<T, B, R>(
    engine: &FakeEngine,
    verb: &'static str,
    name: String,
    begin: B,
    read: R,
) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    B: FnOnce(&mut World) -> Result<usize> + Send + 'static,
    R: FnMut(&mut World, &mut usize) -> Step<T> + Send + 'static,
{
    let reading = Reading {
        engine: engine.clone(),
        verb,
        name,
        changes: engine.changes.subscribe(),
        begin: Some(begin),
        read,
        cursor: 0,
        outages: 0,
        over: false,
    };
    stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) }).boxed()
}

impl<B, R> Reading<B, R> {
    async fn next<T>(&mut self) -> Option<Result<T>>
    where
        B: FnOnce(&mut World) -> Result<usize>,
        R: FnMut(&mut World, &mut usize) -> Step<T>,
    {
        if self.over {
            return None;
        }
        if let Some(begin) = self.begin.take()
            && let Err(error) = self.open(begin).await
        {
            self.over = true;
            return Some(Err(error));
        }
        loop {
            self.changes.mark_unchanged();
            let step = {
                let mut world = self.engine.world();
                if world.outages != self.outages {
                    self.over = true;
                    return Some(Err(unreachable(self.verb, &self.name)));
                }
                (self.read)(&mut world, &mut self.cursor)
            };
            match step {
                Step::Item(item) => return Some(Ok(item)),
                Step::Wait => {
                    // The sender lives in `engine`, so this never fails.
                    if self.changes.changed().await.is_err() {
                        return None;
                    }
                }
                Step::End => {
                    self.over = true;
                    return None;
                }
            }
        }
    }

    async fn open(&mut self, begin: B) -> Result<()>
    where
        B: FnOnce(&mut World) -> Result<usize>,
    {
        self.engine.pass(self.verb, &self.name).await?;
        let mut world = self.engine.world();
        self.outages = world.outages;
        self.cursor = begin(&mut world)?;
        Ok(())
    }
}
