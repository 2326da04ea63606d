//! Copies that no process would see, whoever has asked for the file system that hides or refuses them: also a plugin that changes the plan.

use super::*;
use crate::support::guests::describing;

/// A pod whose plugin lays this over the plan.
fn overlaid(overlay: &str) -> [Output; 2] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("naughty.wasm"), describing("planner")).unwrap();
    std::fs::write(folder.path().join("a"), "").unwrap();
    let config = serde_json::json!({ "pre-start": format!("overlay {overlay}") });
    let file = folder.path().join("pod.yaml");
    let text = format!(
        "controller: {{volumes: ['.:/in:ro']}}\ninit: [{{image: busybox}}]\ncomponents: {{app: {{image: busybox}}}}\n\
         copy: {{app: '/in/a:/etc/app/a', init-1: '/in/a:/etc/app/a'}}\n\
         plugins: [{{naughty: {{source: ./naughty.wasm, config: {config}, grants: {{plan: ['*']}}}}}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    ["check", "plan"].map(|command| run(&[command, file.to_str().unwrap()]))
}

#[test]
fn a_plugin_that_hides_or_closes_the_target_of_a_copy_is_refused() {
    for output in overlaid(r#"{"components":{"app":{"tmpfs":["/run"]}}}"#) {
        assert_eq!(code(&output), 0, "{}", err(&output));
    }
    for (overlay, told) in [
        (r#"{"components":{"app":{"tmpfs":["/etc/app"]}}}"#, "`/etc/app/a` is in the component's tmpfs `/etc/app`"),
        (
            r#"{"components":{"app":{"volumes":[{"type":"tmpfs","target":"/etc"}]}}}"#,
            "`/etc/app/a` is in the component's tmpfs `/etc`",
        ),
        (
            r#"{"components":{"app":{"read_only":true}}}"#,
            "`/etc/app/a` is in the component's root file system, which is `read_only`",
        ),
        (r#"{"copy":{"app":["/in/a:/dev/a"]}}"#, "`/dev/a` is in `/dev`"),
        (
            r#"{"copy":{"app":["/in/a:/etc/app.conf"]},"components":{"app":{"volumes":["/h/file:/etc/app.conf"]}}}"#,
            "`/etc/app.conf` is itself a mount of `/h/file` in the component",
        ),
    ] {
        for output in overlaid(overlay) {
            assert_eq!(code(&output), 1, "{overlay}: {}", out(&output));
            assert!(err(&output).contains(told), "{overlay}: {}", err(&output));
        }
    }
}

/// The plugin's target is judged as that of a copy.
#[test]
fn a_target_that_is_mounted_alone_is_refused() {
    let pod = |mount: &str, target: &str| {
        let text = format!(
            "controller: {{volumes: ['data:/in']}}\nvolumes: {{data: {{}}}}\ncomponents: {{app: {{image: busybox, volumes: ['{mount}']}}}}\n\
             plugins: [{{reload: {{watch: /in/x, component: app, target: {target}, signal: HUP}}}}]\n"
        );
        fed(&["check", "-"], &text)
    };
    let output = pod("/h/hostfile:/etc/app/a.conf", "/etc/app/a.conf");
    assert_eq!(code(&output), 1, "{}", out(&output));
    let told = err(&output);
    assert!(told.contains("`/etc/app/a.conf` is itself a mount of `/h/hostfile`"), "{told}");
    assert!(told.contains("mount its directory at `/etc/app`, or a volume"), "{told}");
    for (mount, target) in [
        ("/h/conf.d:/etc/app/conf.d", "/etc/app/conf.d"),
        ("/h/conf.d:/etc/app", "/etc/app/a.conf"),
        ("data:/etc/app", "/etc/app"),
    ] {
        let output = pod(mount, target);
        assert_eq!(code(&output), 0, "{mount}: {}", err(&output));
    }
}

#[test]
fn an_init_component_is_no_exception() {
    for (settings, told) in [("tmpfs: [/etc]", "tmpfs `/etc`"), ("read_only: true", "which is `read_only`")] {
        let text = format!(
            "controller: {{volumes: ['data:/in']}}\nvolumes: {{data: {{}}}}\ninit: [{{image: busybox, {settings}}}]\n\
             components: {{app: {{image: busybox}}}}\ncopy: {{init-1: '/in/a:/etc/app/a'}}\n"
        );
        let output = fed(&["check", "-"], &text);
        assert_eq!(code(&output), 1, "{}", out(&output));
        assert!(err(&output).contains(told) && err(&output).contains("copy.init-1"), "{}", err(&output));
    }
}
