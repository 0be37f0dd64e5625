//! Child processes, and status lines.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use wait_timeout::ChildExt;

/// Prints a status line to standard error, where cargo prints its own.
pub(crate) fn print_status(line: &str) {
    eprintln!("==> {line}");
}

/// Runs a command and shows its output. The error is any exit code but 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{line} failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns its output, or `None` if it cannot start or fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let Output { status, stdout, .. } = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    status.success().then(|| String::from_utf8_lossy(&stdout).trim().to_owned())
}

/// Runs a command without output. Returns false if it cannot start, fails, or
/// takes longer than the limit.
pub(crate) fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        return false;
    };
    match child.wait_timeout(limit) {
        Ok(Some(status)) => status.success(),
        Ok(None) | Err(_) => {
            // The process may have ended just now, so `wait` reads its status in both cases.
            child.kill().and_then(|()| child.wait()).is_ok_and(|status| status.success())
        }
    }
}

/// Replaces this process by the command. Returns only if that fails.
pub(crate) fn replace_process(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", command_line(command)))
}

/// Finds a program in the folders of `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The command as a user would type it.
fn command_line(command: &Command) -> String {
    let name = command.get_program().to_string_lossy();
    let name = name.rsplit('/').next().unwrap_or_default();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(name.into()).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_killed() {
        assert!(!succeeds_within(Command::new("sleep").arg("600"), Duration::from_millis(20)));
        assert!(succeeds_within(&mut Command::new("true"), Duration::from_secs(60)));
    }

    #[test]
    fn an_error_names_the_command_without_its_folder() {
        let error = run(Command::new("/usr/bin/env").arg("false")).unwrap_err();
        assert!(error.to_string().starts_with("env false failed"), "{error}");
    }
}
