use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::work::ask_within;
use super::*;
use crate::config::Settings;

/// Long enough for a busy machine, short enough for a test.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);

struct Fake {
    dir: tempfile::TempDir,
    /// The query.
    served: JoinHandle<String>,
}

impl Fake {
    /// A controller that sends these pieces, each on its own, to the one client that it has.
    fn sending(pieces: &'static [&'static str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut query = [0_u8; 64];
            let read = stream.read(&mut query).unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).unwrap();
                thread::yield_now();
            }
            String::from_utf8_lossy(&query[..read]).into_owned()
        });
        Self { dir, served }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }
}

#[test]
fn the_role_is_that_of_the_exact_words() {
    assert_eq!(Role::of(&["pause"]), Some(Role::Pause));
    assert_eq!(Role::of(&["healthcheck", "--wait"]), Some(Role::Wait));
    for other in [&["healthcheck"][..], &["healthcheck", "--wait", "--state-dir=/x"], &["pause", "x"], &["plan"], &[]] {
        assert_eq!(Role::of(other), None, "{other:?}");
    }
}

#[test]
fn the_usual_directory_is_the_controllers() {
    assert_eq!(Path::new(STATE_DIR), Settings::default().state_dir);
    assert_eq!(socket(None), Path::new("/var/lib/outrigger/admin.sock"));
    assert_eq!(socket(Some(OsStr::new(""))), Path::new("/var/lib/outrigger/admin.sock"));
    assert_eq!(socket(Some(OsStr::new("/x"))), Path::new("/x/admin.sock"));
}

#[test]
fn heartbeats_are_no_part_of_the_answer() {
    for (pieces, passed, text) in [
        (&["0\n"][..], true, ""),
        (&["\n", "\n\n", "0\ndegraded\nslow\n"], true, "degraded\nslow\n"),
        (&["\n\n1", "\nunhealthy\n", "why\n"], false, "unhealthy\nwhy\n"),
    ] {
        let fake = Fake::sending(pieces);
        let answer = ask_within(&fake.path(), LONG).unwrap();
        assert_eq!(answer, Answer { passed, text: text.to_owned() }, "{pieces:?}");
        let query = fake.served.join().unwrap();
        let spent: u64 = query.strip_prefix("wait ").unwrap().trim_end().parse().unwrap();
        assert!(spent < 30_000, "{query}");
    }
}

#[test]
fn an_answer_that_is_none_is_refused() {
    for (pieces, first) in [
        (&["healthy\n"][..], "healthy"),
        (&["\n\n"], ""),
        (&["error: expected `health`\n"], "error: expected `health`"),
    ] {
        let fake = Fake::sending(pieces);
        let error = ask_within(&fake.path(), LONG).unwrap_err();
        assert!(matches!(&error, WaitError::Refused { answer } if answer == first), "{error}");
    }
}

#[test]
fn a_controller_that_hangs_is_silent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET);
    // The kernel connects in its place.
    let _listener = UnixListener::bind(&path).unwrap();
    let error = ask_within(&path, SHORT).unwrap_err();
    assert!(matches!(error, WaitError::Silent { .. }), "{error}");
}

#[test]
fn nobody_listening_is_told_after_a_while_and_a_late_socket_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET);
    let error = ask_within(&path, SHORT).unwrap_err();
    assert!(matches!(error, WaitError::NoController { .. }), "{error}");

    let asked = {
        let path = path.clone();
        thread::spawn(move || ask_within(&path, LONG).unwrap())
    };
    let listener = UnixListener::bind(&path).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut query = [0_u8; 64];
    assert!(stream.read(&mut query).unwrap() > 0);
    stream.write_all(b"0\n").unwrap();
    drop(stream);
    assert!(asked.join().unwrap().passed);
}
