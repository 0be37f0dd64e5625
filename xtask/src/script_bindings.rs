//! The types that the templates for JavaScript and Python have, so that an editor knows the interfaces of the host.
//! The tools of these languages generate them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::files;
use crate::process::{output_of, print_status};
use crate::script_guests::{COMPONENTIZE_JS, COMPONENTIZE_PY};
use crate::tool::Tool;
use crate::workspace::Workspace;

/// The folder of the templates, from the root of the workspace.
pub(crate) const TEMPLATES: &str = "host/cli/src/plugin/template";
/// The world of these templates.
const WORLD: &str = "shared/world.wit.template";
/// A world with all interfaces. The types of one interface do not depend on the others in JavaScript.
const ALL: &str = "\
package local:plugin;

world component {
    include platform:plugin/capabilities@1.0.0;
    include platform:plugin/named-handlers@1.0.0;
}
";

/// The types for one language.
struct Types {
    /// Their folder in the folder of the templates.
    folder: &'static str,
    /// Whether they are for all interfaces, and not for those of the world of the templates alone.
    all: bool,
    /// The generated files that the template leaves out.
    without: &'static [&'static str],
    tool: &'static Tool,
    generator: fn(tool: &Path) -> Result<Command>,
}

const LANGUAGES: [Types; 2] = [
    Types {
        folder: "javascript/types",
        all: true,
        // It lists the interfaces of the world.
        without: &["component.d.ts"],
        tool: &COMPONENTIZE_JS,
        generator: |tool| {
            let packages = tool.join("node_modules/@bytecodealliance");
            // The tool reads the interfaces in a sandbox, to which some of its versions give no folder.
            let sandbox = "@bytecodealliance/preview2-shim/dist/nodejs/filesystem.js";
            let own = packages.join("jco-transpile/node_modules").join(sandbox);
            let sandbox = if own.is_file() { own } else { tool.join("node_modules").join(sandbox) };
            let sandbox = url(&sandbox)?;
            let opened = format!("import {{ _setPreopens }} from '{sandbox}'; _setPreopens({{ '/': '/' }});");
            let mut node = Command::new("node");
            node.arg("--import").arg(format!("data:text/javascript,{opened}")).arg(packages.join("jco/dist/jco.js"));
            node.args(["guest-types", "wit", "--quiet", "--world-name", "component", "--out-dir", "types"]);
            Ok(node)
        },
    },
    Types {
        folder: "python/bindings",
        all: false,
        // They support what a plugin does not do.
        without: &["componentize_py_async_support", "componentize_py_runtime.pyi", "poll_loop.py"],
        tool: &COMPONENTIZE_PY,
        generator: |tool| {
            let mut command = Command::new(tool.join("bin/componentize-py"));
            command.args(["--quiet", "--wit-path", "wit", "--world", "component", "bindings", "bindings"]);
            Ok(command)
        },
    },
];

/// A path in the form that JavaScript imports.
fn url(path: &Path) -> Result<String> {
    Ok(format!("file://{}", path.to_str().context("the path is not UTF-8")?))
}

/// Writes the types of all languages into the templates.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    for types in &LANGUAGES {
        types.tool.provide(workspace)?;
        let generated = types.generate(workspace)?;
        let folder = workspace.root.join(TEMPLATES).join(types.folder);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        for (name, text) in &generated {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap_or(&folder))?;
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        print_status(&format!("Generated {} files in {}", generated.len(), workspace.display(&folder)));
    }
    Ok(())
}

impl Types {
    /// The generated files by their path in the folder of the types.
    fn generate(&self, workspace: &Workspace) -> Result<BTreeMap<PathBuf, String>> {
        let temporary = workspace.temporary_folder(&self.folder.replace('/', "-"));
        if temporary.exists() {
            fs::remove_dir_all(&temporary)?;
        }
        self.write_world(workspace, &temporary.join("wit"))?;
        let mut generator = (self.generator)(&workspace.tools_folder().join(self.tool.name))?;
        output_of(generator.current_dir(&temporary))
            .with_context(|| format!("{} cannot generate {}", self.tool.name, self.folder))?;
        let made = temporary.join(self.folder.rsplit('/').next().unwrap_or_default());
        read(&made, self.without)
    }

