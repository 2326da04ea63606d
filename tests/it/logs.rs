//! The log pipeline, from a scripted engine to the sink.

mod fixture;

use std::sync::Arc;
use std::time::Duration;

use fixture::{Journal, Plan, Plugin, Plugins, read_lines, run, stamped};
use outrigger::config;
use outrigger::config::LineFormat;
use outrigger::engine::Output::{Stderr, Stdout};
use outrigger::hooks::Batch;
use outrigger::logs::position::Position;
use outrigger::logs::sink::Sink;
use outrigger::logs::{LogFailure, stream};
use tokio::io::{AsyncReadExt, duplex};

/// Follows the whole journal without plugins and answers what was written.
async fn written(journal: &Journal, format: LineFormat) -> String {
    let (run, sink, mut out) = run(format);
    journal.exit(&run.ended);
    stream(journal.clone(), Plugins::none(), run, sink).await.unwrap();
    read_lines(&mut out).await
}

#[tokio::test(start_paused = true)]
async fn lines_of_both_streams_in_every_format() {
    let journal = Journal::default();
    journal.write(Stdout, 1_000_000_000, b"hello\n");
    journal.write(Stderr, 1_500_000_000, b"oh \xff\r\n");
    journal.write(Stdout, 2_000_000_000, b"last");
    assert_eq!(
        written(&journal, LineFormat::Text).await,
        "[out] app: hello\n[err] app: oh \u{fffd}\r\n[out] app: last\n"
    );
    assert_eq!(written(&journal, LineFormat::Plain).await, "hello\noh \u{fffd}\r\nlast\n");
    assert_eq!(
        written(&journal, LineFormat::Json).await.lines().nth(1).unwrap(),
        r#"{"time":"1970-01-01T00:00:01.500000000Z","component":"app","output":"stderr","line":"oh "#.to_owned()
            + "\u{fffd}\\r\"}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_line_in_two_pieces_comes_to_plugins_as_one() {
    let journal = Journal::default();
    journal.write(Stdout, 1, format!("{}sec", "x".repeat(16_381)).as_bytes());
    journal.write(Stdout, 1, b"ret\n");
    let plugins = Plugins::new(Plugin::keep_all());
    let (run, sink, _out) = run(LineFormat::Plain);
    journal.exit(&run.ended);
    stream(journal, plugins.clone(), run, sink).await.unwrap();
    let seen = plugins.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].lines().next().unwrap().ends_with(b"xsecret"));
}

#[tokio::test(start_paused = true)]
async fn a_terminals_output_is_one_stream_of_bytes() {
    let journal = Journal::default();
    let long = "y".repeat(16_384);
    let output = [stamped(1, long.as_bytes()), stamped(1, b"z\r\n"), stamped(2, b"$ ")].concat();
    for chunk in output.chunks(1000) {
        journal.write_raw(Stdout, 1, chunk);
    }
    // The connection breaks in the middle of a piece.
    journal.plan([Plan::BreakAfter(7)]);
    let (mut run, sink, mut out) = run(LineFormat::Plain);
    run.source.terminal = true;
    let ended = run.ended.clone();
    let (counters, engine) = (Arc::clone(&run.counters), journal.clone());
    let end = async {
        engine.connected(2).await;
        engine.exit(&ended);
    };
    let (position, ()) = tokio::join!(stream(journal, Plugins::none(), run, sink), end);
    position.unwrap();
    assert_eq!(read_lines(&mut out).await, format!("{long}z\n$ \n"));
    assert_eq!(counters.counts().reconnects, 1);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_line_is_not_delayed_for_others() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"alone\n");
    let plugins = Plugins::new(Plugin::keep_all());
    let (run, sink, mut out) = run(LineFormat::Plain);
    let token = run.token.clone();
    let begin = tokio::time::Instant::now();
    let see = async {
        let mut line = [0; 6];
        out.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"alone\n");
        let after = begin.elapsed();
        assert!((20..25).contains(&after.as_millis()), "after {after:?}");
        token.cancel();
    };
    let (end, ()) = tokio::join!(stream(journal, plugins, run, sink), see);
    end.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_next_run_goes_on_where_the_last_one_ended() {
    let journal = Journal::default();
    journal.write(Stdout, 5_000_000_000, b"one\n");
    journal.write(Stdout, 5_000_000_000, b"two\n");
    let (first, sink, mut out) = run(LineFormat::Plain);
    journal.exit(&first.ended);
    let position = stream(journal.clone(), Plugins::none(), first, sink).await.unwrap();
    assert_eq!(read_lines(&mut out).await, "one\ntwo\n");
    journal.write(Stdout, 5_000_000_000, b"three\n");
    let (mut second, sink, mut out) = run(LineFormat::Plain);
    second.position = position;
    journal.exit(&second.ended);
    stream(journal, Plugins::none(), second, sink).await.unwrap();
    assert_eq!(read_lines(&mut out).await, "three\n");
}

