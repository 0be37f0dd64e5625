//! The settings of a host under test, in a folder of its own.

use super::{Bus, PATIENCE, host::PROCESS_PERMITS, on_postgres, postgres};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::{process::Command, sync::OnceCell, time::timeout};

pub(crate) const ADMIN_TOKEN: &str = "the-token-of-these-tests";

/// The cheapest hashing that the settings allow. Most tests are not about it.
const CHEAP_HASHING: &str = "argon2_memory_kib = 64\nargon2_iterations = 1\n";

/// On a busy machine, requests wait long. Most tests are not about that.
const PATIENT: &str = "queue_wait_ms = 20000\n";

/// On a busy machine, compiling takes long. Most tests are not about that.
pub(crate) const PATIENT_COMPILER: &str =
    "compile_memory_mib = 4096\ncompile_cpu_seconds = 600\ncompile_wall_seconds = 600\n";

const ANY_PORT: &str = "127.0.0.1:0";

/// The settings of a host, and its folder.
#[derive(Clone)]
pub(crate) struct Setup {
    folder: Arc<TempDir>,
    /// Another path to the data directory.
    data_path: Option<PathBuf>,
    listen: String,
    admin_listen: String,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    identity: String,
    store: String,
    http: String,
    engine: String,
    compiler: String,
    toml: String,
    cache: PathBuf,
    admin_token: bool,
    /// The PostgreSQL database, if the host has one.
    database_url: Arc<OnceCell<String>>,
    pub(crate) bus: Bus,
}

