//! From a pod's `plugins:` to running plugins: everything is checked, and every problem told, before any hook is called.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use serde_json::Value;

use crate::hooks::{ComponentEventKind, Hook};
use crate::plugin::PodLink;
use crate::plugin::answers::said::Mistake;
use crate::plugin::host::manifest::{Manifest, Needs, Want, wants};
use crate::plugin::host::{DEFAULT_MEMORY, DESCRIBE_MEMORY, Host, Loaded};
use crate::plugin::imports::grants::Granter;
use crate::plugin::imports::metrics::Metrics;
use crate::plugin::imports::wasi::Wasi;
use crate::plugin::instance::call::{Class, Failure};
use crate::plugin::instance::clock::Budget;
use crate::plugin::instance::guest::{Phase, Shared};
use crate::plugin::instance::strikes::Strikes;
use crate::plugin::instance::worker::{CALLS_WAITING, Maker, Worker};
use crate::plugin::instance::{Instance, has_class};
use crate::plugin::set::PluginSet;
use crate::plugin::set::member::{Member, Tally};
use crate::plugin::set::schema;
use crate::pod::lower::plugin::HEALTH_INTERVAL;
use crate::pod::{ComponentName, Grant, PluginSource, PluginSpec, Problem, Problems};
use crate::problem::candidates;
use crate::shutdown::Tasks;

/// Most mistakes that are shown of one configuration.
const MISTAKES: usize = 20;

impl PluginSet {
    /// Loads, checks and configures a pod's plugins. A configuration of `null` is an empty one. `components` are the pod's, before any `pre-start`.
    ///
    /// # Errors
    /// Every problem of every plugin; nothing runs then. The label is where the plugin was written, the field its name and what of it is wrong.
    ///
    /// Cancel safety: dropping it ends what was started.
    pub async fn load(
        host: &Host,
        specs: &[PluginSpec],
        components: &[ComponentName],
        link: &PodLink,
    ) -> Result<Self, Problems> {
        let metrics = Metrics::default();
        let mut problems = Problems::default();
        let mut ready = Vec::new();
        let mut notes = Vec::new();
        let mut strangers = Strangers::default();
        for spec in specs {
            match (Loading { host, spec, components, link, metrics: &metrics }).load(&mut strangers).await {
                Ok(Ok(loaded)) => ready.push(loaded),
                Ok(Err(note)) => notes.push(note),
                Err(found) => problems.extend(found),
            }
        }
        if !strangers.may_come {
            problems.extend(strangers.problems);
        }
        let ready = problems.or(ready)?;
        let tasks = Tasks::new();
        let members = ready.into_iter().map(|(mut member, instances)| {
            for ((class, instance), slot) in instances.into_iter().zip(&mut member.tasks) {
                let Some(instance) = instance else { continue };
                let (calls, queue) = mpsc::channel(CALLS_WAITING);
                let worker = Worker::new(Arc::clone(&member.maker), class, instance);
                tasks.spawn(class.task(), |stop| worker.run(queue, stop));
                *slot = Some(calls);
            }
            member
        });
        let members = members.collect();
        Ok(Self::new(members, tasks, metrics, notes))
    }
}

/// One that is to be called; or why it was left out where it could not be asked, since this is not its pod's controller.
type Asked = Result<Ready, String>;

type Ready = (Member, Vec<(Class, Option<Instance>)>);

/// Components that plugins name and the pod does not have.
#[derive(Default)]
struct Strangers {
    problems: Problems,
    /// Whether a plugin may add components in `pre-start`, which others may then well name.
    may_come: bool,
}

struct Loading<'a> {
    host: &'a Host,
    spec: &'a PluginSpec,
    components: &'a [ComponentName],
    link: &'a PodLink,
    metrics: &'a Metrics,
}

