//! What is refused by default, what is not, and what opens it.

use std::collections::BTreeMap;

use crate::config::{self, Flags, Settings, Sharing};
use crate::containers::MountPoint;
use crate::plan::compile::{OwnFiles, compile};
use crate::plan::{SelfInfo, offline};
use crate::pod::life::{ExecCommand, LifecycleAction, LifecycleStep};
use crate::pod::{
    Component, ComponentName, CopySpec, Device, Grant, Logging, Mount, MountKind, PodSpec, VolumeSpec, lower, read,
};

struct Case {
    me: SelfInfo,
    settings: Settings,
}

fn case(flags: &[&str]) -> Case {
    let mut typed = Flags::default();
    for flag in flags {
        match flag.split_once(' ').unwrap() {
            ("--allow", rule) => typed.allow.push(rule.to_owned()),
            ("--deny", rule) => typed.deny.push(rule.to_owned()),
            ("--images", pattern) => typed.images.push(pattern.to_owned()),
            other => panic!("{other:?}"),
        }
    }
    Case { me: SelfInfo::offline("web", BTreeMap::new()), settings: config::lower(&typed, &BTreeMap::new()).unwrap() }
}

impl Case {
    /// Every problem of a pod with this one component, a line each.
    fn told(&self, change: impl FnOnce(&mut Component)) -> Vec<String> {
        let mut component = Component::new(ComponentName::new("app").unwrap(), "acme/app");
        change(&mut component);
        let spec =
            PodSpec { components: [(component.name.clone(), component)].into_iter().collect(), ..PodSpec::default() };
        let mut engine = offline::engine();
        engine.data_root = "/srv/engine".to_owned();
        match compile(&spec, &self.me, &engine, &self.settings) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
        }
    }

    fn takes_bind(&self, path: &str, read_only: bool) -> bool {
        self.told(|it| it.volumes = vec![mount(MountKind::Bind, path, read_only)]).is_empty()
    }

    fn takes_volume(&self, driver: &str, options: &[(&str, &str)]) -> bool {
        let driver_opts = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let volume = VolumeSpec { driver: driver.to_owned(), driver_opts, labels: BTreeMap::new() };
        self.told(|it| it.volumes = vec![Mount { volume: Some(volume), ..mount(MountKind::Volume, "data", false) }])
            .is_empty()
    }

    /// A volume that is a bind of `device`, mounted to be read.
    fn takes_volume_to_read(&self, name: Option<&str>, device: &str) -> bool {
        let driver_opts = [("type", "none"), ("o", "bind"), ("device", device)];
        let driver_opts = driver_opts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let volume = VolumeSpec { driver: String::new(), driver_opts, labels: BTreeMap::new() };
        let mount = Mount { volume: Some(volume), read_only: true, ..mount(MountKind::Volume, "data", true) };
        self.told(|it| it.volumes = vec![Mount { source: name.map(str::to_owned), ..mount }]).is_empty()
    }

    fn takes_capability(&self, name: &str) -> bool {
        self.told(|it| it.host.cap_add = vec![name.to_owned()]).is_empty()
    }

    fn takes_device(&self, path: &str) -> bool {
        let device = Device { host: path.to_owned(), container: "/dev/x".to_owned(), permissions: "r".to_owned() };
        self.told(|it| it.host.devices = vec![device]).is_empty()
    }

    fn takes_rule(&self, rule: &str) -> bool {
        self.told(|it| it.host.device_cgroup_rules = vec![rule.to_owned()]).is_empty()
    }

    fn takes_option(&self, option: &str) -> bool {
        self.told(|it| it.host.security_opt = vec![option.to_owned()]).is_empty()
    }
}

fn mount(kind: MountKind, source: &str, read_only: bool) -> Mount {
    Mount { read_only, ..Mount::new(kind, Some(source.to_owned()), "/x") }
}

