use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::pod::ports::Port;
use crate::pod::{Blkio, Device, Logging, Ulimit};

fn body(spec: &ContainerSpec) -> Value {
    serde_json::to_value(create_body(spec, (1, 44)).unwrap()).unwrap()
}

fn mount(kind: MountKind, source: Option<&str>, target: &str) -> Mount {
    Mount::new(kind, source.map(str::to_owned), target)
}

#[test]
fn what_was_not_set_is_not_sent() {
    assert_eq!(body(&ContainerSpec::new("a", "acme/calc")), json!({"Image": "acme/calc", "HostConfig": {}}));
}

#[test]
fn process_and_namespaces() {
    let mut spec = ContainerSpec::new("a", "i");
    spec.entrypoint = Some(vec!["/bin/sh".into(), "-c".into()]);
    spec.command = Some(vec![]);
    spec.env = vec!["A=1".into()];
    spec.working_dir = Some("/srv".into());
    spec.user = Some("1:2".into());
    spec.labels = BTreeMap::from([("k".into(), "v".into())]);
    spec.tty = true;
    spec.stdin_open = true;
    spec.stop_signal = Some(3);
    spec.stop_timeout = Some(Duration::from_millis(1500));
    spec.network_mode = Some("container:x".into());
    spec.pid_mode = Some("container:y".into());
    spec.ipc_mode = Some("shareable".into());
    spec.cgroup_parent = Some("/docker/z".into());
    spec.tmpfs = BTreeMap::from([("/run".into(), "size=1m".into())]);
    spec.logging =
        Some(Logging { driver: "local".into(), options: BTreeMap::from([("max-size".into(), "1m".into())]) });
    assert_eq!(
        body(&spec),
        json!({
            "Image": "i", "Entrypoint": ["/bin/sh", "-c"], "Cmd": [], "Env": ["A=1"], "WorkingDir": "/srv", "User": "1:2",
            "Labels": {"k": "v"}, "Tty": true, "OpenStdin": true, "StopSignal": "3", "StopTimeout": 2,
            "HostConfig": {
                "NetworkMode": "container:x", "PidMode": "container:y", "IpcMode": "shareable", "CgroupParent": "/docker/z",
                "Tmpfs": {"/run": "size=1m"}, "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}},
            },
        })
    );
}

#[test]
fn every_host_setting_has_its_field() {
    let mut spec = ContainerSpec::new("a", "i");
    spec.host = HostSettings {
        privileged: true,
        read_only: true,
        runtime: Some("runc".into()),
        oom_score_adj: Some(5),
        oom_kill_disable: true,
        cap_add: vec!["NET_ADMIN".into()],
        cap_drop: vec!["ALL".into()],
        group_add: vec!["audio".into()],
        security_opt: vec!["seccomp=unconfined".into()],
        storage_opt: BTreeMap::from([("size".into(), "1G".into())]),
        sysctls: BTreeMap::from([("net.core.somaxconn".into(), "1".into())]),
        userns_mode: Some("host".into()),
        devices: vec![Device { host: "/dev/a".into(), container: "/dev/b".into(), permissions: "rw".into() }],
        device_cgroup_rules: vec!["c 1:3 mr".into()],
        isolation: Some("default".into()),
        memory: Some(1),
        memory_reservation: Some(2),
        memory_swap: Some(-1),
        memory_swappiness: Some(0),
        shm_size: Some(4),
        cpu_shares: Some(5),
        nano_cpus: Some(6),
        cpu_period: Some(7),
        cpu_quota: Some(8),
        cpu_rt_period: Some(9),
        cpu_rt_runtime: Some(10),
        cpuset: Some("0-1".into()),
        cpu_count: Some(11),
        cpu_percent: Some(12),
        blkio: Blkio {
            weight: Some(13),
            weight_device: vec![("/dev/w".into(), 14)],
            device_read_bps: vec![("/dev/rb".into(), 15)],
            device_write_bps: vec![("/dev/wb".into(), 16)],
            device_read_iops: vec![("/dev/ri".into(), 17)],
            device_write_iops: vec![("/dev/wi".into(), u64::MAX)],
        },
        pids_limit: Some(-1),
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 18, hard: 19 }],
    };
    // As text: the macro would need a higher recursion limit.
    let expected = r#"{
            "Privileged": true, "ReadonlyRootfs": true, "Runtime": "runc", "OomScoreAdj": 5, "OomKillDisable": true,
            "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "GroupAdd": ["audio"], "SecurityOpt": ["seccomp=unconfined"],
            "StorageOpt": {"size": "1G"}, "Sysctls": {"net.core.somaxconn": "1"}, "UsernsMode": "host",
            "Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rw"}],
            "DeviceCgroupRules": ["c 1:3 mr"], "Isolation": "default",
            "Memory": 1, "MemoryReservation": 2, "MemorySwap": -1, "MemorySwappiness": 0, "ShmSize": 4,
            "CpuShares": 5, "NanoCpus": 6, "CpuPeriod": 7, "CpuQuota": 8, "CpuRealtimePeriod": 9,
            "CpuRealtimeRuntime": 10, "CpusetCpus": "0-1", "CpuCount": 11, "CpuPercent": 12,
            "BlkioWeight": 13, "BlkioWeightDevice": [{"Path": "/dev/w", "Weight": 14}],
            "BlkioDeviceReadBps": [{"Path": "/dev/rb", "Rate": 15}],
            "BlkioDeviceWriteBps": [{"Path": "/dev/wb", "Rate": 16}],
            "BlkioDeviceReadIOps": [{"Path": "/dev/ri", "Rate": 17}],
            "BlkioDeviceWriteIOps": [{"Path": "/dev/wi", "Rate": 9223372036854775807}],
            "PidsLimit": -1, "Ulimits": [{"Name": "nofile", "Soft": 18, "Hard": 19}]
        }"#;
    assert_eq!(body(&spec)["HostConfig"], serde_json::from_str::<Value>(expected).unwrap());
}

