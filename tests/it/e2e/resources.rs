//! Limits hold: components try to exceed them, and the counters of their cgroups tell what came of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use outrigger::engine::Engine;
use outrigger::engine::docker::Docker;

use super::pod::{PodUnderTest, component, wait_for};
use crate::support::{engine_or_fail, skip};

const MIB: i64 = 1 << 20;

/// Holds about 50 MiB of anonymous memory: `tail` waits for the end of a line.
const GREEDY: &str = "(head -c 52428800 /dev/zero; exec sleep 1000) | tail > /dev/null; echo ended";

/// Where the cgroup of a container lies on this machine; none with cgroup version 2, where components are not within the controller's.
async fn cgroup(engine: &Docker, pod: &PodUnderTest, controller: &str) -> Option<PathBuf> {
    let id = engine.inspect(pod.name()).await.unwrap().id;
    let path = Path::new("/sys/fs/cgroup").join(controller).join("docker").join(&id.0);
    path.is_dir().then_some(path)
}

fn number(path: &Path) -> i64 {
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// The value behind a name of a file with a pair on each line.
fn field(text: &str, name: &str) -> i64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("`{name}` is missing in:\n{text}")).trim().parse().unwrap()
}

#[tokio::test]
async fn memory_ends_at_the_components_limit() {
    let Some(engine) = engine_or_fail().await else { return };
    // What asks for more than there is, is killed, as the one that the kernel is told to take first; the shell beside it lives, and tells. Where the
    // kernel takes the shell all the same, once memory is short for it too, it is asked again.
    let script = "head -c 104857600 /dev/zero | sh -c 'echo 1000 > /proc/self/oom_score_adj; exec tail' > /dev/null; echo \"ended, limit $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes), most $(cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes)\"; exit 9";
    let mut attempts = 0..8;
    let log = loop {
        assert!(attempts.next().is_some(), "the kernel always takes the shell");
        let mut pod = PodUnderTest::new(&engine, "policy-memory").await;
        pod.label("pod.component.app", &component(script, "mem_limit: 32m\nmemswap_limit: 32m"));
        pod.start().await;
        let code = pod.ends().await;
        let log = pod.log().await;
        if code == 9 {
            break log;
        }
        assert!(code == 137 && log.contains("oom_killed=true"), "{code}: {log}");
    };
    let told =
        log.lines().find_map(|line| line.strip_prefix("[out] app: ended, limit ")).unwrap_or_else(|| panic!("{log}"));
    let (limit, most) = told.split_once(", most ").unwrap();
    assert_eq!(limit.parse::<i64>().unwrap(), 32 * MIB);
    let most: i64 = most.parse().unwrap();
    assert!(most <= 32 * MIB && most > 24 * MIB, "it grew to its limit, and no further: {most}");
}

#[tokio::test]
async fn the_pods_memory_holds_for_its_components_together() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-together").await;
    pod.spec().host.memory = Some(96 * MIB);
    pod.spec().host.memory_swap = Some(96 * MIB);
    pod.label("pod.component.one", &component(GREEDY, ""));
    pod.label("pod.component.two", &component(GREEDY, ""));
    pod.start().await;
    let Some(cgroup) = cgroup(&engine, &pod, "memory").await else {
        return skip::not_applicable("this engine does not nest cgroups");
    };
    let kills = || -> i64 {
        let below = fs::read_dir(&cgroup).into_iter().flatten().flatten().map(|entry| entry.path());
        let all = below.filter(|path| path.is_dir()).chain([cgroup.clone()]);
        all.filter_map(|path| fs::read_to_string(path.join("memory.oom_control")).ok())
            .map(|text| field(&text, "oom_kill"))
            .sum()
    };
    wait_for("one is killed, since both don't fit", || async { kills() > 0 }).await;
    assert_eq!(number(&cgroup.join("memory.limit_in_bytes")), 96 * MIB);
    assert!(number(&cgroup.join("memory.max_usage_in_bytes")) <= 96 * MIB);
    let within = fs::read_dir(&cgroup).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert!(within >= 2, "components are within the controller's cgroup");
    pod.kill().await;
}

