//! A plan for people: tables with aligned columns, without colours.

use serde_json::Value;

use super::{PluginLine, Step, block_io, columns::aligned, course, kind, life, limits::limits, steps, variables};
use crate::config::Timeouts;
use crate::containers::ContainerSpec;
use crate::plan::Plan;
use crate::plan::budget::{Budget, BudgetRow, HeldBy};
use crate::plan::units::{self, bytes, command, time, word};
use crate::pod::{CopySpec, HealthCheck, Mount};

/// Between two columns.
const GAP: &str = "  ";

/// The limits that are sizes.
const SIZES: [&str; 4] = ["mem_limit", "mem_reservation", "memswap_limit", "shm_size"];

pub(super) fn text(plan: &Plan, plugins: &[PluginLine], timeouts: Option<&Timeouts>) -> String {
    let mut sections = vec![order(plan)];
    // Without limits there is nothing to hold, wherever the cgroups are.
    if !plan.budget.rows.is_empty() || plan.budget.placement.parent.is_some() {
        sections.push(limits_of_all(&plan.budget));
    }
    let block_io = block_io::rows(plan);
    if !block_io.is_empty() {
        let held_by = match plan.budget.held_by {
            HeldBy::Nobody => plan.budget.sentence(),
            HeldBy::Together | HeldBy::Apart => {
                "the kernel enforces the limits for each component: the pod has no block I/O limits"
            }
        };
        sections.push(format!("block I/O limits\n{}{GAP}{held_by}\n", table(&block_io)));
    }
    sections.extend(steps(plan).map(|step| details(&step)));
    if !plugins.is_empty() {
        sections.push(plugin_section(plugins));
    }
    if let Some(timeouts) = timeouts {
        let rows = timeouts.table().map(|(name, _, limit)| vec![name.to_owned(), time(limit)]);
        sections.push(format!("timeouts\n{}", table(&rows)));
    }
    if !plan.warnings.is_empty() {
        let lines: String = plan.warnings.iter().map(|warning| format!("{GAP}{}\n", clean(warning))).collect();
        sections.push(format!("warnings\n{lines}"));
    }
    sections.join("\n")
}

/// Who starts when, and what it waits for.
fn order(plan: &Plan) -> String {
    let mut rows = vec![["step", "name", "image", "waits for"].map(str::to_owned).to_vec()];
    rows.extend(steps(plan).map(|step| {
        let at = step.wave().map_or_else(|| step.role.to_owned(), |wave| format!("wave {wave}"));
        let waits: Vec<_> = step
            .planned
            .iter()
            .flat_map(|planned| &planned.depends_on)
            .map(|(name, on)| format!("{name} ({})", life::dependency(*on)))
            .collect();
        vec![at, step.title().to_owned(), clean(&step.container.image), waits.join(", ")]
    }));
    if rows.len() == 1 {
        return "nothing to start\n".to_owned();
    }
    let drain = match plan.drain.is_zero() {
        true => String::new(),
        false => format!(", including a drain of {}", time(plan.drain)),
    };
    let (rows, stop, course) = (table(&rows), time(plan.stop_budget), course::text(plan));
    format!("start\n{rows}{course}stop within {stop}{drain}, in reverse order\n{}", turns(plan))
}

/// How the time for the stop is divided, if components stop one after the other.
fn turns(plan: &Plan) -> String {
    let stops = plan.stops();
    if stops.iter().all(|(_, turn)| turn.wave <= 1) {
        return String::new();
    }
    let mut rows = vec![["step", "name", "grace", "asked by", "killed by"].map(str::to_owned).to_vec()];
    rows.extend(stops.into_iter().map(|(planned, turn)| {
        let [asked_by, killed_by] = [turn.begins_by, turn.ends_by].map(units::rounded);
        vec![format!("stop {}", turn.wave), planned.name.to_string(), time(planned.grace), asked_by, killed_by]
    }));
    table(&rows)
}

