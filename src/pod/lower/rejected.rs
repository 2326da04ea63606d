//! Keys of other programs that a component can't have: why, and what to do instead.

/// The reason, and the remedy.
pub type Rejection = (&'static str, &'static str);

const LEAVE: &str = "remove the key";
const ON_CONTROLLER: &str = "set it on the controller's own service or container";
/// Of keys that `controller:` of a `pod.yaml` does not have.
const IN_STACK: &str =
    "only a service of a stack or Compose file can have it: write a stack file, and set it on the pod's service";

/// Those of Compose files and of Kubernetes' pods.
#[must_use]
pub fn component_key(key: &str) -> Option<Rejection> {
    network(key).or_else(|| identity(key)).or_else(|| meaningless(key)).or_else(|| foreign(key))
}

/// What the pod has as a whole.
fn network(key: &str) -> Option<Rejection> {
    const NETWORK: &str = "a component shares the controller's network and host name";
    Some(match key {
        "dns" | "extra_hosts" | "hostname" | "networks" | "ports" => (NETWORK, ON_CONTROLLER),
        "port" => ("unknown key", "did you mean `ports`? Set it on the controller, whose network a component shares"),
        "expose" => ("components reach all ports of each other, at `localhost`", LEAVE),
        "dns_opt" | "dns_search" | "domainname" | "mac_address" | "network_mode" | "uts" => (NETWORK, IN_STACK),
        "links" | "external_links" => (
            NETWORK,
            "use `localhost` for other components, and the service names of the controller's networks for other services",
        ),
        "ipc" => ("the pod has one setting for the IPC namespace", "use the controller's flag `--ipc`"),
        "pid" => ("the pod has one setting for the PID namespace", "use the controller's flag `--pids`"),
        "cgroup_parent" | "cgroup" => ("the controller chooses the cgroups of the components", IN_STACK),
        "platform" => {
            ("a component always runs on the controller's platform", "name the image for this platform by its digest")
        }
        "init" => (
            "the controller is the init process of the pod",
            "remove the key; for containers that run first, use `pod.init.components`",
        ),
        "pull_policy" | "pull_refresh_after" => {
            ("the pod has one setting for pulling images", "use the controller's flag `--pull`")
        }
        _ => return None,
    })
}

/// What components are, and where they come from.
fn identity(key: &str) -> Option<Rejection> {
    Some(match key {
        "build" => ("the controller does not build images", "build the image first, and name it in `image`"),
        "container_name" => ("the controller chooses the container names: `<controller>.podlike.<component>`", LEAVE),
        "extends" => {
            ("a component cannot refer to other files", "copy the settings here, or merge them with a YAML anchor")
        }
        "label_file" => ("the controller does not read labels from files", "write the labels in `labels`"),
        "scale" => ("a pod has one container of each component", "scale the whole pod, as a service of a stack file"),
        "volume_driver" => (
            "a component does not set the driver of its volumes",
            "declare the volume and its `driver` in the label `pod.volumes`",
        ),
        "volumes_from" => (
            "a component lists its own mounts",
            "write the mounts in `volumes`, or use the controller's flag `-volumes`",
        ),
        "configs" | "secrets" => (
            "a component cannot have its own configs or secrets",
            "add the config or secret to the controller's service, and copy the file with `pod.copy.<component>`",
        ),
        "pre_start" => ("components do not have commands of this kind", "use an init component"),
        "copy" => {
            ("a component does not contain its files to copy", "list the files in the label `pod.copy.<component>`")
        }
        "name" => ("a component gets its name from its key or label", "only init components have a `name`"),
        _ => return None,
    })
}

/// What a pod has no use for.
fn meaningless(key: &str) -> Option<Rejection> {
    Some(match key {
        "annotations" => ("the pod does not pass annotations to the engine", "use `labels`"),
        "attach" => ("the pod has one setting for the output of all components", "use the controller's flag `--logs`"),
        "credential_spec" => ("this key is for Windows, which Outrigger does not support", LEAVE),
        "develop" => (
            "this key is for `docker compose watch`",
            "use the plugin `reload`, which copies files again when they change",
        ),
        "gpus" => ("requests for devices of drivers are not supported", "list the device files in `devices`"),
        "models" => ("only Docker's own tools support models", "run the model as a component"),
        "profiles" => ("a pod always starts all its components", LEAVE),
        "provider" => ("a component is always a container", "set `image`"),
        "use_api_socket" => {
            ("no component gets the engine's socket", "use a plugin, and grant it the capabilities that it needs")
        }
        _ => return None,
    })
}

