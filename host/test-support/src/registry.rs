//! A registry of OCI for tests, on a free port of the loopback interface.

use crate::{
    kept_program::{KeptProgram, free_port},
    tool,
};
use std::{
    fs::{self, File},
    net::TcpStream,
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The user `author` with the password `secret`, as bcrypt has it.
const USERS: &str = "author:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A running registry, with a store of its own.
#[derive(Debug)]
pub struct OciRegistry {
    port: u16,
    _program: KeptProgram,
    _folder: TempDir,
}

impl OciRegistry {
    /// Starts a registry that everybody may use.
    #[must_use]
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts a registry for the user `author` with the password `secret` alone.
    #[must_use]
    pub fn with_users() -> Self {
        Self::with("auth: {htpasswd: {realm: tests, path: users}}\n")
    }

    fn with(settings: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let place = folder.path().display();
        let settings = settings.replace("users", &format!("{place}/users"));
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {place}/store}}}}\n\
             http: {{addr: '127.0.0.1:{port}', secret: tests}}\n{settings}"
        );
        let (config_file, log) = (folder.path().join("config.yml"), folder.path().join("log"));
        fs::write(&config_file, config).unwrap();
        fs::write(folder.path().join("users"), USERS).unwrap();
        let arguments = ["serve".into(), config_file.into()];
        let program = KeptProgram::start(&tool("", "docker-registry"), arguments, File::create(&log).unwrap());
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(&log).unwrap_or_default());
            sleep(Duration::from_millis(10));
        }
        Self { port, _program: program, _folder: folder }
    }

    /// The name of the registry: its host and port.
    #[must_use]
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
