//! A pod in the canonical form of `pod.yaml`, as JSON: what plugins get in `pre-start`, and what their overlays are merged into.
//!
//! Everything that is set is written, in one form of those that users may choose from: maps where there is a choice, so that overlays can be merged key
//! by key; sizes in bytes; every plugin in its long form. What is not set is left out. [`from_value`](crate::pod::read::from_value) and
//! [`lower`](crate::pod::lower::lower()) make the same pod of it again, but for `warnings` and the plugins' `origin`.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::pod::life::{HttpRequest, LifecycleAction, LifecycleStep, Probe, ProbeCheck, RestartPolicy, Role, Unready};
use crate::pod::lower::plugin::on_error_name;
use crate::pod::values::{format_cpus, format_duration, signal_name};
use crate::pod::{
    Blkio, Component, ComponentName, ControllerSpec, CopySpec, Dependency, EnvFile, EnvFormat, HealthCheck,
    HostSettings, Mount, MountKind, OuterRestart, PluginSource, PluginSpec, PodOptions, PodSpec, VolumeSpec,
};

/// Writes `spec` as a `pod.yaml` document.
#[must_use]
pub fn of(spec: &PodSpec) -> Value {
    let mut document = Doc::default();
    let init: Vec<Value> = spec
        .init
        .iter()
        .map(|component| {
            let mut doc = Doc::default();
            doc.set("name", component.name.as_str());
            doc.0.extend(self::component(component, &spec.plugins).0);
            doc.value()
        })
        .collect();
    document.list("init", init);
    let components = spec.components.values();
    document.map("components", components.map(|it| (it.name.to_string(), component(it, &spec.plugins).value())));
    let copies = spec.init.iter().chain(spec.components.values()).filter(|component| !component.copy.is_empty());
    document.map("copy", copies.map(|component| (component.name.to_string(), copy(&component.copy))));
    document.list("plugins", plugins(&spec.plugins, None));
    document.map("options", options(&spec.options).0);
    document.map("controller", controller(&spec.controller).0);
    document.value()
}

/// A map under construction: only what is set gets in.
#[derive(Debug, Default)]
struct Doc(Map<String, Value>);

impl Doc {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn some<T: Into<Value>>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.set(key, true);
        }
    }

    fn list<T: Into<Value>>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.set(key, values);
        }
    }

    fn map<K: Into<String>, T: Into<Value>>(&mut self, key: &str, entries: impl IntoIterator<Item = (K, T)>) {
        let map: Map<String, Value> = entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        if !map.is_empty() {
            self.set(key, map);
        }
    }

    fn value(self) -> Value {
        Value::Object(self.0)
    }
}

