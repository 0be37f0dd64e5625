//! Guests in scripting languages: fixtures of the host's tests, and an example. A
//! tool makes one component of an interpreter and a script.
//!
//! A component is built again only if its sources, its interfaces or its tool has
//! changed. It contains no manifest. The tests use the `plugin.toml` of the script's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::files;
use crate::process::{print_status, run};
use crate::tool::{GO, Tool, npm_install, pip_install};
use crate::workspace::Workspace;
use plugin_pack::write_if_changed;

pub(crate) const COMPONENTIZE_JS: Tool = Tool {
    name: "componentize-js-0.23.0",
    needs: &["node", "npm"],
    install: |folder| npm_install(folder, &COMPONENTIZE_JS_PACKAGES),
};
pub(crate) const COMPONENTIZE_PY: Tool = Tool {
    name: "componentize-py-0.25.0",
    needs: &["python3"],
    install: |folder| pip_install(folder, "componentize-py==0.25.0"),
};
/// The packages of componentize-js. The version of its main dependency is pinned too.
const COMPONENTIZE_JS_PACKAGES: [&str; 2] =
    ["@bytecodealliance/componentize-js@0.23.0", "@bytecodealliance/jco@1.35.0"];

/// A component that is built from a script.
struct Script {
    /// The name of the component's file.
    name: &'static str,
    /// The folder of the script, from the root of the workspace.
    folder: &'static str,
    /// All files of the component in that folder, the script first.
    files: &'static [&'static str],
    /// The folder of the world, from the root of the workspace.
    wit: &'static str,
    world: &'static str,
    tool: &'static Tool,
    build: fn(&Inputs) -> Result<()>,
}

/// The inputs of a tool.
struct Inputs<'a> {
    script: &'a Script,
    tool: PathBuf,
    folder: PathBuf,
    wit: PathBuf,
    /// A folder for temporary files.
    temporary: PathBuf,
    output: PathBuf,
}

const SCRIPTS: [Script; 4] = [
    Script {
        name: "javascript",
        folder: "host/tests/scripts/javascript",
        files: &["guest.js"],
        wit: "host/tests/wit/p2",
        world: "service",
        tool: &COMPONENTIZE_JS,
        build: componentize_js,
    },
    Script {
        name: "python",
        folder: "host/tests/scripts/python",
        files: &["guest.py"],
        wit: "host/tests/wit/p2",
        world: "answering",
        tool: &COMPONENTIZE_PY,
        build: componentize_py,
    },
    Script {
        name: "poll",
        folder: "examples/javascript",
        files: &["src/poll.js", "package.json"],
        wit: "examples/javascript/wit",
        world: "component",
        tool: &COMPONENTIZE_JS,
        build: npm_run_build,
    },
    Script {
        name: "words",
        folder: "examples/python",
        files: &["src/app.py"],
        wit: "examples/python/wit",
        world: "component",
        tool: &COMPONENTIZE_PY,
        build: componentize_py,
    },
];

/// Installs the tools that make components of scripts, and Go. The tests build plugins with them.
pub(crate) fn provide_tools(workspace: &Workspace) -> Result<()> {
    for tool in [&COMPONENTIZE_JS, &COMPONENTIZE_PY, &GO] {
        tool.provide(workspace)?;
    }
    Ok(())
}

/// Builds `target/components/test/NAME.wasm` from each script.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    for script in &SCRIPTS {
        script.build(workspace).with_context(|| format!("cannot build the component in {}", script.folder))?;
    }
    Ok(())
}