impl Loading<'_> {
    fn problem(&self, path: &str, what: impl Into<String>) -> Problem {
        let dot = if path.is_empty() { "" } else { "." };
        Problem::new(&self.spec.origin, format!("{}{dot}{path}", self.spec.name), what)
    }

    fn only(&self, path: &str, what: impl Into<String>) -> Problems {
        Problems(vec![self.problem(path, what)])
    }

    async fn load(self, strangers: &mut Strangers) -> Result<Asked, Problems> {
        let spec = self.spec;
        let loaded =
            self.host.load(&spec.source, &spec.name, spec.limits.memory.map(|limit| limit.max(DESCRIBE_MEMORY))).await;
        // Nobody knows what one does that can't be loaded.
        strangers.may_come |= loaded
            .as_ref()
            .map_or(spec.source != PluginSource::Stock, |loaded| loaded.seen.hooks.contains(&Hook::PreStart));
        let Loaded { recipe, seen } = loaded.map_err(|error| {
            let path = if spec.source == PluginSource::Stock { "" } else { "source" };
            self.only(path, error.to_string())
        })?;
        let manifest = &seen.manifest;
        let config = match &spec.config {
            Value::Null => Value::Object(serde_json::Map::new()),
            config => config.clone(),
        };
        let mut problems = self.check_config(manifest, &config).await;
        problems.extend(self.check_grants(manifest));
        problems.extend(self.check_hooks(&seen.hooks));
        strangers.problems.extend(self.granted_strangers());
        problems.or(())?;

        let limits = spec.limits;
        let timeouts = self.host.timeouts();
        let hook = limits.hook.unwrap_or(timeouts.hook);
        let wait = limits.wait.unwrap_or(timeouts.wait_hook);
        let maker = |granted: Vec<Grant>| Maker {
            recipe: Arc::clone(&recipe),
            shared: self.share(manifest, granted),
            config: config.clone(),
            scope: spec.scope.clone(),
            one_instance: manifest.one_instance,
            trial: !self.host.place().is_controller(),
            memory: limits.memory.unwrap_or_else(|| DEFAULT_MEMORY.max(manifest.memory.unwrap_or_default())),
            start: self.start_budget(manifest),
            quick: Budget { cpu: hook, wall: hook },
            patient: Budget { cpu: timeouts.wait_hook_cpu.min(wait), wall: wait },
            strikes: Strikes::default(),
        };
        let trial = maker(spec.grants.clone().unwrap_or_default());
        let (wanted, events) = match self.trial(&trial).await {
            Ok(needs) => needs,
            Err(mut problems) => {
                problems.extend(self.ungranted(manifest, None));
                return self.excused(&trial, problems).map(Err);
            }
        };
        let mut problems = self.check_wants(manifest, &wanted);
        problems.extend(self.ungranted(manifest, Some(&wanted)));
        problems.or(())?;
        strangers.problems.extend(self.named_strangers(&manifest.config_schema, &config, &wanted));
        let wanted: Vec<Grant> = wanted.into_iter().map(|want| want.grant).collect();
        let granted = match (&spec.grants, &spec.source) {
            (Some(grants), _) => grants.clone(),
            (None, PluginSource::Stock) => wanted.clone(),
            (None, PluginSource::File(_)) => Vec::new(),
        };
        let maker = Arc::new(maker(granted));
        // A class of hooks that are never called needs no instance.
        let (called, without): (Vec<Hook>, Vec<Hook>) =
            seen.hooks.iter().partition(|hook| maker.shared.granter.empowers(**hook));
        // What a stock plugin's configuration does not need was not forgotten.
        let is_given = spec.grants.is_none() && spec.source == PluginSource::Stock;
        let uncalled = if is_given { Vec::new() } else { without };
        let mut instances = Vec::new();
        for class in Class::ALL {
            // Hooks that share one instance have one task, too.
            let alone = !manifest.one_instance || instances.iter().all(|(_, instance)| Option::is_none(instance));
            let instance = if has_class(&called, class) && alone {
                match maker.make(class).await {
                    Ok(instance) => Some(instance),
                    Err(failure) => return self.excused(&maker, self.unconfigured(&failure)).map(Err),
                }
            } else {
                None
            };
            instances.push((class, instance));
        }
        let member = Member {
            name: spec.name.clone(),
            scope: spec.scope.clone(),
            seen,
            wanted,
            uncalled,
            maker,
            on_error: spec.on_error.clone(),
            events,
            tally: Tally::default(),
            tasks: [None, None, None],
        };
        Ok(Ok((member, instances)))
    }

    fn share(&self, manifest: &Manifest, granted: Vec<Grant>) -> Arc<Shared> {
        let name = self.spec.name.clone();
        Arc::new(Shared {
            keys: self.host.keys_of(&name),
            place: self.host.place().clone(),
            granter: Arc::new(Granter::new(name, manifest.declared(), granted, self.spec.scope.clone())),
            link: Some(self.link.clone()),
            metrics: self.metrics.clone(),
            watches: Mutex::default(),
            dropped_metrics: false.into(),
            put_off: Mutex::default(),
        })
    }

    async fn check_config(&self, manifest: &Manifest, config: &Value) -> Problems {
        let (schema, config) = (manifest.config_schema.clone(), config.clone());
        // A plugin's schema may be slow to check, by accident or not; it must not stop the runtime.
        let mistakes =
            tokio::task::spawn_blocking(move || schema::mistakes(&schema, &config)).await.unwrap_or_default();
        if mistakes.is_empty() { Problems::default() } else { self.mistaken(mistakes) }
    }

    fn mistaken(&self, mistakes: Vec<Mistake>) -> Problems {
        let told = mistakes.into_iter().take(MISTAKES).map(|Mistake { path, what, hint }| {
            let problem = self.problem(&plain(&path), plain(&what));
            match hint {
                Some(hint) => problem.hint(plain(&hint)),
                None => problem,
            }
        });
        let problems: Vec<_> = told.collect();
        if problems.is_empty() {
            return self.only("", "the plugin's `configure` refused the configuration, and named no mistake");
        }
        Problems(problems)
    }

    /// What the pod grants, against what the manifest asks for.
    fn check_grants(&self, manifest: &Manifest) -> Problems {
        let mut problems = Problems::default();
        let Some(grants) = &self.spec.grants else { return problems };
        for grant in grants {
            let (capability, scope) = (grant.capability, &grant.scope);
            let path = format!("grants.{capability}");
            if let Err(expected) = capability.check_granted(scope) {
                problems.push(self.problem(&path, format!("`{scope}`: expected {expected}")));
            } else if let Some(other) = self.beyond(grant) {
                problems.push(self.problem(&path, format!("`{scope}` is granted, but {other}")));
            } else if !manifest.wants.iter().any(|want| want.grant.overlaps(grant)) {
                let what = format!("`{scope}` is granted, but the plugin's manifest does not request it");
                problems.push(self.problem(&path, what));
            }
        }
        problems
    }

    /// What the pod does not grant, as narrow as `configure` wants it, if it could be asked.
    fn ungranted(&self, manifest: &Manifest, wanted: Option<&[Want]>) -> Problems {
        if self.spec.grants.is_none() && self.spec.source == PluginSource::Stock {
            return Problems::default();
        }
        let granted = self.spec.grants.as_deref().unwrap_or_default();
        // `check_wants` reports what the configuration wants.
        let is_open = |want: &&Want| {
            !wanted.unwrap_or_default().iter().any(|it| it.required && it.grant.capability == want.grant.capability)
        };
        let open: Vec<Want> = manifest.wants.iter().filter(is_open).cloned().collect();
        self.missing(&open, granted)
    }

    /// Why a plugin of one component has no use for this.
    fn beyond(&self, grant: &Grant) -> Option<String> {
        let (only, named) = (self.spec.scope.as_ref()?, grant.component()?);
        let is_other = named != "*" && named != only.as_str();
        is_other.then(|| format!("the plugin belongs to component `{only}` and has no access to other components"))
    }

    /// The component that this names, where the pod does not have it.
    fn stranger<'g>(&self, grant: &'g Grant) -> Option<&'g str> {
        let named = grant.component()?;
        (named != "*" && !self.components.iter().any(|have| have.as_str() == named)).then_some(named)
    }

    fn no_component(&self, problem: Problem, named: &str) -> Problem {
        problem.hint(candidates(named, self.components.iter().map(ComponentName::as_str)))
    }

    fn granted_strangers(&self) -> Problems {
        let grants = self.spec.grants.iter().flatten();
        let strangers = grants.filter(|grant| self.beyond(grant).is_none()).filter_map(|grant| {
            let named = self.stranger(grant)?;
            let path = format!("grants.{}", grant.capability);
            Some(self.no_component(self.problem(&path, format!("the pod has no component `{named}`")), named))
        });
        Problems(strangers.collect())
    }

    /// Components that the configuration names, where the schema marks the names, and those of which the plugin wants something.
    fn named_strangers(&self, schema: &Value, config: &Value, wanted: &[Want]) -> Problems {
        let what =
            |named: &str| format!("the plugin's configuration names component `{named}`, which the pod does not have");
        let mut marked = schema::components(schema, config);
        marked.retain(|(_, named)| !self.components.iter().any(|have| have.as_str() == named));
        // A rule may want several things of one component: told once.
        let mut names: BTreeSet<_> = wanted.iter().filter_map(|want| self.stranger(&want.grant)).collect();
        names.retain(|named| !marked.iter().any(|(_, told)| told == named));
        let marked = marked.iter().map(|(path, named)| (path.as_str(), named.as_str()));
        let strangers = marked.chain(names.into_iter().map(|named| ("", named)));
        Problems(strangers.map(|(path, named)| self.no_component(self.problem(path, what(named)), named)).collect())
    }

    /// What is said of hooks that the plugin does not have.
    fn check_hooks(&self, hooks: &[Hook]) -> Problems {
        let has: Vec<_> = hooks.iter().map(|hook| format!("`{hook}`")).collect();
        let hint = if has.is_empty() {
            "the plugin has no hooks".to_owned()
        } else {
            format!("hooks of the plugin: {}", has.join(", "))
        };
        let lacks = |path: &str, hook: &str| {
            self.problem(path, format!("the plugin does not have the hook `{hook}`")).hint(hint.clone())
        };
        let lacking = self.spec.on_error.hooks.keys().filter(|name| !hooks.iter().any(|hook| hook.name() == *name));
        let mut problems = Problems(lacking.map(|name| lacks(&format!("on-error.{name}"), name)).collect());
        // An interval that is not the default was written.
        if self.spec.health_interval != HEALTH_INTERVAL && !hooks.contains(&Hook::Health) {
            problems.push(lacks("health-interval", "health"));
        }
        problems
    }

    /// What the manifest can't do without and of which no part is granted.
    fn missing(&self, wants: &[Want], granted: &[Grant]) -> Problems {
        let missing =
            wants.iter().filter(|want| want.required && !granted.iter().any(|grant| want.grant.overlaps(grant)));
        Problems(missing.map(|want| self.lacks(want)).collect())
    }

    fn lacks(&self, want: &Want) -> Problem {
        let Grant { capability, scope } = &want.grant;
        let reason: String = want.reason.chars().take(200).collect();
        let line = want.grant.line();
        let why = if reason.is_empty() { String::new() } else { format!(", {reason}") };
        self.problem("grants", format!("the plugin needs `{capability}` for `{scope}`, which is not granted"))
            .hint(format!("write `grants: {{{line}}}`{why}"))
    }

    /// What `configure` answered: within the manifest, and granted where it is required.
    fn check_wants(&self, manifest: &Manifest, wanted: &[Want]) -> Problems {
        let mut problems = Problems::default();
        for want in wanted {
            let Grant { capability, scope } = &want.grant;
            if !manifest.covers(&want.grant) {
                let what = format!(
                    "the plugin's `configure` requests `{capability}` for `{scope}`, which its manifest does not request"
                );
                problems.push(self.problem("", what));
            } else if let Some(other) = self.beyond(&want.grant) {
                problems
                    .push(self.problem("", format!("the plugin requests `{capability}` for `{scope}`, but {other}")));
            } else if let Some(grants) = &self.spec.grants
                && want.required
                && !grants.iter().any(|grant| grant.covers(*capability, scope))
            {
                problems.push(self.lacks(want));
            } else if self.spec.grants.is_none() && want.required && self.spec.source != PluginSource::Stock {
                problems.push(self.lacks(want));
            }
        }
        problems
    }

    /// For everything that happens before the first hook.
    fn start_budget(&self, manifest: &Manifest) -> Budget {
        let Budget { cpu, wall } = self.host.start_budget();
        let needed = manifest.start.unwrap_or_default();
        Budget { cpu: cpu.max(needed), wall: wall.max(needed) }
    }

    /// Configures an instance that is thrown away, to see what it wants, and which events.
    async fn trial(&self, maker: &Maker) -> Result<(Vec<Want>, BTreeSet<String>), Problems> {
        let wasi = Wasi::new(&maker.shared.granter, &maker.shared.place).map_err(|why| self.only("grants.dir", why))?;
        let shared = Arc::clone(&maker.shared);
        let started = Instance::start(&maker.recipe, shared, maker.memory, wasi, maker.start).await;
        let mut instance = started
            .map_err(|failure| self.only("limits", format!("the plugin did not start: {}", failure.reason())))?;
        let configured = instance.configure(&maker.setup(None), Phase::Trial, maker.start).await;
        let Needs { wants: raw, events } =
            configured.map_err(|failure| self.unconfigured(&failure))?.map_err(|mistakes| self.mistaken(mistakes))?;
        let wrong = |what: String| self.only("", format!("the answer of the plugin's `configure` is wrong: {what}"));
        let events = events.unwrap_or_else(|| ComponentEventKind::WORDS.map(str::to_owned).to_vec());
        Ok((wants(raw).map_err(wrong)?, events.into_iter().collect()))
    }

    /// Says why a plugin is left out that would have more in the pod's controller than here; without that, its problems are the pod's.
    fn excused(&self, maker: &Maker, problems: Problems) -> Result<String, Problems> {
        let withheld = maker.shared.place.withheld(&maker.shared.granter);
        if withheld.is_empty() {
            return Err(problems);
        }
        let why: Vec<_> = problems.0.into_iter().map(|problem| problem.what).collect();
        Ok(format!(
            "plugin `{}` could not be checked here: {}; {}",
            self.spec.name,
            why.join("; "),
            only_there(&withheld)
        ))
    }

    fn unconfigured(&self, failure: &Failure) -> Problems {
        self.only("", format!("the plugin's `configure` {}", failure.reason()))
    }
}

/// A plugin's own words, on one line and not too long.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

/// Why a plugin may do other things here than in its pod.
#[must_use]
pub fn only_there(withheld: &[&str]) -> String {
    let names: Vec<_> = withheld.iter().map(|name| format!("`{name}`")).collect();
    format!("the plugin gets {} only in the controller", names.join(", "))
}
