//! All plugins of a pod behind [`Hooks`].

pub mod load;
pub mod member;
pub mod schema;

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::hooks::{
    Batch, Change, ComponentEvent, ComponentEventKind, File, HealthTrigger, Hook, HookFailure, Hooks, Judged,
    Judgement, Reaction, Rollout, RolloutOutcome, SignalDecision,
};
use crate::metrics::Family;
use crate::plugin::WatchRequest;
use crate::plugin::answers::lines::Passage;
use crate::plugin::answers::plan_of;
use crate::plugin::host::manifest::Inspected;
use crate::plugin::imports::metrics::Metrics;
use crate::plugin::instance::call::{Answer, Call, CopyVerdict};
use crate::plugin::set::member::Member;
use crate::pod::capability::line;
use crate::pod::{Capability, ComponentName, Grant, PluginName};
use crate::shutdown::Tasks;

/// When `tick` is called next after a failure that is ignored, in milliseconds.
const TICK_AFTER_FAILURE_MS: u32 = 10_000;

/// Files that one file may become on its way through all plugins.
const FILES: usize = 1024;

/// A pod's plugins. Clones are the same set; when the last one is dropped, the plugins end.
#[derive(Clone)]
pub struct PluginSet(Arc<Inner>);

/// How one plugin fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// In the pod.
    pub name: PluginName,
    /// Its own.
    pub version: String,
    /// The component to which it is confined.
    pub scope: Option<ComponentName>,
    /// The hooks that it has.
    pub hooks: Vec<Hook>,
    /// What it has been granted.
    pub grants: Vec<Grant>,
    /// Whether it has been given up.
    pub evicted: bool,
    /// Strikes that have not been forgiven.
    pub strikes: u32,
    /// Calls of its hooks.
    pub calls: u64,
    /// Those that failed, trapped or overran.
    pub failures: u64,
    /// The last failure, in words.
    pub last_failure: Option<String>,
}

struct Inner {
    members: Vec<Member>,
    tasks: Tasks,
    metrics: Metrics,
    notes: Vec<String>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl std::fmt::Debug for PluginSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.members.iter().map(|member| member.name.as_str())).finish()
    }
}

impl PluginSet {
    /// Of plugins whose tasks run in `tasks`.
    #[must_use]
    pub(in crate::plugin) fn new(members: Vec<Member>, tasks: Tasks, metrics: Metrics, notes: Vec<String>) -> Self {
        Self(Arc::new(Inner { members, tasks, metrics, notes }))
    }

    /// What each plugin says of itself, in order.
    pub fn inspected(&self) -> impl Iterator<Item = (&PluginName, &Inspected)> {
        self.0.members.iter().map(|member| (&member.name, &member.seen))
    }