#[test]
fn no_bind_leads_to_the_socket_or_to_root() {
    let case = case(&[]);
    for path in [
        "/",
        "//",
        "/srv/..",
        "/srv/../run",
        "/run",
        "/run/",
        "/var/run/docker.sock",
        "/run/./docker.sock",
        "/var/lib/../run/docker.sock",
        "/srv/some/docker.sock",
        "/run/systemd/private",
        "/run/dbus/system_bus_socket",
        "/var",
        "/var/lib",
        "/var/lib/docker",
        "/var/lib/docker/volumes/x/_data",
        "/srv/engine/overlay2",
        "/srv",
        "/proc",
        "/proc/1/root",
        "/sys/fs/cgroup",
        "/dev",
        "/dev/sda",
        "/etc",
        "/etc/shadow",
        "/etc/docker/key.json",
        "/root",
        "/root/.ssh",
        "/home",
        "/home/me",
        "/home/me/.ssh/id_rsa",
        "/var/spool/cron/crontabs",
        "/var/lib/machines/x",
        "/var/lib/portables",
        "/var/lib/flatpak",
        "/var/spool/anacron",
    ] {
        assert!(!case.takes_bind(path, true), "{path} for reading");
        assert!(!case.takes_bind(path, false), "{path} for writing");
    }
    for path in ["/etc/hosts", "/etc/ssl/certs", "/usr/share/zoneinfo", "/lib/modules", "/bin", "/opt/cni/bin"] {
        assert!(case.takes_bind(path, true) && !case.takes_bind(path, false), "{path} is for reading only");
    }
    for path in [
        "/data",
        "/srv/data",
        "/opt/app",
        "/mnt/x",
        "/home/me/data",
        "/tmp/x",
        "/var/log",
        "/running",
        "/etcetera",
        "/variable",
    ] {
        assert!(case.takes_bind(path, false), "{path}");
    }
}

#[test]
fn a_refusal_names_field_reason_and_remedy() {
    let told = case(&[]).told(|it| {
        it.host.privileged = true;
        it.host.userns_mode = Some("host".to_owned());
        it.host.cap_add = vec!["NET_ADMIN".to_owned(), "cap_sys_admin".to_owned()];
        it.volumes = vec![mount(MountKind::Bind, "/etc/cron.d", false), mount(MountKind::Bind, "/proc", true)];
    });
    assert_eq!(
        told,
        [
            "`pod.component.app`, field `privileged`: a privileged container has full access to the node (hint: the operator of the controller can allow this with `--allow 'privileged'`)",
            "`pod.component.app`, field `userns_mode`: `host` turns off the engine's user namespace mapping (hint: the operator of the controller can allow this with `--allow 'userns'`)",
            "`pod.component.app`, field `cap_add[1]`: `cap_sys_admin` is the right to mount and many other rights, which allow an escape from the container (hint: the operator of the controller can allow this with `--allow 'capability=SYS_ADMIN'`)",
            "`pod.component.app`, field `volumes[0]`: `/etc/cron.d` is in `/etc` of the node, and write access there gives root access to the node; read-only access (`:ro`) is allowed (hint: the operator of the controller can allow this with `--allow 'bind=/etc/cron.d'`)",
            "`pod.component.app`, field `volumes[1]`: `/proc` is in `/proc` of the node, which gives root access to the node (hint: the operator of the controller can allow this with `--allow 'bind=/proc:ro'`)",
        ]
    );
}

#[test]
fn every_remedy_that_is_named_is_one() {
    let refused: [&dyn Fn(&mut Component); 9] = [
        &|it| it.host.privileged = true,
        &|it| it.host.userns_mode = Some("host".to_owned()),
        &|it| it.host.cap_add = vec!["ALL".to_owned()],
        &|it| it.host.security_opt = vec!["seccomp:unconfined".to_owned()],
        &|it| it.host.device_cgroup_rules = vec!["a  *:* rwm".to_owned()],
        &|it| it.host.runtime = Some("/tmp/shim".to_owned()),
        &|it| it.volumes = vec![mount(MountKind::Bind, "/var/run/docker.sock", true)],
        &|it| it.volumes = vec![mount(MountKind::Bind, "/sys", true), mount(MountKind::Bind, "/", false)],
        &|it| it.env_file = vec![crate::pod::EnvFile::new("/var/lib/outrigger/x")],
    ];
    for change in refused {
        let told = case(&[]).told(change);
        assert!(!told.is_empty());
        let remedies: Vec<String> = told
            .iter()
            .map(|told| format!("--allow {}", told.split("--allow '").nth(1).unwrap().split('\'').next().unwrap()))
            .collect();
        let flags: Vec<&str> = remedies.iter().map(String::as_str).collect();
        assert_eq!(case(&flags).told(change), Vec::<String>::new(), "{remedies:?}");
    }
}

