use std::time::Duration;

use outrigger_plugin::serde_json::{Value, from_str};
use outrigger_plugin::testing::{self, configure};
use outrigger_plugin::{Action, Command, Problem};

use super::*;

const RULE: &str = r#"{"watch": "/cfg/nginx.conf", "component": "web", "target": "/etc/nginx/nginx.conf",
    "validate": ["nginx", "-t", "-c", "{candidate}"], "signal": "HUP", "verify": [["curl", "localhost"], ["true"]]}"#;
const DIRECTORY: &str = r#"{"rules": [{"watch": "/cfg/conf.d/", "component": "web", "target": "/etc/conf.d/", "validate": ["check", "{candidate}"], "restart": true}]}"#;

fn plugin(config: &str) -> Reload {
    configure(config).unwrap()
}

fn changed(path: &str, content: &str) -> Change {
    Change {
        source: String::new(),
        path: path.to_owned(),
        digest: format!("sha-of-{content}"),
        content: Some(Content::Bytes(content.into())),
    }
}

fn outcome(applied: bool) -> Outcome {
    Outcome::new(if applied { "applied" } else { "refused" }, "")
}

fn removed(path: &str) -> Change {
    Change { digest: String::new(), content: None, ..changed(path, "") }
}

fn component_has(path: &str, content: &str, mode: u32) {
    let facts = host::Facts { mode, uid: 5, gid: 6, digest: format!("sha-of-{content}") };
    testing::with(|host| host.facts.insert(("web".into(), path.into()), facts));
}

fn paths(rollout: &Rollout) -> Vec<&str> {
    rollout.files.iter().map(|file| file.path.as_str()).collect()
}

fn argv(commands: &[Command]) -> Vec<String> {
    commands.iter().map(|command| command.argv.join(" ")).collect()
}

#[test]
fn a_change_becomes_a_rollout() {
    let rollout = plugin(RULE).on_change(vec![changed("/cfg/nginx.conf", "new")]).unwrap().unwrap();
    let [file] = &rollout.files[..] else { panic!("{rollout:?}") };
    assert_eq!(
        (&file.component[..], &file.path[..], file.mode, file.uid),
        ("web", "/etc/nginx/nginx.conf", Some(0o644), Some(0))
    );
    assert_eq!(file.content, Content::Bytes(b"new".to_vec()));
    assert_eq!(argv(&rollout.validate), ["nginx -t -c {candidate:/etc/nginx/nginx.conf}"]);
    assert_eq!(rollout.validate[0].timeout_ms, 10_000);
    assert!(matches!(&rollout.apply[..], [Action::Signal(name, 1)] if name == "web"));
    assert_eq!(argv(&rollout.verify), ["curl localhost", "true"]);
    assert_eq!(rollout.healthy_for_ms, 2000);
    assert_eq!(rollout.summary, "web:/etc/nginx/nginx.conf at sha-of-new");
}

#[test]
fn what_the_component_has_is_not_rolled_out() {
    component_has("/etc/nginx/nginx.conf", "same", 0o600);
    let mut plugin = plugin(RULE);
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "same")]).unwrap().is_none());
    let rollout = plugin.on_change(vec![changed("/cfg/nginx.conf", "other")]).unwrap().unwrap();
    let file = &rollout.files[0];
    assert_eq!((file.mode, file.uid, file.gid), (Some(0o600), Some(5), Some(6)), "the file's own are kept");
}

