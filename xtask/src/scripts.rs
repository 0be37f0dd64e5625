//! Fixtures in languages that are not compiled to WebAssembly: an interpreter
//! and a script become one component.
//!
//! The tools that do it are of a pinned version and lie in `target/tools`; a
//! component is made again only when its script, the interfaces or the tool
//! have changed. It carries no manifest: `plugin.toml` lies beside the script
//! and is sent along when the component is uploaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::process::{on_path, run, say};
use crate::workspace::Workspace;
use plugin_pack::write_if_changed;

/// A language, and how a component is made of it.
struct Language {
    /// The folder of the script, and the component's name.
    name: &'static str,
    script: &'static str,
    world: &'static str,
    /// The tool with its version, which is also the name of its folder.
    tool: &'static str,
    /// What has to be installed.
    needs: &'static [&'static str],
    install: fn(&Path) -> Result<()>,
    make: fn(&Job) -> Command,
}

/// One component to be made.
struct Job {
    tool: PathBuf,
    wit: PathBuf,
    world: &'static str,
    folder: PathBuf,
    script: &'static str,
    output: PathBuf,
}

const LANGUAGES: [Language; 2] = [
    Language {
        name: "javascript",
        script: "guest.js",
        world: "service",
        tool: "componentize-js-0.23.0",
        needs: &["node", "npm"],
        install: install_componentize_js,
        make: componentize_js,
    },
    Language {
        name: "python",
        script: "guest.py",
        world: "answering",
        tool: "componentize-py-0.25.0",
        needs: &["python3"],
        install: install_componentize_py,
        make: componentize_py,
    },
];

/// Makes `target/components/test/NAME.wasm` of each script.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    for language in &LANGUAGES {
        language.build(workspace).with_context(|| format!("the fixture in {}", language.name))?;
    }
    Ok(())
}

impl Language {
    fn build(&self, workspace: &Workspace) -> Result<()> {
        let folder = workspace.root.join("host/tests/scripts").join(self.name);
        let wit = workspace.root.join("host/tests/wit/p2");
        let output = workspace.components().join("test").join(format!("{}.wasm", self.name));
        let stamp = output.with_extension("made-of");
        let sources = self.sources(&folder, &wit)?;
        if output.is_file() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == sources) {
            return Ok(());
        }
        let tool = self.provide(workspace)?;
        let start = Instant::now();
        fs::create_dir_all(workspace.components().join("test"))?;
        let unfinished = output.with_extension("unfinished");
        let job = Job { tool, wit, world: self.world, folder, script: self.script, output: unfinished.clone() };
        run(&mut (self.make)(&job))?;
        fs::rename(&unfinished, &output)?;
        write_if_changed(&stamp, sources.as_bytes())?;
        let seconds = start.elapsed().as_secs_f64();
        say(&format!("{} made with {} in {seconds:.1} s", workspace.shown(&output), self.tool));
        Ok(())
    }

    /// All that a component depends on, as one text.
    fn sources(&self, folder: &Path, wit: &Path) -> Result<String> {
        let mut sources = format!("{} {}\n", self.tool, self.world);
        let mut files = vec![folder.join(self.script)];
        for folder in [wit.to_owned(), wit.join("deps")] {
            for entry in fs::read_dir(folder)? {
                files.push(entry?.path());
            }
        }
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            sources += &fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        }
        Ok(sources)
    }

    /// The folder of the tool, which is installed when it is missing.
    fn provide(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = workspace.tools().join(self.tool);
        let complete = folder.join("complete");
        if complete.is_file() {
            return Ok(folder);
        }
        if let Some(missing) = self.needs.iter().find(|program| on_path(program).is_none()) {
            bail!("{missing} is not installed; {} are needed for {}", self.needs.join(" and "), self.tool);
        }
        say(&format!("Installing {} into {}", self.tool, workspace.shown(&folder)));
        fs::create_dir_all(&folder)?;
        (self.install)(&folder).with_context(|| format!("{} cannot be installed", self.tool))?;
        fs::write(complete, "")?;
        Ok(folder)
    }
}

fn install_componentize_js(folder: &Path) -> Result<()> {
    // What it depends on most is pinned as well.
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(folder)
        .args(["@bytecodealliance/componentize-js@0.23.0", "@bytecodealliance/jco@1.35.0"]))
}

fn componentize_js(job: &Job) -> Command {
    let mut command = Command::new("node");
    command.current_dir(&job.folder);
    command.arg(job.tool.join("node_modules/@bytecodealliance/componentize-js/src/cli.js")).arg(job.script);
    command.arg("--wit").arg(&job.wit).args(["--world-name", job.world]).arg("-o").arg(&job.output);
    command
}

fn install_componentize_py(folder: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "componentize-py==0.25.0"]))
}

fn componentize_py(job: &Job) -> Command {
    let mut command = Command::new(job.tool.join("bin/componentize-py"));
    let module = job.script.strip_suffix(".py").unwrap_or(job.script);
    command.arg("--wit-path").arg(&job.wit).args(["--world", job.world, "--quiet", "componentize"]);
    command.arg("--python-path").arg(&job.folder).arg(module).arg("--output").arg(&job.output);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_its_manifest() {
        let workspace = Workspace::find().unwrap();
        for language in &LANGUAGES {
            let folder = workspace.root.join("host/tests/scripts").join(language.name);
            assert!(folder.join(language.script).is_file() && folder.join("plugin.toml").is_file());
            let sources = language.sources(&folder, &workspace.root.join("host/tests/wit/p2")).unwrap();
            assert!(sources.contains(language.tool) && sources.contains("package wasi:http"));
        }
    }
}
