//! `outrigger events`: what happens to pods and their components, as it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anyhow::Context;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::argv::EventsArgs;
use super::merge::Merge;
use super::pods::{self, Pod, Selection};
use super::report::{Exit, Report};
use super::rollouts::{self, Rolled};
use super::run::CONTROLLER_LABEL;
use super::{Env, block_on, engine, output, ps, time};
use crate::engine::docker::{Docker, History};
use crate::engine::{ContainerId, Engine, EngineError, EngineEvent, EngineEventKind, Fault, Inspection};
use crate::hooks::RolloutOutcome;
use crate::own_log::RolledOut;
use crate::plan::ownership;
use crate::plan::render::{clean, one_line};

/// One event, as `--json` tells it: a line each. The names are part of the interface: see docs/commands.md.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    pod: &'a str,
    /// None: the pod's controller.
    component: Option<&'a str>,
    container: &'a str,
    /// `start`, `exit`, `oom`, `pause`, `unpause`, `health`, `remove`, `rollout`.
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout<'a>>,
}

/// What became of a rollout.
#[derive(Debug, Serialize)]
struct Rollout<'a> {
    outcome: RolloutOutcome,
    plugin: &'a str,
    components: &'a [String],
    text: &'a str,
}

/// Something of one of the streams.
enum Heard {
    /// Whether it is of the stream of controllers.
    Engine(bool, Result<EngineEvent, EngineError>),
    /// Of the controller with this id.
    Rolled(ContainerId, Rolled),
}

/// What a container is to us.
#[derive(Debug, Clone)]
struct Known {
    owner: String,
    component: Option<String>,
}

/// A controller: its name, and its container's labels.
#[derive(Debug)]
struct Named {
    name: String,
    labels: BTreeMap<String, String>,
}

/// Whose events are shown.
#[derive(Debug)]
enum Only {
    All,
    /// This pod's, by its controller's id.
    Pods(BTreeSet<String>),
    /// Those of a service, and of replicas that it gets later.
    Service(String),
}

impl Only {
    fn of(selection: Option<Selection>) -> Self {
        match selection {
            None => Self::All,
            Some(Selection { service: Some(service), .. }) => Self::Service(service),
            Some(Selection { pods, .. }) => Self::Pods(pods.into_iter().map(|pod| pod.controller.id.0).collect()),
        }
    }

    fn has(&self, owner: &str, named: Option<&Named>) -> bool {
        match self {
            Self::All => true,
            Self::Pods(ids) => ids.contains(owner),
            Self::Service(service) => named.is_some_and(|named| pods::is_of(&named.labels, service)),
        }
    }
}

#[derive(Debug, Default)]
struct Names {
    /// By id.
    pods: BTreeMap<String, Named>,
    containers: BTreeMap<String, Known>,
}

impl Names {
    fn of(pods: &[Pod]) -> Self {
        let mut names = Self::default();
        for pod in pods {
            let owner = &pod.controller.id.0;
            let Inspection { name, labels, .. } = pod.controller.clone();
            names.pods.insert(owner.clone(), Named { name, labels });
            names.containers.insert(owner.clone(), Known { owner: owner.clone(), component: None });
            for container in &pod.components {
                let component = Some(Pod::component(container).to_owned());
                names.containers.insert(container.id.0.clone(), Known { owner: owner.clone(), component });
            }
        }
        names
    }

