//! `ticketing`: parse, configure, run.

use anyhow::Context;
use clap::Parser;
use host_artifact::ComponentKind;
use host_cli::{Cli, Command, CompileComponent, Kind, health, output};
use host_config::{Config, ConfigError, EXIT_CODE, Flags};
use host_engine::compiler;
use host_http::tls::Tls;
use host_telemetry::LogGuard;
use rustix::{fs::Mode, process::umask};
use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
};
use ticketing::{
    data_dir::DataDir,
    host::{self, Host, Listeners, SystemdSockets, WithoutServing},
    process_limits, shutdown, temporary_files,
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
        Command::Plugin(plugin) => return plugin.run(&WithoutServing::default()),
        Command::Apply(apply) => return apply.run(),
        Command::Events(events) => return events.run(),
        Command::Cluster(cluster) => return cluster.run(),
        Command::Timers(timers) => return timers.run(),
        Command::DeadLetters(letters) => return letters.run(),
        Command::CompileComponent(job) => return compile(&job),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    let is_setting = error.chain().any(|cause| cause.is::<ConfigError>());
    let text = format!("{error:#}");
    // Wrong settings are one line each. Everything else is one line.
    let text = if is_setting { text } else { text.lines().map(str::trim).collect::<Vec<_>>().join(" ") };
    output::complain(&format_args!("error: {text}"));
    if is_setting { ExitCode::from(EXIT_CODE) } else { ExitCode::FAILURE }
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
    let systemd = SystemdSockets::take();
    let config = Config::load(flags, std::env::vars_os())?;
    let log = Arc::new(host_telemetry::start_log(&config.log)?);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if to_serve {
        process_limits::check(&config.engine)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match to_serve {
            true => serve(flags, &config, &log, systemd).await,
            false => check(&config).await,
        }
    });
    // A statement may still run on a thread of its own. The process does not wait
    // for it.
    runtime.shutdown_background();
    result
}

async fn serve(flags: &Flags, config: &Config, log: &Arc<LogGuard>, systemd: SystemdSockets) -> anyhow::Result<()> {
    // Only the owner can read what the host writes, whoever made the folder.
    umask(Mode::RWXG | Mode::RWXO);
    // The thread that watches for signals does not hold the log: the last lines are
    // written when `run` ends.
    let (flags, log, tls) = (flags.clone(), Arc::downgrade(log), Arc::new(OnceLock::new()));
    let certificate = tls.clone();
    let at_hangup = move || {
        if let Some(log) = log.upgrade() {
            reload(&flags, &log, certificate.get());
        }
    };
    let shutdown = shutdown::watch(config.http.shutdown_drain, at_hangup)?;
    let stop = &shutdown.stop;
    let (_data_dir, listeners) = take_places(config, systemd)?;
    if let Some(loaded) = listeners.tls() {
        tls.get_or_init(|| loaded.clone());
    }
    let secrets = config.secrets()?;
    let host = tokio::select! {
        host = Host::start(config, &secrets, listeners) => host?,
        () = stop.cancelled() => {
            tracing::info!("a signal ends the host before it has started");
            return Ok(());
        }
    };
    shutdown.begin_to_drain_at_signals();
    announce(config, &host);
    stop.cancelled().await;
    tracing::info!("the host stops: it takes no new work and finishes the work in flight");
    if !host.stop().await {
        tracing::warn!("the drain deadline passed before all work had finished");
    }
    Ok(())
}

/// Takes the data directory and the two addresses for this process. A start that
/// fails here makes nothing.
fn take_places(config: &Config, systemd: SystemdSockets) -> anyhow::Result<(DataDir, Listeners)> {
    let existing = DataDir::lock_existing(&config.data_dir)?;
    let listeners = Listeners::bind(config, systemd)?;
    let data_dir = match existing {
        Some(data_dir) => data_dir,
        None => DataDir::create(&config.data_dir)?,
    };
    data_dir.prepare(&config.cluster.name)?;
    if config.store.database_url.is_none() {
        temporary_files::check()?;
    }
    Ok((data_dir, listeners))
}

/// Reads the settings again and applies what can change while the host serves: the
/// filter of the log, and the certificate.
fn reload(flags: &Flags, log: &LogGuard, tls: Option<&Arc<Tls>>) {
    let config = Config::load(flags, std::env::vars_os()).map_err(|error| error.to_string());
    let applied = config.and_then(|config| {
        log.set_filter(&config.log.filter).map_err(|error| error.to_string())?;
        Ok(config)
    });
    let config = match applied {
        Ok(config) => config,
        Err(error) => {
            return tracing::error!(error, "the host keeps its settings: it cannot apply the changed ones");
        }
    };
    tracing::info!(
        "the host has read the settings again and applied the log filter; other settings, except for the certificate, \
         apply after a restart"
    );
    let (Some(tls), Some(files)) = (tls, &config.http.tls) else { return };
    match tls.reload(files) {
        Ok(()) => tracing::info!("new connections get the certificate that the host has read again"),
        Err(error) => tracing::error!(%error, "the host keeps its certificate: it cannot read the changed one"),
    }
}

fn announce(config: &Config, host: &Host) {
    let token = match &config.operator.token {
        Some(_) => "as set".to_owned(),
        None => config.admin_token_path().display().to_string(),
    };
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let text = format!(
        "serving    {scheme}://{}\noperators  http://{}\ntoken      {token}\ndata       {}",
        host.address,
        host.operator_address,
        config.data_dir.display()
    );
    // The host serves, whether anybody reads this or not.
    if let Err(error) = output::try_line(&text) {
        tracing::debug!(%error, "nobody reads the standard output of the host");
    }
}

async fn check(config: &Config) -> anyhow::Result<()> {
    config.http.tls.as_ref().map(Tls::load).transpose()?;
    let plugins = host::check(config).await.context("the plugins do not fit")?;
    for plugin in plugins {
        output::line(&format_args!("{} {} is valid", plugin.name(), plugin.id));
    }
    output::line(&"the settings are valid");
    Ok(())
}