fn component(component: &Component, plugins: &[PluginSpec]) -> Doc {
    // A new key does not compile until somebody has thought of it here.
    let Component {
        name: _,
        image: _,
        entrypoint: _,
        command: _,
        working_dir: _,
        environment: _,
        env_file: _,
        labels: _,
        user: _,
        tty: _,
        stdin_open: _,
        stop_signal: _,
        stop_grace_period: _,
        healthcheck: _,
        depends_on: _,
        role: _,
        essential: _,
        restart: _,
        probes: _,
        post_start: _,
        pre_stop: _,
        volumes: _,
        tmpfs: _,
        copy: _,
        host: _,
        logging: _,
    } = component;
    let mut doc = Doc::default();
    doc.set("image", component.image.as_str());
    doc.some("entrypoint", component.entrypoint.clone());
    doc.some("command", component.command.clone());
    doc.some("working_dir", component.working_dir.clone());
    doc.map("environment", component.environment.clone());
    doc.list("env_file", component.env_file.iter().map(env_file));
    doc.map("labels", component.labels.clone());
    doc.some("user", component.user.clone());
    doc.flag("tty", component.tty);
    doc.flag("stdin_open", component.stdin_open);
    doc.some("stop_signal", component.stop_signal.map(signal_name));
    doc.some("stop_grace_period", component.stop_grace_period.map(format_duration));
    doc.some("healthcheck", component.healthcheck.as_ref().map(healthcheck));
    doc.map("depends_on", component.depends_on.iter().map(|(name, on)| (name.as_str(), dependency(*on))));
    doc.some("role", component.role.name());
    if !component.essential && component.role != Role::Sidecar {
        doc.set("essential", false);
    }
    if component.restart != component.role.restart() {
        doc.map("restart", restart(&component.restart).0);
    }
    let probes = &component.probes;
    let probes = [("startup", &probes.startup), ("liveness", &probes.liveness), ("readiness", &probes.readiness)];
    doc.map("probes", probes.into_iter().filter_map(|(kind, it)| Some((kind, probe(it.as_ref()?)))));
    doc.list("post_start", component.post_start.iter().map(step));
    doc.list("pre_stop", component.pre_stop.iter().map(step));
    doc.list("volumes", component.volumes.iter().map(mount));
    doc.list("tmpfs", tmpfs(&component.tmpfs));
    host(&component.host, &mut doc);
    if let Some(logging) = &component.logging {
        let mut inner = Doc::default();
        inner.some("driver", Some(logging.driver.as_str()).filter(|driver| !driver.is_empty()));
        inner.map("options", logging.options.clone());
        doc.set("logging", inner.value());
    }
    doc.list("plugins", self::plugins(plugins, Some(&component.name)));
    doc
}

fn dependency(on: Dependency) -> Value {
    let mut doc = Doc::default();
    doc.set("condition", on.condition.to_string());
    doc.flag("restart", on.restart);
    if !on.required {
        doc.set("required", false);
    }
    doc.value()
}

fn env_file(file: &EnvFile) -> Value {
    let mut doc = Doc::default();
    doc.set("path", file.path.as_str());
    match (file.required, file.format) {
        (true, EnvFormat::Compose) => return file.path.as_str().into(),
        (true, EnvFormat::Raw) => {}
        (false, _) => doc.set("required", false),
    }
    if file.format == EnvFormat::Raw {
        doc.set("format", "raw");
    }
    doc.value()
}

/// What is not the default.
fn options(options: &PodOptions) -> Doc {
    let PodOptions { drain, min_ready, start_deadline, settle, repair_budget } = *options;
    let default = PodOptions::default();
    let mut doc = Doc::default();
    doc.some("start_deadline", start_deadline.map(format_duration));
    for (key, value, usual) in [
        ("drain", drain, default.drain),
        ("min_ready", min_ready, default.min_ready),
        ("settle", settle, default.settle),
        ("repair_budget", repair_budget, default.repair_budget),
    ] {
        doc.some(key, Some(value).filter(|value| *value != usual).map(format_duration));
    }
    doc
}

fn restart(policy: &RestartPolicy) -> Doc {
    let mut doc = Doc::default();
    let RestartPolicy { when, exit_codes, max_attempts, delay, max_delay, reset_after, scope } = policy;
    doc.set("policy", when.name());
    let codes = exit_codes
        .iter()
        .map(|(from, to)| if from == to { Value::from(*from) } else { Value::from(format!("{from}-{to}")) });
    doc.list("exit_codes", codes);
    doc.some("max_attempts", *max_attempts);
    doc.set("delay", format_duration(*delay));
    doc.set("max_delay", format_duration(*max_delay));
    doc.set("reset_after", format_duration(*reset_after));
    doc.set("scope", scope.name());
    doc
}