    /// Looks at a container that was made since. None where it is gone already: then nothing is known of it.
    async fn learn(&mut self, engine: &Docker, id: &ContainerId) -> Result<Option<Known>, Report> {
        if let Some(known) = self.containers.get(&id.0) {
            return Ok(Some(known.clone()));
        }
        let seen = match engine.inspect(&id.0).await {
            Ok(seen) => seen,
            Err(error) if error.fault() == Fault::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let known = match seen.labels.get(ownership::POD) {
            Some(owner) => {
                let component = pods::component(&seen.labels, &seen.name);
                Known { owner: owner.clone(), component: Some(component.to_owned()) }
            }
            None => {
                self.pods.insert(id.0.clone(), Named { name: seen.name, labels: seen.labels });
                Known { owner: id.0.clone(), component: None }
            }
        };
        if !self.pods.contains_key(&known.owner)
            && let Ok(owner) = engine.inspect(&known.owner).await
        {
            self.pods.insert(known.owner.clone(), Named { name: owner.name, labels: owner.labels });
        }
        self.containers.insert(id.0.clone(), known.clone());
        Ok(Some(known))
    }
}

/// Follows until it is interrupted.
pub(super) fn run(args: &EventsArgs, env: &Env) -> Result<Exit, Report> {
    let since = args.since.as_deref().map(time::when).transpose();
    let since = since.map_err(|why| Report::usage(anyhow::anyhow!("`--since`: {why}")))?;
    block_on(async {
        let engine = engine(env).await?;
        let selection = match &args.pod {
            Some(name) => Some(pods::named(&engine, Some(name)).await?),
            None => None,
        };
        if let Some(selection) = &selection {
            pods::others(&engine, selection).await;
        }
        let components = match &selection {
            Some(Selection { service: None, pods }) if pods.len() == 1 => {
                pods.first().map(|pod| format!("{}={}", ownership::POD, pod.controller.id.0))
            }
            _ => None,
        };
        let components = components.unwrap_or_else(|| ownership::POD.to_owned());
        let only = Only::of(selection);
        let known_pods = pods::all(&engine, true).await?;
        let mut names = Names::of(&known_pods);
        let since_s = since.map(|at| at / 1_000_000_000);
        // Those that came between this moment and the engine's answer are told as well.
        let from = Some(since_s.unwrap_or_else(|| time::now_ns() / 1_000_000_000));
        let mut events = Merge::new(false);
        let mut bursts = Bursts::default();
        for (label, of_controllers) in [(components.as_str(), false), (CONTROLLER_LABEL, true)] {
            let told = engine.events(label, from).map(move |event| {
                let at = event.as_ref().map_or(i64::MIN, |event| event.at_ns);
                (at, Heard::Engine(of_controllers, event))
            });
            // Where one ends, nothing that follows would be whole.
            let ended = stream::once(async { (i64::MAX, Heard::Engine(false, Err(ended()))) });
            events.push(told.chain(ended).boxed());
        }
        let began = since.unwrap_or_else(time::now_ns);
        let rollouts = |controller: &Inspection, from: i64| {
            let owner = controller.id.clone();
            let told = rollouts::follow(&engine, controller, from);
            told.map(move |(at, it)| (at, Heard::Rolled(owner.clone(), it))).boxed()
        };
        let opened = time::now_ns();
        // An engine that does not answer is reported by the streams.
        if let Some(since) = since
            && let Ok(history) = engine.history(since, opened).await
        {
            let asked = known_pods.iter().map(|pod| &pod.controller);
            let asked = asked.filter(|seen| only.has(&seen.id.0, names.pods.get(&seen.id.0)));
            let note = gap(history, since, asked.filter_map(|seen| time::parse(&seen.started_at)));
            let pod = args.pod.as_deref().unwrap_or("POD");
            output::notes(
                &note
                    .map(|note| format!("{note}; `outrigger logs {pod}` shows what the controllers reported"))
                    .into_iter()
                    .collect::<Vec<_>>(),
            );
        }
        for Pod { controller, .. } in &known_pods {
            if only.has(&controller.id.0, names.pods.get(&controller.id.0)) {
                events.push(rollouts(controller, began));
            }
        }
        while let Some(heard) = events.next().await {
            let (of_controllers, event) = match heard {
                Heard::Engine(of_controllers, event) => (of_controllers, event?),
                Heard::Rolled(id, rolled) => {
                    let Some(known) = names.learn(&engine, &id).await? else { continue };
                    let named = names.pods.get(&known.owner);
                    if !only.has(&known.owner, named) {
                        continue;
                    }
                    let pod = named.map_or("-", |named| named.name.as_str());
                    if !written(&rollout_line(&rolled, pod, &id, args.json)?)? {
                        return Ok(Exit::Success);
                    }
                    continue;
                }
            };
            if event.at_ns < began || bursts.has(&event) {
                continue;
            }
            let Some(known) = names.learn(&engine, &event.id).await? else { continue };
            // A component made from the controller's image has its label, and is told by the other stream.
            if of_controllers && known.component.is_some() {
                continue;
            }
            let named = names.pods.get(&known.owner);
            if !only.has(&known.owner, named) {
                continue;
            }
            let pod = named.map_or("-", |named| named.name.as_str());
            // The log of an earlier run was read to its end; that of a run which had begun by then is being read.
            if event.at_ns > opened
                && event.kind == EngineEventKind::Start
                && known.component.is_none()
                && let Ok(seen) = engine.inspect(&event.id.0).await
                && seen.running
            {
                events.push(rollouts(&seen, event.at_ns));
            }
            if !written(&line(&event, pod, &known, args.json)?)? {
                return Ok(Exit::Success);
            }
        }
        Err(ended().into())
    })
}

/// Two reports of an engine that memory ran out in a container are one, if at most so much time lies between them: with cgroup v1, a kill under the limit of a pod
/// is reported several times for each container.
const BURST_NS: i64 = 1_000_000_000;

/// When memory ran out last, by the id of the container.
#[derive(Debug, Default)]
struct Bursts(BTreeMap<String, i64>);

impl Bursts {
    /// Whether this event repeats the one before it.
    fn has(&mut self, event: &EngineEvent) -> bool {
        if event.kind != EngineEventKind::Oom {
            // Of the next run it is news.
            if matches!(event.kind, EngineEventKind::Start | EngineEventKind::Destroy) {
                self.0.remove(&event.id.0);
            }
            return false;
        }
        let before = self.0.insert(event.id.0.clone(), event.at_ns);
        before.is_some_and(|before| event.at_ns.saturating_sub(before) <= BURST_NS)
    }
}

/// Why events since then are missing, if any are: `started` has the times when controllers were started.
fn gap(history: History, since: i64, mut started: impl Iterator<Item = i64>) -> Option<String> {
    let missing = |at: i64| at >= since && history.first_ns.is_none_or(|first| at < first);
    match history.first_ns {
        Some(first) if first <= since => None,
        // It is not full, so it has dropped nothing; but it begins anew with each start of the engine.
        _ if !history.full && !started.any(missing) => None,
        Some(first) => Some(format!(
            "the engine's history of events begins at {}, later than `--since`: it keeps 256 events of everything on the engine, and none from before its own start",
            time::seconds(first)
        )),
        None => Some("the engine has no events from before its own start".to_owned()),
    }
}

/// The engine has ended a stream that has no end.
fn ended() -> EngineError {
    let source = Box::new(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the engine ended the event stream; the engine may be restarting",
    ));
    EngineError::Unreachable { verb: "follow events of", object: "its pods".to_owned(), cause: source }
}