#[tokio::test(start_paused = true)]
async fn lines_written_between_the_end_of_a_stream_and_the_exit_are_read() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"one\n");
    journal.plan([Plan::EndAfter(1)]);
    let (run, sink, mut out) = run(LineFormat::Plain);
    let ended = run.ended.clone();
    let engine = journal.clone();
    let exit = async {
        engine.connected(1).await;
        engine.write(Stdout, 2, b"two\n");
        engine.exit(&ended);
    };
    let (end, ()) = tokio::join!(stream(journal, Plugins::none(), run, sink), exit);
    end.unwrap();
    assert_eq!(read_lines(&mut out).await, "one\ntwo\n");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_at_the_exit_is_opened_again() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"one\n");
    journal.plan([Plan::HangAfter(1)]);
    let (run, sink, mut out) = run(LineFormat::Plain);
    let ended = run.ended.clone();
    let engine = journal.clone();
    let exit = async {
        engine.connected(1).await;
        engine.write(Stdout, 2, b"two\n");
        engine.exit(&ended);
    };
    let (end, ()) = tokio::join!(stream(journal, Plugins::none(), run, sink), exit);
    end.unwrap();
    assert_eq!(read_lines(&mut out).await, "one\ntwo\n");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_cannot_be_read_is_no_failure() {
    let journal = Journal::default();
    journal.plan([Plan::Unreadable]);
    let (run, sink, _out) = run(LineFormat::Plain);
    let counters = Arc::clone(&run.counters);
    assert_eq!(stream(journal, Plugins::none(), run, sink).await.unwrap(), Position::default());
    assert!(counters.counts().unreadable);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_waited_for_only_so_long() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"one\ntwo");
    journal.plan([Plan::HangAfter(1), Plan::HangAfter(1)]);
    let (run, sink, mut out) = run(LineFormat::Plain);
    journal.exit(&run.ended);
    let begin = tokio::time::Instant::now();
    stream(journal, Plugins::none(), run, sink).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(5));
    assert_eq!(read_lines(&mut out).await, "one\ntwo\n");
}

#[tokio::test(start_paused = true)]
async fn a_blocked_output_ends_with_the_drain_and_is_counted() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"one\n");
    for _ in 0..300 {
        journal.write(Stdout, 1, b"0123456789\n");
    }
    let (mut run, _, _) = run(LineFormat::Plain);
    run.drain = Duration::from_secs(3);
    journal.exit(&run.ended);
    let counters = Arc::clone(&run.counters);
    let (ours, _theirs) = duplex(1);
    stream(journal, Plugins::none(), run, Sink::new(ours, LineFormat::Plain)).await.unwrap();
    let counts = counters.counts();
    assert_eq!(counts.lines, counts.written + counts.dropped, "{counts:?}");
    assert_eq!(counts.cut, 1);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_nobody_waits_for_any_longer_is_counted_as_cut() {
    for is_through in [false, true] {
        let journal = Journal::default();
        journal.write(Stdout, 1, b"one\n");
        let (run, sink, mut out) = run(LineFormat::Plain);
        let (counters, token, ended) = (Arc::clone(&run.counters), run.token.clone(), run.ended.clone());
        let engine = journal.clone();
        let stop = async {
            assert_eq!(read_lines(&mut out).await, "one\n");
            // All that was read is written; whether there is more, only the end of the stream tells.
            if is_through { engine.exit(&ended) } else { token.cancel() }
        };
        let (end, ()) = tokio::join!(stream(journal, Plugins::none(), run, sink), stop);
        end.unwrap();
        let counts = counters.counts();
        assert_eq!((counts.written, counts.dropped, counts.cut), (1, 0, u64::from(!is_through)));
    }
}

#[tokio::test(start_paused = true)]
async fn held_lines_come_again_in_front_of_the_next_batch() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"error\n");
    let plugins = Plugins::new(Plugin::hold(1));
    let (run, sink, mut out) = run(LineFormat::Plain);
    let ended = run.ended.clone();
    let (engine, seen) = (journal.clone(), plugins.clone());
    let go_on = async {
        seen.wait_for(1).await;
        engine.write(Stdout, 2, b" at main\n");
        seen.wait_for(2).await;
        engine.exit(&ended);
    };
    let (end, ()) = tokio::join!(stream(journal, plugins.clone(), run, sink), go_on);
    end.unwrap();
    let lines =
        |batch: &Batch| batch.lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>();
    let seen: Vec<_> = plugins.seen().iter().map(|batch| (lines(batch), batch.is_final())).collect();
    let expected = [(vec!["error"], false), (vec!["error", " at main"], false), (vec![" at main"], true)];
    assert_eq!(seen, expected.map(|(lines, last)| (lines.into_iter().map(str::to_owned).collect(), last)));
    assert_eq!(read_lines(&mut out).await, "error\n at main\n");
}

