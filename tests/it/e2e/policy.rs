//! The operator's policy, as a running controller applies it.

use super::pod::{PodUnderTest, component};
use crate::support::engine_or_fail;

#[tokio::test]
async fn what_leads_to_the_engine_is_refused_before_anything_is_made() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-refused").await;
    let more = "privileged: true\ncap_add: [SYS_ADMIN]\nvolumes: [\"/var/run:/host\", \"/etc:/etc/host\"]\ndevices: [/dev/vda]";
    pod.label("pod.component.app", &component("echo reached", more));
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    for expected in [
        "`pod.component.app`, field `privileged`",
        "field `cap_add[0]`",
        "field `volumes[0]`",
        "field `volumes[1]`",
        "field `devices[0]`",
        "--allow 'privileged'",
    ] {
        assert!(log.contains(expected), "`{expected}` is missing in:\n{log}");
    }
    assert!(!log.contains("reached"), "{log}");
}

#[tokio::test]
async fn what_the_operator_allows_is_given() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-allowed").await;
    pod.flag("--allow=capability=SYS_ADMIN");
    pod.spec().env.push("OUTRIGGER_IMAGES=outrigger-test/*".to_owned());
    // Bit 21.
    let script = "e=$(awk '/CapEff/ {print $2}' /proc/self/status); exit $(( (0x$e >> 21) & 1 ? 7 : 8 ))";
    pod.label("pod.component.app", &component(script, "cap_add: [SYS_ADMIN]"));
    pod.start().await;
    let code = pod.ends().await;
    assert_eq!(code, 7, "{}", pod.log().await);
}

#[tokio::test]
async fn a_policy_file_is_not_widened_by_flags() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-file").await;
    pod.volume_file("policy.yaml", "images: ['outrigger-test/*']\n");
    // The directory of the file is where the controller looks.
    let mounts = &mut pod.spec().mounts;
    mounts.last_mut().unwrap().target = "/etc/outrigger".to_owned();
    pod.flag("--allow=privileged");
    pod.label("pod.component.app", &component("echo reached", ""));
    pod.start().await;
    assert_eq!(pod.ends().await, 2);
    let log = pod.log().await;
    assert!(
        log.contains("`--allow`: the policy file does not allow `privileged`") && !log.contains("reached"),
        "{log}"
    );
}

#[tokio::test]
async fn a_policy_file_bounds_the_images() {
    let Some(engine) = engine_or_fail().await else { return };
    let mut pod = PodUnderTest::new(&engine, "policy-images").await;
    pod.volume_file("policy.yaml", "images: ['registry.local/*']\n");
    pod.spec().mounts.last_mut().unwrap().target = "/etc/outrigger".to_owned();
    pod.label("pod.component.app", &component("echo reached", ""));
    pod.start().await;
    assert_eq!(pod.ends().await, 1);
    let log = pod.log().await;
    assert!(log.contains("matches none of `registry.local/*`") && !log.contains("reached"), "{log}");
}