impl Setup {
    /// An empty data directory, an expiration that no test reaches, and no limit
    /// on reservations.
    pub(crate) fn new() -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            data_path: None,
            listen: ANY_PORT.to_owned(),
            admin_listen: ANY_PORT.to_owned(),
            flags: Vec::new(),
            variables: Vec::new(),
            identity: CHEAP_HASHING.to_owned(),
            store: PATIENT.to_owned(),
            http: PATIENT.to_owned(),
            engine: String::new(),
            compiler: PATIENT_COMPILER.to_owned(),
            toml: String::new(),
            cache: Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"),
            admin_token: true,
            database_url: Arc::default(),
            bus: Bus::of_this_run(),
        }
        .flag("--set=orders.order-expiration-seconds=3600")
        .flag("--set=orders.max-unpaid-orders=0")
    }

    /// A host without the components that are bundled into the program.
    pub(crate) fn without_components() -> Self {
        Self::new().default_expiration().default_unpaid_orders().flag("--bundled=false")
    }

    pub(crate) fn expiration_seconds(mut self, seconds: u32) -> Self {
        self.flags.retain(|flag| !flag.contains("order-expiration-seconds"));
        self.flag(&format!("--set=orders.order-expiration-seconds={seconds}"))
    }

    /// Sets no expiration, so that the default or the environment decides.
    pub(crate) fn default_expiration(mut self) -> Self {
        self.flags.retain(|flag| !flag.contains("order-expiration-seconds"));
        self
    }

    /// Sets no limit on unpaid orders, so that the default or the environment
    /// decides.
    pub(crate) fn default_unpaid_orders(mut self) -> Self {
        self.flags.retain(|flag| !flag.contains("max-unpaid-orders"));
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

    /// Listens for visitors at this address.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Listens for operators at this address.
    pub(crate) fn admin_listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.admin_listen);
        self
    }

    /// Names the data directory by another path.
    pub(crate) fn data_at(mut self, path: &Path) -> Self {
        self.data_path = Some(path.to_owned());
        self
    }

    /// Adds settings to the table `http`.
    pub(crate) fn http(mut self, text: &str) -> Self {
        self.http.push_str(text);
        self
    }

    /// Adds settings to the table `engine`.
    pub(crate) fn engine(mut self, text: &str) -> Self {
        self.engine.push_str(text);
        self
    }

    /// Replaces the limits of the compiler, in the table `engine`.
    pub(crate) fn compiler(mut self, text: &str) -> Self {
        text.clone_into(&mut self.compiler);
        self
    }

    /// Adds tables to the settings file, other than `engine`, `http`, `identity`
    /// and `store`.
    pub(crate) fn toml(mut self, text: &str) -> Self {
        self.toml.push_str(text);
        self.toml.push('\n');
        self
    }

    /// Replaces the settings of the table `store`.
    pub(crate) fn store(mut self, text: &str) -> Self {
        text.clone_into(&mut self.store);
        self
    }

    /// Uses the default limit of the wait for the store.
    pub(crate) fn impatient(mut self) -> Self {
        self.store.clear();
        self
    }

    /// Replaces the settings of the table `identity`, which make hashing cheap.
    pub(crate) fn identity(mut self, text: &str) -> Self {
        text.clone_into(&mut self.identity);
        self
    }

    /// Adds settings to the table `identity`, beside cheap hashing.
    pub(crate) fn more_identity(mut self, text: &str) -> Self {
        self.identity.push_str(text);
        self
    }

    /// Uses a compile cache that no other test uses.
    pub(crate) fn private_cache(mut self) -> Self {
        self.cache = self.folder.path().join("cache");
        self
    }

    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Sets no operator token, so that the host generates one.
    pub(crate) fn generated_token(mut self) -> Self {
        self.admin_token = false;
        self
    }

    /// Chooses the bus, independent of the pass of the tests.
    pub(crate) fn bus(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }

    /// Uses the same broker at another address.
    pub(crate) fn bus_at(mut self, address: &str) -> Self {
        self.bus = self.bus.at(address);
        self
    }

    /// Another host with the same settings, database and bus.
    pub(crate) fn beside(&self) -> Self {
        Self { folder: Arc::new(tempfile::tempdir().unwrap()), ..self.clone() }
    }

    /// Chooses the PostgreSQL database, independent of the pass of the tests.
    pub(crate) fn in_database(mut self, url: &str) -> Self {
        self.database_url = Arc::new(OnceCell::from(url.to_owned()));
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The URL of the PostgreSQL database. None if the host uses SQLite.
    pub(crate) async fn database_url(&self) -> Option<&str> {
        if let Some(url) = self.database_url.get() {
            return Some(url);
        }
        if !on_postgres() {
            return None;
        }
        Some(self.database_url.get_or_init(postgres::new_database).await)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn database(&self, file: &str) -> PathBuf {
        self.data().join(file)
    }

    /// The command that runs the host with these settings. Its environment has no
    /// other variables.
    pub(crate) fn command(&self, name: &str) -> Command {
        let config = self.folder.path().join("ticketing.toml");
        let text = format!(
            "[engine]\ncache_dir = {:?}\n{}{}\n[store]\n{}[http]\n{}\n[identity]\n{}\n{}{}",
            self.cache,
            self.compiler,
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
        let data = self.data_path.clone().unwrap_or_else(|| self.data());
        command.arg("--data-dir").arg(data).arg("--config").arg(config);
        command.args(["--listen", &self.listen, "--admin-listen", &self.admin_listen]).args(&self.flags);
        // The users of a test share one address.
        command.env("TICKETING_RATE_LIMITS", "off");
        if self.admin_token {
            command.env("TICKETING_ADMIN_TOKEN", ADMIN_TOKEN);
        }
        if let Some(url) = self.database_url.get() {
            command.env("TICKETING_DATABASE_URL", url);
            if self.bus.variable().is_some() {
                // Several hosts may share the database and the broker.
                command.env("JWT_KEY", "the key that signs the sessions of all hosts of a test");
            }
        }
        command.envs(self.bus.variable());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command of the host and waits for its end.
    pub(crate) async fn output(&self, name: &str) -> Output {
        let _permit = PROCESS_PERMITS.acquire().await.unwrap();
        self.database_url().await;
        timeout(PATIENCE, self.command(name).output()).await.expect("the command should have ended by itself").unwrap()
    }
}