/// Other names for our keys.
fn foreign(key: &str) -> Option<Rejection> {
    let right = match key {
        "memory" => "did you mean `mem_limit`?",
        "env" => "did you mean `environment`?",
        "args" => "did you mean `command`? `entrypoint` replaces the program of the image",
        "workingDir" => "did you mean `working_dir`?",
        "livenessProbe" => "did you mean `probes.liveness`?",
        "readinessProbe" => "did you mean `probes.readiness`?",
        "startupProbe" => "did you mean `probes.startup`?",
        "liveness" => "write this key below `probes`",
        "readiness" => "write this key below `probes`",
        "startup" => "write this key below `probes`",
        "lifecycle" | "postStart" | "preStop" => "did you mean `post_start` or `pre_stop`?",
        "restartPolicy" | "restart_policy" => "did you mean `restart`?",
        "terminationGracePeriodSeconds" => "did you mean `stop_grace_period`? It is a duration such as `30s`",
        "volumeMounts" => "did you mean `volumes`?",
        "imagePullPolicy" => "use the controller's flag `--pull`",
        "resources" => "write this key below `deploy`, or use `mem_limit`, `cpus` and `pids_limit`",
        "securityContext" => "use `user`, `cap_add`, `cap_drop`, `read_only` and `security_opt`",
        _ => return None,
    };
    Some(("unknown key", right))
}

/// Keys of a health check in other programs.
#[must_use]
pub fn healthcheck_key(key: &str) -> Option<Rejection> {
    let right = match key {
        "http" | "tcp" | "grpc" | "exec" => {
            "a `healthcheck` only runs a command; the controller itself sends requests for `probes`"
        }
        "period" => "did you mean `interval`?",
        "failure_threshold" => "did you mean `retries`?",
        "initial_delay" => "did you mean `start_period`?",
        _ => return None,
    };
    Some(("unknown key", right))
}

/// Keys of a container that `controller:` of a `pod.yaml` does not have.
#[must_use]
pub fn controller_key(key: &str) -> Option<Rejection> {
    Some(match key {
        "memory" => ("unknown key", "did you mean `mem_limit`?"),
        "command" => ("the controller's program has only flags", "write the flags in `flags`"),
        "container_name" => ("unknown key", "did you mean `name`?"),
        "deploy" | "replicas" | "scale" => (
            "a pod of `outrigger run` is one container",
            "for several replicas and for updates, use a stack file of Swarm",
        ),
        "cpus" | "cpu_shares" | "cpuset" | "pids_limit" => {
            ("`run` does not limit this for the pod as a whole", "set the key on the components")
        }
        _ => return None,
    })
}

/// Keys of `deploy`, of which only `resources` is about a container.
#[must_use]
pub fn deploy_key(key: &str) -> Option<Rejection> {
    Some(match key {
        "mode" | "replicas" | "placement" | "update_config" | "rollback_config" | "endpoint_mode" => (
            "Swarm places and updates a pod as a whole",
            "set this key in `deploy` of the pod's service, in a stack file",
        ),
        "labels" => ("a component is not a service", "use the component's `labels`"),
        "restart_policy" => ("a component is not a service", "use the component's `restart`"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::labels::schema::{self, Part};
    use crate::problem::language;

    /// Of a `pod.yaml`, advice to set a key on `controller` is right only for the keys that it has.
    #[test]
    fn advice_names_keys_that_there_are() {
        let pod = schema::of(Part::Pod);
        let known = &pod["definitions"]["controller"]["properties"];
        for key in [
            "dns",
            "dns_opt",
            "dns_search",
            "domainname",
            "expose",
            "extra_hosts",
            "hostname",
            "mac_address",
            "network_mode",
            "networks",
            "port",
            "ports",
            "uts",
            "cgroup_parent",
            "cgroup",
            "scale",
            "configs",
            "secrets",
            "platform",
            "build",
        ] {
            let (_, remedy) = super::component_key(key).unwrap();
            let told = language::words(remedy);
            assert!(!told.contains("on `controller`") || known.get(key).is_some(), "{key}: {told}");
        }
        for key in ["mode", "replicas", "placement", "update_config", "rollback_config", "endpoint_mode", "labels"] {
            let (_, remedy) = super::deploy_key(key).unwrap();
            assert!(!language::words(remedy).contains("`controller`"), "{key}: {remedy}");
        }
    }
}
