//! Fixtures in scripting languages. A tool makes one component of an interpreter
//! and a script.
//!
//! The tools have pinned versions and are in `target/tools`. A component is built
//! again only if its script, its interfaces or its tool has changed. It contains
//! no manifest. The tests upload it with the `plugin.toml` beside the script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::process::{find_program, print_status, run};
use crate::workspace::Workspace;
use plugin_pack::write_if_changed;

/// A scripting language, and its tool.
struct Language {
    /// The name of the component, and of the folder of the script.
    name: &'static str,
    script: &'static str,
    world: &'static str,
    /// The name and the version of the tool. They are also the name of its folder.
    tool: &'static str,
    /// The programs that the tool needs.
    needs: &'static [&'static str],
    install: fn(&Path) -> Result<()>,
    command: fn(&Inputs) -> Command,
}

/// The inputs of a tool.
struct Inputs {
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
        command: componentize_js,
    },
    Language {
        name: "python",
        script: "guest.py",
        world: "answering",
        tool: "componentize-py-0.25.0",
        needs: &["python3"],
        install: install_componentize_py,
        command: componentize_py,
    },
];

/// Builds `target/components/test/NAME.wasm` from each script.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    for language in &LANGUAGES {
        language.build(workspace).with_context(|| format!("cannot build the fixture in {}", language.name))?;
    }
    Ok(())
}

impl Language {
    fn build(&self, workspace: &Workspace) -> Result<()> {
        let folder = workspace.root.join("host/tests/scripts").join(self.name);
        let wit = workspace.root.join("host/tests/wit/p2");
        let output = workspace.components_folder().join("test").join(format!("{}.wasm", self.name));
        let stamp = output.with_extension("made-of");
        let sources = self.sources(&folder, &wit)?;
        if output.is_file() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == sources) {
            return Ok(());
        }
        let tool = self.provide(workspace)?;
        let start = Instant::now();
        fs::create_dir_all(workspace.components_folder().join("test"))?;
        let unfinished = output.with_extension("unfinished");
        let inputs = Inputs { tool, wit, world: self.world, folder, script: self.script, output: unfinished.clone() };
        run(&mut (self.command)(&inputs))?;
        fs::rename(&unfinished, &output)?;
        write_if_changed(&stamp, sources.as_bytes())?;
        let seconds = start.elapsed().as_secs_f64();
        print_status(&format!("Built {} with {} in {seconds:.1} s", workspace.display(&output), self.tool));
        Ok(())
    }

    /// The texts of all files that the component depends on, and the tool.
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

    /// Returns the folder of the tool. Installs the tool if it is missing.
    fn provide(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = workspace.tools_folder().join(self.tool);
        let complete = folder.join("complete");
        if complete.is_file() {
            return Ok(folder);
        }
        if let Some(missing) = self.needs.iter().find(|program| find_program(program).is_none()) {
            bail!("{missing} is not installed; {} needs {}", self.tool, self.needs.join(" and "));
        }
        print_status(&format!("Installing {} into {}", self.tool, workspace.display(&folder)));
        fs::create_dir_all(&folder)?;
        (self.install)(&folder).with_context(|| format!("cannot install {}", self.tool))?;
        fs::write(complete, "")?;
        Ok(folder)
    }
}

fn install_componentize_js(folder: &Path) -> Result<()> {
    // The version of its main dependency is pinned too.
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(folder)
        .args(["@bytecodealliance/componentize-js@0.23.0", "@bytecodealliance/jco@1.35.0"]))
}

fn componentize_js(inputs: &Inputs) -> Command {
    let mut command = Command::new("node");
    command.current_dir(&inputs.folder);
    command.arg(inputs.tool.join("node_modules/@bytecodealliance/componentize-js/src/cli.js")).arg(inputs.script);
    command.arg("--wit").arg(&inputs.wit).args(["--world-name", inputs.world]).arg("-o").arg(&inputs.output);
    command
}

fn install_componentize_py(folder: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "componentize-py==0.25.0"]))
}

fn componentize_py(inputs: &Inputs) -> Command {
    let mut command = Command::new(inputs.tool.join("bin/componentize-py"));
    let module = inputs.script.strip_suffix(".py").unwrap_or(inputs.script);
    command.arg("--wit-path").arg(&inputs.wit).args(["--world", inputs.world, "--quiet", "componentize"]);
    command.arg("--python-path").arg(&inputs.folder).arg(module).arg("--output").arg(&inputs.output);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_a_manifest() {
        let workspace = Workspace::find().unwrap();
        for language in &LANGUAGES {
            let folder = workspace.root.join("host/tests/scripts").join(language.name);
            assert!(folder.join(language.script).is_file() && folder.join("plugin.toml").is_file());
            let sources = language.sources(&folder, &workspace.root.join("host/tests/wit/p2")).unwrap();
            assert!(sources.contains(language.tool) && sources.contains("package wasi:http"));
        }
    }
}
