//! PostgreSQL servers for tests. Each runs on a free port of the loopback
//! interface, in a new data directory, and ends with the process of the tests.

use crate::kept_program::free_port;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{
    env, fs,
    io::Write,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::OnceCell;

const USER: &str = "tests";
const PASSWORD: &str = "of-the-tests";
/// The account that Debian's package creates. PostgreSQL refuses to run as root.
const ACCOUNT: &str = "postgres";
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The code of PostgreSQL's error when it starts or recovers from a crash.
const CANNOT_CONNECT_NOW: &str = "57P03";
/// The shared server writes less, because nothing reads its data after a loss
/// of power. A server of its own test keeps PostgreSQL's defaults.
const NOT_DURABLE: [&str; 4] = ["-c", "fsync=off", "-c", "full_page_writes=off"];

static SHARED: OnceCell<Server> = OnceCell::const_new();
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(0);

/// Creates an empty database on the server that all tests of this process
/// share, and returns its URL.
pub async fn new_database() -> String {
    SHARED.get_or_init(Server::start).await.create_database().await
}

/// Opens a connection as the owner of the server.
///
/// # Errors
/// The URL is not valid, or the server does not accept the connection.
pub async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await
}

/// The path of one of PostgreSQL's own programs, such as `pg_dump`.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    binaries().expect("PostgreSQL is not installed: on Debian, as root, `apt-get install postgresql`").join(name)
}

/// A server for one test, which can stop it and start it again.
#[derive(Debug)]
pub struct PostgresServer {
    server: Server,
    _folder: TempDir,
}

impl PostgresServer {
    /// Starts the server.
    pub async fn start() -> Self {
        let folder = new_folder();
        let mut server = Server::new(folder.path());
        server.run(None, &[]).await;
        Self { server, _folder: folder }
    }

    /// Creates an empty database and returns its URL.
    pub async fn database(&self) -> String {
        self.server.create_database().await
    }

    /// Starts a standby that follows this server.
    pub async fn standby(&self) -> Self {
        let folder = new_folder();
        let mut server = Server::copy_of(&self.server, folder.path());
        server.run(None, &[]).await;
        Self { server, _folder: folder }
    }

