//! `outrigger logs`: the output of a pod's controller and components, as plugins made it, or with `--raw` as each component wrote it.

mod again;
pub(super) mod lines;
mod origin;
mod screen;
mod tail;

use std::collections::BTreeSet;

use anyhow::anyhow;
use futures_util::future;
use futures_util::stream::{self, BoxStream, StreamExt};

use self::again::{Next, Wait};
use self::origin::{CONTROLLER, Entry, Reader};
use self::screen::{PodName, Screen};
use super::argv::LogsArgs;
use super::merge::Merge;
use super::pods::{self, Pod, Selection};
use super::report::{Exit, Report};
use super::run::CONTROLLER_LABEL;
use super::{Env, block_on, engine, input, output, time};
use crate::config::{LineFormat, Output as Streaming};
use crate::engine::docker::{Docker, LogQuery};
use crate::engine::{Engine, EngineError, EngineEvent, EngineEventKind, Fault, Inspection};
use crate::plan::ownership;

/// What happens to one of the logs.
enum Happened {
    Entry(usize, Entry),
    Failed(String, EngineError),
}

/// One log, on its way into the order of time.
type Lane = BoxStream<'static, (i64, Happened)>;

/// A container that has just started.
struct Started {
    is_controller: bool,
    event: EngineEvent,
}

/// What is shown of which pods.
struct Show<'a> {
    args: &'a LogsArgs,
    query: LogQuery,
    /// In the order in which they were found; a lane has its index.
    pods: Vec<Inspection>,
    names: Vec<PodName>,
    has_prefix: bool,
}

/// Prints, and with `--follow` stays until the pods have ended.
pub(super) fn run(args: &LogsArgs, env: &Env) -> Result<Exit, Report> {
    let when = |flag: &str, text: Option<&str>| {
        text.map(time::when).transpose().map_err(|why| Report::usage(anyhow!("`{flag}`: {why}")))
    };
    let (since_ns, until_ns) = (when("--since", args.since.as_deref())?, when("--until", args.until.as_deref())?);
    let query = LogQuery { follow: args.follow, tail: args.tail, since_ns, until_ns };
    block_on(async {
        let engine = engine(env).await?;
        let selection = match args.previous {
            true => pods::ended(&engine, args.pod.as_deref()).await?,
            false => pods::named(&engine, args.pod.as_deref()).await?,
        };
        if !args.previous {
            pods::others(&engine, &selection).await;
        }
        let known = known(&selection);
        if let Some(odd) = args.components.iter().find(|wanted| !known.contains(*wanted)) {
            let names = known.into_iter().collect::<Vec<_>>().join("`, `");
            let error = anyhow!("{} has no component `{odd}`", whose(&selection));
            return Err(Report::new(error).hint(format!("components: `{names}`")));
        }
        let has_prefix = selection.service.is_some() && selection.pods.len() > 1;
        let mut show = Show { args, query, pods: Vec::new(), names: Vec::new(), has_prefix };
        let mut merge = Merge::new(!args.follow);
        let titles = selection.titles();
        for (pod, title) in selection.pods.iter().zip(titles) {
            let names = names(pod);
            if let Some(lane) = show.pod(&engine, pod.controller.clone(), &title, &names).await? {
                merge.push(lane);
            }
            if args.raw {
                for container in &pod.components {
                    if let Some(lane) = show.component(&engine, &container.id.0, query).await? {
                        merge.push(lane);
                    }
                }
            }
        }
        let wanted = |name: &String| show.wants(Some(name));
        let titles: Vec<String> = show
            .names
            .iter()
            .flat_map(|pod| known.iter().filter(|name| wanted(name)).map(|name| pod.title(Some(name))))
            .collect();
        let screen = Screen::new(args.json, args.timestamps, env, &titles);
        let mut starts = starts(&engine, args);
        let (mut failed, mut shown) = (false, false);
        let mut wait = Wait::default();
        loop {
            tokio::select! {
                biased;
                next = wait.next(&engine, &selection, &show.pods) => match next {
                    Next::Look => {
                        for lane in show.missed(&engine, &selection).await {
                            merge.push(lane);
                            wait.ends();
                        }
                    }
                    Next::End => break,
                },
                started = starts.next() => match started {
                    Some(started) => {
                        if let Some(lane) = show.begun(&engine, &selection, started).await {
                            merge.push(lane);
                            wait.ends();
                        }
                    }
                    None => starts = stream::pending().boxed(),
                },
                happened = merge.next(), if !wait.is_on() => match happened {
                    Some(Happened::Entry(pod, entry)) => {
                        shown = true;
                        let Some(name) = show.names.get(pod).filter(|_| show.wants(entry.component.as_ref())) else { continue };
                        if !screen.show(name, &entry)? {
                            return Ok(Exit::Success);
                        }
                    }
                    Some(Happened::Failed(title, error)) => {
                        failed = true;
                        screen::complain(&title, &error);
                    }
                    None if args.follow => wait.begins(),
                    None => break,
                },
            }
        }
        Ok(if failed && !shown { Exit::Controller } else { Exit::Success })
    })
}

