//! A process of the host with a data directory of its own. It is killed and its
//! directory removed when the value is dropped; a failed test prints its log.

use super::{Bus, Client, Database, PATIENCE, market::unique, on_postgres, postgres};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::{OnceCell, Semaphore, SemaphorePermit},
    time::timeout,
};

/// Processes at the same time, in all tests together.
static PLACES: Semaphore = Semaphore::const_new(4);

pub(crate) const ADMIN_TOKEN: &str = "the-token-of-these-tests";

/// Hashing as cheap as the settings allow: most tests are not about it.
const CHEAP_HASHING: &str = "argon2_memory_kib = 64\nargon2_iterations = 1\n";

/// A busy machine makes requests wait, and no test is about that.
const PATIENT: &str = "queue_wait_ms = 20000\n";

/// How a host is to be started.
#[derive(Clone)]
pub(crate) struct Setup {
    folder: Arc<TempDir>,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    identity: String,
    store: String,
    http: String,
    engine: String,
    toml: String,
    cache: PathBuf,
    admin_token: bool,
    /// A PostgreSQL database, if this run is about that.
    database_url: Arc<OnceCell<String>>,
    pub(super) bus: Bus,
}

impl Setup {
    /// An empty data directory; expiry far away.
    pub(crate) fn new() -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            flags: Vec::new(),
            variables: Vec::new(),
            identity: CHEAP_HASHING.to_owned(),
            store: PATIENT.to_owned(),
            http: PATIENT.to_owned(),
            engine: String::new(),
            toml: String::new(),
            cache: Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"),
            admin_token: true,
            database_url: Arc::default(),
            bus: Bus::of_this_run(),
        }
        .flag("--set=orders.order-expiration-seconds=3600")
    }

    pub(crate) fn expiration_seconds(mut self, seconds: u32) -> Self {
        self.flags.retain(|flag| !flag.contains("order-expiration-seconds"));
        self.flag(&format!("--set=orders.order-expiration-seconds={seconds}"))
    }

    /// Sets no expiration, so that the default or the environment counts.
    pub(crate) fn default_expiration(mut self) -> Self {
        self.flags.retain(|flag| !flag.contains("order-expiration-seconds"));
        self
    }

    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Settings of the table `http`.
    pub(crate) fn http(mut self, text: &str) -> Self {
        self.http.push_str(text);
        self
    }

    /// Settings of the table `engine`.
    pub(crate) fn engine(mut self, text: &str) -> Self {
        self.engine.push_str(text);
        self
    }

    /// Settings for the file, in tables other than `engine`, `http`, `identity`
    /// and `store`.
    pub(crate) fn toml(mut self, text: &str) -> Self {
        self.toml.push_str(text);
        self.toml.push('\n');
        self
    }

    /// Nobody waits for the store longer than the default says.
    pub(crate) fn impatient(mut self) -> Self {
        self.store.clear();
        self
    }

    /// Settings of the table `identity`, in place of cheap hashing.
    pub(crate) fn identity(mut self, text: &str) -> Self {
        text.clone_into(&mut self.identity);
        self
    }

    /// Settings of the table `identity`, beside cheap hashing.
    pub(crate) fn more_identity(mut self, text: &str) -> Self {
        self.identity.push_str(text);
        self
    }

    /// A compile cache that no other test uses.
    pub(crate) fn private_cache(mut self) -> Self {
        self.cache = self.folder.path().join("cache");
        self
    }

    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Leaves the operator token to the host.
    pub(crate) fn generated_token(mut self) -> Self {
        self.admin_token = false;
        self
    }

    /// The broker that carries the events, whatever this run is about.
    pub(crate) fn bus(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }

    /// The same broker at another address.
    pub(crate) fn bus_at(mut self, address: &str) -> Self {
        self.bus = self.bus.at(address);
        self
    }

    /// Another host with the same settings, database and bus.
    pub(crate) fn beside(&self) -> Self {
        Self { folder: Arc::new(tempfile::tempdir().unwrap()), ..self.clone() }
    }

    /// Keeps its state in this PostgreSQL database, whatever the run is about.
    pub(crate) fn in_database(mut self, url: &str) -> Self {
        self.database_url = Arc::new(OnceCell::from(url.to_owned()));
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// None if the host keeps everything in files.
    pub(crate) async fn database_url(&self) -> Option<&str> {
        if let Some(url) = self.database_url.get() {
            return Some(url);
        }
        if !on_postgres() {
            return None;
        }
        let new = async || postgres::database().await.expect("the run is about PostgreSQL");
        Some(self.database_url.get_or_init(new).await)
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn database(&self, file: &str) -> PathBuf {
        self.data().join(file)
    }

    /// The command with these settings and an environment that holds nothing
    /// else.
    pub(crate) fn command(&self, name: &str) -> Command {
        let config = self.folder.path().join("ticketing.toml");
        let text = format!(
            "[engine]\ncache_dir = {:?}\n{}\n[store]\n{}[http]\n{}\n[identity]\n{}\n{}{}",
            self.cache,
            self.engine,
            self.store,
            self.http,
            self.identity,
            self.bus.settings(),
            self.toml
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
        command.env_clear().current_dir(self.folder.path()).arg(name);
        command.arg("--data-dir").arg(self.data()).arg("--config").arg(config);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(&self.flags);
        if self.admin_token {
            command.env("TICKETING_ADMIN_TOKEN", ADMIN_TOKEN);
        }
        if let Some(url) = self.database_url.get() {
            command.env("TICKETING_DATABASE_URL", url);
            if self.bus.variable().is_some() {
                // Others may be on both.
                command.env("JWT_KEY", "the key that signs the sessions of all hosts of a test");
            }
        }
        command.envs(self.bus.variable());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command that is expected to end by itself.
    pub(crate) async fn output(&self, name: &str) -> Output {
        let _place = PLACES.acquire().await.unwrap();
        self.database_url().await;
        timeout(PATIENCE, self.command(name).output()).await.expect("it should have ended by itself").unwrap()
    }

    pub(crate) async fn start(&self) -> Host {
        let place = PLACES.acquire().await.unwrap();
        self.database_url().await;
        let process = Process::start(self).await;
        Host { setup: self.clone(), process: Some(process), _place: place }
    }
}

impl Setup {
    /// Starts several at the same time.
    pub(crate) async fn start_all<const N: usize>(setups: [Self; N]) -> [Host; N] {
        let mut places = PLACES.acquire_many(u32::try_from(N).unwrap()).await.unwrap();
        let starts = setups.map(|setup| {
            let place = places.split(1).unwrap();
            async move {
                let process = Process::start(&setup).await;
                Host { setup, process: Some(process), _place: place }
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
    _place: SemaphorePermit<'static>,
}

struct Process {
    child: Child,
    /// Kept open, so that the host can write.
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

/// The four lines, without their first words.
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

    /// Somebody who is not signed in.
    pub(crate) fn visitor(&self) -> Client {
        Client::new(&self.process().public)
    }

    /// A new account, signed in.
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

    /// An operator.
    pub(crate) fn operator(&self) -> Client {
        self.bearer(ADMIN_TOKEN)
    }

    /// Whoever has this operator token.
    pub(crate) fn bearer(&self, token: &str) -> Client {
        self.outsider().with_header("authorization", &format!("Bearer {token}"))
    }

    /// Everything that it has logged so far, in all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.setup.log()).unwrap()
    }

    /// What the host says about its token.
    pub(crate) fn announced_token(&self) -> &str {
        &self.process().token
    }

    /// Where the public listener is, as `address:port`.
    pub(crate) fn address(&self) -> &str {
        self.process().public.strip_prefix("http://").unwrap()
    }

    /// Where the operator listener is, as `address:port`.
    pub(crate) fn operators_address(&self) -> &str {
        self.process().operators.strip_prefix("http://").unwrap()
    }

    /// A look into one of the databases, such as `components/orders.db`.
    pub(crate) async fn database(&self, file: &str) -> Database {
        Database::open(&self.setup, file).await
    }

    /// Ends the process as a loss of power would.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("the host is down");
        process.child.kill().await.unwrap();
    }

    /// Asks the process to end, and does not wait.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends the process a signal by its short name.
    pub(crate) async fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id()]).status().await.unwrap();
        assert!(status.success());
    }

    /// What the process does, as a letter of Linux: `T` is stopped.
    pub(crate) fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap()
    }

    fn id(&self) -> String {
        self.process().child.id().expect("the host has ended").to_string()
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.process_mut().child.wait()).await.expect("it should have ended").unwrap();
        self.process = None;
        status
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process_mut().child.try_wait().unwrap().is_some()
    }

    /// Ends the process in an orderly way.
    pub(crate) async fn stop(&mut self) {
        self.terminate().await;
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "a host that is told to stop ends well");
    }

    /// Starts it again on the same data directory, at another address.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.process.is_none(), "the host runs");
        self.process = Some(Process::start(&self.setup).await);
    }

    /// The same person at the address where the host is now.
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
