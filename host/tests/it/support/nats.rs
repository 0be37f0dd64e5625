//! Servers of NATS that belong to the tests: on a free port of the loopback
//! interface, with a store of their own. They end with the process of the
//! tests, however that ends.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, OnceLock},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What `cargo xtask test` installs, and the folder that it goes to.
const TOOL: &str = "nats-server-2.15.1/bin/nats-server";
const PATIENCE: Duration = Duration::from_secs(30);

/// The server ends when the standard input of this is closed.
const GUARD: &str = r#""$@" & server=$!; cat >/dev/null; kill -9 $server 2>/dev/null; wait $server"#;

/// A server that runs, or one that is down between two starts.
pub(crate) struct NatsServer {
    folder: Arc<TempDir>,
    name: String,
    arguments: Vec<String>,
    process: Option<Process>,
    pub(crate) port: u16,
}

struct Process {
    guard: Child,
    input: Option<ChildStdin>,
    server: u32,
}

impl NatsServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// One with more arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::start_in(folder(), arguments.iter().map(|argument| (*argument).to_owned()).collect())
    }

    /// One with what only its own file can say.
    pub(crate) fn with_file(settings: &str) -> Self {
        let folder = folder();
        let file = folder.path().join("server.conf");
        fs::write(&file, settings).unwrap();
        Self::start_in(folder, vec!["-c".to_owned(), file.display().to_string()])
    }

    fn start_in(folder: Arc<TempDir>, arguments: Vec<String>) -> Self {
        let mut server = Self { folder, name: "nats".to_owned(), arguments, process: None, port: free_port() };
        server.start_again();
        server
    }

    /// The one server that tests share which do nothing to it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<NatsServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Servers that keep what each of them knows.
    pub(crate) fn cluster(size: usize) -> Vec<Self> {
        let (folder, ports): (_, Vec<u16>) = (folder(), (0..2 * size).map(|_| free_port()).collect());
        let (clients, routes) = ports.split_at(size);
        let all = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        let mut servers: Vec<Self> = (clients.iter().zip(routes).enumerate())
            .map(|(number, (&port, route))| {
                let own = format!("nats://127.0.0.1:{route}");
                let arguments = ["--cluster_name", "tests", "--cluster", &own, "--routes", &all];
                let arguments = arguments.map(str::to_owned).into();
                let name = format!("nats-{number}");
                Self { folder: folder.clone(), name, arguments, process: None, port }
            })
            .collect();
        servers.iter_mut().for_each(Self::start_again);
        servers
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it as a loss of power would, the disk aside.
    pub(crate) fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Starts it on the store that it has left, at the same address.
    pub(crate) fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let store = self.folder.path().join(&self.name);
        let (store, port) = (store.to_str().unwrap(), self.port.to_string());
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(binary());
        command.args(["-a", "127.0.0.1", "-p", &port, "--jetstream", "-sd", store, "-n", &self.name]);
        command.args(&self.arguments).args(["-P", &self.pid_file().display().to_string()]);
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut guard =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().expect("sh is everywhere");
        let input = guard.stdin.take();
        let mut process = Process { guard, input, server: 0 };
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(self.log_file()).unwrap_or_default());
            sleep(Duration::from_millis(10));
        }
        process.server = fs::read_to_string(self.pid_file()).unwrap().trim().parse().unwrap();
        self.process = Some(process);
    }

    /// Forgets all that it has stored, while it is down.
    pub(crate) fn lose_store(&self) {
        assert!(self.process.is_none(), "it runs");
        fs::remove_dir_all(self.folder.path().join(&self.name)).unwrap();
    }

    /// Lets it do nothing until it is thawed, as if the machine hung.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it is down").server.to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// It greets whoever connects.
    fn answers(&self) -> bool {
        use std::io::Read;
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut greeting = [0; 4];
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_exact(&mut greeting).is_ok() && greeting == *b"INFO"
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.pid", self.name))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.guard.wait();
    }
}

fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The server's program: installed for the tests, or on the machine.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // Tests lie two folders below that of the tools.
        let test = env::current_exe().unwrap();
        let installed = test.ancestors().nth(3).map(|target| target.join("tools").join(TOOL));
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path = env::split_paths(&path).map(|folder| folder.join("nats-server"));
        installed.into_iter().chain(on_path).find(|file| file.is_file()).expect(
            "there is no nats-server: `cargo xtask test` installs it, or put one on the PATH, or leave out the tests \
             that need it with `cargo xtask test --embedded`",
        )
    })
}
