//! `cargo xtask`: builds, runs, checks and measures the workspace.
//!
//! Each subcommand runs child processes at the root of the workspace, most of
//! them cargo, and shows their output. Only the packing of a core module into a
//! plugin file ([`plugin_pack`]) happens in this process.

mod browser;
mod debian;
mod deploy;
mod dev;
mod examples;
mod files;
mod fuzz;
mod guests;
mod layers;
mod pages;
mod postgres;
mod process;
mod release;
mod script_bindings;
mod script_guests;
#[cfg(test)]
mod script_helpers;
mod sdk;
mod servers;
mod stages;
mod steps;
mod test;
mod tool;
mod toolchain;
mod workspace;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::guests::Kind;
use crate::process::{print_status, run};
use crate::stages::Stages;
use crate::tool::{NATS_SERVER, WASMTIME};
use crate::workspace::{HostProfile, Workspace};

/// The usual duration of the first build of the components, on two cores.
const COMPONENTS_MINUTES: u32 = 2;
/// The same for wasmtime.
const WASMTIME_MINUTES: u32 = 10;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs, checks and measures the workspace", version)]
#[command(after_help = "Examples:
  cargo xtask run                         build everything and serve it
  cargo xtask run -- --listen 0.0.0.0:80  the same, with flags for `ticketing serve`
  cargo xtask dev                         serve, and swap in each saved change of components/
  cargo xtask test                        run all checks and all tests
  cargo xtask test expir                  run the tests whose names contain `expir`
  cargo xtask build --components          build only the plugin files
  cargo xtask bench -- ticket             run the benchmarks whose names contain `ticket`")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the components and the host with full optimisation
    #[command(after_help = "Examples:
  cargo xtask build               target/release/ticketing with the components in it, and target/components/*.wasm
  cargo xtask build --dist        target/dist/ticketing, as in a release: also optimised across crates and for what is
                                  common under load; this builds the host twice
  cargo xtask build --components  only target/components/*.wasm and target/components/test/*.wasm")]
    Build {
        /// Build the components and the guests of the tests, and not the host
        #[arg(long)]
        components: bool,
        /// Build the program of a release
        #[arg(long, conflicts_with = "components")]
        dist: bool,
    },
    /// Compile a plugin outside the workspace with the toolchain of the components
    #[command(after_help = "Example:
  cargo xtask compile ../hello    target/guests/outside/wasm32-unknown-unknown/release/hello.wasm")]
    Compile {
        /// The folder with the Cargo.toml of the plugin
        folder: PathBuf,
    },
    /// Run a command, such as `ticketing plugin build`, with the toolchain of the components
    #[command(after_help = "Example:
  cargo xtask with-toolchain -- ticketing plugin build ../hello")]
    WithToolchain(PassedArguments),
    /// Build everything in the dev profile, which compiles fast, then serve
    #[command(after_help = "Examples:
  cargo xtask run
  cargo xtask run -- --listen 127.0.0.1:9000 --data-dir /tmp/ticketing")]
    Run(PassedArguments),
    /// Build in the dev profile and serve; a saved change in components/ is swapped in
    #[command(after_help = "Examples:
  cargo xtask dev
  cargo xtask dev -- --listen 127.0.0.1:9000
  cargo xtask dev --host target/release/ticketing   use this host")]
    Dev {
        /// Use this binary of the host, and do not build one
        #[arg(long, value_name = "FILE")]
        host: Option<PathBuf>,
        #[command(flatten)]
        rest: PassedArguments,
    },
    /// Run all checks: format, pages, deploy/, guests, clippy, doc links, cargo deny, tests
    #[command(after_help = "Examples:
  cargo xtask test                      all checks and all tests
  cargo xtask test a_second_buyer       only the tests whose names contain `a_second_buyer`
  CI=true cargo xtask test --embedded   only the tests that need no other server
  TICKETING_TESTS_WITHOUT_BROWSER=1 cargo xtask test   all but the tests in a browser")]
    Test {
        /// Run only the tests that need no PostgreSQL and no NATS server
        #[arg(long)]
        embedded: bool,
        /// Run only the tests whose names contain this text, and no other checks
        filter: Option<String>,
    },
    /// Write the manifests of deploy/kubernetes from the chart in deploy/helm
    #[command(after_help = "Examples:
  cargo xtask manifests          write the manifests after a change of the chart
  cargo xtask manifests --check  check the files of deploy/, as `cargo xtask test` does")]
    Manifests {
        /// Write nothing, and check the files of deploy/
        #[arg(long)]
        check: bool,
    },
    /// Copy the interfaces of wit/ into examples/ and the SDK, and generate bindings
    #[command(after_help = "Example:
  cargo xtask interfaces         after a change in wit/")]
    Interfaces,
    /// Feed random changes of good inputs to the code that reads what others send
    #[command(after_help = "Examples:
  cargo xtask fuzz upload --seconds 600
  cargo xtask fuzz sql --seconds 600")]
    Fuzz {
        /// What to fuzz
        target: fuzz::Target,
        /// The duration
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Run the checks without the tests: format, pages, clippy, doc links
    #[command(after_help = "Example:
  cargo xtask check")]
    Check,
    /// Make the pictures of the pages in `docs/images` again
    #[command(after_help = "Example:
  cargo xtask screenshots")]
    Screenshots,
    /// Build the host with full optimisation and run the benchmarks
    #[command(after_help = "Examples:
  cargo xtask bench
  cargo xtask bench -- --quick hello fresh
  cargo xtask bench -- hello --against ../other/target/release/ticketing")]
    Bench(PassedArguments),
}

#[derive(Args)]
struct PassedArguments {
    /// Arguments for the program that the command starts
    #[arg(last = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    match run_task(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With `RUST_BACKTRACE`, the `Debug` output would have many lines.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_task(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Build { components: true, .. } => guests::build(&workspace, &[Kind::Component, Kind::Test]),
        Task::Build { dist: true, .. } => release::build(&workspace),
        Task::Build { .. } => build(&workspace, HostProfile::Release, &mut Stages::new(2)).map(drop),
        Task::Compile { folder } => guests::compile_outside(&workspace, &folder),
        Task::WithToolchain(command) => guests::with_toolchain(&workspace, &command.arguments),
        Task::Run(rest) => serve(&workspace, &rest.arguments),
        Task::Dev { host, rest } => dev::dev(&workspace, host.as_deref(), &rest.arguments),
        Task::Test { embedded, filter } => test::test(&workspace, embedded, filter.as_deref()),
        Task::Manifests { check: false } => deploy::write_manifests(&workspace),
        Task::Manifests { check: true } => deploy::check(&workspace).map(drop),
        Task::Interfaces => {
            examples::write_interfaces(&workspace)?;
            sdk::write(&workspace)?;
            script_bindings::write(&workspace)
        }
        Task::Fuzz { target, seconds } => fuzz::fuzz(&workspace, target, seconds),
        Task::Check => test::check(&workspace),
        Task::Screenshots => test::screenshots(&workspace),
        Task::Bench(rest) => bench(&workspace, &rest.arguments),
    }
}

/// Builds the host with the components in it. Returns the program.
fn build(workspace: &Workspace, profile: HostProfile, stages: &mut Stages) -> Result<PathBuf> {
    let components_minutes = (!guests::are_built(workspace)).then_some(COMPONENTS_MINUTES);
    stages.run("Building the components", components_minutes, || guests::build(workspace, &[Kind::Component]))?;
    let binary = workspace.host_binary(profile);
    let host_minutes = (!binary.is_file()).then_some(profile.host_minutes());
    stages.run("Building the host", host_minutes, || {
        run(workspace.cargo().args(["build", "--package", "ticketing", "--profile", profile.name()]))
    })?;
    print_status(&format!("Built {}", workspace.display(&binary)));
    Ok(binary)
}

/// Builds the host and replaces this process by it, so that the host gets all
/// signals.
fn serve(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut stages = Stages::new(3);
    let binary = build(workspace, HostProfile::Dev, &mut stages)?;
    stages.announce("Starting the host");
    process::replace_process(Command::new(binary).arg("serve").args(arguments))
}

fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut names = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    let beside_wasmtime = names.peek().is_none() || names.any(|name| "wasi".contains(name.as_str()));
    let mut stages = Stages::new(if beside_wasmtime { 5 } else { 4 });
    stages.run("Building the guests", None, || guests::build(workspace, &[Kind::Component, Kind::Test]))?;
    let host = workspace.host_binary(HostProfile::Release);
    let minutes = (!host.is_file()).then_some(HostProfile::Release.host_minutes());
    // In one command they share what they depend on. Together with the tests the host would get their features.
    stages.run("Building the host and the benchmarks", minutes, || {
        run(workspace.cargo().args(["build", "--release", "--package", "ticketing", "--package", "benchmarks"]))
    })?;
    stages.run("Installing the NATS server", None, || NATS_SERVER.provide(workspace).map(drop))?;
    if beside_wasmtime {
        stages.run("Building wasmtime serve", Some(WASMTIME_MINUTES), || WASMTIME.provide(workspace).map(drop))?;
    }
    stages.announce("Running the benchmarks");
    run(Command::new(host.with_file_name("benchmarks")).args(arguments))
}
