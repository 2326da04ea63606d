//! What guests of version 0.1 call, in its types. [`crate::plugin::imports`] decides and does it.

use wasmtime::component::{HasSelf, Linker, Resource};

use super::convert::{file_of, file_to, judgement_of, level_of, refusal_to, rollout_of};
use super::documents;
use super::outrigger::pod::{
    common, contents, exec, files, log, metrics, pod, rollouts, secret, signals, state, verdicts, watch,
};
use crate::hooks::FileFacts;
use crate::plugin::imports::contents::Draft;
use crate::plugin::imports::keys::Entry;
use crate::plugin::imports::metrics::Change;
use crate::plugin::imports::{Code, Refusal};
use crate::plugin::instance::guest::Guest;

/// Links all interfaces that this version serves.
///
/// # Errors
/// Only where a name is linked twice.
pub fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    common::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    contents::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    pod::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    verdicts::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    rollouts::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    secret::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    signals::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    files::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    exec::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    watch::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    state::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    metrics::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
}

type Answer<T> = wasmtime::Result<Result<T, common::Error>>;

impl common::Host for Guest {}

impl log::Host for Guest {
    fn log(&mut self, level: log::Level, text: String) -> wasmtime::Result<()> {
        self.log.line(level_of(level), &text);
        Ok(())
    }
}

impl contents::HostDraft for Guest {
    fn new(&mut self) -> wasmtime::Result<Resource<Draft>> {
        let draft = self.contents.draft();
        Ok(self.table.push(draft)?)
    }

    fn append(&mut self, this: Resource<Draft>, bytes: Vec<u8>) -> Answer<()> {
        let draft = self.table.get(&this)?;
        Ok(self.contents.append(draft, &bytes).map_err(refusal_to))
    }

    fn finish(&mut self, this: Resource<Draft>) -> Answer<common::Stored> {
        let draft = self.table.get(&this)?;
        let (digest, size) = self.contents.finish(draft);
        Ok(Ok(common::Stored { digest, size }))
    }

    fn drop(&mut self, this: Resource<Draft>) -> wasmtime::Result<()> {
        let draft = self.table.delete(this)?;
        self.contents.discard(&draft);
        Ok(())
    }
}

impl contents::Host for Guest {
    fn read(&mut self, digest: String, offset: u64, length: u32) -> Answer<Vec<u8>> {
        Ok(self.contents.read(&digest, offset, length).map_err(refusal_to))
    }
}

impl pod::Host for Guest {
    fn view(&mut self) -> Answer<String> {
        let granter = &self.shared.granter;
        let view = self.caller().view();
        Ok(view.map(|view| documents::pod_view(&view, |name| granter.sees(name))).map_err(refusal_to))
    }
}

impl verdicts::Host for Guest {
    async fn report(&mut self, judgements: Vec<common::Judgement>) -> Answer<()> {
        let judgements = judgements.into_iter().map(judgement_of).collect();
        Ok(self.caller().report(judgements).await.map_err(refusal_to))
    }
}

impl rollouts::Host for Guest {
    async fn start(&mut self, rollout: common::Rollout) -> Answer<String> {
        let rollout = match rollout_of(&self.contents, rollout) {
            Ok(rollout) => rollout,
            Err(failure) => return Ok(Err(refusal_to(Refusal::new(Code::Invalid, failure.reason())))),
        };
        Ok(self.caller().roll_out(rollout).await.map_err(refusal_to))
    }
}

impl secret::Host for Guest {
    async fn get(&mut self, name: String) -> Answer<Vec<u8>> {
        Ok(self.caller().secret(&name).await.map_err(refusal_to))
    }
}

impl signals::Host for Guest {
    async fn send(&mut self, component: String, signal: u8) -> Answer<()> {
        Ok(self.caller().send_signal(&component, signal).await.map_err(refusal_to))
    }
}

impl files::Host for Guest {
    async fn inspect(&mut self, component: String, paths: Vec<String>) -> Answer<Vec<Option<files::Facts>>> {
        let fact = |FileFacts { mode, uid, gid, digest }| files::Facts { mode, uid, gid, digest };
        let found = self.caller().inspect(&component, paths).await;
        Ok(found.map(|found| found.into_iter().map(|facts| facts.map(fact)).collect()).map_err(refusal_to))
    }

    async fn read(&mut self, component: String, path: String, limit: u32) -> Answer<common::File> {
        let file = self.caller().read(&component, path, limit).await;
        let file = file.and_then(|file| self.contents.admit(file.content.len()).map(|()| file));
        Ok(file.map(|file| file_to(&mut self.contents, &file)).map_err(refusal_to))
    }

    async fn write(&mut self, file: common::File) -> Answer<()> {
        let file = match file_of(&self.contents, file) {
            Ok(file) => file,
            Err(refusal) => return Ok(Err(refusal_to(refusal))),
        };
        Ok(self.caller().write(file).await.map_err(refusal_to))
    }
}

impl exec::Host for Guest {
    async fn run(&mut self, component: String, argv: Vec<String>, timeout_ms: u32) -> Answer<exec::Done> {
        let done = self.caller().run(&component, argv, timeout_ms).await;
        let done = done.map(|done| exec::Done {
            exit_code: i32::try_from(done.exit_code).unwrap_or(i32::MAX),
            stdout: done.stdout.into(),
            stderr: done.stderr.into(),
            truncated: done.truncated,
        });
        Ok(done.map_err(refusal_to))
    }
}

impl watch::Host for Guest {
    async fn add(&mut self, source: String, options: watch::Options) -> Answer<()> {
        Ok(self.caller().watch(source, options.debounce_ms, options.max_delay_ms).await.map_err(refusal_to))
    }

    async fn put_off(&mut self, paths: Vec<String>) -> Answer<()> {
        Ok(self.caller().put_off(paths).map_err(refusal_to))
    }
}

impl state::Host for Guest {
    async fn get(&mut self, key: String) -> Answer<Option<state::Entry>> {
        let entry = |Entry { value, version }| state::Entry { value, version };
        Ok(self.caller().get(&key).await.map(|found| found.map(entry)).map_err(refusal_to))
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Answer<u64> {
        Ok(self.caller().set(key, value).await.map_err(refusal_to))
    }

    async fn swap(&mut self, key: String, version: u64, value: Vec<u8>) -> Answer<Option<u64>> {
        Ok(self.caller().swap(key, version, value).await.map_err(refusal_to))
    }

    async fn delete(&mut self, key: String) -> Answer<()> {
        Ok(self.caller().delete(&key).await.map_err(refusal_to))
    }

    async fn keys(&mut self, prefix: String) -> Answer<Vec<String>> {
        Ok(self.caller().keys(&prefix).await.map_err(refusal_to))
    }
}

fn pairs(labels: Vec<common::Attr>) -> Vec<(String, String)> {
    labels.into_iter().map(|label| (label.key, label.value)).collect()
}

impl metrics::Host for Guest {
    fn counter_add(&mut self, name: String, delta: f64, labels: Vec<common::Attr>) -> wasmtime::Result<()> {
        self.caller().measure(&name, &pairs(labels), Change::Add(delta));
        Ok(())
    }

    fn gauge_set(&mut self, name: String, value: f64, labels: Vec<common::Attr>) -> wasmtime::Result<()> {
        self.caller().measure(&name, &pairs(labels), Change::Set(value));
        Ok(())
    }

    fn histogram_record(&mut self, name: String, value: f64, labels: Vec<common::Attr>) -> wasmtime::Result<()> {
        self.caller().measure(&name, &pairs(labels), Change::Record(value));
        Ok(())
    }
}