#[test]
fn another_mode_is_a_difference() {
    component_has("/t", "same", 0o600);
    let mut plugin = plugin(r#"{"watch": "/w", "component": "web", "target": "/t", "mode": "0640", "uid": 1}"#);
    let rollout = plugin.on_change(vec![changed("/w", "same")]).unwrap().unwrap();
    assert_eq!((rollout.files[0].mode, rollout.files[0].uid, rollout.files[0].gid), (Some(0o640), Some(1), Some(6)));
    assert!(rollout.apply.is_empty());
}

#[test]
fn what_was_rolled_back_waits_for_a_change() {
    let mut plugin = plugin(RULE);
    let mut change = |content: &str| plugin.on_change(vec![changed("/cfg/nginx.conf", content)]).unwrap().is_some();
    assert!(change("bad"));
    plugin.on_outcome(&outcome(false)).unwrap();
    let mut change = |content: &str| plugin.on_change(vec![changed("/cfg/nginx.conf", content)]).unwrap().is_some();
    assert!(!change("bad"));
    assert!(!change("bad"));
    assert!(change("good"));
    plugin.on_outcome(&outcome(true)).unwrap();
    let mut change = |content: &str| plugin.on_change(vec![changed("/cfg/nginx.conf", content)]).unwrap().is_some();
    assert!(change("bad"), "it changed in between");
    assert_eq!(testing::metric("reload_refused{component=web}"), 1.0);
    assert_eq!(testing::metric("reload_applied{component=web}"), 1.0);
}

/// It has no version any more, so it does not still have the one that was rolled back.
#[test]
fn a_watched_file_that_is_removed_has_one_note() {
    let mut plugin = plugin(RULE);
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "bad")]).unwrap().is_some());
    plugin.on_outcome(&outcome(false)).unwrap();
    let mut notes = |change: Change| {
        let mut notes = Vec::new();
        assert!(plugin.parts(vec![change], &mut notes).unwrap().is_empty());
        notes
    };
    assert_eq!(
        notes(removed("/cfg/nginx.conf")),
        ["`/cfg/nginx.conf` was removed; component `web` keeps its current file"]
    );
    // It comes back as it was.
    let still = "`/cfg/nginx.conf` still has the version that was rolled back; waiting for a change";
    assert_eq!(notes(changed("/cfg/nginx.conf", "bad")), [still]);
}

#[test]
fn back_to_what_is_in_force_forgets_the_refusal() {
    component_has("/etc/nginx/nginx.conf", "good", 0o644);
    let mut plugin = plugin(RULE);
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "bad")]).unwrap().is_some());
    plugin.on_outcome(&outcome(false)).unwrap();
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "good")]).unwrap().is_none());
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "bad")]).unwrap().is_some());
}

#[test]
fn a_directory_is_mapped_with_its_removals() {
    let mut plugin = plugin(DIRECTORY);
    let changes =
        vec![changed("/cfg/conf.d/a.conf", "a"), changed("/cfg/conf.d/sub/b", "b"), removed("/cfg/conf.d/c.conf")];
    let rollout = plugin.on_change(changes).unwrap().unwrap();
    assert_eq!(paths(&rollout), ["/etc/conf.d/a.conf", "/etc/conf.d/sub/b"]);
    assert_eq!(rollout.remove, [("web".to_owned(), "/etc/conf.d/c.conf".to_owned())]);
    assert_eq!(
        argv(&rollout.validate),
        ["check {candidate:/etc/conf.d/a.conf}", "check {candidate:/etc/conf.d/sub/b}"]
    );
    assert!(matches!(&rollout.apply[..], [Action::Restart(name)] if name == "web"));
}

#[test]
fn a_removal_alone_has_no_candidate_to_validate() {
    let rollout = plugin(DIRECTORY).on_change(vec![removed("/cfg/conf.d/c.conf")]).unwrap().unwrap();
    assert_eq!((rollout.validate.len(), rollout.apply.len()), (0, 1));
}

#[test]
fn files_refused_together_are_tried_again_together() {
    let mut plugin = plugin(DIRECTORY);
    let both = || vec![changed("/cfg/conf.d/a", "bad"), changed("/cfg/conf.d/b", "fine")];
    assert!(plugin.on_change(both()).unwrap().is_some());
    plugin.on_outcome(&outcome(false)).unwrap();
    assert!(plugin.on_change(both()).unwrap().is_none());
    let rollout = plugin.on_change(vec![changed("/cfg/conf.d/a", "mended")]).unwrap().unwrap();
    assert_eq!(paths(&rollout), ["/etc/conf.d/a", "/etc/conf.d/b"]);
}

#[test]
fn what_is_elsewhere_or_gone_is_left_alone() {
    let mut one = plugin(RULE);
    let changes = vec![changed("/cfg/nginx.conf.swp", "x"), removed("/cfg/nginx.conf"), changed("/other", "x")];
    assert!(one.on_change(changes).unwrap().is_none());
    let mut directory = plugin(DIRECTORY);
    let changes =
        vec![changed("/cfg/conf.d/..data/a", "x"), changed("/cfg/conf.d2/a", "x"), changed("/cfg/conf.d/../x", "x")];
    assert!(directory.on_change(changes).unwrap().is_none());
}

#[test]
fn two_rules_make_one_rollout() {
    let mut plugin = plugin(
        r#"{"rules": [
            {"watch": "/a", "component": "web", "target": "/etc/a", "signal": 1, "healthy-for": "1s"},
            {"watch": "/b", "component": "web", "target": "/etc/b", "signal": "SIGHUP", "healthy-for": "5s"},
            {"watch": "/a", "component": "db", "target": "/etc/a", "exec": ["reload"]}]}"#,
    );
    let rollout = plugin.on_change(vec![changed("/a", "1"), changed("/b", "2")]).unwrap().unwrap();
    assert_eq!((rollout.files.len(), rollout.apply.len(), rollout.healthy_for_ms), (3, 2, 5000));
}