#[test]
fn a_wide_rule_does_not_open_the_socket_by_accident() {
    for rule in ["--allow bind", "--allow bind=/*", "--allow bind=/run", "--allow bind=/var/run/*"] {
        let case = case(&[rule]);
        assert!(!case.takes_bind("/var/run/docker.sock", false) && !case.takes_bind("/", false), "{rule}");
    }
    assert!(case(&["--allow bind=/run"]).takes_bind("/run/udev", false));
}

#[test]
fn what_is_denied_stays_denied() {
    let strict = case(&[
        "--deny bind",
        "--allow bind=/srv/app",
        "--deny capability=NET_*",
        "--deny sysctl",
        "--deny runtime=kata",
    ]);
    assert!(!strict.takes_bind("/srv/app", true), "denying wins");
    assert!(!strict.takes_capability("NET_ADMIN") && strict.takes_capability("SYS_NICE"));
    assert!(!strict.told(|it| _ = it.host.sysctls.insert("net.core.somaxconn".to_owned(), "1".to_owned())).is_empty());
    assert!(!strict.told(|it| it.host.runtime = Some("kata".to_owned())).is_empty());
    assert!(strict.told(|it| it.host.runtime = Some("runc".to_owned())).is_empty());
}

#[test]
fn capabilities_that_lead_out_are_refused_in_every_spelling() {
    let mut case = case(&[]);
    for name in
        ["ALL", "all", "CAP_ALL", "SYS_ADMIN", "cap_sys_module", "DAC_READ_SEARCH", "BPF", " SYS_RAWIO ", "SYS_PTRACE"]
    {
        assert!(!case.takes_capability(name), "{name}");
    }
    for name in ["NET_ADMIN", "NET_RAW", "SYS_NICE", "IPC_LOCK", "CAP_SYS_TIME"] {
        assert!(case.takes_capability(name), "{name}");
    }
    case.settings.pids = Sharing::Private;
    assert!(case.takes_capability("SYS_PTRACE"), "in a PID namespace of its own there is nobody to look into");
}

#[test]
fn devices_are_refused_unless_they_are_known_to_be_harmless() {
    let case = case(&["--allow device=/dev/my*"]);
    for path in [
        "/dev",
        "/dev/",
        "/dev/sda",
        "/dev/vda1",
        "/dev/nvme0n1",
        "/dev/mem",
        "/dev/port",
        "/dev/mapper/root",
        "/dev/disk/by-id/x",
        "/dev/snd/../sda",
        "/dev/ttyUSB/../mem",
        "/data/node",
        "/dev/console",
        "/dev/loop-control",
    ] {
        assert!(!case.takes_device(path), "{path}");
    }
    for path in [
        "/dev/null",
        "/dev/ttyUSB0",
        "/dev/snd",
        "/dev/dri/renderD128",
        "/dev/net/tun",
        "/dev/mydevice",
        "/dev/x/../null",
    ] {
        assert!(case.takes_device(path), "{path}");
    }
    for rule in ["a *:* rwm", "a", "b 8:0 r", "b *:* rwm", "c *:* rwm", "c 1:1 r", "c 1:* r", "c 10:* rwm", "c", ""] {
        assert!(!case.takes_rule(rule), "{rule}");
    }
    for rule in ["c 188:* rwm", "c 1:3 mr", "c  81:0  r"] {
        assert!(case.takes_rule(rule), "{rule}");
    }
}

#[test]
fn security_options_that_take_walls_away_are_refused() {
    let case = case(&[]);
    for option in [
        "seccomp=unconfined",
        "seccomp:unconfined",
        "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}",
        "apparmor=unconfined",
        "apparmor:unconfined",
        "apparmor=",
        "label=disable",
        "label:disable",
        "label=type:spc_t",
        "label=user:x",
        "systempaths=unconfined",
        "writable-cgroups=true",
        "unknown",
    ] {
        assert!(!case.takes_option(option), "{option}");
    }
    for option in [
        "no-new-privileges",
        "no-new-privileges:true",
        "no-new-privileges=true",
        "apparmor=my-profile",
        "label=level:s0:c1",
        "seccomp=builtin",
    ] {
        assert!(case.takes_option(option), "{option}");
    }
}