impl Script {
    fn build(&self, workspace: &Workspace) -> Result<()> {
        let (folder, wit) = (workspace.root.join(self.folder), workspace.root.join(self.wit));
        let output = workspace.components_folder().join("test").join(format!("{}.wasm", self.name));
        let stamp = output.with_extension("made-of");
        let sources = self.sources(&folder, &wit)?;
        if output.is_file() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == sources) {
            return Ok(());
        }
        let tool = self.tool.provide(workspace)?;
        let start = Instant::now();
        fs::create_dir_all(workspace.components_folder().join("test"))?;
        let unfinished = output.with_extension("unfinished");
        let temporary = workspace.temporary_folder(self.name);
        (self.build)(&Inputs { script: self, tool, folder, wit, temporary, output: unfinished.clone() })?;
        fs::rename(&unfinished, &output)?;
        write_if_changed(&stamp, sources.as_bytes())?;
        let seconds = start.elapsed().as_secs_f64();
        print_status(&format!("Built {} with {} in {seconds:.1} s", workspace.display(&output), self.tool.name));
        Ok(())
    }

    /// The texts of all files that the component depends on, and the tool.
    fn sources(&self, folder: &Path, wit: &Path) -> Result<String> {
        let mut sources = format!("{} {}\n", self.tool.name, self.world);
        let mut files: Vec<_> = self.files.iter().map(|file| folder.join(file)).collect();
        files.extend(files::below(wit)?);
        for file in files {
            sources += &fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        }
        Ok(sources)
    }
}

fn componentize_js(inputs: &Inputs) -> Result<()> {
    let mut command = Command::new("node");
    command.current_dir(&inputs.folder);
    command
        .arg(inputs.tool.join("node_modules/@bytecodealliance/componentize-js/src/cli.js"))
        .args(inputs.script.files);
    command.arg("--wit").arg(&inputs.wit).args(["--world-name", inputs.script.world]).arg("-o").arg(&inputs.output);
    run(&mut command)
}

/// Does the same as an author who has run `npm install` in the folder.
fn npm_run_build(inputs: &Inputs) -> Result<()> {
    if inputs.temporary.exists() {
        fs::remove_dir_all(&inputs.temporary)?;
    }
    let wit = files::below(&inputs.wit)?;
    for file in inputs.script.files.iter().map(|file| inputs.folder.join(file)).chain(wit) {
        let copy = inputs.temporary.join(file.strip_prefix(&inputs.folder)?);
        fs::create_dir_all(copy.parent().unwrap_or(&inputs.temporary))?;
        fs::copy(&file, &copy)?;
    }
    std::os::unix::fs::symlink(inputs.tool.join("node_modules"), inputs.temporary.join("node_modules"))?;
    run(Command::new("npm").args(["run", "--silent", "build"]).current_dir(&inputs.temporary))?;
    fs::rename(inputs.temporary.join("component.wasm"), &inputs.output)?;
    Ok(())
}

fn componentize_py(inputs: &Inputs) -> Result<()> {
    let mut command = Command::new(inputs.tool.join("bin/componentize-py"));
    command.arg("--wit-path").arg(&inputs.wit).args(["--world", inputs.script.world, "--quiet", "componentize"]);
    for file in inputs.script.files.iter().map(|file| inputs.folder.join(file)) {
        let module = file.file_stem().context("a script has a name")?;
        command.arg("--python-path").arg(file.parent().unwrap_or(&inputs.folder)).arg(module);
    }
    run(command.arg("--output").arg(&inputs.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_its_manifest_and_its_interfaces() {
        let workspace = Workspace::find().unwrap();
        for script in &SCRIPTS {
            let folder = workspace.root.join(script.folder);
            assert!(folder.join("plugin.toml").is_file(), "{}", script.folder);
            let sources = script.sources(&folder, &workspace.root.join(script.wit)).unwrap();
            assert!(sources.contains(script.tool.name), "{}", script.folder);
            assert!(sources.contains(&format!("world {} ", script.world)), "{}", script.folder);
        }
    }

    #[test]
    fn the_example_is_made_with_the_versions_that_it_asks_for() {
        let package = fs::read_to_string(Workspace::find().unwrap().root.join("examples/javascript/package.json"));
        let package: serde_json::Value = serde_json::from_str(&package.unwrap()).unwrap();
        let packages = COMPONENTIZE_JS_PACKAGES.map(|package| package.rsplit_once('@').unwrap());
        let wanted = packages.map(|(name, version)| (name.to_owned(), version.into())).into_iter();
        assert_eq!(package["devDependencies"], serde_json::Value::Object(wanted.collect()));
        assert!(COMPONENTIZE_JS.name.ends_with(packages[0].1));
    }
}
