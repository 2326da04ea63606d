//! A command in a container: made, attached to, and asked for its end.

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bytes::{Bytes, BytesMut};
use futures_util::stream::TryStreamExt;

use super::{FIRST_PAUSE, LAST_PAUSE};
use crate::engine::{ContainerId, ExecOutput};
use crate::pod::life::ExecCommand;

/// What was kept of one stream.
struct Kept {
    bytes: BytesMut,
    limit: usize,
    truncated: bool,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { bytes: BytesMut::new(), limit, truncated: false }
    }

    fn add(&mut self, more: &Bytes) {
        let fits = more.len().min(self.limit.saturating_sub(self.bytes.len()));
        self.truncated |= fits < more.len();
        self.bytes.extend_from_slice(more.get(..fits).unwrap_or_default());
    }
}

/// Runs it to its end. The engine has no way to end a command: one that is given up on runs on.
pub(super) async fn run(
    client: &bollard::Docker,
    id: &ContainerId,
    command: &ExecCommand,
    limit: usize,
) -> Result<ExecOutput, Error> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.command.clone()),
        user: command.user.clone(),
        privileged: command.privileged.then_some(true),
        working_dir: command.working_dir.clone(),
        env: Some(command.environment.clone()).filter(|list| !list.is_empty()),
        ..CreateExecOptions::default()
    };
    let exec = client.create_exec(&id.0, options).await?.id;
    let (mut stdout, mut stderr) = (Kept::new(limit), Kept::new(limit));
    match client.start_exec(&exec, None::<StartExecOptions>).await {
        Ok(StartExecResults::Attached { mut output, input: _input }) => {
            while let Some(piece) = output.try_next().await? {
                match piece {
                    LogOutput::StdOut { message } | LogOutput::StdIn { message } => stdout.add(&message),
                    // Without a header come only the engine's own words, why the command could not be run.
                    LogOutput::StdErr { message } | LogOutput::Console { message } => stderr.add(&message),
                }
            }
        }
        Ok(StartExecResults::Detached) => {}
        Err(refusal) => {
            // Some engines refuse to start a program that is not there, and note the code that a shell would answer.
            let code = client.inspect_exec(&exec).await.ok().and_then(|state| state.exit_code);
            match (code, &refusal) {
                (Some(126 | 127), Error::DockerResponseServerError { message, .. }) => {
                    stderr.add(&Bytes::copy_from_slice(message.as_bytes()));
                }
                _ => return Err(refusal),
            }
        }
    }
    let exit_code = exit_code(client, &exec).await?;
    Ok(ExecOutput {
        exit_code,
        truncated: stdout.truncated || stderr.truncated,
        stdout: stdout.bytes.freeze(),
        stderr: stderr.bytes.freeze(),
    })
}

/// The output ends a moment before the engine has noted the exit code. The caller's deadline bounds the wait.
async fn exit_code(client: &bollard::Docker, exec: &str) -> Result<i64, Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let state = client.inspect_exec(exec).await?;
        if let (Some(false) | None, Some(code)) = (state.running, state.exit_code) {
            return Ok(code);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
