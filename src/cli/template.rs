//! `outrigger template`: a stack file whose templates have become pods.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::argv::{RenderArgs, TemplateArgs};
use super::fetch::Fetcher;
use super::input::{self, Text};
use super::report::{Exit, Report};
use super::{Env, output};
use crate::pod::values;
use crate::problem::sources::Sources;
use crate::template::{self, Input, Rendered};

/// How long fetching one template may take where nobody says otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Prints the rendered file; what was left out goes to standard error.
pub(super) fn run(args: &TemplateArgs, env: &Env) -> Result<Exit, Report> {
    let (rendered, ..) = render(&args.files, &args.render, env)?;
    output::notes(&rendered.notes);
    output::notes(&rendered.shortened());
    output::text(&rendered.text())?;
    Ok(Exit::Success)
}

/// Reads and renders stack files; also answers the folder that relative paths in them begin at, and the files as they were written.
pub(super) fn render(files: &[PathBuf], args: &RenderArgs, env: &Env) -> Result<(Rendered, PathBuf, Sources), Report> {
    let timeout = values::duration(&args.http_timeout)
        .map_err(|error| Report::usage(anyhow::Error::new(error).context("--http-timeout")))?;
    if timeout.is_zero() {
        return Err(Report::usage(anyhow::anyhow!("--http-timeout: expected a duration above zero")));
    }
    if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        return Err(Report::usage(anyhow::anyhow!("standard input can be read only once")));
    }
    let texts: Vec<Text> = files.iter().map(|file| input::text(file)).collect::<Result<_, _>>()?;
    let folder = texts.first().map(|text| text.folder.clone()).unwrap_or_default();
    let rendered = texts_rendered(&texts, &folder, timeout, args.image.as_deref(), env)?;
    let mut sources = Sources::default();
    texts.into_iter().for_each(|text| sources.extend(text.sources));
    Ok((rendered, folder, sources))
}

fn texts_rendered(
    texts: &[Text],
    folder: &Path,
    timeout: Duration,
    image: Option<&str>,
    env: &Env,
) -> Result<Rendered, Report> {
    let default = concat!("outrigger:", env!("CARGO_PKG_VERSION"));
    let from_env = env.get("OUTRIGGER_IMAGE").map(String::as_str).filter(|image| !image.is_empty());
    let image = image.or(from_env).unwrap_or(default);
    let inputs: Vec<Input<'_>> = texts.iter().map(|it| Input { origin: &it.origin, text: &it.text }).collect();
    let mut sources = Fetcher::new(folder, timeout, env);
    template::render(&inputs, &mut sources, image).map_err(|mut problems| {
        texts.iter().for_each(|text| text.sources.locate(&mut problems));
        Report::input(problems)
    })
}

/// What a stack file with templates has become; none of any other text.
pub(super) fn of_text(text: &Text, env: &Env) -> Result<Option<Rendered>, Report> {
    // Cheap, as every `check` and `plan` comes by.
    if !text.text.contains("x-podlike") && !text.text.contains("x-outrigger") {
        return Ok(None);
    }
    let at = crate::labels::Place::new(&text.origin);
    let stack = template::read::read(&at, &text.text, &mut crate::pod::Problems::default());
    if !stack.is_some_and(|stack| stack.get("services").is_some() && template::is_templated(&stack)) {
        return Ok(None);
    }
    texts_rendered(std::slice::from_ref(text), &text.folder, TIMEOUT, None, env).map(Some)
}