#[test]
fn volumes_that_are_binds_in_disguise_are_refused() {
    let case = case(&[]);
    for driver in ["", "local"] {
        for options in [
            [("type", "none"), ("o", "bind"), ("device", "/")],
            [("type", "none"), ("o", "ro, RBIND"), ("device", "/var/run")],
            [("type", "tmpfs"), ("o", "size=1m,bind"), ("device", "/etc")],
            [("type", "nfs"), ("o", "bind"), ("device", "/root")],
            [("type", ""), ("o", ""), ("device", "/proc")],
            [("Type", "none"), ("O", "bind"), ("Device", "srv/../run")],
            [("type", "ext4"), ("o", ""), ("device", "/dev/sda1")],
            [("type", "overlay"), ("o", "lowerdir=/,upperdir=/a,workdir=/b"), ("device", "overlay")],
            [("type", "proc"), ("o", ""), ("device", "proc")],
        ] {
            assert!(!case.takes_volume(driver, &options), "{driver} {options:?}");
        }
        for options in [
            [("type", "none"), ("o", "bind"), ("device", "/data")],
            [("type", "tmpfs"), ("o", "size=10m"), ("device", "tmpfs")],
            [("type", "nfs"), ("o", "addr=10.0.0.1,rw"), ("device", ":/exports")],
        ] {
            assert!(case.takes_volume(driver, &options), "{driver} {options:?}");
        }
    }
    // Whoever else names it can write to it, so that reading alone is for those without a name.
    assert!(!case.takes_volume_to_read(Some("data"), "/usr/share"));
    assert!(case.takes_volume_to_read(None, "/usr/share"));
    let no_writing = super::tests::case(&["--deny bind=/*:rw"]);
    assert!(!no_writing.takes_volume_to_read(Some("data"), "/srv"));
    assert!(no_writing.takes_volume_to_read(None, "/srv/data"));
    assert!(case.takes_volume("", &[]));
    assert!(!case.takes_volume("local-persist", &[("mountpoint", "/")]), "a bind by another driver");
    assert!(!case.takes_volume("local-persist", &[("mountpoint", "file:///etc")]));
    assert!(case.takes_volume("acme", &[("profile", "fast"), ("path", "/exports/x")]));
    assert!(
        super::tests::case(&["--allow volume-driver=local-persist"])
            .takes_volume("local-persist", &[("mountpoint", "/")])
    );
    assert!(!super::tests::case(&["--deny volume-driver"]).takes_volume("acme", &[]));
    assert!(!super::tests::case(&["--deny volume-type=nfs"]).takes_volume("", &[("type", "nfs"), ("device", ":/x")]));
    assert!(
        super::tests::case(&["--allow volume-type=ext4"]).takes_volume("", &[("type", "ext4"), ("device", "/dev/sdb")])
    );
}

#[test]
fn what_is_mounted_for_the_controller_alone_stays_its_own() {
    let mut case = case(&[]);
    let point = |kind: &str, name: &str, source: &str, target: &str| MountPoint {
        kind: kind.to_owned(),
        name: name.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        writable: true,
    };
    case.me.environment.insert("DOCKER_HOST".to_owned(), "unix:///engine/socket".to_owned());
    case.me.container.mounts = vec![
        point("bind", "", "/opt/engine", "/engine"),
        point("volume", "cache", "/v/cache", "/var/cache/outrigger"),
        point("volume", "auth", "/v/auth", "/run/secrets/podlike"),
        point("volume", "data", "/v/data", "/data"),
        point("bind", "", "/opt/policy.yaml", "/etc/outrigger/policy.yaml"),
    ];
    for path in ["/opt/engine/socket", "/opt/engine", "/opt", "/opt/policy.yaml"] {
        assert!(!case.takes_bind(path, true), "{path}");
    }
    assert!(case.takes_bind("/opt/engine/other", true));
    let volume = |name: &str| case.told(|it| it.volumes = vec![mount(MountKind::Volume, name, true)]);
    assert!(volume("cache")[0].contains("belongs to the controller and contains its `/var/cache/outrigger`"));
    assert!(!volume("auth").is_empty() && volume("data").is_empty());
}

