//! Stock plugin `reload`: puts changed files into components, and makes them use them; or puts the old ones back.
//!
//! It only decides; the host carries each rollout out as a transaction. What was rolled back is not tried again until it changes.
#![forbid(unsafe_code)]

mod config;
mod rule;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use outrigger_plugin::{
    Change, ConfigChanged, Content, Error, File, Manifest, Outcome, Plugin, Problem, Problems, Rollout, Want, host,
};

use config::Config;
use rule::{Rule, millis};

/// Most files, and most commands and actions, of one rollout, and most files that the host describes in one call.
const MOST: usize = 256;
/// Most bytes of contents of one rollout: the host accepts 16 MiB in one call.
const MOST_BYTES: usize = 15 << 20;
/// Most bytes of contents that are kept of what was rolled back, or may be. Of more, only digests are kept.
const KEPT_BYTES: usize = 1 << 20;
/// Most files that are remembered as rolled back; with more, all but the newest are forgotten.
const REFUSED: usize = 4096;
/// Permission bits of a file that the component does not have yet.
const DEFAULT_MODE: u32 = 0o644;
/// So much of a digest tells versions apart for people.
const SHORT_DIGEST: usize = 12;

const WHY_WATCH: &str = "the files and directories that the rules watch";
const WHY_FILES: &str = "the components' files that the rules replace";
const WHY_EXEC: &str = "the commands that validate, apply or verify";
const WHY_SIGNALS: &str = "to make components read changed files";
const WHY_METRICS: &str = "to count applied and refused rollouts";

/// The plugin.
#[derive(Debug)]
pub struct Reload {
    rules: Vec<Rule>,
    /// For each rule, what was rolled back, by its path in the component. A watched directory is one thing: what was refused together is tried
    /// again together, once one of its files changes.
    refused: Vec<Pieces>,
    /// Rollouts whose end is not known yet: by rule, what they put in place.
    under_way: VecDeque<BTreeMap<usize, Pieces>>,
}

type Pieces = BTreeMap<String, Piece>;

/// A version of one file.
#[derive(Debug)]
struct Piece {
    digest: String,
    /// Mode, owner, group.
    rights: (u32, u32, u32),
    what: What,
}

/// What a file is to become.
#[derive(Debug)]
enum What {
    Content(Content),
    /// It was too long to be kept: it comes again when the file changes.
    Forgotten,
    Removed,
}

impl Piece {
    fn removed() -> Self {
        Self { digest: String::new(), rights: (0, 0, 0), what: What::Removed }
    }

    /// Whether both make the same file.
    fn is(&self, other: &Self) -> bool {
        (&self.digest, self.rights, self.is_removal()) == (&other.digest, other.rights, other.is_removal())
    }

    fn is_removal(&self) -> bool {
        matches!(self.what, What::Removed)
    }

    /// With its content only if that fits into `left`. The content is then in the plugin's memory: one that the host has is gone after the call.
    fn kept(&self, left: usize) -> Self {
        let what = match &self.what {
            What::Removed => What::Removed,
            What::Content(content) if length(content) <= left => {
                content.read().map_or(What::Forgotten, |bytes| What::Content(Content::Bytes(bytes)))
            }
            What::Content(_) | What::Forgotten => What::Forgotten,
        };
        Self { digest: self.digest.clone(), rights: self.rights, what }
    }

    fn len(&self) -> usize {
        if let What::Content(content) = &self.what { length(content) } else { 0 }
    }
}

fn length(content: &Content) -> usize {
    usize::try_from(content.len()).unwrap_or(usize::MAX)
}

/// What one rollout has, against what the host accepts.
#[derive(Debug, Clone, Default)]
struct Size {
    files: usize,
    steps: usize,
    bytes: usize,
    rules: BTreeSet<usize>,
}

impl Size {
    /// With one more file of a rule.
    fn and(mut self, number: usize, rule: &Rule, bytes: usize, is_removal: bool) -> Self {
        let (once, for_each) = rule.steps();
        self.files += 1;
        self.bytes += bytes;
        self.steps += if is_removal { 0 } else { for_each };
        if self.rules.insert(number) {
            self.steps += once;
        }
        self
    }

    fn fits(&self) -> bool {
        self.files <= MOST && self.steps <= MOST && self.bytes <= MOST_BYTES
    }
}

impl Plugin for Reload {
    type Config = Config;

