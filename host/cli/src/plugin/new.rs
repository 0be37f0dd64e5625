//! `new`: creates a folder with a working component and the published interfaces.

use super::{failure::Failure, files, output::line};
use clap::Args;
use host_artifact::Manifest;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Creates a folder with a working plugin in Rust.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin new hello
  ticketing plugin new hello --folder ~/plugins/hello")]
pub(super) struct New {
    /// The plugin's name: small letters, digits and dashes
    name: String,
    /// The folder to create [default: ./NAME]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// The files that contain the plugin's name.
const TEMPLATES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.template")),
    ("plugin.toml", MANIFEST),
    ("src/lib.rs", include_str!("template/lib.rs.template")),
    ("wit/world.wit", include_str!("template/world.wit.template")),
    ("README.md", include_str!("template/README.md.template")),
    (".gitignore", include_str!("template/gitignore.template")),
];
const MANIFEST: &str = include_str!("template/plugin.toml.template");

/// Pairs of a path in the new folder and the text of a file of `wit/`.
macro_rules! published {
    ($($to:literal $from:literal),* $(,)?) => {
        [$(($to, include_str!(concat!("../../../../wit/", $from)))),*]
    };
}

/// The published interfaces and the guide.
const PUBLISHED: [(&str, &str); 16] = published![
    "wit/README.md" "README.md",
    "wit/deps/plugin/plugin.wit" "plugin.wit",
    "wit/deps/handlers/handlers.wit" "deps/handlers/handlers.wit",
    "wit/deps/http/http.wit" "deps/http/http.wit",
    "wit/deps/identity/identity.wit" "deps/identity/identity.wit",
    "wit/deps/live/live.wit" "deps/live/live.wit",
    "wit/deps/messaging/messaging.wit" "deps/messaging/messaging.wit",
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
        Manifest::parse(&fill(MANIFEST, &self.name)).map_err(|error| Failure::Usage(error.to_string()))?;
        let folder = self.folder.unwrap_or_else(|| PathBuf::from(&self.name));
        if folder.exists() {
            return Err(Failure::Failed(format!("{} exists already", folder.display())));
        }
        for (file, template) in TEMPLATES {
            write(&folder.join(file), &fill(template, &self.name))?;
        }
        for (file, text) in PUBLISHED {
            write(&folder.join(file), text)?;
        }
        let module = format!("target/wasm32-unknown-unknown/release/{}.wasm", crate_name(&self.name));
        line(&format!("{} contains a plugin; next:", folder.display()));
        line(&format!("  cd {}", folder.display()));
        line(&"  cargo build --release --target wasm32-unknown-unknown");
        line(&format!("  ticketing plugin pack {module}"));
        line(&format!("  ticketing plugin push {}.wasm --activate", self.name));
        Ok(())
    }
}

fn fill(template: &str, name: &str) -> String {
    template.replace("{{name}}", name).replace("{{crate}}", &crate_name(name))
}

/// The name as Cargo writes it in file names.
fn crate_name(name: &str) -> String {
    name.replace('-', "_")
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|error| files::file_failure(folder, &error))?;
    fs::write(file, text).map_err(|error| files::file_failure(file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn collect(folder: &Path, under: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, under, found),
                false => {
                    let text = fs::read_to_string(&path).unwrap();
                    found.insert(path.strip_prefix(under).unwrap().to_owned(), text);
                }
            }
        }
    }

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

    #[test]
    fn a_new_plugin_has_a_valid_manifest_and_its_name_everywhere() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("here");
        New { name: "my-plugin".to_owned(), folder: Some(folder.clone()) }.run().unwrap();
        let mut files = BTreeMap::new();
        collect(&folder, &folder, &mut files);
        assert!(files.iter().all(|(file, text)| !text.contains("{{") || file.ends_with("wit/README.md")));
        assert_eq!(Manifest::parse(&files[Path::new("plugin.toml")]).unwrap().name, "my-plugin");
        assert!(files[Path::new("README.md")].contains("release/my_plugin.wasm"));

        let again = New { name: "my-plugin".to_owned(), folder: Some(folder) }.run().unwrap_err();
        assert!(again.to_string().contains("exists already"), "{again}");
        let wrong = New { name: "My Plugin".to_owned(), folder: None }.run().unwrap_err();
        assert_eq!(wrong.code(), 2, "{wrong}");
    }
}
