//! `cargo xtask`: builds, runs, checks and measures the workspace.
//!
//! Every subcommand is a sequence of child processes, most of them cargo's,
//! started at the root of the workspace with their output left as it is. The
//! one thing done here itself is to turn a guest's core module into a plugin
//! file ([`plugin_pack`]).

mod browser;
mod debian;
mod deploy;
mod dev;
mod fuzz;
mod guests;
mod nats;
mod postgres;
mod process;
mod scripts;
mod steps;
mod test;
mod toolchain;
mod workspace;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::guests::Kind;
use crate::process::{run, say};
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs, checks and measures the workspace", version)]
#[command(after_help = "Examples:
  cargo xtask run                         build everything and serve it
  cargo xtask run -- --listen 0.0.0.0:80  the same, with flags for `ticketing serve`
  cargo xtask dev                         serve, and swap in what is saved in components/
  cargo xtask test                        every check and every test
  cargo xtask test expir                  the tests whose names contain `expir`
  cargo xtask build --components          the plugin files alone
  cargo xtask bench -- ticket             the benchmarks whose names contain `ticket`")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the components and the host, for release
    #[command(after_help = "Examples:
  cargo xtask build               target/release/ticketing, with the components inside and beside it
  cargo xtask build --components  target/components/*.wasm and target/components/test/*.wasm alone")]
    Build {
        /// Build the components and the guests of the tests, but not the host
        #[arg(long)]
        components: bool,
    },
    /// Compile a plugin outside the workspace with what compiles the components
    #[command(after_help = "Example:
  cargo xtask compile ../hello    target/guests/outside/wasm32-unknown-unknown/release/hello.wasm")]
    Compile {
        /// The folder of its Cargo.toml
        folder: PathBuf,
    },
    /// Build everything, then serve
    #[command(after_help = "Examples:
  cargo xtask run
  cargo xtask run -- --listen 127.0.0.1:9000 --data-dir /tmp/ticketing")]
    Run(Rest),
    /// Build for development and serve; what is saved in components/ or wit/ is swapped in
    #[command(after_help = "Examples:
  cargo xtask dev
  cargo xtask dev -- --listen 127.0.0.1:9000
  cargo xtask dev --host target/release/ticketing   a host that is built already")]
    Dev {
        /// The host's program, instead of building one
        #[arg(long, value_name = "FILE")]
        host: Option<PathBuf>,
        #[command(flatten)]
        rest: Rest,
    },
    /// Run every check: format, deploy/, guests, clippy, doc links, cargo deny, tests
    #[command(after_help = "Examples:
  cargo xtask test                      everything
  cargo xtask test a_second_buyer       only the tests whose names contain it, without the other checks
  CI=true cargo xtask test --embedded   what needs no service beside it
  TICKETING_TESTS_WITHOUT_BROWSER=1 cargo xtask test   all but what drives a browser")]
    Test {
        /// Only what needs no database server and no broker beside it
        #[arg(long)]
        embedded: bool,
        /// Only tests whose names contain this, and none of the other checks
        filter: Option<String>,
    },
    /// Render the chart of deploy/helm into the plain manifests of deploy/kubernetes
    #[command(after_help = "Examples:
  cargo xtask manifests          write them, after a change to the chart
  cargo xtask manifests --check  check everything in deploy/, as `cargo xtask test` does")]
    Manifests {
        /// Write nothing
        #[arg(long)]
        check: bool,
    },
    /// Fuzz what an upload goes through before it is compiled
    #[command(after_help = "Example:
  cargo xtask fuzz --seconds 600")]
    Fuzz {
        /// For how long
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Run the checks that need no tests: format, clippy, doc links
    #[command(after_help = "Example:
  cargo xtask check")]
    Check,
    /// Build the guests, then run the benchmarks
    #[command(after_help = "Examples:
  cargo xtask bench
  cargo xtask bench -- --quick hello fresh")]
    Bench(Rest),
}

#[derive(Args)]
struct Rest {
    /// Passed on as they are
    #[arg(last = true)]
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    match run_task(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever `RUST_BACKTRACE` says.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_task(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Build { components: true } => guests::build(&workspace, &[Kind::Component, Kind::Test]),
        Task::Build { components: false } => build(&workspace),
        Task::Compile { folder } => guests::compile_outside(&workspace, &folder),
        Task::Run(rest) => serve(&workspace, &rest.arguments),
        Task::Dev { host, rest } => dev::dev(&workspace, host.as_deref(), &rest.arguments),
        Task::Test { embedded, filter } => test::test(&workspace, embedded, filter.as_deref()),
        Task::Manifests { check: false } => deploy::write_manifests(&workspace),
        Task::Manifests { check: true } => deploy::check(&workspace).map(drop),
        Task::Fuzz { seconds } => fuzz::fuzz(&workspace, seconds),
        Task::Check => test::check(&workspace),
        Task::Bench(rest) => bench(&workspace, &rest.arguments),
    }
}

/// Builds `target/release/ticketing` with the components in it.
fn build(workspace: &Workspace) -> Result<()> {
    guests::build(workspace, &[Kind::Component])?;
    say("Building the host");
    run(workspace.cargo().args(["build", "--package", "ticketing", "--release"]))?;
    say(&format!("Built {}", workspace.shown(&workspace.host_binary())));
    Ok(())
}

/// Builds, then becomes the host, so that signals reach it and nothing stands between.
fn serve(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    build(workspace)?;
    process::become_command(Command::new(workspace.host_binary()).arg("serve").args(arguments))
}

fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    guests::build(workspace, &[Kind::Component, Kind::Test])?;
    nats::provide(workspace)?;
    say("Running the benchmarks");
    run(workspace.cargo().args(["bench", "--package", "ticketing", "--bench", "platform", "--"]).args(arguments))
}
