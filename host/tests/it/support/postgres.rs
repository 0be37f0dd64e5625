//! A PostgreSQL server of the tests' own, one for each process: with a new
//! data directory, on a free port of the loopback, gone with the process.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{
    env, fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// Set to 1 by `cargo xtask test --embedded`, and by nothing else.
const EMBEDDED: &str = "TICKETING_TESTS_EMBEDDED";
const USER: &str = "tests";
const PASSWORD: &str = "of-the-tests";
/// The account of Debian's package. A server does not run as root.
const ACCOUNT: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(60);

static SERVER: OnceCell<Server> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The URL of a new empty database. None if only tests that need no server
/// are wanted.
pub(crate) async fn database() -> Option<String> {
    if env::var_os(EMBEDDED).is_some_and(|value| value == "1") {
        return None;
    }
    Some(SERVER.get_or_init(Server::start).await.database().await)
}

/// One more connection, as the owner of everything.
pub(crate) async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await
}

struct Server {
    port: u16,
    folder: PathBuf,
    /// Whether it runs under an account of its own.
    account: bool,
    /// Its end of the pipe closes with this process, whatever ends that, and
    /// then the shell ends the server at once.
    shell: Option<Child>,
}

/// Waits for the end of its input. `$1` is a folder to remove then, or empty;
/// the rest is the server.
const KEEPER: &str = "folder=$1; shift; \"$@\" </dev/null & server=$!; cat >/dev/null; kill -QUIT $server; wait $server; [ -z \"$folder\" ] || rm -rf \"$folder\"";

/// A server that a test has for itself, to stop it and start it again.
pub(crate) struct OwnServer {
    server: Server,
    _folder: tempfile::TempDir,
}

impl OwnServer {
    /// None if only tests that need no server are wanted.
    pub(crate) async fn start() -> Option<Self> {
        if env::var_os(EMBEDDED).is_some_and(|value| value == "1") {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("ticketing-postgres-").tempdir().unwrap();
        let mut server = Server::new(folder.path());
        server.run("").await;
        Some(Self { server, _folder: folder })
    }

    pub(crate) async fn database(&self) -> String {
        self.server.database().await
    }

    /// Ends it in the middle of everything, as a loss of power would.
    pub(crate) fn stop(&mut self) {
        let mut shell = self.server.shell.take().expect("it runs");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.server.run("").await;
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if self.server.shell.is_some() {
            self.stop();
        }
    }
}

impl Server {
    /// The one that tests share which do nothing to it.
    async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("ticketing-postgres-").tempdir().unwrap().keep();
        let mut server = Self::new(&folder);
        let folder = folder.display().to_string();
        server.run(&folder).await;
        server
    }

    /// A new one in this folder, which does not run yet.
    fn new(folder: &Path) -> Self {
        let account = fs::metadata("/proc/self").unwrap().uid() == 0;
        if account {
            chown(folder, Some(id("-u")), Some(id("-g"))).unwrap();
        }
        initialize(folder, &folder.join("data"), &command("initdb", account));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, folder: folder.to_owned(), account, shell: None }
    }

    /// Starts it, and waits until it answers.
    async fn run(&mut self, remove: &str) {
        let shell = Command::new("sh")
            .args(["-c", KEEPER, "sh", remove])
            .args(command("postgres", self.account))
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", &format!("port={}", self.port), "-c", "max_connections=500", "-c", "shared_buffers=64MB"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        self.shell = Some(shell);
        let begun = Instant::now();
        while let Err(error) = connect(&self.url("postgres")).await {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not answer: {error}\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The URL of a new empty database.
    async fn database(&self) -> String {
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(&self.url("postgres")).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }
}

/// What starts a program of PostgreSQL, which does not run as root.
fn command(program: &str, account: bool) -> Vec<PathBuf> {
    let binaries = binaries().expect("PostgreSQL is not installed: on Debian, as root, `apt-get install postgresql`");
    let mut words = Vec::new();
    if account {
        words.extend(["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"].map(PathBuf::from));
    }
    words.push(binaries.join(program));
    words
}

/// Passwords are asked for, by MD5 because SCRAM takes a build for tests long
/// for each connection. Texts are sorted as a language does, so that whoever
/// relies on the default is found out.
fn initialize(folder: &Path, data: &Path, initdb: &[PathBuf]) {
    let mut password = tempfile::NamedTempFile::new_in(folder).unwrap();
    writeln!(password, "{PASSWORD}").unwrap();
    if let Ok(owner) = fs::metadata(folder) {
        chown(password.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let made = Command::new(&initdb[0])
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
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
}

/// One of PostgreSQL's own programs.
pub(crate) fn program(name: &str) -> PathBuf {
    binaries().expect("PostgreSQL is not installed").join(name)
}

/// Where `initdb` and `postgres` are: Debian keeps them off the path.
fn binaries() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.into_iter().rev().chain(env::split_paths(&path)).find(|folder| folder.join("initdb").is_file())
}

fn id(which: &str) -> u32 {
    let output = Command::new("id").args([which, ACCOUNT]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap_or_else(|_| panic!("there is no account {ACCOUNT}"))
}