#[test]
fn outcomes_belong_to_rollouts_in_order() {
    let mut plugin = plugin(RULE);
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "1")]).unwrap().is_some());
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "2")]).unwrap().is_some());
    plugin.on_outcome(&outcome(true)).unwrap();
    plugin.on_outcome(&outcome(false)).unwrap();
    plugin.on_outcome(&outcome(false)).unwrap();
    assert!(plugin.on_change(vec![changed("/cfg/nginx.conf", "2")]).unwrap().is_none());
}

#[test]
fn wants_and_watches_follow_from_the_rules() {
    let scopes = |config: &str| -> Vec<String> {
        plugin(config).wants().iter().map(|want| format!("{} {}", want.capability, want.scope)).collect()
    };
    let all = ["watch /cfg/nginx.conf", "files web:/etc/nginx/nginx.conf", "exec web", "signals web", "metrics *"];
    assert_eq!(scopes(RULE), all);
    let least = r#"{"watch": "/w", "component": "a", "target": "/t", "debounce": "50ms", "max-delay": "1s"}"#;
    assert_eq!(scopes(least), ["watch /w", "files a:/t", "metrics *"]);
    let millis = Duration::from_millis;
    testing::with(|host| {
        let expected =
            [("/cfg/nginx.conf".to_owned(), millis(500), millis(5000)), ("/w".to_owned(), millis(50), millis(1000))];
        assert_eq!(host.watches, expected);
    });
}

/// Rolls out a report and, as the host does, what was put off, until nothing is left. Answers the files of each rollout.
fn all_rollouts(plugin: &mut Reload, mut changes: Vec<Change>, applied: bool) -> Vec<Vec<String>> {
    let mut rollouts = Vec::new();
    while !changes.is_empty() {
        let report = changes.iter().map(|change| (change.path.clone(), change.content.clone())).collect::<Vec<_>>();
        if let Some(rollout) = plugin.on_change(changes).unwrap() {
            assert!(rollout.files.len() + rollout.remove.len() <= 256, "{}", rollout.files.len());
            assert!(rollout.validate.len() + rollout.apply.len() + rollout.verify.len() <= 256);
            assert!(rollout.files.iter().map(|file| file.content.len()).sum::<u64>() <= 15 << 20);
            rollouts.push(rollout.files.iter().map(|file| format!("{}:{}", file.component, file.path)).collect());
            plugin.on_outcome(&outcome(applied)).unwrap();
        }
        let later = testing::with(|host| std::mem::take(&mut host.put_off));
        assert!(later.len() < report.len());
        changes = report
            .into_iter()
            .filter(|(path, _)| later.contains(path))
            .map(|(path, content)| Change {
                content: content.clone(),
                ..changed(&path, &content.as_ref().map_or(0, Content::len).to_string())
            })
            .collect();
    }
    rollouts
}

#[test]
fn no_rollout_has_more_than_the_host_accepts_and_none_is_lost() {
    let rule = |watch: &str, component: &str| {
        format!(
            r#"{{"watch": "{watch}", "component": "{component}", "target": "/t", "validate": [["a", "{{candidate}}"], ["b", "{{candidate}}"]]}}"#
        )
    };
    let many = |count: usize, bytes: usize| -> Vec<Change> {
        (0..count)
            .map(|n| Change {
                content: Some(Content::new(vec![0; bytes]).unwrap()),
                ..changed(&format!("/w/{n}"), &bytes.to_string())
            })
            .collect()
    };
    for (rules, count, bytes) in [(1, 256, 1), (3, 256, 1), (2, 1, 7 << 20), (3, 2, 4 << 20), (1, 1, 8 << 20)] {
        let config: Vec<_> = (0..rules).map(|n| rule("/w", &format!("c{n}"))).collect();
        let mut plugin = plugin(&format!(r#"{{"rules": [{}]}}"#, config.join(",")));
        let mut all: Vec<String> = all_rollouts(&mut plugin, many(count, bytes), true).concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), rules * count, "{rules} rules, {count} files of {bytes} bytes");
    }
}

