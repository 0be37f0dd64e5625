//! `new`: creates a folder with a working plugin and the published interfaces.

use super::{
    failure::Failure,
    files,
    output::line,
    template::{MANIFEST, Template},
};
use clap::Args;
use host_artifact::Manifest;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Creates a folder with a working plugin: a route, an event, a table and a setting.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin new hello
  ticketing plugin new hello --template python
  ticketing plugin new hello --folder ~/plugins/hello")]
pub(super) struct New {
    /// The plugin's name: small letters, digits and dashes
    name: String,
    /// The language of the plugin
    #[arg(long, value_enum, default_value_t = Template::Rust)]
    template: Template,
    /// The folder to create [default: ./NAME]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Pairs of a path in the new folder and the text of a file of `wit/`.
macro_rules! published {
    ($($to:literal $from:literal),* $(,)?) => {
        [$(($to, include_str!(concat!("../../../../wit/", $from)))),*]
    };
}

/// The published interfaces and the guide.
const PUBLISHED: [(&str, &str); 22] = published![
    "wit/README.md" "README.md",
    "wit/rust.md" "rust.md",
    "wit/wasi-http.md" "wasi-http.md",
    "wit/javascript.md" "javascript.md",
    "wit/python.md" "python.md",
    "wit/go.md" "go.md",
    "wit/deps/plugin/plugin.wit" "plugin.wit",
    "wit/deps/handlers/handlers.wit" "deps/handlers/handlers.wit",
    "wit/deps/http/http.wit" "deps/http/http.wit",
    "wit/deps/identity/identity.wit" "deps/identity/identity.wit",
    "wit/deps/live/live.wit" "deps/live/live.wit",
    "wit/deps/messaging/messaging.wit" "deps/messaging/messaging.wit",
    "wit/deps/packed/packed.wit" "deps/packed/packed.wit",
    "wit/deps/payments/payments.wit" "deps/payments/payments.wit",
    "wit/deps/requests/requests.wit" "deps/requests/requests.wit",
    "wit/deps/signals/signals.wit" "deps/signals/signals.wit",
    "wit/deps/store/store.wit" "deps/store/store.wit",
    "wit/deps/timers/timers.wit" "deps/timers/timers.wit",
    "wit/deps/wasi-clocks/clocks.wit" "deps/wasi-clocks/clocks.wit",
    "wit/deps/wasi-config/config.wit" "deps/wasi-config/config.wit",
    "wit/deps/wasi-logging/logging.wit" "deps/wasi-logging/logging.wit",
    "wit/deps/wasi-random/random.wit" "deps/wasi-random/random.wit",
];

impl New {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { name, template, folder } = self;
        Manifest::parse(&template.fill(MANIFEST, &name)).map_err(|error| Failure::Usage(error.to_string()))?;
        let folder = folder.unwrap_or_else(|| PathBuf::from(&name));
        if folder.exists() {
            return Err(Failure::Failed(format!("{} exists already", folder.display())));
        }
        for (file, text) in template.files() {
            write(&folder.join(file), &template.fill(text, &name))?;
        }
        for (file, text) in template.libraries().iter().copied().chain(PUBLISHED) {
            write(&folder.join(file), text)?;
        }
        line(&format!("{} contains a plugin; next:", folder.display()));
        line(&format!("  cd {}", folder.display()));
        for command in template.installation() {
            line(&format!("  {command}"));
        }
        line(&"  ticketing plugin build");
        line(&"  ticketing plugin test");
        line(&format!("  ticketing plugin policy {name} --grant store"));
        line(&format!("  ticketing plugin push {name}.wasm --activate"));
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|error| files::file_failure(folder, &error))?;
    fs::write(file, text).map_err(|error| files::file_failure(file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::template::tests::collect;
    use clap::ValueEnum;
    use std::collections::BTreeMap;

    #[test]
    fn a_new_plugin_gets_all_published_interfaces() {
        let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut expected = BTreeMap::new();
        collect(&published, &published, &mut expected);
        let plugin = expected.remove(Path::new("plugin.wit")).unwrap();
        expected.insert("deps/plugin/plugin.wit".into(), plugin);
        let given = PUBLISHED.map(|(to, text)| (PathBuf::from(to.strip_prefix("wit/").unwrap()), text.to_owned()));
        assert_eq!(BTreeMap::from(given), expected);
    }

    fn new(name: &str, template: Template, folder: Option<PathBuf>) -> Result<(), Failure> {
        New { name: name.to_owned(), template, folder }.run()
    }

    #[test]
    fn every_template_has_a_valid_manifest_and_the_name_everywhere() {
        for template in Template::value_variants() {
            let parent = tempfile::tempdir().unwrap();
            let folder = parent.path().join("here");
            new("my-plugin", *template, Some(folder.clone())).unwrap();
            let mut files = BTreeMap::new();
            collect(&folder, &folder, &mut files);
            files.remove(Path::new("wit/README.md")).unwrap();
            for (library, text) in template.libraries() {
                assert_eq!(files.remove(Path::new(library)).as_deref(), Some(*text), "{template:?}");
            }
            let unfilled = files.iter().find(|(_, text)| text.contains("{{"));
            assert!(unfilled.is_none(), "{template:?}: {unfilled:?}");
            let manifest = Manifest::parse(&files[Path::new("plugin.toml")]).unwrap();
            assert_eq!(manifest.name, "my-plugin");
            assert!(files[Path::new("README.md")].contains("ticketing plugin push my-plugin.wasm --activate"));
            assert!(files[Path::new(".gitignore")].contains("/*.wasm"));
            let is_source = |file: &Path| file.starts_with("src") || file == Path::new("plugin.go");
            let source = files.iter().find(|(file, _)| is_source(file)).unwrap().1;
            assert!(source.contains("my-plugin.greeted"), "{template:?}");
        }
    }

    #[test]
    fn a_wrong_name_and_a_folder_that_exists_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let again = new("my-plugin", Template::Rust, Some(parent.path().to_owned())).unwrap_err();
        assert!(again.to_string().contains("exists already"), "{again}");
        let wrong = new("My Plugin", Template::Rust, None).unwrap_err();
        assert_eq!(wrong.code(), 2, "{wrong}");
    }
}
