use std::fs;

use super::*;

const TERM: i32 = 15;
const ENDS: Signals = Signals { blocked: 0, ignored: 0, caught: 0 };
const HANDLES: Signals = Signals { blocked: 0, ignored: 0, caught: 1 << 14 };
const IGNORES: Signals = Signals { blocked: 0, ignored: 1 << 14, caught: 0 };
const FETCHES: Signals = Signals { blocked: 1 << 14, ignored: 0, caught: 0 };

/// Processes by number, parent and what they do with SIGTERM; each began after the one before.
fn asked_first(all: &[(i32, i32, Signals)]) -> Option<Vec<i32>> {
    let processes: Vec<_> = all
        .iter()
        .zip(100..)
        .map(|((pid, parent, _), start)| Process { pid: *pid, parent: *parent, start, name: "sh".to_owned() })
        .collect();
    let signals = |process: &Process| all.iter().find(|(pid, ..)| *pid == process.pid).map(|(.., signals)| *signals);
    forgotten(&processes, TERM, None, signals).map(|found| found.first.iter().map(|process| process.pid).collect())
}

#[test]
fn a_shell_that_does_not_pass_its_signal_on_is_asked_after_its_child() {
    assert_eq!(asked_first(&[(10, 0, ENDS), (11, 10, HANDLES)]), Some(vec![11]));
    assert_eq!(asked_first(&[(10, 0, ENDS), (11, 10, ENDS)]), Some(vec![11]));
    // Shells in shells: the innermost first. What has children of its own and handles the signal stops them itself.
    assert_eq!(
        asked_first(&[(10, 0, ENDS), (11, 10, ENDS), (12, 11, ENDS), (13, 12, HANDLES), (14, 13, ENDS)]),
        Some(vec![13])
    );
    // A daemon that has left its parent, which is no more.
    assert_eq!(asked_first(&[(10, 0, ENDS), (11, 1, HANDLES), (12, 10, FETCHES)]), Some(vec![11, 12]));
}

#[test]
fn a_main_process_that_decides_itself_or_is_alone_is_asked_as_ever() {
    for main in [HANDLES, IGNORES, FETCHES] {
        assert_eq!(asked_first(&[(10, 0, main), (11, 10, HANDLES)]), None, "{main:?}");
    }
    assert_eq!(asked_first(&[(10, 0, ENDS)]), None);
    assert_eq!(asked_first(&[]), None);
    // A child that ignores the signal would not end by it.
    assert_eq!(asked_first(&[(10, 0, ENDS), (11, 10, IGNORES)]), None);
    // A command of a health check, and what it runs, is none of the application.
    assert_eq!(asked_first(&[(10, 0, ENDS), (11, 0, ENDS), (12, 11, HANDLES)]), None);
}

#[test]
fn what_a_script_starts_next_is_not_asked_again_and_again() {
    let process = |pid, parent, start| Process { pid, parent, start, name: "sh".to_owned() };
    let all = [process(10, 0, 1), process(12, 10, 7)];
    assert_eq!(forgotten(&all, TERM, Some(6), |_| Some(ENDS)), None);
    assert!(forgotten(&all, TERM, Some(7), |_| Some(ENDS)).is_some());
}

#[test]
fn a_signal_that_ends_nobody_is_passed_on_to_nobody() {
    let process = |pid, parent| Process { pid, parent, start: 1, name: "httpd".to_owned() };
    let all = [process(10, 0), process(11, 10)];
    let asked = |signal| forgotten(&all, signal, None, |_| Some(ENDS)).is_some();
    assert!(!asked(28) && asked(15) && asked(3) && asked(37) && !asked(17));
    assert_eq!(effect(ENDS, 0), Effect::Ends);
    assert_eq!(effect(Signals { caught: 1 << 63, ..ENDS }, 64), Effect::Handles);
}

#[test]
fn names_with_parentheses_the_dead_and_masks() {
    let text = "7 (a) b (c) S 0 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4711 1 1";
    let seen = Process { pid: 7, parent: 0, start: 4711, name: "a) b (c".to_owned() };
    assert_eq!(parse_stat(7, text), Some(seen));
    assert_eq!(parse_stat(7, &text.replace(") S", ") Z")), None);
    assert_eq!(parse_stat(7, "7 (cut"), None);
    let status =
        "Name:\tsh\nSigQ:\t1/2\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000000004\nSigCgt:\t0000000000004002\n";
    assert_eq!(parse_status(status), Signals { blocked: 0x10000, ignored: 4, caught: 0x4002 });
}

#[test]
fn ids_in_paths_of_every_kind() {
    let (id, other) = ("0f".repeat(32), "a1".repeat(32));
    for path in [
        format!("12:memory:/docker/{id}"),
        format!("0::/system.slice/docker-{id}.scope"),
        format!("0::/../{id}"),
        format!("0::/machine.slice/libpod-{id}.scope/container"),
    ] {
        assert_eq!(ids(&path), BTreeSet::from([id.as_str()]), "{path}");
    }
    assert_eq!(ids(&format!("4:pids:/docker/{id}/{other}\n3:cpu:/docker/{id}/{other}")).len(), 2);
    assert!(ids(&format!("0::/{}", id.to_uppercase())).is_empty() && ids("0::/user.slice").is_empty());
}

#[tokio::test]
async fn a_look_finds_the_living_of_each_container() {
    let root = tempfile::tempdir().unwrap();
    let id = "0f".repeat(32);
    let put = |pid: i32, cgroup: &str, state: &str| {
        let at = root.path().join(pid.to_string());
        fs::create_dir(&at).unwrap();
        fs::write(at.join("cgroup"), format!("1:name=systemd:{cgroup}\n")).unwrap();
        fs::write(at.join("stat"), format!("{pid} (sh) {state} 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid}00 1"))
            .unwrap();
    };
    put(1, "/docker/", "S");
    put(20, &format!("/docker/{id}"), "S");
    put(21, &format!("/docker/{id}"), "Z");
    let processes = Processes::below(root.path());
    let look = processes.look().await.unwrap();
    assert_eq!(look.of(&id).iter().map(|process| process.pid).collect::<Vec<_>>(), [20]);
    assert!(look.of(&"0e".repeat(32)).is_empty());
    assert_eq!(youngest(look.of(&id)), 2000);
    // Its number belongs to another one by now.
    let [process] = look.of(&id) else { panic!() };
    let other = Process { start: 1, ..process.clone() };
    assert_eq!(processes.send(&other, TERM), Err(Errno::ESRCH));
    assert!(Processes::hidden().look().await.is_none());
}

#[tokio::test]
async fn a_real_process_gets_the_signal() {
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let processes = Processes::below("/proc");
    let process = stat(Path::new("/proc"), i32::try_from(child.id()).unwrap()).unwrap();
    assert_eq!(process.name, "sleep");
    processes.send(&process, TERM).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(TERM));
    assert_eq!(processes.send(&process, TERM), Err(Errno::ESRCH));
}
