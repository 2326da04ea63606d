use super::*;
use crate::plan::SelfInfo;

fn pod(name: &str, id: &str, labels: &[(&str, &str)], running: bool) -> Pod {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut controller = SelfInfo::offline(name, labels).container;
    controller.id = ContainerId(id.to_owned());
    controller.running = running;
    controller.started_at = format!("2026-01-31T12:00:{:02}Z", name.len());
    Pod { controller, components: Vec::new() }
}

fn task(name: &str, id: &str, running: bool) -> Pod {
    let service = name.split('.').next().unwrap();
    pod(name, id, &[(SERVICE, service), (TASK, name), (STACK, "st")], running)
}

fn compose(project: &str, number: &str, id: &str) -> Pod {
    let labels = [(PROJECT, project), (COMPOSE_SERVICE, "api"), (COMPOSE_NUMBER, number)];
    pod(&format!("{project}-api-{number}"), id, &labels, true)
}

fn pods() -> Vec<Pod> {
    vec![
        task("shop.1.x", "abcd1", true),
        task("shop.1.old", "abcd2", false),
        task("web.1.x", "abff", true),
        task("web.2.y", "cdff", true),
        task("gone.1.first", "1111", false),
        task("gone.1.second", "2222", false),
        pod("ab", "0000", &[(SERVICE, "other")], true),
        compose("one", "1", "c1c1"),
        compose("one", "2", "c2c2"),
        compose("two", "1", "d1d1"),
    ]
}

fn chosen(wanted: &str) -> Result<Vec<String>, String> {
    let names = |selection: Selection| selection.pods.into_iter().map(|pod| pod.controller.name).collect();
    choose(pods(), Some(wanted)).map(names).map_err(|report| report.text(false))
}

#[test]
fn a_word_names_a_pod_a_replica_or_a_service() {
    for (wanted, names) in [
        ("web.1.x", vec!["web.1.x"]),
        ("abcd1", vec!["shop.1.x"]),
        ("abcd", vec!["shop.1.x"]),
        ("cd", vec!["web.2.y"]),
        ("shop", vec!["shop.1.x"]),
        ("abcd2", vec!["shop.1.old"]),
        ("ab", vec!["ab"]),
        ("web", vec!["web.1.x", "web.2.y"]),
        ("web.2", vec!["web.2.y"]),
        ("shop.1", vec!["shop.1.x"]),
        // Nothing of it runs: the last one counts.
        ("gone", vec!["gone.1.second"]),
        ("gone.1", vec!["gone.1.second"]),
        ("api", vec!["one-api-1", "one-api-2", "two-api-1"]),
        ("one", vec!["one-api-1", "one-api-2"]),
        ("one/api", vec!["one-api-1", "one-api-2"]),
        ("api.2", vec!["one-api-2"]),
        ("st", vec!["shop.1.x", "web.1.x", "web.2.y"]),
    ] {
        assert_eq!(chosen(wanted), Ok(names.into_iter().map(str::to_owned).collect()), "{wanted}");
    }
}

#[test]
fn the_last_run_that_has_ended_is_found_beside_one_that_runs() {
    let ended = |wanted: Option<&str>, pods: Vec<Pod>| {
        let names =
            |selection: Selection| selection.pods.into_iter().map(|pod| pod.controller.name).collect::<Vec<_>>();
        last_ended(pods, wanted).map(names).map_err(|report| report.text(false))
    };
    for (wanted, name) in [
        ("shop", "shop.1.old"),
        ("shop.1", "shop.1.old"),
        ("st", "gone.1.second shop.1.old"),
        // The name or the id of the container that runs.
        ("shop.1.x", "shop.1.old"),
        ("abcd1", "shop.1.old"),
        // That of one that has ended.
        ("shop.1.old", "shop.1.old"),
        ("gone.1.first", "gone.1.first"),
        ("gone", "gone.1.second"),
    ] {
        assert_eq!(ended(Some(wanted), pods()).map(|names| names.join(" ")), Ok(name.to_owned()), "{wanted}");
    }
    let none = ended(Some("web"), pods()).unwrap_err();
    assert!(
        none.contains("no run of `web` that has ended is on this engine") && none.contains("without `--previous`"),
        "{none}"
    );
    assert!(ended(Some("nothing"), pods()).unwrap_err().contains("matches `nothing`"));
    assert!(ended(None, pods()).unwrap_err().contains("several pods are running"));
    let only =
        vec![task("shop.1.x", "abcd1", true), task("shop.1.old", "abcd2", false), task("shop.2.old", "abcd3", false)];
    assert_eq!(ended(None, only), Ok(vec!["shop.1.old".to_owned()]));
}

#[test]
fn a_word_that_names_nothing_lists_the_candidates() {
    let none = chosen("nothing").unwrap_err();
    assert!(none.contains("no pod on this engine matches `nothing`") && none.contains("`ab`"), "{none}");
    assert!(none.contains("`outrigger ps -a` lists all pods"), "{none}");
    let near = chosen("shpo").unwrap_err();
    assert!(near.contains("did you mean `shop`?"), "{near}");
    // However many runs of a replica have ended, the word may name one.
    let ended: Vec<Pod> = (0..30).map(|n| task(&format!("gone.1.{n}"), &format!("{n:04}"), false)).collect();
    let none = choose(ended, Some("nothing")).unwrap_err().text(false);
    assert!(none.contains("known: `gone`, `gone.1`;"), "{none}");
    assert!(chosen("c").unwrap_err().contains("no pod"), "one digit is no beginning of an id");
    assert!(chosen("two/web").unwrap_err().contains("no pod"));
    assert!(choose(pods(), None).unwrap_err().text(false).contains("several pods are running"));
    assert!(choose(Vec::new(), None).unwrap_err().text(false).contains("no pod is running on this engine"));
}

#[test]
fn where_one_is_needed_the_replicas_are_listed() {
    let only = |wanted: &str| {
        let one = choose(pods(), Some(wanted)).unwrap().only(wanted);
        one.map(|pod| pod.controller.name).map_err(|report| report.text(false))
    };
    assert_eq!(only("shop").as_deref(), Ok("shop.1.x"));
    let several = only("web").unwrap_err();
    assert!(several.contains("`web` matches several pods: `web.1.x` (abff), `web.2.y` (cdff)"), "{several}");
    assert!(several.contains("name one pod: `web.1`, `web.2`"), "{several}");
    // In both projects there is an `api.1`.
    assert!(only("api").unwrap_err().contains("`one-api-1`, `api.2`, `two-api-1`"));
}
