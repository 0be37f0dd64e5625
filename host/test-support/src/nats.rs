//! NATS servers for tests. Each runs on a free port of the loopback interface,
//! with a store of its own, and ends with the process of the tests.

use crate::{
    kept_program::{KeptProgram, free_port},
    tool,
};
use std::{
    ffi::OsString,
    fs,
    io::Read,
    net::TcpStream,
    path::PathBuf,
    process::Command,
    sync::{Arc, OnceLock},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The folder of the program among the tools of the build.
const TOOL: &str = "nats-server-2.15.1";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A NATS server with JetStream. It runs, or it is down between two starts.
#[derive(Debug)]
pub struct NatsServer {
    folder: Arc<TempDir>,
    name: String,
    arguments: Vec<String>,
    process: Option<Process>,
    port: u16,
}

#[derive(Debug)]
struct Process {
    _program: KeptProgram,
    server_id: u32,
}

impl NatsServer {
    /// Starts a server with the default settings.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with more arguments on its command line.
    #[must_use]
    pub fn with(arguments: &[&str]) -> Self {
        Self::start_in(new_folder(), arguments.iter().map(|argument| (*argument).to_owned()).collect())
    }

    /// Starts a server with a configuration file, for settings that have no
    /// argument.
    #[must_use]
    pub fn with_file(settings: &str) -> Self {
        let folder = new_folder();
        let file = folder.path().join("server.conf");
        fs::write(&file, settings).unwrap();
        Self::start_in(folder, vec!["-c".to_owned(), file.display().to_string()])
    }

    fn start_in(folder: Arc<TempDir>, arguments: Vec<String>) -> Self {
        let mut server = Self { folder, name: "nats".to_owned(), arguments, process: None, port: free_port() };
        server.start_again();
        server
    }

    /// The server that all tests of this process share. They do not stop it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<NatsServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts several servers that form one cluster.
    #[must_use]
    pub fn cluster(size: usize) -> Vec<Self> {
        let (folder, ports): (_, Vec<u16>) = (new_folder(), (0..2 * size).map(|_| free_port()).collect());
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

    /// The port for clients, which stays the same when the server starts again.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills the server, as a loss of power would. Its store remains.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Starts the server on the store that remains, at the same address.
    pub fn start_again(&mut self) {
        self.assert_down();
        let (store, port) = (self.store(), self.port.to_string());
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut arguments: Vec<OsString> =
            ["-a", "127.0.0.1", "-p", &port, "--jetstream", "-n", &self.name, "-sd"].map(Into::into).into();
        arguments.push(store.into());
        arguments.extend(self.arguments.iter().map(Into::into));
        arguments.extend(["-P".into(), self.pid_file().into()]);
        // The program ends with this value, even when the assertion below fails.
        let program = KeptProgram::start(&tool(TOOL, "nats-server"), arguments, log);
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.answers() {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(self.log_file()).unwrap_or_default());
            sleep(Duration::from_millis(10));
        }
        let server_id = fs::read_to_string(self.pid_file()).unwrap().trim().parse().unwrap();
        self.process = Some(Process { _program: program, server_id });
    }

    /// Deletes the store of a server that is down.
    pub fn lose_store(&self) {
        self.assert_down();
        fs::remove_dir_all(self.store()).unwrap();
    }

    /// Stops the server's execution until [`NatsServer::thaw`], as if the
    /// machine hung.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("the NATS server is down").server_id.to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn assert_down(&self) {
        assert!(self.process.is_none(), "the NATS server runs");
    }

    /// Whether the server sends its greeting to a new connection.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut greeting = [0; 4];
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.read_exact(&mut greeting).is_ok() && greeting == *b"INFO"
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.pid", self.name))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.name))
    }
}

fn new_folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}