/// The pod's limits, each component's, their sum, and what is left.
fn limits_of_all(budget: &Budget) -> String {
    let line = |title: &str, cell: &dyn Fn(&BudgetRow) -> String| -> Vec<String> {
        std::iter::once(title.to_owned()).chain(budget.rows.iter().map(cell)).collect()
    };
    let shown =
        |row: &BudgetRow, amount: Option<i64>| amount.map_or_else(|| "-".to_owned(), |it| row.resource.amount(it));
    let mut rows = vec![line("", &|row| row.resource.key().to_owned()), line("pod", &|row| shown(row, row.pod))];
    for (at, share) in budget.rows.first().map(|row| row.components.as_slice()).unwrap_or_default().iter().enumerate() {
        rows.push(line(share.component.as_str(), &|row| {
            let Some(share) = row.components.get(at) else { return String::new() };
            let given = shown(row, share.given);
            match (share.written, share.given) {
                (None, Some(_)) => format!("{given} (its part)"),
                (Some(written), Some(given_)) if written != given_ => {
                    format!("{given} (of {})", row.resource.amount(written))
                }
                _ => given,
            }
        }));
    }
    if budget.rows.is_empty() {
        return format!("limits\n{GAP}none\n{GAP}{}\n", clean(&budget.placement.to_string()));
    }
    rows.push(line("sum", &|row| row.resource.amount(row.sum())));
    rows.push(line("left", &|row| shown(row, row.left())));
    let placement = clean(&budget.placement.to_string());
    format!("limits\n{}{GAP}{}\n{GAP}{placement}\n", table(&rows), budget.sentence())
}

/// Everything about one container.
fn details(step: &Step<'_>) -> String {
    let spec = step.container;
    let mut rows = Rows::default();
    rows.add("container", &spec.name);
    rows.words("entrypoint", spec.entrypoint.as_deref());
    rows.words("command", spec.command.as_deref());
    rows.maybe("working dir", spec.working_dir.as_deref());
    rows.maybe("user", spec.user.as_deref());
    rows.list("environment", variables(spec).into_iter().map(str::to_owned));
    for (key, value) in spec.labels.iter().filter(|(key, _)| !key.starts_with("outrigger.")) {
        let is_plain = !value.contains(char::is_control);
        rows.add("label", &format!("{key}={}", if is_plain { value.clone() } else { word(value) }));
    }
    for mount in &spec.mounts {
        rows.add("mount", &mount_line(mount));
    }
    for (path, options) in &spec.tmpfs {
        rows.add("tmpfs", format!("{path} {options}").trim_end());
    }
    for copy in step.planned.iter().flat_map(|planned| &planned.copy) {
        rows.add("copy", &copy_line(copy));
    }
    rows.add("shares", &shares(step, spec));
    rows.maybe("cgroup", spec.cgroup_parent.as_deref());
    if spec.host.privileged {
        rows.add("privileged", "yes");
    }
    for (key, value) in &limits(&spec.host) {
        rows.add("setting", &format!("{key} {}", setting(key, value)));
    }
    match &spec.healthcheck {
        None => {}
        Some(HealthCheck::Disabled) => rows.add("health", "disabled"),
        Some(HealthCheck::Command { test, .. }) if test.is_empty() => {
            rows.add("health", "the image's, with other times")
        }
        Some(HealthCheck::Command { test, .. }) => rows.words("health", Some(test)),
    }
    if let Some(logging) = &spec.logging {
        rows.add("logging", &logging.driver);
    }
    if let Some(planned) = step.planned {
        for (name, what) in life::rows(planned) {
            rows.add(name, &what);
        }
        let signal = planned.stop_signal.map(|number| format!(", signal {number}")).unwrap_or_default();
        rows.add("grace", &format!("{}{signal}", time(planned.grace)));
    }
    let kind = step.wave().map_or_else(|| step.role.to_owned(), |wave| format!("wave {wave}"));
    let title = if step.planned.is_some() { format!("{} ({kind})", step.title()) } else { "ipc donor".to_owned() };
    format!("{title}\n{}", table(&rows.0))
}