    fn write_world(&self, workspace: &Workspace, wit: &Path) -> Result<()> {
        let interfaces = workspace.root.join("wit/deps");
        for file in files::below(&interfaces)? {
            let copy = wit.join("deps").join(file.strip_prefix(&interfaces)?);
            fs::create_dir_all(copy.parent().unwrap_or(wit))?;
            fs::copy(&file, copy)?;
        }
        let plugin = wit.join("deps/plugin");
        fs::create_dir_all(&plugin)?;
        fs::copy(workspace.root.join("wit/plugin.wit"), plugin.join("plugin.wit"))?;
        let world = wit.join("world.wit");
        match self.all {
            true => fs::write(world, ALL)?,
            false => drop(fs::copy(workspace.root.join(TEMPLATES).join(WORLD), world)?),
        }
        Ok(())
    }
}

/// The files of a folder by their path in it.
fn read(folder: &Path, without: &[&str]) -> Result<BTreeMap<PathBuf, String>> {
    let files = files::below(folder)?.into_iter().map(|file| {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok((file.strip_prefix(folder)?.to_owned(), text))
    });
    let is_wanted = |(name, _): &(PathBuf, String)| !without.iter().any(|other| name.starts_with(other));
    files.filter(|file| file.as_ref().map_or(true, is_wanted)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The code of the page about a language.
    pub(crate) fn blocks(workspace: &Workspace, page: &str, language: &str) -> Vec<String> {
        let page = fs::read_to_string(workspace.root.join(format!("wit/{page}.md"))).unwrap();
        let begin = format!("```{language}\n");
        let parts = page.split(&begin).skip(1).map(|part| part.split("```").next().unwrap());
        let blocks: Vec<String> = parts.map(str::to_owned).collect();
        assert!(blocks.len() > 1, "the page has no code");
        blocks
    }

    #[test]
    fn the_template_and_the_page_of_javascript_fit_the_types() {
        let workspace = Workspace::find().unwrap();
        let template = workspace.root.join(TEMPLATES).join("javascript");
        let folder = tempfile::tempdir().unwrap();
        let copy = |from: &str, to: &str| {
            let text = fs::read_to_string(template.join(from)).unwrap();
            let file = folder.path().join(to);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text.replace("{{name}}", "hello")).unwrap();
        };
        copy("jsconfig.json.template", "jsconfig.json");
        copy("plugin.js.template", "src/plugin.js");
        copy("ticketing.js.template", "src/ticketing.js");
        for name in read(&template.join("types/interfaces"), &[]).unwrap().keys() {
            let name = name.display();
            copy(&format!("types/interfaces/{name}"), &format!("types/{name}"));
        }
        for (index, block) in blocks(&workspace, "javascript", "js").iter().enumerate() {
            fs::write(folder.path().join(format!("src/page{index}.js")), block).unwrap();
        }
        // It comes with jco.
        let compiler = workspace.tools_folder().join(COMPONENTIZE_JS.name).join("node_modules/.bin/tsc");
        let output = Command::new(compiler).args(["--project", "jsconfig.json"]).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    #[test]
    fn the_templates_of_scripts_have_the_types_of_the_interfaces() {
        let workspace = Workspace::find().unwrap();
        for types in &LANGUAGES {
            let tool = workspace.tools_folder().join(types.tool.name);
            assert!(tool.join("complete").is_file(), "{} is missing: `cargo xtask test` makes it", tool.display());
            let generated = types.generate(&workspace).unwrap();
            assert!(generated.len() > 5, "{generated:?}");
            let kept = read(&workspace.root.join(TEMPLATES).join(types.folder), &[]).unwrap();
            assert!(kept == generated, "{}: run `cargo xtask interfaces`", types.folder);
        }
    }
}
