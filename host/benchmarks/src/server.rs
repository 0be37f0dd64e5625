//! The servers under measurement. Each is a process of its own, which ends when
//! its value is dropped.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::build;
use crate::client::{Connection, request};
use crate::native::Data;

/// Much longer than a start without a compile cache.
const START_LIMIT: Duration = Duration::from_secs(120);
const END_LIMIT: Duration = Duration::from_secs(60);
/// The unit of processor time in `/proc`, independent of the kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// The version of wasmtime that the host has too.
const WASMTIME: &str = "48.0.8";
/// One buyer reserves many tickets in some benchmarks.
const UNLIMITED_ORDERS: &str = "[plugins.orders.config]\nmax-unpaid-orders = 0\n";

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The address of the operator listener. A baseline has one address for both.
    pub(crate) operator: SocketAddr,
}

/// The settings of a host, in a folder that is removed with this value.
pub(crate) struct Setup {
    folder: TempDir,
    program: PathBuf,
    /// Another program with its arguments that runs the host.
    runner: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Setup {
    /// Makes a folder with these settings, on the disk that has the build.
    pub(crate) fn new(settings: &str) -> Result<Self> {
        let folder = tempfile::tempdir_in(build::scratch()?)?;
        let has_orders = !settings.contains("bundled = false");
        let limits = if has_orders { UNLIMITED_ORDERS } else { "" };
        std::fs::write(folder.path().join("settings.toml"), format!("{settings}\n{limits}"))?;
        Ok(Self { folder, program: build::host()?, runner: Vec::new(), variables: Vec::new() })
    }

    /// One test guest with these grants, and no bundled component.
    pub(crate) fn of_guest(name: &str, grants: &[&str]) -> Result<Self> {
        Self::new(&format!("bundled = false\n{}", plugin(name, grants)?))
    }

    /// The marketplace and one test guest.
    pub(crate) fn with_guest(name: &str) -> Result<Self> {
        Self::new(&plugin(name, &[])?)
    }

    /// Adds settings.
    pub(crate) fn and(self, settings: &str) -> Result<Self> {
        let mut file = OpenOptions::new().append(true).open(self.folder().join("settings.toml"))?;
        file.write_all(settings.as_bytes())?;
        Ok(self)
    }

    /// Adds variables to the environment of the host.
    pub(crate) fn with<const N: usize>(self, variables: [(&'static str, String); N]) -> Self {
        Self { variables: variables.into(), ..self }
    }

    /// The same settings for another build of the host.
    pub(crate) fn of_build(self, program: &Path) -> Self {
        Self { program: program.to_owned(), ..self }
    }

    /// Lets another program run the host.
    pub(crate) fn under(self, runner: impl IntoIterator<Item = String>) -> Self {
        Self { runner: runner.into_iter().collect(), ..self }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the host and waits until it is ready to serve.
    pub(crate) async fn start(&self) -> Result<Server> {
        let log = self.folder().join("log");
        let mut command = match self.runner.split_first() {
            Some((runner, arguments)) => {
                let mut command = Command::new(runner);
                command.args(arguments).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        for (name, _) in env::vars_os() {
            let ours = name.to_str().is_some_and(|name| name.starts_with("TICKETING_") || name == "JWT_KEY");
            if ours {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .arg("--config")
            .arg(self.folder().join("settings.toml"))
            .arg("--data-dir")
            .arg(self.folder().join("data"))
            .env("TICKETING_RATE_LIMITS", "off")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stderr(std::fs::File::create(&log)?);
        let (server, lines) = Server::spawn(command, &["serving", "operators"]).await.with_context(|| {
            format!("the host did not start: {}", std::fs::read_to_string(&log).unwrap_or_default())
        })?;
        let operator = lines.get(1).context("no operator address")?;
        await_ready(*operator).await?;
        Ok(server)
    }
}

impl Server {
    /// Starts this program as one of the [baselines](crate::native).
    pub(crate) async fn native(kind: &str, data: &Data) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--native", kind]);
        match data {
            Data::File(file) => command.arg("--file").arg(file),
            Data::Services(database, nats) => command.args(["--services", database, nats]),
        };
        let (server, _) = Self::spawn(command, &["serving"]).await.context("the baseline did not start")?;
        Ok(server)
    }

    /// Starts `wasmtime serve` with a component.
    pub(crate) async fn wasmtime(component: &Path) -> Result<Self> {
        // It cannot choose a free port and tell which.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let program = build::file(&format!("tools/wasmtime-{WASMTIME}/bin/wasmtime"))?;
        let mut command = Command::new(program);
        command.args(["serve", "-Scli", "-Sp3", "-Wcomponent-model-async", "--addr", &address.to_string()]);
        let child = command.arg(component).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
        let begun = Instant::now();
        while Connection::open(address).await.is_err() {
            ensure!(begun.elapsed() < START_LIMIT, "wasmtime serve does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Self { child, address, operator: address })
    }

    /// The resident memory of the process, in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        status_mib(self.id()?, "VmRSS:")
    }

    /// The most resident memory that the process has had.
    pub(crate) fn peak_mib(&self) -> Result<f64> {
        status_mib(self.id()?, "VmHWM:")
    }

    /// The resident memory of the process and of its children.
    pub(crate) fn family_mib(&self) -> Result<f64> {
        let own = self.id()?;
        let ids = std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        // A child may end at any time.
        let children = ids.filter(|id| parent(*id) == Some(own)).filter_map(|id| status_mib(id, "VmRSS:").ok());
        Ok(self.resident_mib()? + children.sum::<f64>())
    }

    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// The processor time that the process has used.
    pub(crate) fn processor_seconds(&self) -> Result<f64> {
        let id = self.id()?;
        let text = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name before the parenthesis may contain spaces. Of the fields after
        // it, 12 and 13 are the ticks in user mode and in the kernel.
        let (_, rest) = text.rsplit_once(')').context("no name")?;
        let ticks: Result<Vec<f64>, _> = rest.split_whitespace().skip(11).take(2).map(str::parse).collect();
        Ok(ticks?.iter().sum::<f64>() / TICKS_PER_SECOND)
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks the host to end, and waits for that.
    pub(crate) async fn end(mut self) -> Result<()> {
        let id = i32::try_from(self.id()?).ok().and_then(Pid::from_raw).context("no process")?;
        kill_process(id, Signal::TERM)?;
        let status = timeout(END_LIMIT, self.child.wait()).await.context("the host does not end")??;
        ensure!(status.success(), "the host ended with {status}");
        Ok(())
    }

    /// Starts a process and reads the addresses that it prints after these words.
    async fn spawn(mut command: Command, words: &[&str]) -> Result<(Self, Vec<SocketAddr>)> {
        // A baseline ends when its input closes, so none outlives this process.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut addresses = Vec::new();
        for word in words {
            let address = loop {
                let line = timeout(START_LIMIT, lines.next_line()).await.context("the start takes too long")??;
                let line = line.context("the server ended")?;
                if let Some(rest) = line.strip_prefix(word) {
                    break rest.trim().trim_start_matches("http://").parse().context("its address")?;
                }
            };
            addresses.push(address);
        }
        // Somebody must read the later output, or the server would block.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let address = *addresses.first().context("no address")?;
        let operator = *addresses.last().unwrap_or(&address);
        Ok((Self { child, address, operator }, addresses))
    }
}

/// A line of a process's status, in MiB.
fn status_mib(id: u32, name: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1_024.0)
}

fn parent(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

async fn await_ready(operator: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    let probe = request("GET", "/readyz", None, None);
    let mut connection = Connection::open(operator).await?;
    while connection.send(&probe).await?.status != 200 {
        ensure!(begun.elapsed() < START_LIMIT, "the host does not become ready");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// The settings of a test guest with these grants.
fn plugin(name: &str, grants: &[&str]) -> Result<String> {
    Ok(format!("[[plugin]]\npath = {:?}\ngrants = {grants:?}\n", guest(name)?))
}

/// The plugin file of a test guest.
pub(crate) fn guest(name: &str) -> Result<PathBuf> {
    build::file(&format!("components/test/{name}.wasm"))
}