#[tokio::test(start_paused = true)]
async fn held_lines_are_released_after_a_quiet_second() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"prompt\n");
    let plugins = Plugins::new(Plugin::hold(1));
    let (run, sink, mut out) = run(LineFormat::Plain);
    let token = run.token.clone();
    let begin = tokio::time::Instant::now();
    let see = async {
        out.read_exact(&mut [0; 7]).await.unwrap();
        assert!((1000..1100).contains(&begin.elapsed().as_millis()), "after {:?}", begin.elapsed());
        token.cancel();
    };
    let (end, ()) = tokio::join!(stream(journal, plugins, run, sink), see);
    end.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_plugins_may_hold_is_bounded() {
    let journal = Journal::default();
    for _ in 0..3000 {
        journal.write(Stdout, 1, b"x\n");
    }
    let plugins = Plugins::new(Plugin::hold(usize::MAX));
    let (run, sink, mut out) = run(LineFormat::Plain);
    let counters = Arc::clone(&run.counters);
    journal.exit(&run.ended);
    stream(journal, plugins.clone(), run, sink).await.unwrap();
    assert_eq!(read_lines(&mut out).await.lines().count(), 3000);
    assert_eq!(counters.counts().released, 2560);
    assert!(plugins.seen().iter().all(|batch| batch.len() <= 1024 + 256));
}

#[tokio::test(start_paused = true)]
async fn lines_that_a_failed_plugin_saw_are_not_disclosed() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"password=1234\n");
    let (run, sink, mut out) = run(LineFormat::Plain);
    let counters = Arc::clone(&run.counters);
    journal.exit(&run.ended);
    let end = stream(journal, Plugins::new(Plugin::fail()), run, sink).await;
    assert!(matches!(end, Err(LogFailure::Hook { .. })), "{end:?}");
    assert_eq!(read_lines(&mut out).await, "");
    assert_eq!(counters.counts().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn quiet_output_is_for_plugins_only() {
    let journal = Journal::default();
    journal.write(Stdout, 1, b"hello\n");
    let (mut first, sink, mut out) = run(LineFormat::Plain);
    first.output = config::Output::Quiet;
    journal.exit(&first.ended);
    let plugins = Plugins::new(Plugin::keep_all());
    stream(journal.clone(), plugins.clone(), first.clone(), sink.clone()).await.unwrap();
    assert_eq!(plugins.seen().len(), 1);
    stream(journal.clone(), Plugins::none(), first, sink).await.unwrap();
    assert_eq!(journal.connections(), 1, "nobody wanted the second stream");
    assert_eq!(read_lines(&mut out).await, "");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// However the connection breaks, every line arrives once, in order.
    #[test]
    fn broken_connections_neither_lose_nor_repeat(
        gaps in proptest::collection::vec((0_u64..3, proptest::bool::ANY, 0_usize..4), 1..40),
        breaks in proptest::collection::vec((0_usize..50, proptest::bool::ANY), 0..6),
        plugins in proptest::bool::ANY,
    ) {
        let journal = Journal::default();
        let (mut at_ns, mut expected) = (1_000_000_000_000, [Vec::new(), Vec::new()]);
        for (index, &(gap, err, cut)) in gaps.iter().enumerate() {
            // Pieces at the same time, a nanosecond apart, and some seconds apart.
            at_ns += [0, 1, 7_000_000_000][usize::try_from(gap).unwrap()];
            let (output, line) = (if err { Stderr } else { Stdout }, format!("line {index}\n"));
            let (first, second) = line.as_bytes().split_at(cut);
            if !first.is_empty() {
                journal.write(output, at_ns, first);
            }
            journal.write(output, at_ns, second);
            expected[usize::from(err)].push(format!("[{}] app: line {index}", if err { "err" } else { "out" }));
        }
        journal.plan(breaks.iter().map(|&(n, clean)| if clean { Plan::EndAfter(n) } else { Plan::BreakAfter(n) }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (text, counts) = runtime.block_on(async {
            let (run, sink, mut out) = run(LineFormat::Text);
            let (ended, engine, counters) = (run.ended.clone(), journal.clone(), Arc::clone(&run.counters));
            let hooks = if plugins { Plugins::new(Plugin::keep_all()) } else { Plugins::none() };
            let end = async {
                engine.connected(breaks.len()).await;
                engine.exit(&ended);
            };
            let (position, ()) = tokio::join!(stream(journal, hooks, run, sink), end);
            position.unwrap();
            (read_lines(&mut out).await, counters.counts())
        });
        for (prefix, expected) in ["[out]", "[err]"].iter().zip(expected) {
            let found: Vec<_> = text.lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect();
            proptest::prop_assert_eq!(found, expected);
        }
        proptest::prop_assert_eq!(counts.lines, gaps.len() as u64);
        proptest::prop_assert_eq!(counts.written, gaps.len() as u64);
    }
}
