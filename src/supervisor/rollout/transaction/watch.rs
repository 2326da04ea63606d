//! How a rollout waits for its components, and judges them afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::{Early, LONGEST_WATCH, STEP, Transaction};
use crate::engine::{Engine, chain};
use crate::hooks::Hooks;
use crate::pod::ComponentName;
use crate::supervisor::events::Phase;
use crate::supervisor::shared::{Live, persist};

/// How a look at the components' health has ended.
enum Watched {
    /// Nothing has happened.
    Healthy,
    /// Somebody has paused a component.
    Paused,
}

impl<E: Engine, H: Hooks> Transaction<'_, E, H> {
    /// Waits until each component either runs, or is down and will stay so until it is told to start. Answers those that are down, with the number of their
    /// restarts.
    pub(super) async fn steady(&self) -> Result<BTreeMap<ComponentName, u32>, Early> {
        let mut live = self.shared.live.clone();
        let is_steady = |live: &Live| {
            live.gone
                || match live.phase {
                    Phase::Running | Phase::Exited | Phase::BackingOff | Phase::Waiting | Phase::Skipped => {
                        live.guarded
                    }
                    Phase::Launching | Phase::Settling | Phase::Parting | Phase::Stopping | Phase::Asking => false,
                }
        };
        let steady = live.wait_for(|all| self.names.iter().all(|name| all.get(name).is_none_or(is_steady)));
        let all = tokio::select! {
            () = self.token.cancelled() => return Err(Early::Refused("the pod is stopping".to_owned())),
            all = steady => all.map_err(|_| "the pod has ended".to_owned())?.clone(),
        };
        let mut down = BTreeMap::new();
        for name in self.names {
            match all.get(name) {
                None => return Err(format!("the pod has no component `{name}`").into()),
                Some(live) if live.gone => {
                    return Err(format!("component `{name}` has ended and is not restarted").into());
                }
                Some(live) if live.paused => return Err(Early::Paused),
                Some(live) if live.phase != Phase::Running => {
                    down.insert(name.clone(), live.restarts);
                }
                Some(_) => {}
            }
        }
        Ok(down)
    }

    /// Waits until a component runs that has been started since.
    pub(super) async fn until_up(&self, component: &ComponentName, restarts: u32) -> Result<(), String> {
        let limit = STEP + self.shared.planned(component).map_or(Duration::ZERO, |planned| planned.grace);
        let mut live = self.shared.live.clone();
        let settled = |live: &Live| {
            let over = matches!(live.phase, Phase::Exited | Phase::Asking | Phase::BackingOff);
            live.restarts > restarts && (live.phase == Phase::Running || over)
        };
        let back = live.wait_for(|all| all.get(component).is_some_and(settled));
        tokio::select! {
            () = self.token.cancelled() => Err("the pod is stopping".to_owned()),
            back = tokio::time::timeout(limit, back) => match back {
                Ok(Ok(all)) if all.get(component).is_some_and(|live| live.phase == Phase::Running) => Ok(()),
                Ok(Ok(_)) => Err(format!("component `{component}` ended with the new version")),
                Ok(Err(_)) => Err("the pod has ended".to_owned()),
                Err(_) => Err(format!("component `{component}` did not restart within {limit:?}")),
            },
        }
    }

    /// Sees the components with files run, and not be unhealthy, for the time that was asked for.
    /// A pause begins the time anew: what stands still is neither well nor ill.
    pub(super) async fn stay_healthy(&self) -> Result<(), String> {
        loop {
            match self.watch().await? {
                Watched::Healthy => return self.still_running().await,
                Watched::Paused => {
                    self.thaw().await;
                    self.go_on()?;
                    self.recover().await;
                }
            }
        }
    }

    /// After a pause, probes that have found nobody at home have a while to find somebody.
    async fn recover(&self) {
        let mut live = self.shared.live.clone();
        let ill = |live: &Live| live.phase == Phase::Running && live.unhealthy && !live.paused;
        let well = live.wait_for(|all| !self.names.iter().any(|name| all.get(name).is_some_and(ill)));
        tokio::select! {
            () = self.token.cancelled() => {}
            _well = tokio::time::timeout(STEP, well) => {}
        }
    }

    async fn watch(&self) -> Result<Watched, String> {
        let time = Duration::from_millis(self.rollout.healthy_for_ms.into()).min(LONGEST_WATCH);
        let mut live = self.shared.live.clone();
        let runs: Vec<(&ComponentName, u32)> =
            self.names.iter().map(|name| (name, live.borrow().get(name).map_or(0, |live| live.restarts))).collect();
        let troubled = |name: &ComponentName, restarts: u32, live: &Live| {
            live.phase != Phase::Running
                || live.restarts != restarts
                || live.paused
                || (live.unhealthy && !self.ailing.contains(name))
        };
        let trouble = live.wait_for(|all| {
            runs.iter().any(|(name, restarts)| all.get(*name).is_none_or(|live| troubled(name, *restarts, live)))
        });
        let all = tokio::select! {
            () = self.token.cancelled() => return Err("the pod is stopping".to_owned()),
            answer = tokio::time::timeout(time, trouble) => match answer {
                Err(_) => None,
                Ok(answer) => Some(Arc::clone(&*answer.map_err(|_| "the pod has ended".to_owned())?)),
            },
        };
        let Some(all) = all else { return Ok(Watched::Healthy) };
        for (name, restarts) in runs {
            match all.get(name) {
                Some(live) if !troubled(name, restarts, live) => {}
                Some(live) if live.paused => return Ok(Watched::Paused),
                Some(live) if live.phase == Phase::Running && live.restarts == restarts => {
                    return Err(format!("component `{name}` became unhealthy with the new version"));
                }
                _ => return Err(format!("component `{name}` ended with the new version")),
            }
        }
        Ok(Watched::Healthy)
    }

    /// Asks the engine: where it was away, the news of an end comes late.
    pub(super) async fn still_running(&self) -> Result<(), String> {
        for name in self.names {
            let (id, _) = self.container(name)?;
            match persist(self.token, || self.shared.engine.inspect(&id.0)).await {
                Ok(seen) if seen.running => {}
                Ok(_) => {
                    let mut live = self.shared.live.clone();
                    let heard = live.wait_for(|all| all.get(name).is_none_or(|live| live.phase != Phase::Running));
                    if tokio::time::timeout(STEP, heard).await.is_err() {
                        warn!("component `{name}` has ended, but the engine sent no event for its end");
                    }
                    return Err(format!("component `{name}` ended with the new version"));
                }
                Err(error) => return Err(chain(&error)),
            }
        }
        Ok(())
    }
}
