//! `cargo xtask dev`: a host that runs what is being written.
//!
//! It serves while the folders of the components are watched. What a save
//! concerns is compiled, and what has become another file is swapped into the
//! running host, as an operator would do it. What does not compile or does not
//! fit is shown, and what served before goes on. It has a profile, plugin files
//! and a data directory of its own: nothing of it is in what is released.

mod affected;
mod host;
mod saves;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::guests::{self, Guest, Kind, Profile};
use crate::process::{run, say};
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use host::{Host, Operator};
use saves::Saves;

/// Builds, serves, and swaps in what is saved, until it is told to stop.
pub(crate) fn dev(workspace: &Workspace, host: Option<&Path>, arguments: &[String]) -> Result<()> {
    let binary = match host {
        Some(binary) => binary.to_owned(),
        None => build_host(workspace)?,
    };
    let shop = Shop {
        workspace,
        toolchain: Toolchain::find(&workspace.guests_target())?,
        components: guests::find(workspace, Kind::Component)?,
    };
    say("Building the components");
    run(&mut shop.cargo(&shop.components.iter().collect::<Vec<_>>()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(shop.serve(&binary, arguments))
}

/// The host for development. Which components are in it does not matter: those
/// of now are swapped in when it has started.
fn build_host(workspace: &Workspace) -> Result<PathBuf> {
    if !guests::are_built(workspace) {
        guests::build(workspace, &[Kind::Component])?;
    }
    say("Building the host");
    run(workspace.cargo().args(["build", "--package", "ticketing"]))?;
    Ok(workspace.dev_host_binary())
}

/// Where components are made and handed to the host.
struct Shop<'a> {
    workspace: &'a Workspace,
    toolchain: Toolchain,
    components: Vec<Guest>,
}

impl Shop<'_> {
    async fn serve(&self, binary: &Path, arguments: &[String]) -> Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // First, so that what is saved while the host starts is seen.
        let mut saves = Saves::below(&[self.workspace.root.join("components"), self.workspace.root.join("wit")])?;
        let mut host = Host::start(self.workspace, binary, arguments)?;
        let operator = host.operator.clone();
        let result = tokio::select! {
            result = self.work(&operator, &mut saves) => result,
            ended = host.ended() => Err(ended),
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        host.stop().await;
        result
    }

    async fn work(&self, operator: &Operator, saves: &mut Saves) -> Result<()> {
        operator.ready().await?;
        for component in &self.components {
            if let Err(error) = self.swap_in(operator, component, None).await {
                say(&format!("{}: {error:#}", component.name));
            }
        }
        say("Watching components/ and wit/; Ctrl-C ends it");
        loop {
            let (paths, saved) = saves.next().await.context("the folders are no longer watched")?;
            let concerned = affected::by(self.workspace, &self.components, &paths);
            if concerned.is_empty() {
                continue;
            }
            match self.compile(&concerned).await {
                Ok(()) => {}
                Err(error) => {
                    say(&format!("{error:#}; what served before goes on"));
                    continue;
                }
            }
            for component in concerned {
                if let Err(error) = self.swap_in(operator, component, Some(saved)).await {
                    say(&format!("{}: {error:#}; what served before goes on", component.name));
                }
            }
        }
    }

    fn cargo(&self, guests: &[&Guest]) -> std::process::Command {
        guests::compiling(self.workspace, self.toolchain, Profile::Dev, guests)
    }

    /// With what the compiler says shown.
    async fn compile(&self, guests: &[&Guest]) -> Result<()> {
        let mut cargo = Command::from(self.cargo(guests));
        let status = cargo.arg("--quiet").stdin(std::process::Stdio::null()).kill_on_drop(true).status().await?;
        let names: Vec<_> = guests.iter().map(|guest| guest.name.as_str()).collect();
        if !status.success() {
            bail!("{} could not be built", names.join(", "));
        }
        Ok(())
    }

    /// Hands a component that was compiled to the host, unless it is what
    /// serves there.
    async fn swap_in(&self, operator: &Operator, component: &Guest, saved: Option<SystemTime>) -> Result<()> {
        let begun = Instant::now();
        let output = self.workspace.components().join("dev");
        let (file, _, is_another) = guests::wrap(self.workspace, component, Profile::Dev, &output)?;
        if saved.is_some() && !is_another {
            say(&format!("{} compiles to what is served already", component.name));
            return Ok(());
        }
        let Some(revision) = operator.swap_in(&component.name, &file).await? else { return Ok(()) };
        let name = &component.name;
        match saved.and_then(|saved| saved.elapsed().ok()) {
            Some(took) => {
                let (took, swap) = (seconds(took), seconds(begun.elapsed()));
                say(&format!("{name} {revision} is served, {took} after it was saved; {swap} of it for the swap"));
            }
            None => say(&format!("{name} {revision} is served")),
        }
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
