//! A process of the host. Dropping the value kills the process and removes its
//! folder. A failed test prints the end of the log.

use super::{ADMIN_TOKEN, Client, Database, PATIENCE, Setup, market::unique};
use std::{
    fs::{self, File},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Limits the number of processes that run at the same time in all tests.
pub(super) static PROCESS_PERMITS: Semaphore = Semaphore::const_new(4);
impl Setup {
    pub(crate) async fn start(&self) -> Host {
        let permit = PROCESS_PERMITS.acquire().await.unwrap();
        self.database_url().await;
        let process = Process::start(self).await;
        Host { setup: self.clone(), process: Some(process), _permit: permit }
    }

    /// Starts several hosts at the same time.
    pub(crate) async fn start_all<const N: usize>(setups: [Self; N]) -> [Host; N] {
        let mut permits = PROCESS_PERMITS.acquire_many(u32::try_from(N).unwrap()).await.unwrap();
        let starts = setups.map(|setup| {
            let permit = permits.split(1).unwrap();
            async move {
                let process = Process::start(&setup).await;
                Host { setup, process: Some(process), _permit: permit }
            }
        });
        let hosts = futures::future::join_all(starts).await;
        hosts.try_into().unwrap_or_else(|_| unreachable!("as many hosts as setups"))
    }
}

/// A host that runs, or one that is down between two starts.
pub(crate) struct Host {
    pub(crate) setup: Setup,
    process: Option<Process>,
    _permit: SemaphorePermit<'static>,
}

struct Process {
    child: Child,
    /// Open for as long as the host runs, because the host writes to it.
    _lines: Lines<BufReader<ChildStdout>>,
    public: String,
    operators: String,
    token: String,
}

impl Process {
    async fn start(setup: &Setup) -> Self {
        let log = File::options().create(true).append(true).open(setup.log()).unwrap();
        let mut child = setup.command("serve").stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let announced = timeout(Duration::from_secs(60), announcement(&mut lines)).await;
        let Ok(Some([public, operators, token, _data])) = announced else {
            panic!("the host did not start; its log:\n{}", fs::read_to_string(setup.log()).unwrap_or_default());
        };
        Self { child, _lines: lines, public, operators, token }
    }
}

/// The rest of each of the four lines that a host prints at its start.
async fn announcement(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<[String; 4]> {
    let mut values = Vec::new();
    for name in ["serving", "operators", "token", "data"] {
        let line = lines.next_line().await.ok()??;
        let value = line.strip_prefix(name).unwrap_or_else(|| panic!("{line:?} should begin with {name}"));
        values.push(value.trim().to_owned());
    }
    values.try_into().ok()
}

impl Host {
    fn process(&self) -> &Process {
        self.process.as_ref().expect("the host is down")
    }

    fn process_mut(&mut self) -> &mut Process {
        self.process.as_mut().expect("the host is down")
    }

    /// A visitor who is not signed in.
    pub(crate) fn visitor(&self) -> Client {
        Client::new(&self.process().public)
    }

    /// A user with a new account, signed in.
    pub(crate) async fn user(&self, name: &str) -> Client {
        let mut visitor = self.visitor();
        visitor.sign_up(&unique(name)).await;
        visitor
    }

    pub(crate) async fn users(&self, name: &str, count: usize) -> Vec<Client> {
        futures::future::join_all((0..count).map(|_| self.user(name))).await
    }

    /// An operator without a token.
    pub(crate) fn outsider(&self) -> Client {
        Client::new(&self.process().operators)
    }

    /// An operator with the token of these tests.
    pub(crate) fn operator(&self) -> Client {
        self.bearer(ADMIN_TOKEN)
    }

    /// An operator with this token.
    pub(crate) fn bearer(&self, token: &str) -> Client {
        self.outsider().with_header("authorization", &format!("Bearer {token}"))
    }

    /// The whole log, also of earlier processes with the same data.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.setup.log()).unwrap()
    }

    /// The line that the host prints about its operator token.
    pub(crate) fn announced_token(&self) -> &str {
        &self.process().token
    }

    /// The public listener, as `address:port`.
    pub(crate) fn address(&self) -> &str {
        self.process().public.split_once("://").unwrap().1
    }

    /// The operator listener, as `address:port`.
    pub(crate) fn operators_address(&self) -> &str {
        self.process().operators.strip_prefix("http://").unwrap()
    }

    /// Opens one of the databases for reading, such as `components/orders.db`.
    pub(crate) async fn database(&self, file: &str) -> Database {
        Database::open(&self.setup, file).await
    }

    /// Kills the process, as a loss of power would.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("the host is down");
        process.child.kill().await.unwrap();
    }

    /// Asks the process to end, and does not wait for its end.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends a signal to the process. The name is short, such as `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id()]).status().await.unwrap();
        assert!(status.success());
    }

    /// The state of the process as Linux writes it: `T` means stopped.
    pub(crate) fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap()
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> String {
        self.process().child.id().expect("the host has ended").to_string()
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status =
            timeout(PATIENCE, self.process_mut().child.wait()).await.expect("the process should have ended").unwrap();
        self.process = None;
        status
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process_mut().child.try_wait().unwrap().is_some()
    }

    /// Ends the process in an orderly way, and waits for its end.
    pub(crate) async fn stop(&mut self) {
        self.terminate().await;
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "a host that is asked to stop ends with code 0");
    }

    /// Starts a new process on the same data directory, at another address.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.process.is_none(), "the host runs");
        self.process = Some(Process::start(&self.setup).await);
    }

    /// Ends the process and starts another one with more settings.
    pub(crate) async fn restart_with(&mut self, toml: &str) {
        self.stop().await;
        self.setup = self.setup.clone().toml(toml);
        self.start_again().await;
    }

    /// The same user, who sends requests to the host's present address.
    pub(crate) fn again(&self, client: &Client) -> Client {
        client.at(&self.process().public)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.setup.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.len().saturating_sub(60);
            eprintln!("--- the end of the host's log\n{}", lines[tail..].join("\n"));
        }
    }
}