/// False where the reader has gone.
fn written(text: &str) -> Result<bool, Report> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        done => Ok(done.map(|()| true).context("cannot write to standard output")?),
    }
}

fn rollout_line(rolled: &Rolled, pod: &str, controller: &ContainerId, as_json: bool) -> Result<String, Report> {
    let Rolled { at_ns, report } = rolled;
    let time = time::format(*at_ns);
    if !as_json {
        return Ok(format!("{time} {pod}: {}\n", clean(&one_line(&report.to_string()))));
    }
    let RolledOut { components, plugin, outcome, text } = report;
    let line = Line {
        time,
        pod,
        component: components.first().map(String::as_str).filter(|_| components.len() == 1),
        container: &controller.0,
        event: "rollout",
        exit_code: None,
        health: None,
        rollout: Some(Rollout { outcome: *outcome, plugin, components, text }),
    };
    Ok(format!("{}\n", serde_json::to_string(&line).context("cannot write JSON")?))
}

fn line(event: &EngineEvent, pod: &str, known: &Known, as_json: bool) -> Result<String, Report> {
    let (word, told, exit_code, health) = match event.kind {
        EngineEventKind::Start => ("start", "started".to_owned(), None, None),
        EngineEventKind::Die { exit_code } => ("exit", format!("exited with code {exit_code}"), Some(exit_code), None),
        EngineEventKind::Oom => ("oom", "ran out of memory".to_owned(), None, None),
        EngineEventKind::Paused(true) => ("pause", "was paused".to_owned(), None, None),
        EngineEventKind::Paused(false) => ("unpause", "is not paused any more".to_owned(), None, None),
        EngineEventKind::Health(health) => {
            let health = ps::health(health);
            ("health", format!("is {health}"), None, Some(health))
        }
        EngineEventKind::Destroy => ("remove", "was removed".to_owned(), None, None),
    };
    let time = time::format(event.at_ns);
    if !as_json {
        return Ok(match &known.component {
            Some(component) => format!("{time} {pod}: component `{component}` {told}\n"),
            None => format!("{time} {pod}: the pod {told}\n"),
        });
    }
    let component = known.component.as_deref();
    let line = Line { time, pod, component, container: &event.id.0, event: word, exit_code, health, rollout: None };
    Ok(format!("{}\n", serde_json::to_string(&line).context("cannot write JSON")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollouts_for_people_and_for_programs() {
        let rolled = Rolled {
            at_ns: 1_000_000_000,
            report: RolledOut {
                outcome: RolloutOutcome::Refused,
                plugin: "reload".to_owned(),
                components: vec!["web".to_owned()],
                text: "web:/a at 12: no\u{1b}[31m\n  really\n".to_owned(),
            },
        };
        let id = ContainerId("ab".into());
        assert_eq!(
            rollout_line(&rolled, "shop", &id, false).unwrap(),
            "1970-01-01T00:00:01.000000000Z shop: component `web`: rollout of plugin `reload` refused: web:/a at 12: no\\u{1b}[31m; really\n"
        );
        let told: serde_json::Value = serde_json::from_str(&rollout_line(&rolled, "shop", &id, true).unwrap()).unwrap();
        assert_eq!((&told["event"], &told["component"]), (&"rollout".into(), &"web".into()));
        assert_eq!((&told["rollout"]["outcome"], &told["rollout"]["plugin"]), (&"refused".into(), &"reload".into()));
    }

    #[test]
    fn memory_that_runs_out_is_one_line_for_each_burst_and_container() {
        let at = |id: &str, ms: i64, kind| EngineEvent { id: ContainerId(id.into()), at_ns: ms * 1_000_000, kind };
        let oom = |id, ms| at(id, ms, EngineEventKind::Oom);
        let mut bursts = Bursts::default();
        let burst = (0..18).flat_map(|n| [oom("eater", n * 3), oom("calm", n * 3)]);
        let shown: Vec<_> = burst.filter(|event| !bursts.has(event)).map(|event| event.id.0).collect();
        assert_eq!(shown, ["eater", "calm"]);
        // A burst may be long.
        assert!(bursts.has(&oom("calm", 900)) && bursts.has(&oom("calm", 1800)));
        assert!(!bursts.has(&at("eater", 60, EngineEventKind::Die { exit_code: 137 })));
        assert!(
            !bursts.has(&at("eater", 160, EngineEventKind::Start)) && !bursts.has(&oom("eater", 200)),
            "another run"
        );
        assert!(!bursts.has(&oom("calm", 3000)), "another burst");
    }

    #[test]
    fn a_history_that_does_not_reach_back_is_noted() {
        let second = |n: i64| n * 1_000_000_000;
        let history = |first: Option<i64>, full| History { first_ns: first.map(second), full };
        let told = |history, started: &[i64]| gap(history, second(100), started.iter().map(|&at| second(at)));
        // It is full, and begins too late.
        let note = told(history(Some(150), true), &[]).unwrap();
        assert!(
            note.starts_with("the engine's history of events begins at 1970-01-01T00:02:30Z, later than"),
            "{note}"
        );
        // It begins early enough.
        assert_eq!(told(history(Some(100), true), &[120]), None);
        // A calm engine.
        assert_eq!(told(history(Some(150), false), &[50, 160]), None);
        assert_eq!(told(history(None, false), &[50]), None);
        // The engine was started again after a controller was.
        assert!(told(history(Some(150), false), &[120]).is_some());
        assert!(told(history(None, false), &[120]).is_some());
    }

    #[test]
    fn lines_for_people_and_for_programs() {
        let event = EngineEvent {
            id: ContainerId("ab".into()),
            at_ns: 1_000_000_000,
            kind: EngineEventKind::Die { exit_code: 3 },
        };
        let known = Known { owner: "cd".to_owned(), component: Some("app".to_owned()) };
        let text = line(&event, "web", &known, false).unwrap();
        assert_eq!(text, "1970-01-01T00:00:01.000000000Z web: component `app` exited with code 3\n");
        let text = line(&event, "web", &known, true).unwrap();
        assert_eq!(
            text,
            "{\"time\":\"1970-01-01T00:00:01.000000000Z\",\"pod\":\"web\",\"component\":\"app\",\"container\":\"ab\",\"event\":\"exit\",\"exit_code\":3}\n"
        );
        let known = Known { component: None, ..known };
        assert!(line(&event, "web", &known, false).unwrap().ends_with("web: the pod exited with code 3\n"));
    }
}