    /// How each plugin fares, in order.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        let of = |member: &Member| Standing {
            name: member.name.clone(),
            version: member.seen.manifest.version.clone(),
            scope: member.scope.clone(),
            hooks: member.seen.hooks.clone(),
            grants: self.grants(&member.name),
            evicted: member.maker.strikes.is_evicted(),
            strikes: member.maker.strikes.count(),
            calls: member.tally.calls(),
            failures: member.tally.failures(),
            last_failure: member.tally.last_failure(),
        };
        self.0.members.iter().map(of).collect()
    }

    /// What a plugin has been granted.
    #[must_use]
    pub fn grants(&self, plugin: &PluginName) -> Vec<Grant> {
        self.member(plugin).map(|member| member.maker.shared.granter.granted().to_vec()).unwrap_or_default()
    }

    /// What a plugin's configuration asks for, whatever it has been granted.
    #[must_use]
    pub fn wanted(&self, plugin: &PluginName) -> &[Grant] {
        self.member(plugin).map(|member| member.wanted.as_slice()).unwrap_or_default()
    }

    /// Plugins that were left out since they can be asked in their pod's controller only, and why; none in the controller.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// Hooks for which a plugin is not called, because the pod does not grant the power, each in a sentence.
    #[must_use]
    pub fn uncalled(&self) -> Vec<String> {
        let of = |member: &Member, hook: Hook| {
            let power = hook.power()?;
            Some(format!(
                "plugin `{}` is not called for `{hook}`, because the pod does not grant it `{power}`: add `{}`, or a narrower scope, to the plugin's `grants`",
                member.name,
                line(power, "*")
            ))
        };
        let members = self.0.members.iter();
        members.flat_map(|member| member.uncalled.iter().filter_map(move |hook| of(member, *hook))).collect()
    }

    /// What a plugin would have in the controller, and has not here.
    #[must_use]
    pub fn withheld(&self, plugin: &PluginName) -> Vec<&'static str> {
        let of = |member: &Member| member.maker.shared.place.withheld(&member.maker.shared.granter);
        self.member(plugin).map(of).unwrap_or_default()
    }

    /// What plugins asked to have watched when they were configured; later ones come by [`crate::plugin::PodLink::watches`].
    #[must_use]
    pub fn watches(&self) -> Vec<WatchRequest> {
        let of = |member: &Member| {
            member.maker.shared.watches.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
        };
        self.0.members.iter().flat_map(of).collect()
    }

    /// The plugins' metrics, and the host's about them, as they are now.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut calls = Family::counter("outrigger_hook_calls_total", "Calls of hooks.");
        let mut strikes =
            Family::gauge("outrigger_hook_strikes", "Failures that count towards the eviction of the plugin.");
        for member in &self.0.members {
            let plugin = [("plugin", member.name.as_str())];
            calls.add(plugin, member.tally.calls());
            strikes.add(plugin, member.maker.strikes.count().into());
        }
        self.0.metrics.families().into_iter().chain([calls, strikes]).collect()
    }

    /// Ends all plugins; calls under way are dropped. Answers whether they ended in time.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        self.0.tasks.cancel();
        self.0.tasks.wait(limit).await
    }

    fn member(&self, plugin: &PluginName) -> Option<&Member> {
        self.0.members.iter().find(|member| member.name == *plugin)
    }

    fn having(&self, hook: Hook) -> impl Iterator<Item = &Member> {
        self.0.members.iter().filter(move |member| member.has(hook))
    }

    async fn ask(&self, plugin: &PluginName, call: Call) -> Result<Option<Answer>, HookFailure> {
        let hook = call.hook();
        let Some(member) = self.member(plugin).filter(|member| member.has(hook)) else { return Ok(None) };
        Ok(member.call(call).await?.1)
    }
}

impl Hooks for PluginSet {
    fn with(&self, hook: Hook) -> Vec<PluginName> {
        self.having(hook).map(|member| member.name.clone()).collect()
    }

    async fn pre_start(&self, plugin: &PluginName, plan_json: String) -> Result<Option<String>, HookFailure> {
        let scope = self.member(plugin).and_then(|member| member.scope.as_ref());
        let plan = scope.map(|only| plan_of(only, &plan_json)).unwrap_or(plan_json);
        match self.ask(plugin, Call::PreStart(plan)).await? {
            Some(Answer::Overlay(overlay)) => Ok(overlay),
            _ => Ok(None),
        }
    }

    async fn config_copy(&self, source: &str, file: File) -> Result<Vec<File>, HookFailure> {
        let mut files = vec![file];
        for member in self.having(Hook::ConfigCopy) {
            let mut next = Vec::new();
            for file in files {
                if !member.decides(Capability::Copies, &format!("{}:{}", file.component, file.path)) {
                    next.push(file);
                    continue;
                }
                let call = Call::ConfigCopy { source: source.to_owned(), file };
                let (call, answer) = member.call(call).await?;
                match (answer, call) {
                    (Some(Answer::Copy(CopyVerdict::Skip)), _) => {}
                    (Some(Answer::Copy(CopyVerdict::Replace(files))), _) => next.extend(files),
                    (_, Call::ConfigCopy { file, .. }) => next.push(file),
                    _ => {}
                }
            }
            if next.len() > FILES {
                let reason = format!("turned one file into {} files, but the limit is {FILES}", next.len());
                return Err(HookFailure { plugin: member.name.clone(), hook: Hook::ConfigCopy.name(), reason });
            }
            files = next;
        }
        Ok(files)
    }