#[test]
fn what_was_rolled_back_takes_a_bounded_part_of_the_memory() {
    let mut plugin = plugin(r#"{"watch": "/w", "component": "a", "target": "/t"}"#);
    let held = |plugin: &Reload| plugin.refused.iter().flat_map(Pieces::values).map(Piece::len).sum::<usize>();
    for n in 0..40 {
        let name = format!("/w/{n}");
        let change = Change { content: Some(Content::new(vec![0; 300 << 10]).unwrap()), ..changed(&name, &name) };
        assert_eq!(all_rollouts(&mut plugin, vec![change], false).len(), 1, "{n}");
        assert!(held(&plugin) <= KEPT_BYTES);
    }
    // Too long to be kept, and still not tried again before it changes.
    let long = |digest: &str| {
        vec![Change { content: Some(Content::new(vec![0; 2 << 20]).unwrap()), ..changed("/w/long", digest) }]
    };
    assert!(plugin.on_change(long("1")).unwrap().is_some());
    plugin.on_outcome(&outcome(false)).unwrap();
    assert!(plugin.on_change(long("1")).unwrap().is_none());
    assert!(plugin.on_change(long("2")).unwrap().is_some());
    plugin.on_outcome(&outcome(false)).unwrap();
    for n in 0..REFUSED + 100 {
        let refused = plugin.on_change(vec![removed(&format!("/w/gone-{n}"))]).unwrap();
        assert!(refused.is_some_and(|rollout| rollout.remove.len() <= 256));
        plugin.on_outcome(&outcome(false)).unwrap();
        assert!(plugin.refused.iter().all(|refused| refused.len() <= REFUSED));
    }
}

#[test]
fn bad_configurations_are_named() {
    let refused = |more: &str| {
        let config = format!(r#"{{"component": "a", {more}}}"#);
        match configure::<Reload>(&config) {
            Err(problems) => problems.to_string(),
            Ok(plugin) => panic!("{config}: {plugin:?}"),
        }
    };
    assert_eq!(
        refused(r#""watch": "w", "target": "/t""#),
        "`watch`: must be an absolute path without `.`, `..` and `//`"
    );
    assert_eq!(
        refused(r#""watch": "/w", "target": "/../t""#),
        "`target`: must be an absolute path without `.`, `..` and `//`"
    );
    assert!(refused(r#""watch": "/w", "target": "/t", "debounce": "1ms""#).contains("from 10ms to 60s"));
    assert!(refused(r#""watch": "/w", "target": "/t", "max-delay": "1ms""#).contains("max-delay"));
    assert!(refused(r#""watch": "/w", "target": "/t", "healthy-for": "11m""#).contains("at most 10m"));
    assert!(refused(r#""watch": "/w", "target": "/t", "timeout": "0s""#).contains("from 1ms to 10m"));
    assert!(refused(r#""watch": "/w", "target": "/t", "signal": "UP""#).contains("name or number of a signal"));
    assert!(refused(r#""watch": "/w", "target": "/t", "mode": "999""#).contains("permission bits"));
    assert!(refused(r#""watch": "/w", "target": "/t", "more": 1"#).contains("unknown field `more`"));
    assert!(refused(r#""watch": "/w", "target": "/t", "validate": ["a", ["b"]]"#).contains("list of such lists"));
    let twice = r#"{"rules": [{"watch": "/w", "component": "a", "target": "/t"}, {"watch": "/v", "component": "a", "target": "/t/"}]}"#;
    let refused = |config: &str| configure::<Reload>(config).unwrap_err().0;
    let problem = Problem::new("rules[1].target", "`/t` of component `a` appears twice");
    assert_eq!(refused(twice), [problem]);
    assert_eq!(refused(r#"{"rules": []}"#), [Problem::new("rules", "is empty")]);
}

#[test]
fn the_schema_is_json() {
    assert!(from_str::<Value>(&Reload::manifest().schema).unwrap().is_object());
}

#[test]
fn a_path_of_two_rules_is_watched_with_the_shorter_times() {
    let rule = |component: &str, debounce: &str, delay: &str| {
        format!(
            r#"{{"watch": "/w", "component": "{component}", "target": "/t", "debounce": "{debounce}", "max-delay": "{delay}"}}"#
        )
    };
    for (first, second) in [(("800ms", "2s"), ("50ms", "9s")), (("50ms", "9s"), ("800ms", "2s"))] {
        let rules = format!(r#"{{"rules": [{}, {}]}}"#, rule("a", first.0, first.1), rule("b", second.0, second.1));
        let before = testing::with(|host| host.watches.len());
        let _plugin = plugin(&rules);
        let expected = [("/w".to_owned(), Duration::from_millis(50), Duration::from_secs(2))];
        testing::with(|host| assert_eq!(host.watches[before..], expected));
    }
}
