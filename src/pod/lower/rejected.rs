//! Keys of other programs that a component can't have: why, and what to do instead.

/// The reason, and the remedy.
pub type Rejection = (&'static str, &'static str);

const LEAVE: &str = "leave it out";
const ON_CONTROLLER: &str = "set it on the controller's own service or container";

/// Those of Compose files and of Kubernetes' pods.
#[must_use]
pub fn component_key(key: &str) -> Option<Rejection> {
    network(key).or_else(|| identity(key)).or_else(|| meaningless(key)).or_else(|| foreign(key))
}

/// What the pod has as a whole.
fn network(key: &str) -> Option<Rejection> {
    const NETWORK: &str = "a component shares the controller's network and host name";
    Some(match key {
        "dns" | "dns_opt" | "dns_search" | "domainname" | "expose" | "extra_hosts" | "hostname" | "mac_address"
        | "network_mode" | "networks" | "ports" | "uts" => (NETWORK, ON_CONTROLLER),
        "links" | "external_links" => {
            (NETWORK, "components reach each other at `localhost`, others at their names in the controller's networks")
        }
        "ipc" => ("the IPC namespace is the pod's", "see the controller's flag `-ipc`"),
        "pid" => ("the PID namespace is the pod's", "see the controller's flag `-pids`"),
        "cgroup_parent" | "cgroup" => ("the controller places the pod's components in one cgroup", ON_CONTROLLER),
        "platform" => ("a component runs on the controller's platform", "name the image of the platform by its digest"),
        "init" => (
            "the controller is the init process of the pod",
            "leave it out; containers that run first are written in `pod.init.components`",
        ),
        "pull_policy" | "pull_refresh_after" => {
            ("when images are pulled is the pod's affair", "see the controller's flag `-pull`")
        }
        _ => return None,
    })
}

/// What components are, and where they come from.
fn identity(key: &str) -> Option<Rejection> {
    Some(match key {
        "build" => ("a component is never built", "build the image beforehand and name it in `image`"),
        "container_name" => ("the controller names its containers itself, `<controller>.podlike.<component>`", LEAVE),
        "extends" => {
            ("a component does not refer to other files", "write the settings out, or merge them with a YAML anchor")
        }
        "label_file" => ("labels are not read from files", "write them in `labels`"),
        "scale" => ("a pod has one container of each component", "scale the controller's service"),
        "volume_driver" => (
            "a component does not choose the driver of its volumes",
            "name the volume in the label `pod.volumes`, with its `driver`",
        ),
        "volumes_from" => {
            ("a component names its mounts itself", "write them in `volumes`, or see the controller's flag `-volumes`")
        }
        "configs" | "secrets" => (
            "a component has no configs or secrets of its own",
            "give it to the controller's service, and copy it with `pod.copy.<component>`",
        ),
        "pre_start" => ("components have no commands of this kind", "write an init component"),
        "copy" => ("files to copy are written beside the components", "write them in the label `pod.copy.<component>`"),
        "name" => ("a component's name is that of its label or key", "only init components have a `name`"),
        _ => return None,
    })
}

/// What a pod has no use for.
fn meaningless(key: &str) -> Option<Rejection> {
    Some(match key {
        "annotations" => ("the engine's runtimes get no annotations from a pod", "use `labels`"),
        "attach" => ("whose output is shown is the pod's affair", "see the controller's flag `-logs`"),
        "credential_spec" => ("it is for Windows, where no pod runs", LEAVE),
        "develop" => ("it is for `docker compose watch`", "the plugin `reload` copies files again when they change"),
        "gpus" => ("devices of drivers can't be asked for", "name the device files in `devices`"),
        "models" => ("models are a matter of Docker's own tools", "run the model as a component"),
        "profiles" => ("a pod starts all of its components", LEAVE),
        "provider" => ("a component is a container", "write an `image`"),
        "use_api_socket" => ("no component gets the engine's socket", "a plugin can be granted what is needed"),
        _ => return None,
    })
}

/// Other names for our keys.
fn foreign(key: &str) -> Option<Rejection> {
    let right = match key {
        "memory" => "did you mean `mem_limit`?",
        "env" => "did you mean `environment`?",
        "args" => "did you mean `command`? `entrypoint` replaces what the image runs",
        "workingDir" => "did you mean `working_dir`?",
        "livenessProbe" => "did you mean `probes.liveness`?",
        "readinessProbe" => "did you mean `probes.readiness`?",
        "startupProbe" => "did you mean `probes.startup`?",
        "liveness" => "write it below `probes`",
        "readiness" => "write it below `probes`",
        "startup" => "write it below `probes`",
        "lifecycle" | "postStart" | "preStop" => "did you mean `post_start` or `pre_stop`?",
        "restartPolicy" | "restart_policy" => "did you mean `restart`?",
        "terminationGracePeriodSeconds" => "did you mean `stop_grace_period`? It is a duration such as `30s`",
        "volumeMounts" => "did you mean `volumes`?",
        "imagePullPolicy" => "see the controller's flag `-pull`",
        "resources" => "write it below `deploy`, or use `mem_limit`, `cpus` and `pids_limit`",
        "securityContext" => "see `user`, `cap_add`, `cap_drop`, `read_only` and `security_opt`",
        _ => return None,
    };
    Some(("unknown key", right))
}

/// Keys of a health check in other programs.
#[must_use]
pub fn healthcheck_key(key: &str) -> Option<Rejection> {
    let right = match key {
        "http" | "tcp" | "grpc" | "exec" => "a health check runs a command; the controller looks by itself in `probes`",
        "period" => "did you mean `interval`?",
        "failure_threshold" => "did you mean `retries`?",
        "initial_delay" => "did you mean `start_period`?",
        _ => return None,
    };
    Some(("unknown key", right))
}

/// Keys of `deploy`, of which only `resources` is about a container.
#[must_use]
pub fn deploy_key(key: &str) -> Option<Rejection> {
    Some(match key {
        "mode" | "replicas" | "placement" | "update_config" | "rollback_config" | "endpoint_mode" => {
            ("a pod runs and moves as a whole", "set it in `deploy` of the controller's service")
        }
        "labels" => ("a component is no service", "use the component's `labels`"),
        "restart_policy" => ("a component is no service", "use the component's `restart`"),
        _ => return None,
    })
}