    /// The port of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The log of the server.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.server.log()).unwrap_or_default()
    }

    /// Runs statements as the owner of the server.
    pub async fn execute(&self, statements: &[&str]) {
        let mut connection = connect(&self.server.url("postgres")).await.unwrap();
        for statement in statements {
            connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    /// Stops the server at once, as a loss of power would.
    pub fn stop(&mut self) {
        let mut keeper = self.server.keeper.take().expect("the server is stopped already");
        drop(keeper.stdin.take());
        keeper.wait().unwrap();
    }

    /// Starts the stopped server at the same address.
    pub async fn start_again(&mut self) {
        self.server.run(None, &[]).await;
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.server.keeper.is_some() {
            self.stop();
        }
    }
}

/// A shell that starts the server and stops it when the shell's input closes.
/// The input closes with the process of the tests, even when that is killed.
/// `$1` is a folder to remove afterwards, or empty. The rest is the server's
/// command.
const KEEPER: &str = "folder=$1; shift; \"$@\" </dev/null & server=$!; cat >/dev/null; kill -QUIT $server; wait $server; [ -z \"$folder\" ] || rm -rf \"$folder\"";

#[derive(Debug)]
struct Server {
    port: u16,
    folder: PathBuf,
    /// Whether the server runs under [`ACCOUNT`], because the tests run as root.
    as_account: bool,
    keeper: Option<Child>,
}

impl Server {
    /// Starts the shared server. The keeper removes its folder, because a
    /// static value is never dropped.
    async fn start() -> Self {
        let folder = new_folder().keep();
        let mut server = Self::new(&folder);
        server.run(Some(&folder), &NOT_DURABLE).await;
        server
    }

    /// Initializes a data directory in the folder. The server does not run yet.
    fn new(folder: &Path) -> Self {
        let as_account = fs::metadata("/proc/self").unwrap().uid() == 0;
        if as_account {
            chown(folder, Some(account_id("-u")), Some(account_id("-g"))).unwrap();
        }
        initialize(folder, &folder.join("data"), &command("initdb", as_account));
        Self { port: free_port(), folder: folder.to_owned(), as_account, keeper: None }
    }

    /// Copies the data directory of a server that runs. The copy follows it.
    fn copy_of(primary: &Self, folder: &Path) -> Self {
        let Self { as_account, .. } = *primary;
        if as_account {
            chown(folder, Some(account_id("-u")), Some(account_id("-g"))).unwrap();
        }
        let backup = command("pg_basebackup", as_account);
        let output = Command::new(&backup[0])
            .args(&backup[1..])
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-R", "-X", "stream", "-c", "fast", "-d", &primary.url("postgres")])
            .current_dir("/")
            .output()
            .unwrap();
        assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        Self { port: free_port(), folder: folder.to_owned(), as_account, keeper: None }
    }

    /// Starts the server and waits until it accepts connections.
    async fn run(&mut self, remove_afterwards: Option<&Path>, arguments: &[&str]) {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(remove_afterwards.unwrap_or(Path::new("")))
            .args(command("postgres", self.as_account))
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", &format!("port={}", self.port), "-c", "max_connections=500", "-c", "shared_buffers=64MB"])
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.keeper = Some(keeper);
        self.connect_when(|_| true).await;
    }

    /// Opens a connection as the owner. Tries again while the error is one
    /// that passes.
    async fn connect_when(&self, passes: impl Fn(&sqlx::Error) -> bool) -> PgConnection {
        let started = Instant::now();
        let mut had_error = false;
        loop {
            let error = match connect(&self.url("postgres")).await {
                Ok(connection) => {
                    if had_error {
                        self.tell_crashes();
                    }
                    return connection;
                }
                Err(error) => error,
            };
            had_error = true;
            let log = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(passes(&error), "PostgreSQL refuses a connection: {error}\n{}", log());
            assert!(started.elapsed() < START_TIMEOUT, "PostgreSQL does not answer: {error}\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn create_database(&self) -> String {
        let name = format!("test_{}", NEXT_DATABASE.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connect_when(recovers).await;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    /// Prints what the log says about processes of the server that crashed.
    fn tell_crashes(&self) {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        for line in log.lines().filter(|line| line.contains("PANIC") || line.contains("was terminated")) {
            eprintln!("PostgreSQL has recovered from a crash: {line}");
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

/// Whether the server starts, or starts again because one of its processes crashed.
fn recovers(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(CANNOT_CONNECT_NOW))
}

fn new_folder() -> TempDir {
    tempfile::Builder::new().prefix("ticketing-postgres-").tempdir().unwrap()
}

/// The words of a command that runs one of PostgreSQL's programs, as
/// [`ACCOUNT`] if necessary.
fn command(name: &str, as_account: bool) -> Vec<PathBuf> {
    let mut words = Vec::new();
    if as_account {
        words.extend(["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"].map(PathBuf::from));
    }
    words.push(program(name));
    words
}

/// Makes the data directory. The server asks for passwords by MD5, because in
/// a debug build SCRAM slows down each connection. It sorts texts by the rules
/// of a language, so that a statement that relies on the default order fails.
fn initialize(folder: &Path, data: &Path, initdb: &[PathBuf]) {
    let mut password = tempfile::NamedTempFile::new_in(folder).unwrap();
    writeln!(password, "{PASSWORD}").unwrap();
    if let Ok(owner) = fs::metadata(folder) {
        chown(password.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let output = Command::new(&initdb[0])
        .args(&initdb[1..])
        .arg("-D")
        .arg(data)
        .args(["-U", USER, "--auth", "md5", "--encoding", "UTF8", "--no-instructions"])
        .args(["--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US"])
        .arg("--pwfile")
        .arg(password.path())
        .current_dir("/")
        .output()
        .unwrap();
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// The folder with `initdb` and `postgres`. Debian keeps them off the path.
fn binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.into_iter().rev().chain(env::split_paths(&path)).find(|folder| folder.join("initdb").is_file())
}

/// The user (`-u`) or group (`-g`) id of [`ACCOUNT`].
fn account_id(option: &str) -> u32 {
    let output = Command::new("id").args([option, ACCOUNT]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap_or_else(|_| panic!("there is no account {ACCOUNT}"))
}
