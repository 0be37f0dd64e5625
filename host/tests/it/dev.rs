//! `cargo xtask dev`, driven in a copy of the workspace: what is saved there is
//! what the host answers with.

use crate::support::{Client, eventually};
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

/// The compiler has to be waited for, on a busy machine for long.
const COMPILING: Duration = Duration::from_secs(600);
const CHEAP_HASHING: &str = "[identity]\nargon2_memory_kib = 64\nargon2_iterations = 1\n";
/// A text of a component, and the file that it is in.
const ROUTES: &str = "components/auth/src/routes.rs";
const TEXT: &str = "Invalid credentials";

/// Somebody at work in a folder of their own.
struct Work {
    folder: PathBuf,
    task: Child,
    said: Arc<Mutex<String>>,
}

/// Copies what is in a folder but for what is built, with its times, so that
/// the compiler sees what has not changed.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, path) = (entry.file_name(), entry.path());
        match name.to_str().unwrap() {
            "target" | ".git" | "data" | "fuzz" | "node_modules" => {}
            _ if path.is_dir() => copy(&path, &to.join(name)),
            _ => {
                let copied = to.join(name);
                fs::copy(&path, &copied).unwrap();
                let modified = path.metadata().unwrap().modified().unwrap();
                fs::File::options().write(true).open(copied).unwrap().set_modified(modified).unwrap();
            }
        }
    }
}

fn listen(said: &Arc<Mutex<String>>, stream: impl AsyncRead + Unpin + Send + 'static) {
    let (said, mut lines) = (said.clone(), BufReader::new(stream).lines());
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            said.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
}

impl Work {
    async fn begin(data: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).args(["build", "--quiet", "--package", "xtask"]);
        assert!(cargo.stdin(Stdio::null()).status().await.unwrap().success());
        // Kept from run to run, so that only the first one compiles everything.
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev");
        let folder = place.join("workspace");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        copy(root, &folder);
        // What the last run has made of this one is newer than it.
        let saved = folder.join(ROUTES);
        fs::write(&saved, fs::read(&saved).unwrap()).unwrap();
        let config = data.join("ticketing.toml");
        fs::write(&config, CHEAP_HASHING).unwrap();
        let mut task = Command::new(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("debug/xtask"));
        // Cargo tells tests what their package was built with, and nobody's shell has that.
        task.env_remove("TICKETING_COMPONENTS_DIR");
        task.current_dir(&folder).env("CARGO_TARGET_DIR", place.join("target"));
        task.args(["dev", "--host", env!("CARGO_BIN_EXE_ticketing"), "--", "--listen=127.0.0.1:0"]);
        task.args(["--admin-listen=127.0.0.1:0", "--data-dir"]).arg(data.join("data")).arg("--config").arg(config);
        task.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut task = task.spawn().unwrap();
        let said = Arc::default();
        listen(&said, task.stdout.take().unwrap());
        listen(&said, task.stderr.take().unwrap());
        Self { folder, task, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this so often.
    async fn says(&self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.said().matches(text).count() < times {
            assert!(begun.elapsed() < COMPILING, "it does not say {text:?} {times} times:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The rest of the line that begins with this word.
    fn announced(&self, word: &str) -> String {
        let said = self.said();
        let line = said.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("{word}: {said}"));
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
async fn what_is_saved_is_served_and_what_does_not_compile_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut work = Work::begin(data.path()).await;
    work.says("Watching components/ and wit/", 1).await;
    let address = work.announced("serving");
    let visitor = Client::new(&address);
    assert_eq!(refusal(&visitor).await, TEXT);

    work.save(TEXT, "Wrong credentials");
    work.says("after it was saved", 1).await;
    assert_eq!(refusal(&visitor).await, "Wrong credentials");
    let said = work.said();
    let line = said.lines().find(|line| line.contains("after it was saved")).unwrap();
    println!("{line}");
    assert!(line.starts_with("==> auth 1.0.0+"), "{line}");

    work.save("Wrong credentials", "Wrong credentials\" nonsense \"");
    work.says("auth could not be built; what served before goes on", 1).await;
    assert!(work.said().contains("error: "), "the compiler's words are shown: {}", work.said());
    assert_eq!(refusal(&visitor).await, "Wrong credentials");

    work.save("Wrong credentials\" nonsense \"", "Bad credentials");
    work.says("after it was saved", 2).await;
    assert_eq!(refusal(&visitor).await, "Bad credentials");
    let swapped: Vec<_> =
        work.said().lines().filter(|line| line.contains("after it was saved")).map(str::to_owned).collect();
    assert!(swapped.iter().all(|line| line.starts_with("==> auth ")), "the changed one alone: {swapped:?}");

    let id = work.task.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let ended = tokio::time::timeout(COMPILING, work.task.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0), "{}", work.said());
    let gone = async || visitor.attempt(http::Method::GET, "/", None).await.is_none();
    eventually("the host has ended too", gone, |gone| *gone).await;
}