fn probe(probe: &Probe) -> Value {
    let mut doc = Doc::default();
    match &probe.check {
        ProbeCheck::Http(it) => doc.set("http", request(it)),
        ProbeCheck::Tcp { host, port } => doc.set("tcp", json!({ "host": host, "port": port })),
        ProbeCheck::Grpc { host, port, service } => {
            let mut grpc = Doc::default();
            grpc.set("host", host.as_str());
            grpc.set("port", *port);
            grpc.some("service", Some(service.as_str()).filter(|service| !service.is_empty()));
            doc.set("grpc", grpc.value());
        }
        ProbeCheck::Exec(command) => doc.set("exec", command.clone()),
    }
    doc.some("initial_delay", Some(probe.initial_delay).filter(|it| !it.is_zero()).map(format_duration));
    doc.set("period", format_duration(probe.period));
    doc.some("start_interval", probe.start_interval.map(format_duration));
    doc.set("timeout", format_duration(probe.timeout));
    doc.some("success_threshold", Some(probe.success_threshold).filter(|it| *it != 1));
    doc.set("failure_threshold", probe.failure_threshold);
    doc.some(
        "unready",
        match probe.unready {
            Unready::Unhealthy => None,
            Unready::Degraded => Some("degraded"),
        },
    );
    doc.value()
}

fn request(request: &HttpRequest) -> Value {
    let mut doc = Doc::default();
    doc.flag("tls", request.tls);
    doc.set("host", request.host.as_str());
    doc.set("port", request.port);
    doc.set("path", request.path.as_str());
    doc.some("method", Some(request.method.as_str()).filter(|method| *method != "GET"));
    doc.map("headers", request.headers.clone());
    doc.value()
}

fn step(step: &LifecycleStep) -> Value {
    let mut doc = Doc::default();
    match &step.action {
        LifecycleAction::Exec(it) => {
            doc.set("command", it.command.clone());
            doc.some("user", it.user.clone());
            doc.flag("privileged", it.privileged);
            doc.some("working_dir", it.working_dir.clone());
            doc.map(
                "environment",
                it.environment.iter().map(|line| match line.split_once('=') {
                    Some((name, value)) => (name, Value::from(value)),
                    None => (line.as_str(), Value::Null),
                }),
            );
        }
        LifecycleAction::Http(it) => doc.set("http", request(it)),
        LifecycleAction::Sleep(time) => doc.set("sleep", format_duration(*time)),
    }
    doc.some("timeout", step.timeout.map(format_duration));
    doc.value()
}

fn volume(spec: &VolumeSpec) -> Doc {
    let mut doc = Doc::default();
    doc.some("driver", Some(spec.driver.as_str()).filter(|driver| !driver.is_empty()));
    doc.map("driver_opts", spec.driver_opts.clone());
    doc.map("labels", spec.labels.clone());
    doc
}

/// Permission bits as users write them.
fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn healthcheck(check: &HealthCheck) -> Value {
    let mut doc = Doc::default();
    match check {
        HealthCheck::Disabled => doc.set("disable", true),
        HealthCheck::Command { test, interval, timeout, start_period, start_interval, retries } => {
            doc.list("test", test.clone());
            doc.some("interval", interval.map(format_duration));
            doc.some("timeout", timeout.map(format_duration));
            doc.some("start_period", start_period.map(format_duration));
            doc.some("start_interval", start_interval.map(format_duration));
            doc.some("retries", *retries);
        }
    }
    doc.value()
}

fn mount(mount: &Mount) -> Value {
    let mut doc = Doc::default();
    doc.set(
        "type",
        match mount.kind {
            MountKind::Bind => "bind",
            MountKind::Volume => "volume",
            MountKind::Tmpfs => "tmpfs",
        },
    );
    doc.some("source", mount.source.clone());
    doc.set("target", mount.target.as_str());
    doc.flag("read_only", mount.read_only);
    let mut bind = Doc::default();
    bind.some("propagation", mount.propagation.clone());
    if mount.must_exist {
        bind.set("create_host_path", false);
    }
    doc.map("bind", bind.0);
    let mut volume = mount.volume.as_ref().map(volume).unwrap_or_default();
    volume.flag("nocopy", mount.no_copy);
    doc.map("volume", volume.0);
    let mut tmpfs = Doc::default();
    tmpfs.some("size", mount.tmpfs_size);
    tmpfs.some("mode", mount.tmpfs_mode.map(octal));
    doc.map("tmpfs", tmpfs.0);
    doc.value()
}