fn shares(step: &Step<'_>, spec: &ContainerSpec) -> String {
    let ipc = match step.ipc() {
        None => None,
        Some("shareable") => Some("lends ipc"),
        Some("donor") => Some("ipc of the donor"),
        Some(_) => Some("ipc"),
    };
    let words = [spec.network_mode.as_ref().map(|_| "network"), spec.pid_mode.as_ref().map(|_| "pid"), ipc];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn mount_line(mount: &Mount) -> String {
    let source = mount.source.as_deref().map(|source| format!(" {source} ->")).unwrap_or_default();
    let access = if mount.read_only { " (read only)" } else { "" };
    let driver = mount.volume.as_ref().map(|volume| volume.driver.as_str()).filter(|driver| !driver.is_empty());
    let driver = driver.map(|driver| format!(", made by {driver}")).unwrap_or_default();
    format!("{}{source} {}{access}{driver}", kind(mount.kind), mount.target)
}

fn copy_line(copy: &CopySpec) -> String {
    let mode = copy.mode.map(|mode| format!(", mode {mode:04o}")).unwrap_or_default();
    let owner = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let owner = match (copy.uid, copy.gid) {
        (None, None) => String::new(),
        (uid, gid) => format!(", owner {}:{}", owner(uid), owner(gid)),
    };
    format!("{} -> {}{mode}{owner}", copy.source, copy.target)
}

fn setting(key: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::Number(number) => match number.as_i64() {
            Some(size) if SIZES.contains(&key) => bytes(size),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(|item| setting("", item)).collect::<Vec<_>>().join(" "),
        Value::Object(map) => match (map.get("soft"), map.get("hard")) {
            (Some(soft), Some(hard)) => format!("{soft}:{hard}"),
            _ => map.iter().map(|(key, value)| format!("{key}={}", setting("", value))).collect::<Vec<_>>().join(" "),
        },
    }
}

fn plugin_section(plugins: &[PluginLine]) -> String {
    let mut rows = vec![["name", "version", "source", "hooks"].map(str::to_owned).to_vec()];
    rows.extend(
        plugins
            .iter()
            .map(|line| vec![clean(&line.name), clean(&line.version), clean(&line.source), line.hooks.join(", ")]),
    );
    let mut section = format!("plugins, in call order\n{}", table(&rows));
    let grants: Vec<_> = plugins
        .iter()
        .flat_map(|line| {
            let granted = line.granted.iter().map(|what| ("granted", what));
            let missing = line.missing.iter().map(|what| ("not granted", what));
            granted.chain(missing).map(|(verdict, what)| vec![clean(&line.name), verdict.to_owned(), clean(what)])
        })
        .collect();
    if !grants.is_empty() {
        section.push_str("grants\n");
        section.push_str(&table(&grants));
    }
    let changes: Vec<_> = plugins
        .iter()
        .flat_map(|line| {
            line.changes.iter().map(|(path, replaces)| {
                vec![clean(&line.name), if *replaces { "replaces" } else { "sets" }.to_owned(), clean(path)]
            })
        })
        .collect();
    if !changes.is_empty() {
        section.push_str("changes by `pre-start` hooks\n");
        section.push_str(&table(&changes));
    }
    section
}

/// Rows of a name and what it stands for.
#[derive(Default)]
struct Rows(Vec<Vec<String>>);

impl Rows {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push(vec![name.to_owned(), clean(value)]);
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Quoted as for a shell; an empty list is shown, since it replaces what the image has.
    fn words(&mut self, name: &str, words: Option<&[String]>) {
        match words {
            None => {}
            Some([]) => self.add(name, "none"),
            Some(words) => self.add(name, &command(words)),
        }
    }

    fn list(&mut self, name: &str, items: impl Iterator<Item = String>) {
        let items: Vec<_> = items.collect();
        if !items.is_empty() {
            self.add(name, &items.join(", "));
        }
    }
}

/// Indented lines.
fn table(rows: &[Vec<String>]) -> String {
    aligned(rows, GAP)
}

/// A text of several lines as one, joined with `; `: for a reason that stands in a log line, in a table or in a sentence. Blank lines, and the white space at the ends
/// of lines, are left out; nothing else is.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// One line without control characters: commands and labels may hold several, and escape sequences of a terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_that_a_shell_takes_for_the_same_words() {
        for (words, shown) in [
            (&["sh", "-c", "echo a; b"][..], "sh -c 'echo a; b'"),
            (&["a\\nb"], r"'a\nb'"),
            (&["a\nb"], r"$'a\nb'"),
            (&["it's\n\\n", "", "$x"], r"$'it\'s\n\\n' '' '$x'"),
            (&["\t\r\u{1b}[0m\u{85}"], r"$'\t\r\u001b[0m\u0085'"),
        ] {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let told = command(&words);
            assert_eq!(told, shown);
            assert_eq!(clean(&told), told);
            if let Ok(bash) = std::process::Command::new("bash")
                .args(["-c", &format!("printf '%s\\0' {told}")])
                .env("LC_ALL", "C.UTF-8")
                .output()
            {
                let back: String = words.iter().flat_map(|word| [word.as_str(), "\0"]).collect();
                assert_eq!(String::from_utf8_lossy(&bash.stdout), back, "{told}");
            }
        }
    }
}
