//! The pod of a container that is there.

use anyhow::Context;

use super::{Found, Origin, Pod, or_default};
use crate::cli::report::Report;
use crate::cli::{Env, engine_of};
use crate::config::{self, Flags};
use crate::engine::{CgroupDriver, ContainerId, Engine, EngineInfo, Fault};
use crate::identity;
use crate::labels;
use crate::plan::{Seen, SelfInfo, compile, ownership};
use crate::pod::lower;
use crate::problem::hidden::Hidden;
use crate::problem::sources::Sources;

pub(super) async fn of_container(container: &str, flags: &Flags, env: &Env) -> Result<Found, Report> {
    let host = config::lower(flags, env).map_err(Report::usage)?;
    let engine = engine_of(&host, env)?;
    let info = engine.info().await?;
    let found = identity::with_grace(&engine, engine.inspect(container).await?).await;
    let environment: Env =
        found.env.iter().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let (raw, mut problems) = labels::read_labels(&found.labels);
    let (mut spec, more) = lower::lower_partly(&raw);
    problems.extend(more);
    spec.controller.flags.clone_from(&found.command);
    let (settings, knows_settings) = or_default(super::settings(&spec, flags, &environment), &mut problems);
    let name = found.name.clone();
    let mut me = SelfInfo::offline(&name, found.labels.clone());
    (me.volume_aliases, me.own_volumes) = identity::own_volumes(&engine, &found).await?;
    me.container = found;
    me.environment = environment;
    me.seen = Seen::Outside;
    if let Some(parent) = parent_of_components(&engine, &me.container.id).await? {
        placed(&mut me, &info, parent);
    }
    let folder = std::env::current_dir().context("cannot find the working directory")?;
    let (is_whole, knows_mounts) = (problems.is_empty(), compile::knows_mounts(&problems));
    let mut sources = Sources::default();
    for (label, text) in me.container.labels.iter().filter(|(label, _)| label.starts_with("pod.")) {
        sources.label(label, text);
    }
    let origin = Origin::Labels { prefix: String::new(), controller: None };
    let unset = Vec::new();
    let pod = Pod {
        name,
        spec,
        me,
        engine: info,
        settings,
        folder,
        origin,
        hidden: Hidden::default(),
        unset,
        is_whole,
        knows_mounts,
        knows_settings,
        files: None,
    };
    Ok(Found { pods: vec![pod], problems, sources, stack: None })
}

/// The cgroup parent that the components of a running controller have; none where none of them runs.
async fn parent_of_components<E: Engine>(engine: &E, controller: &ContainerId) -> Result<Option<String>, Report> {
    let components = engine.list(&[format!("{}={}", ownership::POD, controller.0)]).await?;
    let Some(running) = components.iter().find(|component| component.running) else { return Ok(None) };
    match engine.inspect(&running.id.0).await {
        Ok(found) => Ok(Some(found.cgroup_parent)),
        // It has ended since.
        Err(error) if error.fault() == Fault::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the controller has found out about cgroups can be seen in where it has put its components.
fn placed(me: &mut SelfInfo, engine: &EngineInfo, parent: String) {
    if (engine.cgroup_driver, engine.cgroup_version) == (CgroupDriver::Cgroupfs, 1) {
        me.seen = Seen::Within;
        me.cgroup = Some(parent).filter(|parent| parent.ends_with(&format!("/{}", me.container.id.0)));
    } else if parent.is_empty() {
        me.cgroup_refused = Some("the components run without a cgroup of the pod".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::offline;

    /// Where a running controller has put its components says what it found out.
    #[test]
    fn the_components_tell_where_they_are() {
        let mut me = SelfInfo::offline("web", Env::new());
        me.seen = Seen::Outside;
        me.container.id = ContainerId("ab12".to_owned());
        let old = EngineInfo { cgroup_version: 1, cgroup_driver: CgroupDriver::Cgroupfs, ..offline::engine() };
        let mut nested = me.clone();
        placed(&mut nested, &old, "/docker/ab12".to_owned());
        assert_eq!((nested.seen, nested.cgroup.as_deref()), (Seen::Within, Some("/docker/ab12")));
        let mut beside = me.clone();
        placed(&mut beside, &old, String::new());
        assert_eq!((beside.seen, beside.cgroup), (Seen::Within, None));
        let mut refused = me.clone();
        placed(&mut refused, &offline::engine(), String::new());
        assert!(refused.cgroup_refused.is_some());
        placed(&mut me, &offline::engine(), "outrigger-ab12.slice".to_owned());
        assert_eq!(me.cgroup_refused, None);
    }
}