fn tmpfs(tmpfs: &IndexMap<String, String>) -> Vec<String> {
    let entry = |(path, options): (&String, &String)| {
        if options.is_empty() { path.clone() } else { format!("{path}:{options}") }
    };
    tmpfs.iter().map(entry).collect()
}

fn host(host: &HostSettings, doc: &mut Doc) {
    // A new key does not compile until somebody has thought of it here.
    let HostSettings {
        privileged: _,
        read_only: _,
        runtime: _,
        oom_score_adj: _,
        oom_kill_disable: _,
        cap_add: _,
        cap_drop: _,
        group_add: _,
        security_opt: _,
        storage_opt: _,
        sysctls: _,
        userns_mode: _,
        devices: _,
        device_cgroup_rules: _,
        isolation: _,
        memory: _,
        memory_reservation: _,
        memory_swap: _,
        memory_swappiness: _,
        shm_size: _,
        cpu_shares: _,
        nano_cpus: _,
        cpu_period: _,
        cpu_quota: _,
        cpu_rt_period: _,
        cpu_rt_runtime: _,
        cpuset: _,
        cpu_count: _,
        cpu_percent: _,
        blkio: _,
        pids_limit: _,
        ulimits: _,
    } = host;
    doc.flag("privileged", host.privileged);
    doc.flag("read_only", host.read_only);
    doc.some("runtime", host.runtime.clone());
    doc.some("oom_score_adj", host.oom_score_adj);
    doc.flag("oom_kill_disable", host.oom_kill_disable);
    doc.list("cap_add", host.cap_add.clone());
    doc.list("cap_drop", host.cap_drop.clone());
    doc.list("group_add", host.group_add.clone());
    doc.list("security_opt", host.security_opt.clone());
    doc.map("storage_opt", host.storage_opt.clone());
    doc.map("sysctls", host.sysctls.clone());
    doc.some("userns_mode", host.userns_mode.clone());
    let devices = host.devices.iter();
    doc.list("devices", devices.map(|it| format!("{}:{}:{}", it.host, it.container, it.permissions)));
    doc.list("device_cgroup_rules", host.device_cgroup_rules.clone());
    doc.some("isolation", host.isolation.clone());
    doc.some("mem_limit", host.memory);
    doc.some("mem_reservation", host.memory_reservation);
    doc.some("memswap_limit", host.memory_swap);
    doc.some("mem_swappiness", host.memory_swappiness);
    doc.some("shm_size", host.shm_size);
    doc.some("cpu_shares", host.cpu_shares);
    doc.some("cpus", host.nano_cpus.map(format_cpus));
    doc.some("cpu_period", host.cpu_period);
    doc.some("cpu_quota", host.cpu_quota);
    doc.some("cpu_rt_period", host.cpu_rt_period);
    doc.some("cpu_rt_runtime", host.cpu_rt_runtime);
    doc.some("cpuset", host.cpuset.clone());
    doc.some("cpu_count", host.cpu_count);
    doc.some("cpu_percent", host.cpu_percent);
    doc.map("blkio_config", blkio(&host.blkio).0);
    doc.some("pids_limit", host.pids_limit);
    let ulimits = host.ulimits.iter();
    doc.map("ulimits", ulimits.map(|it| (it.name.clone(), json!({ "soft": it.soft, "hard": it.hard }))));
}

fn blkio(blkio: &Blkio) -> Doc {
    let mut doc = Doc::default();
    let rates = |rates: &[(String, u64)]| -> Vec<Value> {
        rates.iter().map(|(path, rate)| json!({ "path": path, "rate": rate })).collect()
    };
    doc.some("weight", blkio.weight);
    let weights = blkio.weight_device.iter();
    doc.list("weight_device", weights.map(|(path, weight)| json!({ "path": path, "weight": weight })));
    doc.list("device_read_bps", rates(&blkio.device_read_bps));
    doc.list("device_write_bps", rates(&blkio.device_write_bps));
    doc.list("device_read_iops", rates(&blkio.device_read_iops));
    doc.list("device_write_iops", rates(&blkio.device_write_iops));
    doc
}

