use indexmap::IndexMap;

use super::*;
use crate::config::Settings;
use crate::labels;
use crate::plan::{Plan, SelfInfo, compile, offline};
use crate::pod::lower;

/// The plan of a `pod.yaml`.
fn plan(text: &str) -> Plan {
    let raw = labels::read_document("pod.yaml", text, &|_| None);
    assert!(raw.1.is_empty(), "{}", raw.1);
    let spec = lower::lower(&raw.0).unwrap();
    let me = SelfInfo::offline("pod", IndexMap::<String, String>::new().into_iter().collect());
    compile::compile(&spec, &me, &offline::engine(), &Settings::default()).unwrap()
}

/// The whole allowance in seconds, and what each component on the longest way adds.
fn start(text: &str) -> (f64, Vec<(String, f64)>) {
    let start = plan(text).life.start.expect("it has a limit");
    let declared = start.declared.iter().map(|(name, it)| (name.to_string(), it.as_secs_f64())).collect();
    (start.total().as_secs_f64(), declared)
}

fn named(list: &[(&str, f64)]) -> Vec<(String, f64)> {
    list.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect()
}

#[test]
fn a_pod_that_declares_nothing_has_a_minute() {
    assert_eq!(start("components: {app: {image: a}, web: {image: b, depends_on: [app]}}"), (60.0, vec![]));
    assert_eq!(start("{components: {app: {image: a}}, options: {start_deadline: 5s}}"), (5.0, vec![]));
    assert_eq!(plan("{components: {app: {image: a}}, options: {start_deadline: 0}}").life.start, None);
}

#[test]
fn every_way_to_declare_a_slow_start_counts() {
    for (written, seconds) in [
        ("probes: {startup: {tcp: 1, initial_delay: 3s, period: 2s, failure_threshold: 60}}", 123.0),
        ("probes: {startup: {tcp: 1, period: 10s, start_interval: 500ms, failure_threshold: 4}}", 2.0),
        ("probes: {readiness: {tcp: 1, initial_delay: 7s, period: 2s, success_threshold: 3}}", 11.0),
        ("probes: {liveness: {tcp: 1, initial_delay: 7s}}", 0.0),
        ("healthcheck: {test: x, start_period: 2m, interval: 5s}", 125.0),
        ("healthcheck: {disable: true}", 0.0),
        ("post_start: [{command: x}, {command: y, timeout: 5s}, {sleep: 4s}, {sleep: 9s, timeout: 1s}]", 40.0),
    ] {
        let plan = plan(&format!("components: {{app: {{image: a, {written}}}}}"));
        assert_eq!(plan.components[0].start.as_secs_f64(), seconds, "{written}");
        let total = plan.life.start.as_ref().map(StartDeadline::total);
        assert_eq!(total, Some(Duration::from_secs(60) + plan.components[0].start), "{written}");
    }
}

#[test]
fn those_that_wait_for_each_other_add_up_and_others_do_not() {
    let text = "components:
  db: {image: a, healthcheck: {test: x, start_period: 30s}}
  cache: {image: a, healthcheck: {test: x, start_period: 40s}}
  app: {image: a, depends_on: [db, cache], post_start: [{sleep: 5s}]}
  side: {image: a, healthcheck: {test: x, start_period: 44s}}";
    assert_eq!(start(text), (105.0, named(&[("cache", 40.0), ("app", 5.0)])));
}

#[test]
fn what_has_to_end_first_is_not_cut_short_unless_the_start_is_bounded_in_words() {
    let pod = "init: [{image: i, restart: {policy: on-failure, max_attempts: 4, delay: 1s, max_delay: 3s}}]
components:
  migrate: {image: m}
  app: {image: a, depends_on: {migrate: {condition: service_completed_successfully}}}";
    assert_eq!(start(pod), (60.0 + 609.0 + 600.0, named(&[("init-1", 609.0), ("migrate", 600.0)])));
    assert_eq!(start(&format!("options: {{start_deadline: 20s}}\n{pod}")), (29.0, named(&[("init-1", 9.0)])));
}

#[test]
fn the_work_of_the_pod_is_no_part_of_its_start() {
    let pod = "components:
  load: {image: m, role: job, restart: on-failure:3}
  report: {image: a, role: job, depends_on: {load: {condition: service_completed_successfully}}}";
    assert_eq!(start(pod), (60.0, vec![]));
}

#[test]
fn the_plan_has_whose_end_is_the_pods() {
    let ends = |text: &str| {
        let ends = plan(text).ends();
        let names = |names: Vec<ComponentName>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        (names(ends.jobs), names(ends.components))
    };
    let both = |jobs: &str, components: &str| (jobs.to_owned(), components.to_owned());
    let pod = "components:
  proxy: {image: p, role: sidecar}
  metrics: {image: p, essential: false}
  migrate: {image: m}
  app: {image: a, depends_on: {migrate: {condition: service_completed_successfully}}}";
    assert_eq!(ends(pod), both("", "app"));
    assert_eq!(ends(&format!("{pod}\n  report: {{image: r, role: job}}")), both("report", "app"));
}

#[test]
fn the_longest_of_several_dependencies_counts_wherever_it_is_written() {
    for order in ["db, cache", "cache, db"] {
        let text = format!(
            "components:
  db: {{image: a, healthcheck: {{test: x, start_period: 30s, interval: 1s}}}}
  cache: {{image: a, healthcheck: {{test: x, start_period: 10s, interval: 1s}}}}
  app: {{image: a, depends_on: [{order}], post_start: [{{sleep: 5s}}]}}"
        );
        assert_eq!(start(&text), (96.0, named(&[("db", 31.0), ("app", 5.0)])), "{order}");
    }
}
