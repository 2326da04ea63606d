//! Keys of Compose files that a component can't have: why, and what to do instead.

/// The reason, and the remedy.
#[must_use]
pub fn component_key(key: &str) -> Option<(&'static str, &'static str)> {
    const NETWORK: &str = "a component shares the controller's network and host name";
    const ON_CONTROLLER: &str = "set it on the controller's own service or container";
    const LIFE: &str = "the exit of a component ends the pod, and whoever started the controller starts it again";
    Some(match key {
        "build" => ("a component is never built", "build the image beforehand and name it in `image`"),
        "cgroup_parent" | "cgroup" => ("the controller places the pod's components in one cgroup", ON_CONTROLLER),
        "container_name" => {
            ("the controller names its containers itself, `<controller>.podlike.<component>`", "leave it out")
        }
        "dns" | "dns_opt" | "dns_search" | "domainname" | "expose" | "extra_hosts" | "hostname" | "mac_address"
        | "network_mode" | "networks" | "ports" | "uts" => (NETWORK, ON_CONTROLLER),
        "links" | "external_links" => {
            (NETWORK, "components reach each other at `localhost`, others at their names in the controller's networks")
        }
        "extends" => (
            "a label does not refer to other files",
            "write the settings out, or merge them with a YAML anchor in the stack file",
        ),
        "init" => (
            "the controller is the init process of the pod",
            "leave it out; containers that run first are written in `pod.init.components`",
        ),
        "ipc" => ("the IPC namespace is the pod's", "see the controller's flag `-ipc`"),
        "pid" => ("the PID namespace is the pod's", "see the controller's flag `-pids`"),
        "platform" => ("a component runs on the controller's platform", "name the image of the platform by its digest"),
        "restart" => (LIFE, "set `restart` on the controller, or `deploy.restart_policy` of its service"),
        "scale" | "deploy" => ("a pod has one container of each component", "scale the controller's service"),
        "volume_driver" => {
            ("a component uses volumes that are there", "define the volume beside the controller's service")
        }
        "volumes_from" => {
            ("a component names its mounts itself", "write them in `volumes`, or see the controller's flag `-volumes`")
        }
        "configs" | "secrets" => (
            "a component has no configs or secrets of its own",
            "give it to the controller's service, and copy it with `pod.copy.<component>`",
        ),
        "pull_policy" => ("when images are pulled is the pod's affair", "see the controller's flag `-pull`"),
        "profiles" | "attach" | "develop" | "provider" | "use_api_socket" | "annotations" | "credential_spec"
        | "gpus" | "label_file" | "models" => ("this key of Compose files has no meaning in a pod", "leave it out"),
        "post_start" | "pre_start" | "pre_stop" => {
            ("components have no commands of this kind", "write an init component, or a plugin")
        }
        "copy" => (
            "files to copy are written beside the components",
            "write the label `pod.copy.<component>`, or `copy:` of `pod.yaml`",
        ),
        "name" => ("a component's name is that of its label or key", "only init components have a `name`"),
        "start_interval" => ("this version does not set it", "use `interval`"),
        "memory" => ("unknown key", "did you mean `mem_limit`?"),
        _ => return None,
    })
}