    fn manifest() -> Manifest {
        let summary =
            "copies changed files into components and makes the components use them, or restores the old files";
        Manifest::new("reload", env!("CARGO_PKG_VERSION"), summary)
            .schema(include_str!("schema.json"))
            .want(Want::watch("/", WHY_WATCH))
            .want(Want::files("*", "/", WHY_FILES))
            .want(Want::exec("*", WHY_EXEC).optional())
            .want(Want::signals("*", WHY_SIGNALS).optional())
            .want(Want::metrics(WHY_METRICS).optional())
    }

    fn new(config: Config) -> Result<Self, Problems> {
        let Config(raw) = config;
        let is_short = raw.len() == 1;
        let place = |number: usize| if is_short { String::new() } else { format!("rules[{number}].") };
        let rules: Vec<_> = raw
            .into_iter()
            .enumerate()
            .map(|(number, raw)| Rule::new(raw, &place(number)))
            .collect::<Result<_, _>>()?;
        if rules.is_empty() {
            return Err(Problem::new("rules", "is empty").into());
        }
        let mut targets = BTreeSet::new();
        for (number, rule) in rules.iter().enumerate() {
            let raw = rule.raw();
            if !targets.insert((&raw.component, &raw.target)) {
                let what = format!("`{}` of component `{}` appears twice", raw.target, raw.component);
                return Err(Problem::new(format!("{}target", place(number)), what).into());
            }
        }
        add_watches(&rules)?;
        let refused = rules.iter().map(|_| Pieces::new()).collect();
        Ok(Self { rules, refused, under_way: VecDeque::new() })
    }

    fn wants(&self) -> Vec<Want> {
        let mut wants: Vec<Want> = Vec::new();
        for want in self.rules.iter().flat_map(Rule::wants) {
            if !wants.iter().any(|have| (&have.capability, &have.scope) == (&want.capability, &want.scope)) {
                wants.push(want);
            }
        }
        wants.push(Want::metrics(WHY_METRICS).optional());
        wants
    }
}

/// One watch for each path: where two rules share it, the shorter times hold.
fn add_watches(rules: &[Rule]) -> Result<(), Error> {
    let mut watches = BTreeMap::new();
    for rule in rules {
        let times = (rule.raw().debounce, rule.max_delay());
        let entry = watches.entry(&rule.raw().watch).or_insert(times);
        *entry = (entry.0.min(times.0), entry.1.min(times.1));
    }
    watches.into_iter().try_for_each(|(path, (debounce, delay))| host::watch(path, debounce, delay.max(debounce)))
}

impl ConfigChanged for Reload {
    fn on_change(&mut self, changes: Vec<Change>) -> Result<Option<Rollout>, Error> {
        let mut notes = Vec::new();
        let parts = self.parts(changes, &mut notes)?;
        notes.iter().for_each(|note| eprintln!("{note}"));
        if parts.is_empty() {
            return Ok(None);
        }
        let under_way = self.kept(&parts);
        let rollout = self.rollout(parts)?;
        self.under_way.push_back(under_way);
        Ok(Some(rollout))
    }

    // The host logs it.
    fn on_outcome(&mut self, outcome: &Outcome) -> Result<(), Error> {
        let Some(parts) = self.under_way.pop_front() else { return Ok(()) };
        let applied = outcome.is_applied();
        let counter = if applied { "reload_applied" } else { "reload_refused" };
        let mut components = BTreeSet::new();
        for (number, pieces) in parts {
            if let Some(rule) = self.rules.get(number) {
                components.insert(rule.raw().component.clone());
            }
            if let Some(refused) = self.refused.get_mut(number) {
                refused.retain(|target, _| !pieces.contains_key(target));
                if refused.len() + pieces.len() > REFUSED {
                    refused.clear();
                }
                if !applied {
                    refused.extend(pieces);
                }
            }
        }
        for component in &components {
            host::count(counter, 1.0, &[("component", component)]);
        }
        Ok(())
    }
}

/// A file that a component does not have as it should.
struct Wanted<'a> {
    number: usize,
    rule: &'a Rule,
    target: String,
    /// Still without its content.
    piece: Piece,
    /// Whether it was not rolled back before.
    is_news: bool,
}

impl<'a> Wanted<'a> {
    fn new(number: usize, rule: &'a Rule, target: String, piece: Piece, refused: &Pieces) -> Self {
        let is_news = refused.get(&target).is_none_or(|old| !old.is(&piece));
        Self { number, rule, target, piece, is_news }
    }
}

