//! `ticketing`: parse, configure, run.

use anyhow::Context;
use clap::Parser;
use host_artifact::ComponentKind;
use host_cli::{Cli, Command, CompileComponent, Kind, health};
use host_config::{Config, ConfigError, EXIT_CODE, Flags};
use host_engine::compiler;
use rustix::{fs::Mode, process::umask};
use std::process::ExitCode;
use ticketing::{
    host::{self, Host},
    shutdown,
};

/// Threads free memory that other threads allocated, and password hashes need
/// much memory for a short time. This allocator is fast at both.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(flags) => run(&flags, true),
        Command::Check(flags) => run(&flags, false),
        Command::Health(flags) => {
            Config::load(&flags, std::env::vars_os()).map_err(Into::into).and_then(|config| health::check(&config))
        }
        Command::Plugin(plugin) => return plugin.run(host::judge),
        Command::CompileComponent(job) => return compile(&job),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    match error.chain().any(|cause| cause.is::<ConfigError>()) {
        true => ExitCode::from(EXIT_CODE),
        false => ExitCode::FAILURE,
    }
}

/// Compiles one component for the host that started this process.
fn compile(job: &CompileComponent) -> ExitCode {
    let kind = match job.kind {
        Kind::Platform => ComponentKind::Platform,
        Kind::WasiHttp => ComponentKind::WasiHttp,
    };
    compiler::run(compiler::Job { kind, memory_mib: job.memory_mib, cpu_seconds: job.cpu_seconds })
}

fn run(flags: &Flags, to_serve: bool) -> anyhow::Result<()> {
    let config = Config::load(flags, std::env::vars_os())?;
    let _log = host_telemetry::start_log(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match to_serve {
            true => serve(&config).await,
            false => check(&config).await,
        }
    });
    // A statement may still run on a thread of its own. The process does not wait
    // for it.
    runtime.shutdown_background();
    result
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    // Only the owner can read what the host writes, whoever made the folder.
    umask(Mode::RWXG | Mode::RWXO);
    let stop = shutdown::watch(config.http.shutdown_drain)?;
    let secrets = config.prepare()?;
    let host = tokio::select! {
        host = Host::start(config, &secrets) => host?,
        () = stop.cancelled() => return Ok(()),
    };
    announce(config, &host);
    stop.cancelled().await;
    tracing::info!("the host stops: it takes no new work and finishes the work in flight");
    if !host.stop().await {
        tracing::warn!("the drain deadline passed before all work had finished");
    }
    Ok(())
}

fn announce(config: &Config, host: &Host) {
    let token = match &config.operator.token {
        Some(_) => "as set".to_owned(),
        None => config.admin_token_path().display().to_string(),
    };
    println!("serving    http://{}", host.address);
    println!("operators  http://{}", host.operator_address);
    println!("token      {token}");
    println!("data       {}", config.data_dir.display());
}

async fn check(config: &Config) -> anyhow::Result<()> {
    let plugins = host::check(config).await.context("the plugins do not fit")?;
    for plugin in plugins {
        println!("{} {} is valid", plugin.name(), plugin.id);
    }
    println!("the settings are valid");
    Ok(())
}