#[test]
fn health_checks() {
    let mut spec = ContainerSpec::new("a", "i");
    spec.healthcheck = Some(HealthCheck::Disabled);
    assert_eq!(body(&spec)["Healthcheck"], json!({"Test": ["NONE"]}));
    spec.healthcheck = Some(HealthCheck::Command {
        test: vec![],
        interval: Some(Duration::from_secs(2)),
        timeout: Some(Duration::from_millis(300)),
        start_period: Some(Duration::ZERO),
        start_interval: None,
        retries: Some(4),
    });
    assert_eq!(
        body(&spec)["Healthcheck"],
        json!({"Interval": 2_000_000_000_i64, "Timeout": 300_000_000, "StartPeriod": 0, "Retries": 4})
    );
    let Some(HealthCheck::Command { start_interval, .. }) = &mut spec.healthcheck else { unreachable!() };
    *start_interval = Some(Duration::from_millis(5));
    for (api, sent) in [((1, 43), json!(null)), ((1, 44), json!(5_000_000)), ((u32::MAX, 0), json!(5_000_000))] {
        let body = serde_json::to_value(create_body(&spec, api).unwrap()).unwrap();
        assert_eq!(body["Healthcheck"]["StartInterval"], sent, "{api:?}");
    }
}

#[test]
fn each_mount_goes_where_it_behaves_as_in_compose() {
    let mut spec = ContainerSpec::new("a", "i");
    spec.mounts = vec![
        mount(MountKind::Bind, Some("/a"), "/b"),
        Mount { read_only: true, propagation: Some("rshared".into()), ..mount(MountKind::Bind, Some("/c"), "/d") },
        Mount { propagation: Some("slave".into()), ..mount(MountKind::Bind, Some("/e:f"), "/g") },
        Mount { must_exist: true, ..mount(MountKind::Bind, Some("/there"), "/k") },
        Mount { no_copy: true, read_only: true, ..mount(MountKind::Volume, Some("data"), "/h") },
        mount(MountKind::Volume, None, "/i"),
        Mount { tmpfs_size: Some(9), ..mount(MountKind::Tmpfs, None, "/j") },
    ];
    let host = body(&spec)["HostConfig"].clone();
    assert_eq!(host["Binds"], json!(["/a:/b", "/c:/d:ro,rshared"]));
    assert_eq!(
        host["Mounts"],
        json!([
            {"Target": "/g", "Source": "/e:f", "Type": "bind", "BindOptions": {"Propagation": "slave"}},
            {"Target": "/k", "Source": "/there", "Type": "bind"},
            {"Target": "/h", "Source": "data", "Type": "volume", "ReadOnly": true, "VolumeOptions": {"NoCopy": true}},
            {"Target": "/i", "Type": "volume"},
            {"Target": "/j", "Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 9}},
        ])
    );
}

#[test]
fn ports_of_every_form() {
    let mut spec = ContainerSpec::new("a", "i");
    let ports = ["8080:80", "127.0.0.1:8081:80/tcp", "53:53/udp", "[::1]:1:2", "0.0.0.0::9", "7", "70-71:8"];
    spec.ports = ports.iter().flat_map(|port| Port::read(port).unwrap()).collect();
    let body = body(&spec);
    assert_eq!(
        body["HostConfig"]["PortBindings"],
        json!({
            "80/tcp": [{"HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}],
            "53/udp": [{"HostPort": "53"}],
            "2/tcp": [{"HostIp": "::1", "HostPort": "1"}],
            "9/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}],
            "7/tcp": [{"HostPort": ""}],
            "8/tcp": [{"HostPort": "70-71"}],
        })
    );
    assert_eq!(
        body["ExposedPorts"],
        json!({"80/tcp": {}, "53/udp": {}, "2/tcp": {}, "9/tcp": {}, "7/tcp": {}, "8/tcp": {}})
    );
}

#[test]
fn what_the_engine_can_not_be_told_is_refused() {
    let mut spec = ContainerSpec::new("a", "i");
    spec.mounts = vec![mount(MountKind::Bind, None, "/b")];
    assert_eq!(create_body(&spec, (1, 44)), Err(BadSpec::NoSource("/b".into())));
    spec.mounts = vec![Mount { propagation: Some("up".into()), ..mount(MountKind::Bind, Some("/a"), "/b") }];
    assert_eq!(create_body(&spec, (1, 44)), Err(BadSpec::Propagation("up".into())));
    spec.mounts.clear();
    spec.host.isolation = Some("total".into());
    assert_eq!(create_body(&spec, (1, 44)), Err(BadSpec::Isolation("total".into())));
}
