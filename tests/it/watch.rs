//! File watches on a real file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outrigger::hooks::Change;
use outrigger::shutdown::Tasks;
use outrigger::watch::{Spec, spawn};
use tokio::sync::mpsc;

/// Far more than any event takes, and far less than the poll: what arrives within it came from inotify.
const SOON: Duration = Duration::from_secs(5);

struct Watched {
    _dir: tempfile::TempDir,
    root: PathBuf,
    tasks: Tasks,
    specs: mpsc::Sender<(&'static str, Spec)>,
    out: mpsc::Receiver<(&'static str, Vec<Change>)>,
}

impl Watched {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let ((specs, receiver), (sender, out), tasks) = (mpsc::channel(8), mpsc::channel(8), Tasks::new());
        spawn(&tasks, receiver, sender, Arc::new(|_| None), Arc::new(|_| {}));
        Self { _dir: dir, root, tasks, specs, out }
    }

    async fn watch(&self, key: &'static str, path: impl AsRef<Path>) {
        let source = self.root.join(path).to_str().unwrap().to_owned();
        // Longer than a busy machine lets a test stand still between two writes.
        let spec = Spec { source, debounce: Duration::from_millis(150), max_delay: SOON };
        self.specs.send((key, spec)).await.unwrap();
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.root.join(path), content).unwrap();
    }

    /// The next report: its key, and each change as `path=content` or `-path`.
    async fn next(&mut self) -> (&'static str, Vec<String>) {
        let (key, changes) = tokio::time::timeout(SOON, self.out.recv()).await.expect("no report").unwrap();
        let told = |change: &Change| {
            let path = Path::new(&change.path).strip_prefix(&self.root).unwrap().display().to_string();
            assert_eq!(change.digest.len(), if change.removed { 0 } else { 64 });
            match change.removed {
                true => format!("-{path}"),
                false => format!("{path}={}", String::from_utf8_lossy(&change.content)),
            }
        };
        (key, changes.iter().map(told).collect())
    }

    async fn expect(&mut self, key: &'static str, changes: &[&str]) {
        assert_eq!(self.next().await, (key, changes.iter().map(|&change| change.to_owned()).collect()));
    }
}

#[tokio::test]
async fn a_file_in_all_the_ways_it_changes() {
    let mut watched = Watched::new();
    watched.write("conf", "1");
    watched.write("other", "1");
    watched.watch("k", "conf").await;
    watched.expect("k", &["conf=1"]).await;
    // Written in place, written again with the same content, beside another file.
    watched.write("conf", "2");
    watched.expect("k", &["conf=2"]).await;
    watched.write("conf", "2");
    watched.write("other", "2");
    // Renamed into place.
    watched.write("new", "3");
    fs::rename(watched.root.join("new"), watched.root.join("conf")).unwrap();
    watched.expect("k", &["conf=3"]).await;
    // Removed and made again.
    fs::remove_file(watched.root.join("conf")).unwrap();
    watched.expect("k", &["-conf"]).await;
    watched.write("conf", "4");
    watched.expect("k", &["conf=4"]).await;
}

#[tokio::test]
async fn a_flipped_link_is_one_change() {
    let mut watched = Watched::new();
    for version in ["..v1", "..v2"] {
        fs::create_dir(watched.root.join(version)).unwrap();
        watched.write(&format!("{version}/a"), version);
        watched.write(&format!("{version}/b"), "same");
    }
    symlink("..v1", watched.root.join("..data")).unwrap();
    symlink("..data/a", watched.root.join("a")).unwrap();
    symlink("..data/b", watched.root.join("b")).unwrap();
    watched.watch("file", "a").await;
    watched.expect("file", &["a=..v1"]).await;
    watched.watch("directory", "").await;
    watched.expect("directory", &["a=..v1", "b=same"]).await;
    symlink("..v2", watched.root.join("..data_tmp")).unwrap();
    fs::rename(watched.root.join("..data_tmp"), watched.root.join("..data")).unwrap();
    let mut reports = [watched.next().await, watched.next().await];
    reports.sort();
    let expected = [("directory", vec!["a=..v2".to_owned()]), ("file", vec!["a=..v2".to_owned()])];
    assert_eq!(reports, expected);
}

#[tokio::test]
async fn a_directory_that_does_not_exist_yet() {
    let mut watched = Watched::new();
    watched.watch("k", "etc/app").await;
    watched.write("marker", "1");
    watched.watch("marker", "marker").await;
    // The empty watch is told of nothing: the next report is the other one's.
    watched.expect("marker", &["marker=1"]).await;
    fs::create_dir_all(watched.root.join("etc/app/sub")).unwrap();
    watched.write("etc/app/sub/x", "1");
    watched.expect("k", &["etc/app/sub/x=1"]).await;
    fs::create_dir(watched.root.join("etc/app/later")).unwrap();
    watched.write("etc/app/later/y", "2");
    watched.expect("k", &["etc/app/later/y=2"]).await;
    fs::remove_dir_all(watched.root.join("etc")).unwrap();
    watched.expect("k", &["-etc/app/later/y", "-etc/app/sub/x"]).await;
    fs::create_dir_all(watched.root.join("etc/app")).unwrap();
    watched.write("etc/app/z", "3");
    watched.expect("k", &["etc/app/z=3"]).await;
}

#[tokio::test]
async fn a_burst_is_one_report() {
    let mut watched = Watched::new();
    watched.watch("k", "").await;
    watched.watch("ready", "ready").await;
    watched.write("ready", "1");
    let mut both = [watched.next().await, watched.next().await];
    both.sort();
    assert_eq!(both.map(|(key, _)| key), ["k", "ready"]);
    for index in 0..20 {
        watched.write("a", &index.to_string());
        watched.write(&format!("b{index:02}"), "x");
    }
    let (key, changes) = watched.next().await;
    assert_eq!((key, changes.len(), changes[0].as_str()), ("k", 21, "a=19"));
}

#[tokio::test(start_paused = true)]
async fn what_inotify_does_not_tell_is_found_by_looking() {
    let mut watched = Watched::new();
    for (dir, content) in [("a/b", "1"), ("new/b", "2")] {
        fs::create_dir_all(watched.root.join(dir)).unwrap();
        watched.write(&format!("{dir}/conf"), content);
    }
    watched.watch("k", "a/b/conf").await;
    let (_, first) = watched.out.recv().await.unwrap();
    assert_eq!(first[0].content, &b"1"[..]);
    // Nothing in the directory of the file changes, nor does the directory itself.
    let begin = tokio::time::Instant::now();
    fs::rename(watched.root.join("a"), watched.root.join("old")).unwrap();
    fs::rename(watched.root.join("new"), watched.root.join("a")).unwrap();
    let (_, second) = watched.out.recv().await.unwrap();
    assert_eq!(second[0].content, &b"2"[..]);
    assert!(begin.elapsed() <= Duration::from_secs(11), "after {:?}", begin.elapsed());
}

#[tokio::test]
async fn ends_with_its_tasks() {
    let mut watched = Watched::new();
    watched.watch("k", "x").await;
    watched.tasks.cancel();
    assert!(watched.tasks.wait(SOON).await);
    assert!(watched.out.recv().await.is_none());
}

#[tokio::test]
async fn ends_with_its_receiver() {
    let Watched { tasks, specs, out, _dir, .. } = Watched::new();
    drop(out);
    specs.closed().await;
    assert!(tasks.wait(SOON).await);
}