/// What the components have, by component and path.
type AllFacts = BTreeMap<(String, String), host::Facts>;

impl Reload {
    /// What is to be put in place, by rule. Notes for the log say what is left alone, and why.
    fn parts(&mut self, changes: Vec<Change>, notes: &mut Vec<String>) -> Result<BTreeMap<usize, Pieces>, Error> {
        let facts = self.facts(&changes)?;
        let (mut size, mut later) = (Size::default(), Vec::new());
        let mut parts: BTreeMap<usize, Pieces> = BTreeMap::new();
        // Rules with something that was not rolled back before.
        let mut news = BTreeSet::new();
        for change in changes {
            let wanted = self.wanted(&change, &facts, &mut news, notes);
            let grown = wanted.iter().fold(size.clone(), |size, it| {
                let bytes = change.content.as_ref().map_or(0, length);
                size.and(it.number, it.rule, bytes, it.piece.is_removal())
            });
            if !wanted.is_empty() && !grown.fits() && size.files > 0 {
                later.push(change.path);
                continue;
            }
            for Wanted { number, rule, target, mut piece, is_news } in wanted {
                // Only a removal has no content.
                if let Some(content) = &change.content {
                    let grown = size.clone().and(number, rule, length(content), false);
                    if !grown.fits() {
                        notes.push(format!(
                            "`{}` is not rolled out to component `{}`: its copies for all rules do not fit into one rollout of {} MiB",
                            change.path,
                            rule.raw().component,
                            MOST_BYTES >> 20
                        ));
                        continue;
                    }
                    size = grown;
                    piece.what = What::Content(content.clone());
                } else {
                    size = size.and(number, rule, 0, true);
                }
                if is_news {
                    news.insert(number);
                }
                parts.entry(number).or_default().insert(target, piece);
            }
        }
        if !later.is_empty() {
            host::put_off(&later)?;
        }
        parts.retain(|number, _| {
            let is_news = news.contains(number);
            if !is_news && let Some(rule) = self.rules.get(*number) {
                notes.push(format!(
                    "`{}` still has the version that was rolled back; waiting for a change",
                    rule.raw().watch
                ));
            }
            is_news
        });
        let mut size = Size::default();
        for (number, pieces) in &parts {
            let Some(rule) = self.rules.get(*number) else { continue };
            for piece in pieces.values() {
                size = size.and(*number, rule, piece.len(), piece.is_removal());
            }
        }
        self.add_refused(&news, size, &mut parts);
        parts.retain(|_, pieces| !pieces.is_empty());
        Ok(parts)
    }

    /// What the components have where these changes belong.
    fn facts(&self, changes: &[Change]) -> Result<AllFacts, Error> {
        let mut paths: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for rule in &self.rules {
            let targets =
                changes.iter().filter(|change| !change.is_removal()).filter_map(|change| rule.target_of(&change.path));
            paths.entry(&rule.raw().component).or_default().extend(targets);
        }
        let mut facts = AllFacts::new();
        for (component, paths) in paths {
            let paths: Vec<String> = paths.into_iter().collect();
            for some in paths.chunks(MOST) {
                let found = host::inspect_files(component, some)?;
                let found = some.iter().zip(found).filter_map(|(path, found)| Some((path, found?)));
                facts.extend(found.map(|(path, found)| ((component.to_owned(), path.clone()), found)));
            }
        }
        Ok(facts)
    }

