//! `cargo xtask dev` in a copy of the workspace: the host answers with the code
//! that was saved last.

use crate::support::{Client, copy_folder, eventually};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
};

/// The longest that the compiler may take on a busy machine.
const COMPILING: Duration = Duration::from_secs(600);
const CHEAP_HASHING: &str = "[identity]\nargon2_memory_kib = 64\nargon2_iterations = 1\n";
/// A file of a component, and a text in it.
const ROUTES: &str = "components/auth/src/routes.rs";
const TEXT: &str = "Invalid credentials";

/// A developer's copy of the workspace, with `cargo xtask dev`.
struct DevSession {
    folder: PathBuf,
    task: Child,
    output: Arc<Mutex<String>>,
}

fn collect(output: &Arc<Mutex<String>>, stream: impl AsyncRead + Unpin + Send + 'static) {
    let (output, mut lines) = (output.clone(), BufReader::new(stream).lines());
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            output.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
}

impl DevSession {
    async fn begin(data: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).args(["build", "--quiet", "--package", "xtask"]);
        assert!(cargo.stdin(Stdio::null()).status().await.unwrap().success());
        // The folder stays from run to run, so that only the first one compiles everything.
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev");
        let folder = place.join("workspace");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        copy_folder(root, &folder, &["target", ".git", "data", "fuzz", "node_modules"]);
        // Results of the last run are newer than the copy of this file, so cargo would not build it.
        let saved = folder.join(ROUTES);
        fs::write(&saved, fs::read(&saved).unwrap()).unwrap();
        let config = data.join("ticketing.toml");
        fs::write(&config, CHEAP_HASHING).unwrap();
        let mut task = Command::new(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("debug/xtask"));
        // Cargo sets this variable for tests. A developer's shell does not have it.
        task.env_remove("TICKETING_COMPONENTS_DIR");
        task.current_dir(&folder).env("CARGO_TARGET_DIR", place.join("target"));
        task.args(["dev", "--host", env!("CARGO_BIN_EXE_ticketing"), "--", "--listen=127.0.0.1:0"]);
        task.args(["--admin-listen=127.0.0.1:0", "--data-dir"]).arg(data.join("data")).arg("--config").arg(config);
        task.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut task = task.spawn().unwrap();
        let output = Arc::default();
        collect(&output, task.stdout.take().unwrap());
        collect(&output, task.stderr.take().unwrap());
        Self { folder, task, output }
    }

    fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits until the output has this text this many times.
    async fn says(&self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.output().matches(text).count() < times {
            assert!(begun.elapsed() < COMPILING, "the output does not have {text:?} {times} times:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The rest of the output line that begins with this word.
    fn announced(&self, word: &str) -> String {
        let output = self.output();
        let line =
            output.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("{word}: {output}"));
        line.trim().to_owned()
    }

    fn save(&self, from: &str, to: &str) {
        let file = self.folder.join(ROUTES);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(file, text.replace(from, to)).unwrap();
    }
}

async fn refusal(visitor: &Client) -> String {
    let guess = json!({ "email": "nobody@example.com", "password": "a wrong one" });
    let reply = visitor.post("/api/users/signin", guess).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    reply.errors()[0].0.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_change_is_served_and_one_that_does_not_compile_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut session = DevSession::begin(data.path()).await;
    session.says("Watching components/", 1).await;
    let address = session.announced("serving");
    let visitor = Client::new(&address);
    assert_eq!(refusal(&visitor).await, TEXT);

    session.save(TEXT, "Wrong credentials");
    session.says("after it was saved", 1).await;
    assert_eq!(refusal(&visitor).await, "Wrong credentials");
    let output = session.output();
    let line = output.lines().find(|line| line.contains("after it was saved")).unwrap();
    println!("{line}");
    assert!(line.starts_with("==> auth 1.0.0+"), "{line}");

    session.save("Wrong credentials", "Wrong credentials\" nonsense \"");
    session.says("auth could not be built; the previous revision still serves", 1).await;
    assert!(session.output().contains("error: "), "the output has the compiler's message: {}", session.output());
    assert_eq!(refusal(&visitor).await, "Wrong credentials");

    session.save("Wrong credentials\" nonsense \"", "Bad credentials");
    session.says("after it was saved", 2).await;
    assert_eq!(refusal(&visitor).await, "Bad credentials");
    let swapped: Vec<_> =
        session.output().lines().filter(|line| line.contains("after it was saved")).map(str::to_owned).collect();
    assert!(
        swapped.iter().all(|line| line.starts_with("==> auth ")),
        "only the changed component is swapped: {swapped:?}"
    );

    let id = session.task.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let ended = tokio::time::timeout(COMPILING, session.task.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0), "{}", session.output());
    let gone = async || visitor.attempt(http::Method::GET, "/", None).await.is_none();
    eventually("the host has ended too", gone, |gone| *gone).await;
}