#[test]
fn files_of_the_controller_alone_are_not_copied() {
    let case = case(&[]);
    let copied = |source: &str| {
        let copy = CopySpec { source: source.to_owned(), target: "/x".to_owned(), mode: None, uid: None, gid: None };
        case.told(|it| it.copy = vec![copy])
    };
    for source in [
        "/run/secrets/podlike/auth.json",
        "/var/lib/outrigger",
        "/var/lib",
        "/",
        "/proc/self/environ",
        "/x/../var/cache/outrigger/p.cwasm",
    ] {
        assert!(copied(source)[0].starts_with("`pod.copy.app`: "), "{source}");
    }
    assert!(copied("/run/secrets/app").is_empty() && copied("/etc/hosts").is_empty());
    assert!(!case.told(|it| it.env_file = vec![crate::pod::EnvFile::new("/proc/1/environ")]).is_empty());
}

#[test]
fn a_log_driver_does_not_reach_the_socket() {
    let logging = |address: &str| Logging {
        driver: "fluentd".to_owned(),
        options: BTreeMap::from([("fluentd-address".to_owned(), address.to_owned())]),
    };
    let case = case(&[]);
    assert!(!case.told(|it| it.logging = Some(logging("unix:///run/docker.sock"))).is_empty());
    for address in [
        "UNIX:///run/docker.sock",
        "unix:/run/docker.sock",
        "unix:////run//docker.sock",
        "unixgram:///run/docker.sock",
        "unix://anyhost/run/docker.sock",
        "unix://run/docker.sock",
        "unix:///run/%64ocker.sock",
        "unix:///run/docker.sock?x#y",
        // Without decoding, none of these would look like a path that is closed.
        "unix:///%72un/%64ocker.sock",
        "unix:///%72un/dbus/system_bus_socket",
        "unix:%2Frun/containerd/s",
    ] {
        assert!(!case.told(|it| it.logging = Some(logging(address))).is_empty(), "{address}");
    }
    for address in ["tcp://logs:24224", "unix:///srv/logs/fluent.sock", "127.0.0.1:24224", "udp://run/docker.sock"] {
        assert!(case.told(|it| it.logging = Some(logging(address))).is_empty(), "{address}");
    }
}

/// A command runs with what it asks for, not with what its component has.
#[test]
fn a_privileged_command_is_refused_as_a_privileged_component_is() {
    let step = |privileged| LifecycleStep {
        action: LifecycleAction::Exec(ExecCommand { privileged, ..ExecCommand::new(["mount".to_owned()]) }),
        timeout: None,
    };
    let both = |it: &mut Component| {
        it.post_start = vec![step(false), step(true)];
        it.pre_stop = vec![step(true)];
    };
    let why = "a privileged command has full access to the node (hint: the operator of the controller can allow this with `--allow 'privileged'`)";
    assert_eq!(
        case(&[]).told(both),
        [
            format!("`pod.component.app`, field `post_start[1].privileged`: {why}"),
            format!("`pod.component.app`, field `pre_stop[0].privileged`: {why}"),
        ]
    );
    assert_eq!(case(&["--allow privileged"]).told(both), [""; 0]);
    assert_eq!(case(&["--allow privileged", "--deny privileged"]).told(both).len(), 2);
}

#[test]
fn images_are_those_that_the_operator_names() {
    let case = case(&["--images registry.local/*", "--images nginx@sha256:*"]);
    let told = |image: &str| case.told(|it| it.image = image.to_owned());
    assert!(told("registry.local/a/b:1").is_empty());
    assert!(
        told("nginx:1")[0]
            .starts_with("`pod.component.app`, field `image`: the image `docker.io/library/nginx:1` matches none of")
    );
    assert!(!told("evil.local/registry.local/a").is_empty() && !told("0123456789ab").is_empty());
}

#[test]
fn an_engine_on_the_network_is_warned_of() {
    let mut case = case(&[]);
    case.settings.engine = Some("tcp://proxy:2375".to_owned());
    let spec = PodSpec::default();
    let plan = compile(&spec, &case.me, &offline::engine(), &case.settings).unwrap();
    assert!(plan.warnings.iter().any(|warning| warning.contains("use a unix socket")), "{:?}", plan.warnings);
}

#[test]
fn a_file_that_components_do_not_get_is_not_read_for_them() {
    let Case { me, settings } = case(&["--deny file=/srv/secret"]);
    let files = OwnFiles::new(&me.container, &me.environment, &me.own_volumes, &offline::engine(), &settings);
    let why = |path: &str| files.withheld(path).map(|(what, hint)| format!("{what} ({hint})"));
    assert!(why("/proc/1/environ").unwrap().contains("--allow 'file=/proc/1/environ'"), "{:?}", why("/proc/1/environ"));
    assert!(why("/srv/../run/docker.sock").is_some() && why("/srv/secret/x").is_some());
    assert_eq!(why("/etc/pod/compose.yaml"), None);
}

