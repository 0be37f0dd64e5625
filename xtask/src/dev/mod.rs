//! `cargo xtask dev`: a host that serves the components that a developer edits.
//!
//! The command watches the source folders of the components. It compiles the
//! components that a change affects, and swaps each changed plugin file into the
//! running host, as an operator does. If a component does not compile or cannot be
//! activated, the command shows the errors, and the previous revision still
//! serves. The command uses its own profile, plugin files and data directory, so
//! it does not affect a release build.

mod affected_components;
mod host;
mod watcher;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::guests::{self, Guest, Kind, Profile};
use crate::process::{print_status, run};
use crate::stages::Stages;
use crate::toolchain::Toolchain;
use crate::workspace::{HostProfile, Workspace};
use affected_components::affected_components;
use host::{Client, Host};
use watcher::SourceWatcher;

/// Builds the host and the components, serves, and swaps in changed components
/// until a signal ends it.
pub(crate) fn dev(workspace: &Workspace, host: Option<&Path>, arguments: &[String]) -> Result<()> {
    let mut stages = Stages::new(if host.is_some() { 2 } else { 3 });
    let binary = match host {
        Some(binary) => binary.to_owned(),
        None => {
            stages.run("Building the host", None, || build_host(workspace))?;
            workspace.host_binary(HostProfile::Dev)
        }
    };
    let session = Session {
        workspace,
        toolchain: Toolchain::find(&workspace.guests_target_folder())?,
        components: guests::find(workspace, Kind::Component)?,
    };
    stages.run("Building the components", None, || {
        run(&mut session.compile_command(&session.components.iter().collect::<Vec<_>>()))
    })?;
    stages.announce("Starting the host");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(session.serve(&binary, arguments))
}

/// Builds the host in the dev profile. The bundled components may be old, because
/// the current ones are swapped in after the start.
fn build_host(workspace: &Workspace) -> Result<()> {
    if !guests::are_built(workspace) {
        guests::build(workspace, &[Kind::Component])?;
    }
    run(workspace.cargo().args(["build", "--package", "ticketing"]))
}

/// A run of `cargo xtask dev`.
struct Session<'a> {
    workspace: &'a Workspace,
    toolchain: Toolchain,
    components: Vec<Guest>,
}

impl Session<'_> {
    async fn serve(&self, binary: &Path, arguments: &[String]) -> Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // The watcher starts before the host, so that it sees changes during the start.
        let mut watcher = SourceWatcher::new(&[self.workspace.root.join("components")])?;
        let mut host = Host::start(self.workspace, binary, arguments)?;
        let client = host.client.clone();
        let result = tokio::select! {
            result = self.watch(&client, &mut watcher) => result,
            error = host.wait_for_end() => Err(error),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        host.stop().await;
        result
    }

    async fn watch(&self, client: &Client, watcher: &mut SourceWatcher) -> Result<()> {
        client.wait_until_ready().await?;
        for component in &self.components {
            if let Err(error) = self.swap_in(client, component, None).await {
                print_status(&format!("{}: {error:#}", component.name));
            }
        }
        print_status("Watching components/; Ctrl-C ends it");
        loop {
            let (paths, saved) = watcher.next().await.context("the watcher of the source files has stopped")?;
            self.handle_change(client, &paths, saved).await;
        }
    }

    /// Compiles the affected components and swaps them in. A failure is shown.
    async fn handle_change(&self, client: &Client, paths: &[PathBuf], saved: SystemTime) {
        const STILL_SERVES: &str = "the previous revision still serves";

        let affected = affected_components(self.workspace, &self.components, paths);
        if affected.is_empty() {
            return;
        }
        if let Err(error) = self.compile(&affected).await {
            print_status(&format!("{error:#}; {STILL_SERVES}"));
            return;
        }
        for component in affected {
            if let Err(error) = self.swap_in(client, component, Some(saved)).await {
                print_status(&format!("{}: {error:#}; {STILL_SERVES}", component.name));
            }
        }
    }

    fn compile_command(&self, guests: &[&Guest]) -> std::process::Command {
        guests::compile_command(self.workspace, self.toolchain, Profile::Dev, guests)
    }

    /// Compiles guests and shows the output of the compiler.
    async fn compile(&self, guests: &[&Guest]) -> Result<()> {
        let mut cargo = Command::from(self.compile_command(guests));
        let status = cargo.arg("--quiet").stdin(Stdio::null()).kill_on_drop(true).status().await?;
        let names: Vec<_> = guests.iter().map(|guest| guest.name.as_str()).collect();
        if !status.success() {
            bail!("{} could not be built", names.join(", "));
        }
        Ok(())
    }

    /// Swaps a compiled component into the host, unless the host already serves it.
    async fn swap_in(&self, client: &Client, component: &Guest, saved: Option<SystemTime>) -> Result<()> {
        let start = Instant::now();
        let folder = self.workspace.components_folder().join("dev");
        let file = guests::write_plugin_file(self.workspace, component, Profile::Dev, &folder)?;
        let name = &component.name;
        if saved.is_some() && !file.is_changed {
            print_status(&format!("{name} is unchanged after the compilation"));
            return Ok(());
        }
        let Some(revision) = client.swap_in(name, &file.path).await? else { return Ok(()) };
        match saved.and_then(|saved| saved.elapsed().ok()) {
            Some(total) => {
                let (total, swap) = (in_seconds(total), in_seconds(start.elapsed()));
                print_status(&format!("{name} {revision} is served, {total} after it was saved; the swap took {swap}"));
            }
            None => print_status(&format!("{name} {revision} is served")),
        }
        Ok(())
    }
}

fn in_seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