#[tokio::test]
async fn cpu_time_stays_within_the_quota() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-cpu").await;
    // Two spin, so that one CPU would not be enough for what they want.
    pod.label("pod.component.app", &component("(while :; do :; done) & while :; do :; done", "cpus: 0.2"));
    pod.start().await;
    pod.reaches("running").await;
    // Usage first: the periods that follow only make the bound larger.
    let look = || async {
        let (_, usage) = pod.in_component("app", &["cat", "/sys/fs/cgroup/cpuacct/cpuacct.usage"]).await;
        let (_, stat) = pod.in_component("app", &["cat", "/sys/fs/cgroup/cpu/cpu.stat"]).await;
        let (_, quota) = pod.in_component("app", &["cat", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"]).await;
        (usage.trim().parse::<i64>().unwrap_or_default(), stat, quota.trim().parse::<i64>().unwrap_or_default())
    };
    let (_, _, quota) = look().await;
    assert_eq!(quota, 20_000);
    // On a busy machine it is throttled in few periods: in the others it does not even get what it may have.
    wait_for("it wants more than it gets, time and again", || async {
        let stat = look().await.1;
        field(&stat, "nr_periods") >= 30 && field(&stat, "nr_throttled") >= 8
    })
    .await;
    let (usage, stat, _) = look().await;
    let (periods, throttled) = (field(&stat, "nr_periods"), field(&stat, "nr_throttled"));
    // A slice that was handed out to a CPU before the end of a period may be used in the next one.
    let bound = (periods + 2) * quota * 1000 * 12 / 10;
    assert!(usage <= bound, "used {usage} ns in {periods} periods of {quota} us");
    assert!(
        usage * 2 >= (periods - 2) * quota * 1000 * throttled / periods,
        "used {usage} ns in {periods} periods: {stat}"
    );
    pod.kill().await;
}

#[tokio::test]
async fn processes_end_at_the_limit() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-pids").await;
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & echo made $i; done";
    pod.label("pod.component.app", &component(script, "pids_limit: 8"));
    pod.start().await;
    pod.ends().await;
    let log = pod.log().await;
    assert!(log.contains("can't fork"), "{log}");
    let made = log.matches("\n[out] app: made ").count();
    assert!((1..8).contains(&made), "the shell and {made} others:\n{log}");
}

#[tokio::test]
async fn the_pods_limits_on_cpus_and_processes_are_its_components_too() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-pod-pids").await;
    pod.spec().host.pids_limit = Some(40);
    pod.spec().host.nano_cpus = Some(500_000_000);
    // Together they would be 60; the limit of the second one alone is more than the pod's.
    let script = "(for i in $(seq 30); do sleep 1000 & done); exec sleep 1000";
    pod.label("pod.component.one", &component(script, ""));
    pod.label("pod.component.two", &component(script, "pids_limit: 100\ncpus: 1"));
    pod.start().await;
    let Some(pids) = cgroup(&engine, &pod, "pids").await else {
        return skip::not_applicable("this engine does not nest cgroups");
    };
    pod.says("can't fork").await;
    assert!(number(&pids.join("pids.current")) <= 40);
    let log = pod.log().await;
    assert!(
        log.contains("`two`: `pids_limit` 100 is reduced to 40") && log.contains("`two`: `cpus` 1 is reduced to 0.5"),
        "{log}"
    );
    pod.kill().await;
}

/// The disk below a path, where there is one.
fn disk(path: &str) -> Option<String> {
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let mut place = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    if place.join("partition").exists() {
        place.pop();
    }
    Some(format!("/dev/{}", place.file_name()?.to_str()?))
}

#[tokio::test]
async fn writing_to_the_disk_is_throttled() {
    let Some(engine) = engine_or_fail().await else { return };
    let root = engine.info().await.unwrap().data_root;
    let Some(disk) = disk(&root).filter(|disk| Path::new(disk).exists()) else {
        return skip::not_applicable(format!("`{root}` is on no disk"));
    };
    if !Path::new("/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device").exists() {
        return skip::not_applicable("this kernel does not throttle block devices");
    }
    let mut pod = PodUnderTest::new(&engine, "policy-blkio").await;
    // Past the page cache, so that it is this component's cgroup that writes: 4 MiB at 1 MiB/s.
    let script = "a=$(date +%s); dd if=/dev/zero of=/data/x bs=65536 count=64 oflag=direct 2>/dev/null || exit 4; b=$(date +%s); cat /sys/fs/cgroup/blkio/blkio.throttle.write_bps_device; cat /sys/fs/cgroup/blkio/blkio.throttle.io_service_bytes; echo took $((b - a))";
    let more = format!("volumes: [/data]\nblkio_config: {{device_write_bps: [{{path: {disk}, rate: 1mb}}]}}");
    pod.label("pod.component.app", &component(script, &more));
    pod.start().await;
    assert_eq!(pod.ends().await, 0, "{}", pod.log().await);
    let log = pod.log().await;
    assert!(log.contains(" 1048576\n"), "{log}");
    let written =
        log.lines().find_map(|line| line.strip_prefix("[out] app: ")?.split_once(" Write ")?.1.parse::<i64>().ok());
    assert!(written.is_some_and(|bytes| bytes >= 4 * MIB), "{log}");
    let took: i64 = log.lines().find_map(|line| line.strip_prefix("[out] app: took ")?.parse().ok()).unwrap();
    assert!(took >= 3, "four seconds less the first slice and a whole second's rounding; took {took}:\n{log}");
}