    async fn health(&self, plugin: &PluginName, trigger: HealthTrigger) -> Result<Vec<Judgement>, HookFailure> {
        if let HealthTrigger::EngineReport(judgement) = &trigger {
            let reported = judgement.component.as_ref().map_or("*", ComponentName::as_str);
            if !self.member(plugin).is_some_and(|member| member.decides(Capability::Verdicts, reported)) {
                return Ok(Vec::new());
            }
        }
        match self.ask(plugin, Call::Health(trigger)).await? {
            Some(Answer::Judgements(judgements)) => Ok(judgements),
            _ => Ok(Vec::new()),
        }
    }

    async fn log_lines(&self, batch: Batch) -> Result<Judged, HookFailure> {
        let is_final = batch.is_final();
        let mut passage = Passage::new(batch);
        for member in self.having(Hook::LogLine) {
            let batch = passage.current();
            // Of an empty batch only that it is the last one is worth a call.
            if !member.decides(Capability::Lines, batch.component.as_str()) || (batch.is_empty() && !is_final) {
                continue;
            }
            let batch = passage.next(&member.name);
            let empty = Batch::new(batch.component.clone(), batch.output);
            let lent = std::mem::replace(batch, empty);
            let (call, answer) = member.call(Call::LogLines(lent)).await?;
            if let Call::LogLines(lent) = call {
                *batch = lent;
            }
            if let Some(Answer::Lines(verdict)) = answer {
                let before = passage.released();
                passage.apply(&verdict);
                if passage.released() > before {
                    warn!(plugin = %member.name, "the plugin exceeds its limit of held lines; the lines are written");
                }
            }
        }
        Ok(passage.finish())
    }

    async fn signal(&self, signal: i32) -> Result<SignalDecision, HookFailure> {
        let Ok(number) = u8::try_from(signal) else { return Ok(SignalDecision::Forward) };
        for member in self.having(Hook::Signal) {
            if let (_, Some(Answer::Decision(SignalDecision::Deliver(deliveries)))) =
                member.call(Call::Signal(number)).await?
            {
                return Ok(SignalDecision::Deliver(deliveries));
            }
        }
        Ok(SignalDecision::Forward)
    }

    async fn component_event(&self, event: ComponentEvent) -> Result<Reaction, HookFailure> {
        let mut decided = Reaction::AsPlanned;
        for member in self.having(Hook::ComponentEvent) {
            let is_wanted = member.events.contains(event.kind.word());
            if !is_wanted || !member.decides(Capability::Exits, event.component.as_str()) {
                continue;
            }
            if let (_, Some(Answer::Reaction(reaction))) = member.call(Call::Event(event.clone())).await?
                && decided == Reaction::AsPlanned
            {
                decided = reaction;
            }
        }
        let counts = matches!(event.kind, ComponentEventKind::Exited { .. });
        Ok(if counts { decided } else { Reaction::AsPlanned })
    }

    async fn config_changed(&self, plugin: &PluginName, changes: Vec<Change>) -> Result<Option<Rollout>, HookFailure> {
        match self.ask(plugin, Call::Changed(changes)).await? {
            Some(Answer::Rollout(rollout)) => Ok(rollout),
            _ => Ok(None),
        }
    }

    fn put_off(&self, plugin: &PluginName) -> Vec<String> {
        self.member(plugin).map(|member| member.maker.shared.take_put_off()).unwrap_or_default()
    }

    async fn rollout_ended(
        &self,
        plugin: &PluginName,
        id: Option<String>,
        outcome: RolloutOutcome,
        text: String,
    ) -> Result<(), HookFailure> {
        self.ask(plugin, Call::Outcome { id, outcome, text }).await.map(|_| ())
    }

    fn permits(&self, plugin: &PluginName, component: &ComponentName, path: &str) -> Result<(), String> {
        let Some(member) = self.member(plugin) else { return Err(format!("the pod has no plugin `{plugin}`")) };
        let granter = &member.maker.shared.granter;
        granter.check(Capability::Files, &format!("{component}:{path}")).map_err(|denied| denied.to_string())
    }

    async fn tick(&self, plugin: &PluginName) -> Result<Option<u32>, HookFailure> {
        let Some(member) = self.member(plugin).filter(|member| member.has(Hook::Tick)) else { return Ok(None) };
        match member.call(Call::Tick).await? {
            (_, Some(Answer::Next(next))) => Ok(next),
            _ => Ok(member.has(Hook::Tick).then_some(TICK_AFTER_FAILURE_MS)),
        }
    }
}
