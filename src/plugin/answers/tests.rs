use super::*;
use crate::hooks::Status;
use crate::plugin::{ComponentState, ComponentView};
use crate::pod::{Capability, Grant, PluginName};

fn view() -> PodView {
    let component = |name: &str| ComponentView {
        name: ComponentName::new(name).unwrap(),
        image: "i".to_owned(),
        container_id: None,
        state: ComponentState::Running,
        labels: std::sync::Arc::default(),
    };
    PodView { components: vec![component("app"), component("db")], ..PodView::default() }
}

fn granter(grants: &[(&str, &str)], only: Option<&str>) -> Granter {
    let grants: Vec<_> =
        grants.iter().map(|(capability, scope)| Grant::new(Capability::of(capability).unwrap(), *scope)).collect();
    let only = only.map(|name| ComponentName::new(name).unwrap());
    Granter::new(PluginName::new("p").unwrap(), grants.clone(), grants, only)
}

fn judge<T>(grants: &[(&str, &str)], only: Option<&str>, ask: impl FnOnce(&Judge<'_>) -> T) -> T {
    ask(&Judge { granter: &granter(grants, only), view: &view() })
}

fn file(component: &str, path: &str, mode: u32) -> FileSaid {
    FileSaid {
        component: component.to_owned(),
        path: path.to_owned(),
        mode: Some(mode),
        uid: Some(0),
        gid: Some(0),
        content: vec![1].into(),
    }
}

fn rollout() -> said::Rollout {
    said::Rollout {
        summary: "s".to_owned(),
        files: vec![],
        remove: vec![],
        validate: vec![],
        apply: vec![],
        verify: vec![],
        healthy_for_ms: 0,
    }
}

fn command(component: &str, argv: &[&str]) -> said::Command {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    said::Command { component: component.to_owned(), argv, timeout_ms: 1000 }
}

#[test]
fn an_overlay_stays_within_its_grants() {
    let grants = [("plan", "components.*.environment")];
    let overlay = |text: &str| judge(&grants, None, |judge| judge.overlay(Some(text.to_owned())));
    let right = r#"{"components":{"app":{"environment":{"A":"1"}}}}"#;
    assert_eq!(overlay(right), Ok(Some(right.to_owned())));
    assert_eq!(overlay("{}"), Ok(None));
    for (wrong, expected) in [
        (r#"{"components":{"app":{"image":"x"}}}"#, "`plan` for `components.app.image`: the plugin's manifest"),
        (r#"{"components":{"app":{}}}"#, "`plan` for `components.app`"),
        (r#"{"components":null}"#, "`plan` for `components`"),
        (r#"{"components":{"app.environment.x":1}}"#, "`plan` for"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
    ] {
        let error = overlay(wrong).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert!(overlay(&deep).unwrap_err().contains("too deeply"));
}

#[test]
fn a_confined_plugin_changes_its_component_only() {
    let ask = |text: &str| judge(&[("plan", "*")], Some("app"), |judge| judge.overlay(Some(text.to_owned())));
    assert!(ask(r#"{"components":{"app":{"image":"x"}}}"#).is_ok());
    for (wrong, path) in [
        (r#"{"components":{"db":{"image":"x"}}}"#, "components.db.image"),
        (r#"{"copy":{"app":[]}}"#, "copy.app"),
        (r#"{"components":{"app.db":{"image":"x"}}}"#, "components.app\u{2024}db.image"),
    ] {
        let expected = format!("the overlay changes `{path}`, but the plugin belongs to component `app`");
        assert_eq!(ask(wrong).unwrap_err(), expected);
    }
    let plan =
        plan_of(&ComponentName::new("app").unwrap(), r#"{"components":{"app":{"image":"a"},"db":{}},"copy":{}}"#);
    assert_eq!(plan, r#"{"components":{"app":{"image":"a"}}}"#);
}

#[test]
fn replaced_files_are_the_file_itself_or_granted() {
    let grants = [("files", "app:/etc")];
    let copy = |new: FileSaid| {
        let verdict = said::Copied::Replace(vec![new]);
        judge(&grants, None, |judge| judge.copy(&file("db", "/conf", 0o600).checked().unwrap().over(NEW_FILE), verdict))
    };
    assert!(copy(file("db", "/conf", 0o644)).is_ok());
    assert!(copy(file("app", "/etc/x", 0o644)).is_ok());
    for (wrong, expected) in [
        (file("app", "/root/x", 0o644), "manifest"),
        (file("db", "/conf2", 0o644), "manifest"),
        (file("db", "/conf", 0o10000), "permission bits"),
        (file("app", "/etc/../x", 0o644), "expected"),
        (file("other", "/etc/x", 0o644), "component `other`"),
    ] {
        let error = copy(wrong).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn signals_need_grants_and_numbers() {
    let decide = |grants: &[(&str, &str)], list: &[(&str, u8)]| {
        let list = list.iter().map(|(component, signal)| ((*component).to_owned(), *signal));
        let decision = said::Decision::Deliver(list.collect());
        judge(grants, None, |judge| judge.decision(decision))
    };
    let app = ComponentName::new("app").unwrap();
    assert_eq!(decide(&[("signals", "app")], &[("app", 10)]), Ok(SignalDecision::Deliver(vec![(app, 10)])));
    assert!(decide(&[("signals", "*")], &[("app", 1), ("db", 64)]).is_ok());
    for (granted, delivery, expected) in [
        ("app", ("db", 10), "a grant is missing: `signals` for `db`"),
        ("*", ("app", 0), "there is no signal 0"),
        ("*", ("app", 65), "there is no signal 65"),
        ("*", ("ghost", 1), "the answer names component `ghost`, which the pod does not have"),
    ] {
        let error = decide(&[("signals", granted)], &[delivery]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(decide(&[], &[]), Ok(SignalDecision::Deliver(vec![])));
}

fn degraded(reason: String) -> said::Judgement {
    said::Judgement {
        component: None,
        check: String::new(),
        probe: crate::hooks::Probe::Liveness,
        status: Status::Degraded,
        reason,
    }
}

#[test]
fn judgements_name_what_there_is() {
    let ask = |component: Option<&str>, only: Option<&str>| {
        let component = component.map(str::to_owned);
        let judgement = said::Judgement { component, ..degraded("r".repeat(600)) };
        judge(&[("verdicts", "*")], only, |judge| judge.judgements(vec![judgement]))
    };
    let reason = "a\r\nb\u{1b}[31m".to_owned();
    let judgement = degraded(reason);
    let judged = judge(&[("verdicts", "*")], None, |judge| judge.judgements(vec![judgement]));
    assert_eq!(judged.unwrap()[0].reason, "a  b [31m");
    assert_eq!(ask(None, None).unwrap()[0].component, None);
    assert_eq!(ask(Some("db"), None).unwrap()[0].reason.len(), TEXT);
    assert_eq!(ask(None, Some("app")).unwrap()[0].component, Some(ComponentName::new("app").unwrap()));
    for (component, only) in [("ghost", None), ("db", Some("app"))] {
        let error = ask(Some(component), only).unwrap_err();
        assert!(
            error.starts_with(&format!("the answer names component `{component}`, which the pod does not have")),
            "{error}"
        );
    }
}

#[test]
fn who_judges_one_component_does_not_judge_others_or_the_pod() {
    let ask = |component: Option<&str>, only: Option<&str>| {
        let component = component.map(str::to_owned);
        let judgement = said::Judgement { component, status: Status::Unhealthy, ..degraded(String::new()) };
        judge(&[("verdicts", "app")], only, |judge| judge.judgements(vec![judgement]))
    };
    assert!(ask(Some("app"), None).is_ok());
    assert!(ask(None, Some("app")).is_ok());
    assert!(ask(Some("db"), None).unwrap_err().starts_with("a grant is missing: `verdicts` for `db`"));
    assert!(ask(None, None).unwrap_err().starts_with("a grant is missing: `verdicts` for `*`"));
}

#[test]
fn rollouts_need_a_grant_for_every_part() {
    let grants = [("files", "app:/etc"), ("exec", "app"), ("signals", "app")];
    let ask = |raw: said::Rollout| judge(&grants, None, |judge| judge.rollout(Some(raw)));
    let full = said::Rollout {
        files: vec![file("app", "/etc/x", 0o644)],
        remove: vec![("app".to_owned(), "/etc/y".to_owned())],
        validate: vec![command("app", &["nginx", "-t"])],
        apply: vec![
            said::Action::Signal("app".to_owned(), 1),
            said::Action::Run(command("app", &["reload"])),
            said::Action::Restart("app".to_owned()),
        ],
        verify: vec![command("app", &["true"])],
        healthy_for_ms: 5000,
        ..rollout()
    };
    assert!(ask(full).unwrap().is_some());
    let timed = |timeout_ms| said::Command { timeout_ms, ..command("app", &["x"]) };
    let apply = |action| said::Rollout { apply: vec![action], ..rollout() };
    for (wrong, expected) in [
        (
            said::Rollout { files: vec![file("app", "/x", 0o644)], ..rollout() },
            "a grant is missing: `files` for `app:/x`",
        ),
        (
            said::Rollout { remove: vec![("app".to_owned(), "/x".to_owned())], ..rollout() },
            "a grant is missing: `files` for `app:/x`",
        ),
        (said::Rollout { validate: vec![command("db", &["x"])], ..rollout() }, "a grant is missing: `exec` for `db`"),
        (said::Rollout { verify: vec![command("app", &[])], ..rollout() }, "a command must have 1 to 256 words"),
        (said::Rollout { verify: vec![timed(0)], ..rollout() }, "`timeout_ms` is 0, expected 1 to"),
        (apply(said::Action::Run(command("db", &["x"]))), "a grant is missing: `exec` for `db`"),
        (apply(said::Action::Restart("db".to_owned())), "a grant is missing: `signals` for `db`"),
        (apply(said::Action::Signal("db".to_owned(), 1)), "a grant is missing: `signals` for `db`"),
        (said::Rollout { healthy_for_ms: 600_001, ..rollout() }, "`healthy_for_ms` is 600001, but the limit is 600000"),
        (
            said::Rollout { validate: vec![command("app", &["x"]); 300], ..rollout() },
            "the answer has 300 commands, but the limit is 256",
        ),
    ] {
        let error = ask(wrong.clone()).unwrap_err();
        assert!(error.contains(expected), "{wrong:?}: {error}");
    }
}

/// What one answer may hold is counted over all of its lists of a kind.
#[test]
fn a_rollout_is_bounded_as_a_whole() {
    let grants = [("files", "app:/etc"), ("exec", "app")];
    let ask = |raw: said::Rollout| judge(&grants, None, |judge| judge.rollout(Some(raw)));
    let files = |number: usize| (0..number).map(|n| file("app", &format!("/etc/{n}"), 0o644)).collect::<Vec<_>>();
    let remove = |number: usize| (0..number).map(|n| ("app".to_owned(), format!("/etc/r{n}"))).collect::<Vec<_>>();
    let commands = |number: usize| vec![command("app", &["x"]); number];
    let both =
        |of_files, of_removals| said::Rollout { files: files(of_files), remove: remove(of_removals), ..rollout() };
    let long = |bytes: usize| {
        let mut files = files(8);
        let content = bytes::Bytes::from(vec![0; bytes / 8]);
        files.iter_mut().for_each(|file| file.content = content.clone());
        said::Rollout { files, ..rollout() }
    };
    assert!(ask(long(ROLLOUT_BYTES)).is_ok());
    let told = ask(long(ROLLOUT_BYTES + 8)).unwrap_err();
    assert_eq!(told, "the files of the rollout have 33554440 bytes, but the limit is 33554432");
    assert!(ask(both(ITEMS - 1, 1)).is_ok() && ask(both(0, ITEMS)).is_ok());
    for (of_files, of_removals) in [(ITEMS, 1), (1, ITEMS), (0, ITEMS + 1)] {
        let why = ask(both(of_files, of_removals)).unwrap_err();
        assert_eq!(why, "the answer has 257 files, but the limit is 256");
    }
    let spread = |validate, verify| said::Rollout {
        validate: commands(validate),
        verify: commands(verify),
        apply: vec![said::Action::Run(command("app", &["x"]))],
        ..rollout()
    };
    assert!(ask(spread(128, 127)).is_ok());
    assert_eq!(ask(spread(128, 128)).unwrap_err(), "the answer has 257 commands, but the limit is 256");
}
