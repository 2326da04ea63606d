use std::sync::Arc;
use std::time::Duration;

use scripted::Failing;
use tokio::io::{AsyncReadExt, duplex};

use super::*;

/// An output that answers each write from a script.
mod scripted {
    use std::collections::VecDeque;
    use std::io;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};

    use tokio::io::AsyncWrite;

    #[derive(Clone, Default)]
    pub struct Failing {
        pub script: Arc<Mutex<VecDeque<io::Result<usize>>>>,
        pub written: Arc<Mutex<Vec<u8>>>,
    }

    impl AsyncWrite for Failing {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = match self.script.lock().unwrap().pop_front() {
                Some(Ok(count)) => count.min(bytes.len()),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => bytes.len(),
            };
            self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}

async fn write(sink: &Sink, text: &str, counters: &Arc<Counters>) {
    let mut lines = text.matches('\n').count() as u64;
    sink.write(&mut text.as_bytes().to_vec(), &mut lines, counters).await;
    assert_eq!(lines, 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_writer_tears_no_line() {
    let (ours, mut theirs) = duplex(4);
    let (sink, counters) = (Sink::new(ours, LineFormat::Plain), Arc::default());
    let first = tokio::time::timeout(Duration::from_secs(1), write(&sink, "one two three\n", &counters)).await;
    assert!(first.is_err(), "an output of 4 bytes took more");
    assert_eq!((counters.counts().written, counters.counts().delivered), (1, 0));
    let reader = async {
        let mut text = vec![0; 19];
        theirs.read_exact(&mut text).await.unwrap();
        text
    };
    let (text, ()) = tokio::join!(reader, write(&sink, "four\n", &counters));
    assert_eq!(String::from_utf8_lossy(&text), "one two three\nfour\n");
    assert_eq!((counters.counts().written, counters.counts().dropped), (2, 0));
}

#[tokio::test]
async fn what_nobody_reads_is_counted() {
    let (ours, theirs) = duplex(64);
    let (sink, counters) = (Sink::new(ours, LineFormat::Plain), Arc::default());
    write(&sink, "one\n", &counters).await;
    drop(theirs);
    write(&sink, "two\nthree\n", &counters).await;
    write(&sink, "four\n", &counters).await;
    assert_eq!((counters.counts().written, counters.counts().dropped), (1, 3));
}

#[tokio::test]
async fn a_full_disk_drops_what_it_must_and_begins_on_a_new_line() {
    let out = Failing::default();
    out.script.lock().unwrap().extend([Ok(6), Err(io::ErrorKind::StorageFull.into())]);
    let (sink, counters) = (Sink::new(out.clone(), LineFormat::Plain), Arc::default());
    write(&sink, "one\ntwo\nthree\n", &counters).await;
    write(&sink, "four\n", &counters).await;
    assert_eq!(String::from_utf8_lossy(&out.written.lock().unwrap()), "one\ntw\nfour\n");
    assert_eq!((counters.counts().written, counters.counts().dropped), (2, 2));
    assert_eq!(counters.counts().delivered, 2);
}
