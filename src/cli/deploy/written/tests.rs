use super::*;

fn spec() -> Value {
    json!({
        "Name": "shop_web",
        "Labels": {"com.docker.stack.image": "a", "team": "shop"},
        "Mode": {"Replicated": {"Replicas": 2}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "rollback", "Monitor": 5_000_000_000_u64, "MaxFailureRatio": 0},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}]},
        "TaskTemplate": {
            "ForceUpdate": 0,
            "Runtime": "container",
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "10m"}},
            "RestartPolicy": {"Condition": "any", "Delay": 5_000_000_000_u64, "MaxAttempts": 0},
            "Placement": {"Constraints": ["node.role==worker"]},
            "Resources": {"Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 67_108_864}, "Reservations": {}},
            "Networks": [{"Target": "n1", "Aliases": ["web"]}],
            "ContainerSpec": {
                "Image": "outrigger:1", "Labels": {"pod.component.app": "image: a"},
                "Command": ["/entry"], "Args": ["--log-level=info"],
                "Env": ["LEVEL=info", "DB_PASSWORD=one", "URL=http://api"],
                "Hosts": ["1.2.3.4 db"], "StopGracePeriod": 10_000_000_000_u64, "Init": false,
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000_u64},
                "Mounts": [{"Type": "volume", "Source": "shop_data", "Target": "/data", "VolumeOptions": {"Labels": {"com.docker.stack.namespace": "shop"}}}],
                "Configs": [{"File": {"Name": "/etc/app.conf", "UID": "0"}, "ConfigID": "c1", "ConfigName": "app-1"}],
                "Secrets": [{"File": {"Name": "token", "UID": "0"}, "SecretID": "s1", "SecretName": "token-1"}],
                "Sysctls": {"net.core.somaxconn": "1024"},
            },
        },
    })
}

fn after(path: &str, value: Value) -> Vec<String> {
    let mut spec = spec();
    let (parent, key) = path.rsplit_once('/').unwrap();
    match spec.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    differences(&service(&self::spec()), &service(&spec))
}

#[test]
fn each_setting_has_the_name_and_the_units_of_a_stack_file() {
    let container = "/TaskTemplate/ContainerSpec";
    for (path, value, expected) in [
        (&*format!("{container}/Command"), json!(["/other"]), "`entrypoint`: `[\"/entry\"]` -> `[\"/other\"]`"),
        (&format!("{container}/Args"), json!(null), "`command`: `[\"--log-level=info\"]` -> `null`"),
        (&format!("{container}/Env/0"), json!("LEVEL=debug"), "`environment.LEVEL`: `info` -> `debug`"),
        (&format!("{container}/Dir"), json!("/srv"), "`working_dir`: new, `/srv`"),
        (&format!("{container}/StopGracePeriod"), json!(90_000_000_000_u64), "`stop_grace_period`: `10s` -> `90s`"),
        (
            &format!("{container}/Healthcheck/Interval"),
            json!(1_500_000_000),
            "`healthcheck.interval`: `1s` -> `1500ms`",
        ),
        (&format!("{container}/Configs/0/ConfigName"), json!("app-2"), "`configs[/etc/app.conf]`: `app-1` -> `app-2`"),
        // The name of a secret is no secret.
        (&format!("{container}/Secrets/0/SecretName"), json!("token-2"), "`secrets.token`: `token-1` -> `token-2`"),
        (&format!("{container}/Mounts/0/ReadOnly"), json!(true), "`volumes[/data]`: `shop_data` -> `shop_data:ro`"),
        (
            &format!("{container}/Sysctls/net.core.somaxconn"),
            json!("1"),
            "`sysctls[net.core.somaxconn]`: `1024` -> `1`",
        ),
        (
            &format!("{container}/Hosts"),
            json!(["1.2.3.5 db"]),
            "`extra_hosts`: `[\"1.2.3.4 db\"]` -> `[\"1.2.3.5 db\"]`",
        ),
        ("/TaskTemplate/LogDriver/Name", json!("local"), "`logging.driver`: `json-file` -> `local`"),
        ("/TaskTemplate/LogDriver/Options/max-size", json!("1m"), "`logging.options.max-size`: `10m` -> `1m`"),
        (
            "/TaskTemplate/Resources/Limits/MemoryBytes",
            json!(134_217_728),
            "`deploy.resources.limits.memory`: `64M` -> `128M`",
        ),
        (
            "/TaskTemplate/Resources/Limits/NanoCPUs",
            json!(1_500_000_000),
            "`deploy.resources.limits.cpus`: `0.5` -> `1.5`",
        ),
        (
            "/TaskTemplate/Resources/Reservations/MemoryBytes",
            json!(1024),
            "`deploy.resources.reservations.memory`: new, `1K`",
        ),
        ("/TaskTemplate/RestartPolicy/MaxAttempts", json!(3), "`deploy.restart_policy.max_attempts`: `0` -> `3`"),
        ("/TaskTemplate/Placement/MaxReplicas", json!(1), "`deploy.placement.max_replicas_per_node`: new, `1`"),
        ("/TaskTemplate/ForceUpdate", json!(1), "`forced updates`: `0` -> `1`"),
        ("/Mode/Replicated/Replicas", json!(3), "`deploy.replicas`: `2` -> `3`"),
        ("/UpdateConfig/FailureAction", json!("pause"), "`deploy.update_config.failure_action`: `rollback` -> `pause`"),
        ("/UpdateConfig/Monitor", json!(20_000_000_000_u64), "`deploy.update_config.monitor`: `5s` -> `20s`"),
        ("/EndpointSpec/Mode", json!("vip"), "`deploy.endpoint_mode`: `dnsrr` -> `vip`"),
        ("/EndpointSpec/Ports/0/PublishedPort", json!(9090), "`ports[80/tcp]`: `8080, mode host` -> `9090, mode host`"),
        ("/Labels/team", json!("payments"), "`deploy.labels.team`: `shop` -> `payments`"),
    ] {
        assert_eq!(after(path, value), [expected], "{path}");
    }
    for (path, value) in [
        ("/Labels/com.docker.stack.image", json!("b")),
        ("/TaskTemplate/Placement/Platforms", json!([{"Architecture": "amd64", "OS": "linux"}])),
        ("/TaskTemplate/ContainerSpec/Isolation", json!("default")),
    ] {
        assert!(after(path, value).is_empty(), "{path} is docker's own");
    }
    for (engine, written) in
        [("OS", "os"), ("OSVersion", "os_version"), ("UserNSMode", "user_ns_mode"), ("Init", "init")]
    {
        assert_eq!(name(engine), written);
    }
    assert_eq!(
        after("/Mode", json!({"ReplicatedJob": {"TotalCompletions": 2, "MaxConcurrent": 2}})),
        ["`deploy.max_concurrent`: new, `2`", "`deploy.mode`: `replicated` -> `replicated-job`"]
    );
}

