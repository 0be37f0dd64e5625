//! `test`: plays the tests of a plugin, each in a host that lives as long as the test.

mod cache;
mod compare;
mod fixture;
mod play;
mod report;
mod values;

use super::{
    build::{Profile, build},
    failure::Failure,
    files,
    output::{Output, is_closed, joined, line},
};
use crate::offline::{Offline, Opening, Rehearsal};
use clap::Args;
use fixture::Fixture;
use host_artifact::Artifact;
use host_config::{Config, Flags};
use play::{Failed, play};
use report::Report;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// The most attempts to remove the folder of the command, while a part of a host still writes there.
const REMOVALS: u32 = 40;
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);

/// Plays the tests of a plugin: `tests/*.toml` of its folder.
///
/// The command builds the plugin. Each test gets a host of its own, with an empty database, a clock that the test
/// moves, and all rights that the manifest asks for. The exit code is 1 if a test fails.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin test
  ticketing plugin test ~/plugins/hello --only greetings
  ticketing plugin test --file hello.wasm --json | jq .failure

A test is a list of steps. After each step the host finishes all events and timers:

  time = 2026-01-31T12:00:00Z
  [[step]]
  request = \"POST /hello/anna\"
  answer = { status = 200, body = \"Hello, anna!\\n\" }
  events = [{ subject = \"hello.greeted\", body = \"anna\" }]
  [[step]]
  event = \"other.created\"
  json = { id = \"t1\" }
  [[step]]
  advance = \"25h\"
  [[step]]
  query = \"SELECT who, said FROM greetings\"
  rows = [[\"anna\", 1]]")]
pub(super) struct Test {
    /// The folder with plugin.toml and `tests`
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Test this plugin file, and build none
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only the tests whose names contain this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The settings of the hosts [default: `host.toml` of the folder, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The plugin that is tested.
struct Subject {
    name: String,
    /// The names of the settings that its manifest declares.
    settings: Vec<String>,
    bytes: Arc<[u8]>,
    /// The file with the settings of the hosts.
    config: Option<PathBuf>,
    /// The folder for compiled code. None if there is no place that lasts.
    cache: Option<PathBuf>,
}

impl Test {
    pub(super) async fn run(self, output: Output, offline: &impl Offline) -> Result<(), Failure> {
        let tests = self.tests()?;
        let subject = self.subject()?;
        let folder = TempDir::new().map_err(|error| Failure::Failed(format!("no temporary folder: {error}")))?;
        let mut interruption = pin!(interruption()?);
        let (mut failed, mut is_interrupted) = (0, false);
        for (index, test) in tests.iter().enumerate() {
            let data = folder.path().join(index.to_string());
            let report = tokio::select! {
                biased;
                () = &mut interruption => {
                    is_interrupted = true;
                    break;
                }
                report = subject.play(offline, test, &data) => report,
            };
            output.value(&report)?;
            failed += usize::from(!report.passed);
            if is_closed() {
                break;
            }
        }
        remove(folder).await;
        match (is_interrupted, failed, tests.len()) {
            (true, ..) => Err(Failure::Failed("a signal has ended the tests".to_owned())),
            (false, 0, all) => {
                if !output.json {
                    line(&format!("{} passed", counted(all)));
                }
                Ok(())
            }
            (false, failed, all) => Err(Failure::Failed(format!("{failed} of {} failed", counted(all)))),
        }
    }

    /// The files of the tests, by name.
    fn tests(&self) -> Result<Vec<PathBuf>, Failure> {
        let folder = self.folder.join("tests");
        let folder = folder.strip_prefix(".").unwrap_or(&folder);
        let mut tests = match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
        .map_err(|error| files::file_failure(folder, &error))?;
        tests.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        if tests.is_empty() {
            let folder = folder.display();
            return Err(Failure::Usage(format!(
                "{folder} has no test: write {folder}/first.toml with a [[step]] and a request, see `ticketing plugin test --help`"
            )));
        }
        if let Some(only) = &self.only {
            tests.retain(|file| file.file_stem().is_some_and(|name| name.to_string_lossy().contains(only)));
            if tests.is_empty() {
                return Err(Failure::Usage(format!("no test in {} has {only} in its name", folder.display())));
            }
        }
        tests.sort();
        Ok(tests)
    }

    fn subject(&self) -> Result<Subject, Failure> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => build(&self.folder, Profile::Release)?.file,
        };
        let bytes = files::plugin(&file)?;
        let shown = |error| Failure::Failed(format!("{}: {error}", file.display()));
        let manifest = Artifact::parse(bytes.clone(), None).map_err(shown)?.manifest;
        let usual = Some(self.folder.join("host.toml")).filter(|file| file.is_file());
        Ok(Subject {
            name: manifest.name,
            settings: manifest.config.into_keys().collect(),
            bytes: bytes.into(),
            config: self.config.clone().or(usual),
            cache: cache::folder(),
        })
    }
}

impl Subject {
    /// Plays a test in a host that keeps its data in this folder.
    async fn play(&self, offline: &impl Offline, test: &Path, data: &Path) -> Report {
        let (begun, shown) = (Instant::now(), test.display().to_string());
        match self.try_to_play(offline, test, data).await {
            Ok((fixture, failed)) => Report::played(shown, begun.elapsed(), &fixture, failed),
            Err(problem) => Report::not_played(shown, begun.elapsed(), problem),
        }
    }

    /// # Errors
    /// Why no step was played.
    async fn try_to_play(
        &self,
        offline: &impl Offline,
        test: &Path,
        data: &Path,
    ) -> Result<(Fixture, Option<Failed>), String> {
        let text = files::text(test).map_err(|failure| failure.to_string())?;
        let fixture = Fixture::parse(&text)?;
        let config = self.config(&fixture.settings)?;
        fs::create_dir_all(data).map_err(|error| format!("{}: {error}", data.display()))?;
        let opening = Opening {
            plugin: self.bytes.clone(),
            folder: data.to_owned(),
            start_ms: fixture.start_ms,
            patience: fixture.patience,
        };
        let host = offline.rehearse(&config, opening).await;
        let mut host = host.map_err(|error| format!("the plugin does not start: {error:#}"))?;
        let failed = play(&mut host, &fixture).await;
        host.end().await;
        Ok((fixture, failed))
    }

    /// The settings of the host for a test with these settings of the plugin.
    fn config(&self, settings: &BTreeMap<String, String>) -> Result<Config, String> {
        if let Some(unknown) = settings.keys().find(|key| !self.settings.contains(key)) {
            let known = joined(&self.settings);
            return Err(format!("settings.{unknown}: {} declares no such setting; it has {known}", self.name));
        }
        let set = settings.iter().map(|(key, value)| format!("{}.{key}={value}", self.name)).collect();
        let flags = Flags { config: self.config.clone(), bundled: Some("false".to_owned()), set, ..Flags::default() };
        let mut config = Config::load(&flags, []).map_err(|error| error.to_string())?;
        config.engine.cache_dir = config.engine.cache_dir.or_else(|| self.cache.clone());
        Ok(config)
    }
}

/// Waits for a signal that ends the process.
fn interruption() -> Result<impl Future<Output = ()>, Failure> {
    let watch = |kind| signal(kind).map_err(|error| Failure::Failed(format!("signals cannot be watched: {error}")));
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Removes the folder, also when a host was cut off and still ends.
async fn remove(folder: TempDir) {
    let path = folder.keep();
    for _ in 0..REMOVALS {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => sleep(REMOVAL_PAUSE).await,
            _ => return,
        }
    }
}

fn counted(tests: usize) -> String {
    if tests == 1 { "1 test".to_owned() } else { format!("{tests} tests") }
}
