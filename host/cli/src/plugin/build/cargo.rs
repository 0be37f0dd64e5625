//! The build of a plugin in Rust.

use super::{Profile, failed, not_started, place, tool};
use crate::plugin::failure::Failure;
use serde::Deserialize;
use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The target of a folder that names none.
const DEFAULT_TARGET: &str = "wasm32-unknown-unknown";
const TARGET_VARIABLE: &str = "CARGO_BUILD_TARGET";
const INSTALLATION: &str = "install Rust with rustup, see rustup.rs";

/// It inherits the author's profile `release`. The compiler keeps the results of
/// unchanged code, and does not optimise across crates.
const QUICK: [&str; 5] = [
    "--profile=ticketing-dev",
    "--config=profile.ticketing-dev.inherits='release'",
    "--config=profile.ticketing-dev.lto='off'",
    "--config=profile.ticketing-dev.codegen-units=16",
    "--config=profile.ticketing-dev.incremental=true",
];

/// Compiles the package in a folder. Returns the module or component.
pub(super) fn compile(folder: &Path, profile: Profile) -> Result<PathBuf, Failure> {
    let target = target(folder, env::var(TARGET_VARIABLE).ok())?;
    if is_missing(folder, &target) {
        return Err(Failure::Failed(format!("the target {target} is not installed: run `rustup target add {target}`")));
    }
    let mut cargo = tool("cargo", folder);
    cargo.args(["build", "--message-format=json-render-diagnostics", "--target", &target]);
    match profile {
        Profile::Release => cargo.arg("--release"),
        Profile::Quick => cargo.args(QUICK),
    };
    let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(|error| not_started(&cargo, &error, INSTALLATION))?;
    let made = child.stdout.take().and_then(|messages| made(&place(folder).join("Cargo.toml"), messages));
    let status = child.wait().map_err(|error| not_started(&cargo, &error, INSTALLATION))?;
    if !status.success() {
        return Err(failed(&cargo, status));
    }
    made.ok_or_else(|| {
        Failure::Failed("cargo made no .wasm file: Cargo.toml needs crate-type = [\"cdylib\"] in [lib]".to_owned())
    })
}

/// The target for this folder: of the environment, or of the settings of cargo there.
fn target(folder: &Path, variable: Option<String>) -> Result<String, Failure> {
    #[derive(Default, Deserialize)]
    struct Settings {
        #[serde(default)]
        build: BuildSettings,
    }
    #[derive(Default, Deserialize)]
    struct BuildSettings {
        target: Option<toml::Value>,
    }

    let file = folder.join(".cargo/config.toml");
    let settings = match fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| Failure::Failed(format!("{}: {}", file.display(), error.message())))?,
        Err(_) => Settings::default(),
    };
    let of_settings = settings.build.target.and_then(|target| target.as_str().map(str::to_owned));
    let named = [variable, of_settings].into_iter().flatten().find(|target| target.starts_with("wasm32-"));
    Ok(named.unwrap_or_else(|| DEFAULT_TARGET.to_owned()))
}

/// Whether the compiler says that it has no standard library for the target. A
/// compiler that the author has chosen may build its own.
fn is_missing(folder: &Path, target: &str) -> bool {
    if env::var_os("RUSTC").is_some() {
        return false;
    }
    let mut rustc = Command::new("rustc");
    let rustc = rustc.current_dir(place(folder)).args(["--print", "target-libdir", "--target", target]);
    let Ok(output) = rustc.stdin(Stdio::null()).output() else { return false };
    let libraries = String::from_utf8_lossy(&output.stdout);
    output.status.success() && !Path::new(libraries.trim()).is_dir()
}

/// The last .wasm file that cargo made of this package, from its messages.
fn made(manifest: &Path, messages: impl Read) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        manifest_path: Option<PathBuf>,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }

    let manifest = manifest.canonicalize().ok()?;
    let mut made = None;
    // All messages are read, so that cargo can go on.
    for line in BufReader::new(messages).lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
        let of_package = message.manifest_path.and_then(|path| path.canonicalize().ok()).as_ref() == Some(&manifest);
        if message.reason == "compiler-artifact" && of_package {
            let wasm = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
            made = message.filenames.into_iter().find(wasm).or(made);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_the_one_of_the_environment_the_folder_or_the_usual_one() {
        let folder = tempfile::tempdir().unwrap();
        let of = |variable: Option<&str>| target(folder.path(), variable.map(str::to_owned)).unwrap();
        assert_eq!(of(None), DEFAULT_TARGET);
        fs::create_dir(folder.path().join(".cargo")).unwrap();
        let file = folder.path().join(".cargo/config.toml");
        fs::write(&file, "[build]\ntarget = 'x86_64-unknown-linux-gnu'\n").unwrap();
        assert_eq!(of(Some("x86_64-unknown-linux-gnu")), DEFAULT_TARGET);
        fs::write(&file, "[build]\njobs = 1\ntarget = 'wasm32-wasip2'\n").unwrap();
        assert_eq!(of(None), "wasm32-wasip2");
        assert_eq!(of(Some("wasm32-unknown-unknown")), "wasm32-unknown-unknown");
        fs::write(&file, "[build").unwrap();
        assert!(target(folder.path(), None).unwrap_err().to_string().contains("config.toml"));
    }

    #[test]
    fn the_module_is_found_in_the_messages_of_cargo() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::write(&manifest, "").unwrap();
        let artifact = |manifest: &Path, files: &str| {
            let manifest = manifest.display();
            format!(r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":[{files}]}}"#)
        };
        let messages = [
            "a line of a build script".to_owned(),
            artifact(&manifest, r#""/t/release/hello.wasm""#),
            artifact(Path::new("/elsewhere/Cargo.toml"), r#""/t/release/other.wasm""#),
            artifact(&manifest, r#""/t/release/libhello.rlib""#),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let found = made(&manifest, messages.join("\n").as_bytes());
        assert_eq!(found.as_deref(), Some(Path::new("/t/release/hello.wasm")));
        assert_eq!(made(&manifest, messages[2].as_bytes()), None);
    }
}