impl Show<'_> {
    fn wants(&self, component: Option<&String>) -> bool {
        self.args.components.is_empty() || component.is_some_and(|name| self.args.components.contains(name))
    }

    /// Adds a pod, and answers the log of its controller.
    async fn pod(
        &mut self,
        engine: &Docker,
        controller: Inspection,
        title: &str,
        names: &BTreeSet<String>,
    ) -> Result<Option<Lane>, Report> {
        let settings = input::settings_of(&controller);
        if !self.args.raw {
            self.honest(&controller.name, settings.logs, settings.log_format)?;
        }
        let place = self.pods.len();
        let prefix = if self.has_prefix { format!("{title}/") } else { String::new() };
        self.names.push(PodName { name: controller.name.clone(), prefix });
        self.pods.push(controller.clone());
        Ok(self.controllers(engine, place, controller, self.query, names).await)
    }

    /// The log of the controller of a pod; none if nothing of it is shown.
    async fn controllers(
        &self,
        engine: &Docker,
        place: usize,
        controller: Inspection,
        query: LogQuery,
        names: &BTreeSet<String>,
    ) -> Option<Lane> {
        let settings = input::settings_of(&controller);
        // Raw, the components' lines come from their own logs.
        let is_needed = !self.args.raw || self.wants(Some(&CONTROLLER.to_owned()));
        if !is_needed {
            return None;
        }
        let reader = Reader::new(settings.log_format, controller.tty);
        let own_only = self.args.raw;
        let lane = stream_of(engine, &controller, reader, query, &self.tailed(names)).await;
        let title = self.names.get(place).map(|pod| pod.title(Some(CONTROLLER))).unwrap_or_default();
        Some(match lane {
            Ok(lane) => lane
                .filter(move |(_, found)| {
                    let is_own = |entry: &Entry| entry.component.as_deref() == Some(CONTROLLER);
                    future::ready(!own_only || found.as_ref().map_or(true, is_own))
                })
                .map(move |(at, found)| match found {
                    Ok(entry) => (at, Happened::Entry(place, entry)),
                    Err(error) => (i64::MIN, Happened::Failed(title.clone(), error)),
                })
                .boxed(),
            Err(error) => stream::once(future::ready((i64::MIN, Happened::Failed(title, error)))).boxed(),
        })
    }

    /// Of whom the last lines are looked for.
    fn tailed(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        if self.args.raw {
            return BTreeSet::from([CONTROLLER.to_owned()]);
        }
        names.iter().filter(|name| self.wants(Some(name))).cloned().collect()
    }

    /// Says what the controller's stream lacks; an error if nothing of what was asked for can be in it.
    fn honest(&self, pod: &str, logs: Streaming, format: LineFormat) -> Result<(), Report> {
        let asks_for_components = self.args.components.iter().any(|name| name != CONTROLLER);
        let (what, hint) = match (logs, format) {
            (Streaming::Quiet, _) => (
                format!(
                    "the controller of pod `{pod}` runs with `--logs=false`, so the controller's log has no lines of components"
                ),
                "`--raw` shows the components' own logs, before any plugin filters them",
            ),
            (Streaming::Streamed, LineFormat::Plain) => (
                format!(
                    "the controller of pod `{pod}` runs with `--log-format=plain`, so its log does not name the component of a line"
                ),
                "set `--log-format=text` or `json` on the controller; or use `--raw`, which shows the components' own logs, before any plugin filters them",
            ),
            (Streaming::Streamed, LineFormat::Text | LineFormat::Json) => return Ok(()),
        };
        if asks_for_components {
            return Err(Report::new(anyhow!("{what}")).hint(hint));
        }
        if self.args.components.is_empty() {
            output::notes(&[format!("{what}; {hint}")]);
        }
        Ok(())
    }

    /// A component's own log; none if it is not wanted, or is gone.
    async fn component(&self, engine: &Docker, id: &str, query: LogQuery) -> Result<Option<Lane>, Report> {
        let seen = match engine.inspect(id).await {
            Ok(seen) => seen,
            Err(error) if error.fault() == Fault::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let owner = seen.labels.get(ownership::POD);
        let Some(place) = self.pods.iter().position(|pod| Some(&pod.id.0) == owner) else { return Ok(None) };
        let named = seen.labels.get(ownership::COMPONENT).or_else(|| seen.labels.get(ownership::ROLE));
        let name = named.unwrap_or(&seen.name).clone();
        if !self.wants(Some(&name)) {
            return Ok(None);
        }
        let title = self.names.get(place).map(|pod| pod.title(Some(&name))).unwrap_or_default();
        let lines = lines::lines(engine, &seen, query);
        let lane = lines.map(move |line| match line {
            Ok(line) => (line.at_ns, Happened::Entry(place, Entry::own(&name, line))),
            Err(error) => (i64::MIN, Happened::Failed(title.clone(), error)),
        });
        Ok(Some(lane.boxed()))
    }

    /// The log of what has started since.
    async fn begun(&mut self, engine: &Docker, selection: &Selection, started: Started) -> Option<Lane> {
        let Started { is_controller, event } = started;
        if is_controller {
            let seen = engine.inspect(&event.id.0).await.ok()?;
            return self.controller_begun(engine, selection, seen).await;
        }
        let from = LogQuery { follow: true, tail: None, since_ns: Some(event.at_ns), until_ns: None };
        self.component(engine, &event.id.0, from).await.ok().flatten()
    }

    /// The logs of controllers that have started since, as far as nobody has reported their start.
    async fn missed(&mut self, engine: &Docker, selection: &Selection) -> Vec<Lane> {
        let mut lanes = Vec::new();
        let running = match selection.service {
            Some(_) => {
                pods::all(engine, false).await.unwrap_or_default().into_iter().map(|pod| pod.controller).collect()
            }
            None => {
                let known = self.pods.iter().map(|pod| engine.inspect(&pod.id.0));
                future::join_all(known).await.into_iter().flatten().collect::<Vec<_>>()
            }
        };
        for controller in running {
            lanes.extend(self.controller_begun(engine, selection, controller).await);
        }
        lanes
    }

    /// The log of a new run of a pod that is known, or of another replica of the service.
    async fn controller_begun(&mut self, engine: &Docker, selection: &Selection, seen: Inspection) -> Option<Lane> {
        if let Some(place) = self.pods.iter().position(|pod| pod.id == seen.id) {
            let known = self.pods.get_mut(place)?;
            if !seen.running || known.started_at == seen.started_at {
                return None;
            }
            *known = seen.clone();
            let from = LogQuery { follow: true, tail: None, since_ns: time::parse(&seen.started_at), until_ns: None };
            return self.controllers(engine, place, seen, from, &BTreeSet::new()).await;
        }
        let is_ours = selection.service.as_ref().is_some_and(|service| pods::is_of(&seen.labels, service));
        if !is_ours || seen.labels.contains_key(ownership::POD) {
            return None;
        }
        self.query = LogQuery { tail: None, since_ns: None, ..self.query };
        let pod = Pod { controller: seen, components: Vec::new() };
        let title = pod.replica().unwrap_or_else(|| pod.controller.name.clone());
        self.has_prefix = true;
        self.pod(engine, pod.controller, &title, &BTreeSet::new()).await.ok().flatten()
    }
}