    /// What a change means for each rule, still without its content. What a component has already is nothing; if it was rolled back before, it is forgotten,
    /// and what was rolled back together with it is `news`.
    fn wanted(
        &mut self,
        change: &Change,
        facts: &AllFacts,
        news: &mut BTreeSet<usize>,
        notes: &mut Vec<String>,
    ) -> Vec<Wanted<'_>> {
        let mut wanted = Vec::new();
        for ((number, rule), refused) in self.rules.iter().enumerate().zip(&mut self.refused) {
            let Some(target) = rule.target_of(&change.path) else { continue };
            let raw = rule.raw();
            if change.is_removal() {
                if rule.is_gone(change) {
                    notes.push(format!(
                        "`{}` was removed; component `{}` keeps its current file",
                        change.path, raw.component
                    ));
                } else {
                    wanted.push(Wanted::new(number, rule, target, Piece::removed(), refused));
                }
                continue;
            }
            let have = facts.get(&(raw.component.clone(), target.clone()));
            let kept = have.map_or((DEFAULT_MODE, 0, 0), |have| (have.mode & 0o7777, have.uid, have.gid));
            let rights = (raw.mode.map_or(kept.0, |mode| mode.0), raw.uid.unwrap_or(kept.1), raw.gid.unwrap_or(kept.2));
            if have.is_some_and(|have| have.digest == change.digest) && kept == rights {
                if refused.remove(&target).is_some() {
                    news.insert(number);
                }
            } else {
                let piece = Piece { digest: change.digest.clone(), rights, what: What::Forgotten };
                wanted.push(Wanted::new(number, rule, target, piece, refused));
            }
        }
        wanted
    }

    /// What was rolled back together is tried again together, as far as it fits.
    fn add_refused(&self, news: &BTreeSet<usize>, mut size: Size, parts: &mut BTreeMap<usize, Pieces>) {
        for number in news {
            let (Some(rule), Some(refused)) = (self.rules.get(*number), self.refused.get(*number)) else { continue };
            let pieces = parts.entry(*number).or_default();
            for (target, piece) in refused {
                if size.files >= MOST {
                    return;
                }
                let grown = size.clone().and(*number, rule, piece.len(), piece.is_removal());
                if matches!(piece.what, What::Forgotten) || pieces.contains_key(target) || !grown.fits() {
                    continue;
                }
                let copy = piece.kept(KEPT_BYTES);
                if !matches!(copy.what, What::Forgotten) {
                    size = grown;
                    pieces.insert(target.clone(), copy);
                }
            }
        }
    }

    /// What is remembered of a rollout until it has ended.
    fn kept(&self, parts: &BTreeMap<usize, Pieces>) -> BTreeMap<usize, Pieces> {
        let under_way = self.under_way.iter().flat_map(BTreeMap::values);
        let held: usize = self.refused.iter().chain(under_way).flat_map(BTreeMap::values).map(Piece::len).sum();
        let mut left = KEPT_BYTES.saturating_sub(held);
        let mut kept = BTreeMap::new();
        for (number, pieces) in parts {
            let pieces = pieces.iter().map(|(target, piece)| {
                let piece = piece.kept(left);
                left -= piece.len();
                (target.clone(), piece)
            });
            kept.insert(*number, pieces.collect());
        }
        kept
    }

    fn rollout(&self, parts: BTreeMap<usize, Pieces>) -> Result<Rollout, Error> {
        let mut rollout = Rollout::default();
        let mut summary = Vec::new();
        for (rule, pieces) in parts.into_iter().filter_map(|(number, pieces)| Some((self.rules.get(number)?, pieces))) {
            let component = &rule.raw().component;
            let mut targets = Vec::new();
            for (target, Piece { digest, rights: (mode, uid, gid), what }) in pieces {
                match what {
                    What::Content(content) => {
                        let version = digest.get(..SHORT_DIGEST).unwrap_or(&digest);
                        summary.push(format!("{component}:{target} at {version}"));
                        targets.push(target.clone());
                        // A long content that was kept in memory goes back to the host.
                        let content = match content {
                            Content::Bytes(bytes) => Content::new(bytes)?,
                            stored @ Content::Stored(_) => stored,
                        };
                        rollout.files.push(File {
                            mode: Some(mode),
                            uid: Some(uid),
                            gid: Some(gid),
                            ..File::new(component, target, content)
                        });
                    }
                    What::Removed => {
                        summary.push(format!("{component}:{target} removed"));
                        rollout.remove.push((component.clone(), target));
                    }
                    // Only what is kept for later has no content.
                    What::Forgotten => {}
                }
            }
            let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
            rollout.validate.extend(rule.validate(&targets));
            for action in rule.apply() {
                // Two rules may well ask for the same signal.
                if !rollout.apply.contains(&action) {
                    rollout.apply.push(action);
                }
            }
            rollout.verify.extend(rule.verify());
            rollout.healthy_for_ms = rollout.healthy_for_ms.max(millis(rule.raw().healthy_for));
        }
        rollout.summary = summary.join(", ");
        Ok(rollout)
    }
}

outrigger_plugin::register!(Reload: ConfigChanged);

#[cfg(test)]
mod tests;