#[test]
fn values_that_look_like_secrets_are_not_shown() {
    let env = |old: &str, new: &str| {
        let of = |text: &str| match variables(json!([text])) {
            Value::Object(map) => Map::from_iter([("environment".to_owned(), Value::Object(map))]),
            other => panic!("{other}"),
        };
        differences(&of(old), &of(new)).join("\n")
    };
    for (name, old, new) in [
        ("DB_PASSWORD", "hunter1", "hunter2"),
        ("ApiToken", "hunter1", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY", "hunter1", "hunter2"),
        ("SSH_KEY", "hunter1", "hunter2"),
        ("URL", "postgres://app:hunter1@db/x", "postgres://app:hunter2@db/x"),
        ("OPTIONS", "--password=hunter1", "--password=hunter2"),
        ("X", "hunter1", "aGVsbG8gaHVudGVyMiBoZWxsbyBodW50ZXIy"),
        // Also if only one of the two is one.
        ("ENDPOINT", "http://hunter1", "http://u:hunter2@db"),
    ] {
        let told = env(&format!("{name}={old}"), &format!("{name}={new}"));
        assert_eq!(told, format!("`environment.{name}`: another value, which is not shown"));
        let told = env("A=", &format!("{name}={new}"));
        assert!(told.contains(&format!("`environment.{name}`: new, its value is not shown")), "{told}");
    }
    assert_eq!(env("LOG_LEVEL=info", "LOG_LEVEL=debug"), "`environment.LOG_LEVEL`: `info` -> `debug`");
    let command = |word: &str| Map::from_iter([("command".to_owned(), json!(["serve", "--token", word]))]);
    assert_eq!(differences(&command("a"), &command("b")), ["`command`: another value, which is not shown"]);
}

#[test]
fn a_value_is_one_short_line() {
    let of = |text: String| Map::from_iter([("x".to_owned(), json!(text))]);
    let told = differences(&of("a".to_owned()), &of(format!("\x1b[2J\n{}", "é".repeat(500))));
    assert!(told[0].starts_with("`x`: `a` -> `\\u{1b}[2J\\né") && told[0].ends_with("é…`"), "{told:?}");
    assert_eq!(told[0].chars().filter(|c| *c == 'é').count(), LONGEST - 5);
}
