//! `build`: compiles a plugin with the tools of its language, and packs it.

mod cargo;
mod go;
mod scripts;

use super::{
    failure::Failure,
    files::file_failure,
    output::line,
    pack::{Pack, Packed},
};
use clap::Args;
use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The file that a tool makes in the folder of the plugin.
const COMPONENT: &str = "component.wasm";

/// The language of the plugin in a folder. Its files tell.
#[derive(Debug, PartialEq, Eq)]
enum Language {
    Rust,
    JavaScript,
    Go,
    /// The folder with `app.py`, below the folder of the plugin.
    Python(&'static str),
}

/// The profile of a build. Only the build of a plugin in Rust uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// The file is small and fast.
    Release,
    /// The build of a small change is fast.
    Quick,
}

/// Compiles the plugin in a folder and packs it into NAME.wasm.
///
/// The command runs the tools of the plugin's language: cargo for a Cargo.toml, `npm run build` for a package.json,
/// which makes component.wasm, `go build` for a go.mod, and componentize-py for src/app.py or app.py. The target of
/// cargo is the one in .cargo/config.toml, or wasm32-unknown-unknown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin build
  ticketing plugin build ~/plugins/hello
  ticketing plugin build && ticketing plugin push hello.wasm --activate")]
pub(super) struct Build {
    /// The folder with plugin.toml
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Build {
    pub(super) fn run(self) -> Result<(), Failure> {
        let packed = build(&self.folder, Profile::Release)?;
        line(&packed);
        line(&format!("next: ticketing plugin push {} --activate", packed.file.display()));
        Ok(())
    }
}

/// Checks that the folder has a plugin in a language that `build` knows.
pub(super) fn require_plugin(folder: &Path) -> Result<(), Failure> {
    Language::of(folder).map(drop)
}

/// Compiles and packs the plugin in a folder. The file of a quick build in Rust is in the
/// folder of cargo, so that nobody publishes it.
pub(super) fn build(folder: &Path, profile: Profile) -> Result<Packed, Failure> {
    let folder = if folder == Path::new(".") { Path::new("") } else { folder };
    let language = Language::of(folder)?;
    let module = match &language {
        Language::Rust => cargo::compile(folder, profile)?,
        Language::JavaScript => scripts::javascript(folder)?,
        Language::Go => go::compile(folder)?,
        Language::Python(scripts) => scripts::python(folder, scripts)?,
    };
    let output = match (language, profile) {
        (Language::Rust, Profile::Quick) => module.with_file_name("plugin"),
        _ => folder.to_owned(),
    };
    Pack::of_folder(folder, module).pack(&output)
}

impl Language {
    fn of(folder: &Path) -> Result<Self, Failure> {
        let shown = || place(folder).display();
        let has = |file: &str| folder.join(file).is_file();
        if !has("plugin.toml") {
            return Err(Failure::Usage(format!("{} has no plugin.toml: name the folder of a plugin", shown())));
        }
        match () {
            () if has("Cargo.toml") => Ok(Self::Rust),
            () if has("package.json") => Ok(Self::JavaScript),
            () if has("go.mod") => Ok(Self::Go),
            () if has("src/app.py") => Ok(Self::Python("src")),
            () if has("app.py") => Ok(Self::Python("")),
            () => Err(Failure::Usage(format!(
                "{} has no Cargo.toml, package.json, go.mod, src/app.py or app.py: make a component with the tools of its language, then run `ticketing plugin pack`",
                shown()
            ))),
        }
    }
}

/// The folder in a form that a program can change to. The empty path is the current folder.
fn place(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// The place of [`COMPONENT`]. It is removed, so that a failed build leaves no old one.
fn without_component(folder: &Path) -> Result<PathBuf, Failure> {
    let component = folder.join(COMPONENT);
    match fs::remove_file(&component) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file_failure(&component, &error)),
        _ => Ok(component),
    }
}

/// A tool that runs in the folder. It prints to the error stream, because the
/// standard output has the result of the command.
fn tool(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(place(folder)).stdin(Stdio::null()).stdout(io::stderr());
    command
}

/// Runs a tool to its end. `installation` says how to install it.
fn run(command: &mut Command, installation: &str) -> Result<(), Failure> {
    let status = command.status().map_err(|error| not_started(command, &error, installation))?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

fn not_started(command: &Command, error: &io::Error, installation: &str) -> Failure {
    let program = command.get_program().display();
    Failure::Failed(match error.kind() {
        ErrorKind::NotFound => format!("{program} is not installed: {installation}"),
        _ => format!("{program} cannot be started: {error}"),
    })
}

fn failed(command: &Command, status: std::process::ExitStatus) -> Failure {
    let program = command.get_program().display();
    Failure::Failed(format!("{program} failed ({status}); its messages are above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_folder_tell_its_language() {
        let folder = tempfile::tempdir().unwrap();
        let add = |file: &str| {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
            Language::of(folder.path())
        };
        assert!(Language::of(folder.path()).unwrap_err().to_string().ends_with("name the folder of a plugin"));
        assert!(add("plugin.toml").unwrap_err().to_string().contains("ticketing plugin pack"));
        assert_eq!(add("app.py").unwrap(), Language::Python(""));
        assert_eq!(add("src/app.py").unwrap(), Language::Python("src"));
        assert_eq!(add("go.mod").unwrap(), Language::Go);
        assert_eq!(add("package.json").unwrap(), Language::JavaScript);
        assert_eq!(add("Cargo.toml").unwrap(), Language::Rust);
    }

    #[test]
    fn a_tool_that_is_missing_or_fails_is_named() {
        let absent = run(&mut tool("no-such-tool", Path::new("")), "run `get no-such-tool`").unwrap_err();
        assert_eq!(absent.to_string(), "no-such-tool is not installed: run `get no-such-tool`");
        let failed = run(&mut tool("false", Path::new("")), "").unwrap_err();
        assert!(failed.to_string().starts_with("false failed (exit status: 1)"), "{failed}");
    }
}