/// A map of source and target; where one source has two targets, a list of such maps. The target is a map where more than its path is set.
fn copy(files: &[CopySpec]) -> Value {
    let target = |file: &CopySpec| {
        let mut doc = Doc::default();
        doc.some("mode", file.mode.map(octal));
        doc.some("uid", file.uid);
        doc.some("gid", file.gid);
        if doc.0.is_empty() {
            return Value::from(file.target.as_str());
        }
        doc.set("target", file.target.as_str());
        doc.value()
    };
    let mut sources = HashSet::new();
    if files.iter().all(|file| sources.insert(&file.source)) {
        files.iter().map(|file| (file.source.clone(), target(file))).collect()
    } else {
        files.iter().map(|file| Value::from_iter([(file.source.clone(), target(file))])).collect()
    }
}

fn plugins(plugins: &[PluginSpec], scope: Option<&ComponentName>) -> Vec<Value> {
    plugins
        .iter()
        .filter(|it| it.scope.as_ref() == scope)
        .map(|it| Value::from_iter([(it.name.to_string(), plugin(it))]))
        .collect()
}

fn plugin(plugin: &PluginSpec) -> Value {
    let mut doc = Doc::default();
    if let PluginSource::File(path) = &plugin.source {
        doc.set("source", path.as_str());
    }
    if let Some(grants) = &plugin.grants {
        let mut scopes: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for grant in grants {
            scopes.entry(grant.capability.name()).or_default().push(&grant.scope);
        }
        // Written where nothing is granted too: that is not the same as nothing said.
        doc.set(
            "grants",
            scopes.into_iter().map(|(key, list)| (key.to_owned(), Value::from(list))).collect::<Map<_, _>>(),
        );
    }
    let mut limits = Doc::default();
    limits.some("memory", plugin.limits.memory);
    limits.some("hook", plugin.limits.hook.map(format_duration));
    limits.some("wait", plugin.limits.wait.map(format_duration));
    doc.map("limits", limits.0);
    let mut on_error = BTreeMap::from([("default", on_error_name(plugin.on_error.default))]);
    on_error.extend(plugin.on_error.hooks.iter().map(|(hook, word)| (hook.as_str(), on_error_name(*word))));
    doc.map("on-error", on_error);
    doc.set("health-interval", format_duration(plugin.health_interval));
    doc.set("config", plugin.config.clone());
    doc.value()
}

fn controller(controller: &ControllerSpec) -> Doc {
    let mut doc = Doc::default();
    doc.some("name", controller.name.clone());
    doc.some("image", controller.image.clone());
    doc.list("ports", controller.ports.iter().map(ToString::to_string).collect::<Vec<_>>());
    doc.list("volumes", controller.volumes.iter().map(mount));
    doc.list("networks", controller.networks.clone());
    doc.some(
        "restart",
        controller.outer.restart.map(|restart| match restart {
            OuterRestart::Always => "always".to_owned(),
            OuterRestart::UnlessStopped => "unless-stopped".to_owned(),
            OuterRestart::OnFailure(0) => "on-failure".to_owned(),
            OuterRestart::OnFailure(most) => format!("on-failure:{most}"),
        }),
    );
    doc.some("hostname", controller.outer.hostname.clone());
    doc.list("extra_hosts", controller.outer.extra_hosts.clone());
    doc.list("dns", controller.outer.dns.clone());
    doc.map("environment", controller.environment.clone());
    doc.map("labels", controller.labels.clone());
    doc.some("mem_limit", controller.memory);
    doc.some("stop_grace_period", controller.stop_grace_period.map(format_duration));
    doc.list("flags", controller.flags.clone());
    doc
}