/// The lines of a controller's stream, with the time by which they are ordered.
async fn stream_of(
    engine: &Docker,
    controller: &Inspection,
    mut reader: Reader,
    query: LogQuery,
    names: &BTreeSet<String>,
) -> Result<BoxStream<'static, (i64, Result<Entry, EngineError>)>, EngineError> {
    let mut from = query;
    let (mut last, mut known) = (Vec::new(), 0);
    if let Some(count) = query.tail {
        let (entries, read_until) = tail::tail(engine, controller, &reader, query, count, names).await?;
        last = entries;
        from = LogQuery { tail: None, since_ns: read_until.map_or(query.since_ns, |read| Some(read.at_ns)), ..query };
        known = read_until.map_or(0, |read| read.lines);
    }
    let last = stream::iter(last).map(|entry| (entry.at_ns, Ok(entry)));
    if query.tail.is_some() && !query.follow {
        return Ok(last.boxed());
    }
    let rest = lines::lines(engine, controller, from).skip(known).map(move |line| match line {
        Ok(line) => (line.at_ns, Ok(reader.read(line))),
        Err(error) => (i64::MIN, Err(error)),
    });
    Ok(last.chain(rest).boxed())
}

/// What starts while the logs are followed: components if their own logs are shown, and controllers.
fn starts(engine: &Docker, args: &LogsArgs) -> BoxStream<'static, Started> {
    let of = |label: &str, is_controller: bool| {
        let events = engine.events(label, None).take_while(|event| future::ready(event.is_ok()));
        let started = events.filter_map(|event| future::ready(event.ok()));
        let started = started.filter(|event| future::ready(event.kind == EngineEventKind::Start));
        started.map(move |event| Started { is_controller, event }).boxed()
    };
    if !args.follow {
        return stream::pending().boxed();
    }
    let components = if args.raw { of(ownership::POD, false) } else { stream::pending().boxed() };
    stream::select(components, of(CONTROLLER_LABEL, true)).boxed()
}

/// The components of a pod, as far as labels and containers tell, and the controller.
fn names(pod: &Pod) -> BTreeSet<String> {
    let spec = pod.spec();
    let written = spec.init.iter().map(|component| component.name.to_string());
    let written = written.chain(spec.components.keys().map(ToString::to_string));
    let made = pod.components.iter().map(|container| Pod::component(container).to_owned());
    written.chain(made).chain([CONTROLLER.to_owned()]).collect()
}

fn known(selection: &Selection) -> BTreeSet<String> {
    selection.pods.iter().flat_map(names).collect()
}

fn whose(selection: &Selection) -> String {
    match (&selection.service, selection.pods.first()) {
        (None, Some(pod)) => format!("pod `{}`", pod.controller.name),
        (service, _) => format!("`{}`", service.as_deref().unwrap_or_default()),
    }
}