/// The label and text of what is refused to a plugin that has or wants these grants.
fn refused(case: &Case, grants: &[&str], is_said: bool) -> Vec<String> {
    let grants: Vec<_> = grants
        .iter()
        .map(|text| text.split_once(' ').unwrap())
        .map(|(capability, scope)| Grant::new(crate::pod::Capability::of(capability).unwrap(), scope))
        .collect();
    let text = "components: {app: {image: x}}\nplugins: [{reload: {watch: /x, component: app, target: /x}}]\n";
    let mut spec = lower::lower(&read::from_document("pod.yaml", text).unwrap()).unwrap();
    spec.plugins[0].grants = is_said.then(|| grants.clone());
    let files = OwnFiles::new(
        &case.me.container,
        &case.me.environment,
        &case.me.own_volumes,
        &offline::engine(),
        &case.settings,
    );
    let told = files.refused(&spec.plugins[0], &grants);
    if is_said {
        // The whole pod is refused for it.
        let whole = compile(&spec, &case.me, &offline::engine(), &case.settings);
        assert_eq!(whole.err().unwrap_or_default().to_string(), told.to_string());
    }
    told.0.iter().map(ToString::to_string).collect()
}

#[test]
fn plugins_get_no_files_that_components_do_not_get() {
    let mut moved = case(&["--deny file=/srv/*"]);
    moved.settings.cache_dir = "/data/cache".into();
    moved.me.environment.insert("DOCKER_CONFIG".to_owned(), "/etc/registries".to_owned());
    for (grant, fits) in [
        ("dir /data/cache:rw", false),
        ("dir /data", false),
        ("dir /root/.docker", false),
        ("dir /etc/registries/x", false),
        ("dir /etc/outrigger", false),
        ("dir /srv/x:rw", false),
        ("dir /data/other:rw", true),
        ("watch /run/secrets/docker-config.json", false),
        ("watch /proc/self/environ", false),
        ("watch /srv/x", false),
        // Some files in it are passed over.
        ("watch /run/secrets", true),
        ("watch /config", true),
        ("watch *", true),
        ("files app:/root/.docker", true),
    ] {
        for is_said in [true, false] {
            assert_eq!(
                refused(&moved, &[grant], is_said).is_empty(),
                fits,
                "{grant} {:?}",
                refused(&moved, &[grant], is_said)
            );
        }
    }
    let told = refused(&moved, &["watch /run/secrets/docker-config.json"], true).remove(0);
    assert!(
        told.starts_with("pod.plugins, field `reload.grants.watch`") || told.contains("`reload.grants.watch`"),
        "{told}"
    );
    assert!(told.contains("--allow 'file=/run/secrets/docker-config.json'"), "{told}");
    let told = refused(&moved, &["watch /proc/1/environ"], false).remove(0);
    assert!(told.contains("`reload`"), "{told}");
    let opened = case(&["--allow file=/run/secrets/docker-config.json"]);
    assert_eq!(refused(&opened, &["watch /run/secrets/docker-config.json"], true), [""; 0]);
    assert_eq!(refused(&case(&["--deny file"]), &["watch /config"], false).len(), 1);
}

#[test]
fn an_alias_opens_no_volume_of_the_controllers_own() {
    let mut case = case(&[]);
    case.me.container.mounts.push(MountPoint {
        kind: "volume".to_owned(),
        name: "proj_cache".to_owned(),
        source: "/var/lib/docker/volumes/proj_cache/_data".to_owned(),
        target: "/var/cache/outrigger".to_owned(),
        writable: true,
    });
    case.me.volume_aliases.insert("cache".to_owned(), "proj_cache".to_owned());
    for name in ["cache", "proj_cache"] {
        let told = case.told(|it| it.volumes = vec![mount(MountKind::Volume, name, true)]);
        assert!(told.len() == 1 && told[0].contains("this volume belongs to the controller"), "{name}: {told:?}");
    }
    assert_eq!(case.told(|it| it.volumes = vec![mount(MountKind::Volume, "other", false)]), [""; 0]);
}
