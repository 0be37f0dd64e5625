//! The templates of `new`. The program contains their files.

mod go;
mod sdk;

use clap::ValueEnum;

/// The language of a new plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// Rust, with the platform's interface for requests
    Rust,
    /// Rust, a standard component of wasi:http for the target wasm32-wasip2
    RustHttp,
    /// JavaScript
    Javascript,
    /// Python
    Python,
    /// Go
    Go,
}

/// A path in the new folder, and the text of the file.
type File = (&'static str, &'static str);

/// Pairs of a path in the new folder and the text of a file of `template/`.
macro_rules! files {
    ($($to:literal $from:literal),* $(,)?) => {
        &[$(($to, include_str!(concat!("template/", $from, ".template")))),*]
    };
}

/// Pairs of a path in the new folder and the text of a file that a tool has generated.
macro_rules! generated {
    ($to:literal $from:literal: $($file:literal),* $(,)?) => {
        &[$((concat!($to, $file), include_str!(concat!("template/", $from, $file)))),*]
    };
}

/// The manifest of all templates.
pub(super) const MANIFEST: &str = include_str!("template/shared/plugin.toml.template");
const SHARED: &[File] = files![
    "plugin.toml" "shared/plugin.toml",
    "README.md" "shared/README.md",
    "migrations/0001_greetings.sql" "shared/greetings.sql",
    "tests/greetings.toml" "shared/greetings-test.toml",
];
const RUST: &[File] = files![
    "Cargo.toml" "rust/Cargo.toml",
    "src/lib.rs" "rust/lib.rs",
    ".gitignore" "rust/gitignore",
];
const RUST_HTTP: &[File] = files![
    ".cargo/config.toml" "rust-http/config.toml",
    "Cargo.toml" "rust-http/Cargo.toml",
    "src/lib.rs" "rust-http/lib.rs",
    "wit/world.wit" "rust-http/world.wit",
    ".gitignore" "rust/gitignore",
];
const JAVASCRIPT: &[File] = files![
    "package.json" "javascript/package.json",
    "jsconfig.json" "javascript/jsconfig.json",
    "src/plugin.js" "javascript/plugin.js",
    "src/ticketing.js" "javascript/ticketing.js",
    "wit/world.wit" "shared/world.wit",
    "host.toml" "shared/host.toml",
    ".gitignore" "javascript/gitignore",
];
/// The types of all interfaces, for editors.
const JAVASCRIPT_TYPES: &[File] = generated![
    "types/" "javascript/types/interfaces/":
    "platform-handlers-event-handler.d.ts",
    "platform-handlers-request-handler.d.ts",
    "platform-handlers-timer-handler.d.ts",
    "platform-http-types.d.ts",
    "platform-identity-identity.d.ts",
    "platform-live-live.d.ts",
    "platform-messaging-types.d.ts",
    "platform-payments-payments.d.ts",
    "platform-requests-requests.d.ts",
    "platform-signals-signals.d.ts",
    "platform-store-sql.d.ts",
    "wasi-clocks-wall-clock.d.ts",
    "wasi-config-store.d.ts",
    "wasi-logging-logging.d.ts",
    "wasi-random-random.d.ts",
];
const PYTHON: &[File] = files![
    "pyrightconfig.json" "python/pyrightconfig.json",
    "requirements.txt" "python/requirements.txt",
    "src/app.py" "python/app.py",
    "src/ticketing.py" "python/ticketing.py",
    "wit/world.wit" "shared/world.wit",
    "host.toml" "shared/host.toml",
    ".gitignore" "python/gitignore",
];
const GO: &[File] = files![
    "go.mod" "go/go.mod",
    "plugin.go" "go/plugin.go",
    "wit/world.wit" "go/world.wit",
    ".gitignore" "go/gitignore",
];

/// The types of the interfaces in the world, for editors. The build makes its own.
const PYTHON_TYPES: &[File] = generated![
    "bindings/" "python/bindings/":
    "componentize_py_types.py",
    "wit_world/__init__.py",
    "wit_world/exports/__init__.py",
    "wit_world/exports/event_handler.py",
    "wit_world/exports/request_handler.py",
    "wit_world/imports/__init__.py",
    "wit_world/imports/platform_http_types.py",
    "wit_world/imports/platform_messaging_types.py",
    "wit_world/imports/sql.py",
    "wit_world/imports/store.py",
];

const OWN_WORLD: &str = "| `wit/world.wit` | the interfaces that the plugin uses |";
const RUST_FILES: &str = "| `ticketing-sdk/` | the SDK; its `README.md` and the comments of its modules explain it |";
const JAVASCRIPT_FILES: &str = "\
| `src/ticketing.js` | helpers: routes, answers, rows, transactions, events, timers, settings |
| `types/` | the types of all interfaces, for your editor |
| `wit/world.wit` | the interfaces that the plugin uses |";
const PYTHON_FILES: &str = "\
| `src/ticketing.py` | helpers: routes, answers, rows, transactions, events, timers, settings |
| `bindings/` | the types of the interfaces, for your editor |
| `wit/world.wit` | the interfaces that the plugin uses |";

const GO_FILES: &str = "\
| `platform/` | helpers, and the bindings of all interfaces; its `README.md` says how to add one |
| `wit/world.wit` | the interfaces that the plugin uses |";

const RUST_TOOLS: &str = "You need Rust with the WebAssembly target: `rustup target add wasm32-unknown-unknown`.";
const RUST_HTTP_TOOLS: &str = "\
The plugin is a standard component of `wasi:http`, made with the crate `wstd`. `println!` writes to its log. You need
Rust with the WebAssembly target: `rustup target add wasm32-wasip2`.";
const JAVASCRIPT_TOOLS: &str = "\
You need Node.js 20 or later. Run `npm install` first. `console.log` writes to the log of the plugin. The plugin file
contains a JavaScript engine, so the host needs more time to compile it: start it with
`ticketing serve --config host.toml`.";
const PYTHON_TOOLS: &str = "\
You need Python 3.10 or later. Run `python3 -m venv .venv` and `.venv/bin/pip install -r requirements.txt` first. `print`
writes to the log of the plugin. The plugin file contains a Python interpreter, so the host needs more time to compile
it: start it with `ticketing serve --config host.toml`.";
const GO_TOOLS: &str = "\
You need Go 1.25 or later, and a build needs no network. `fmt.Println` writes to the log of the plugin. `platform/` has
the interfaces for Go; `platform/README.md` says how to add one.";

impl Template {
    /// The files of the template that contain the name of the plugin.
    pub(super) fn files(self) -> impl Iterator<Item = File> {
        let own = match self {
            Self::Rust => RUST,
            Self::RustHttp => RUST_HTTP,
            Self::Javascript => JAVASCRIPT,
            Self::Python => PYTHON,
            Self::Go => GO,
        };
        SHARED.iter().chain(own).copied()
    }

    /// The files that are the same in each plugin.
    pub(super) fn libraries(self) -> &'static [File] {
        match self {
            Self::Rust => sdk::FILES,
            Self::RustHttp => &[],
            Self::Javascript => JAVASCRIPT_TYPES,
            Self::Python => PYTHON_TYPES,
            Self::Go => go::PLATFORM,
        }
    }

    /// The commands that install the tools of the folder.
    pub(super) fn installation(self) -> &'static [&'static str] {
        match self {
            Self::Rust | Self::RustHttp | Self::Go => &[],
            Self::Javascript => &["npm install"],
            Self::Python => &["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"],
        }
    }

    /// The payload of the event of the template, as a test writes it.
    fn greeted(self, who: &str) -> String {
        match self {
            Self::Rust | Self::Javascript | Self::Python => format!("json = {{ who = \"{who}\" }}"),
            Self::RustHttp | Self::Go => format!("body = \"{who}\""),
        }
    }

    /// A text of the template with the name of the plugin.
    pub(super) fn fill(self, text: &str, name: &str) -> String {
        let (source, files, tools) = match self {
            Self::Rust => ("src/lib.rs", RUST_FILES, RUST_TOOLS),
            Self::RustHttp => ("src/lib.rs", OWN_WORLD, RUST_HTTP_TOOLS),
            Self::Javascript => ("src/plugin.js", JAVASCRIPT_FILES, JAVASCRIPT_TOOLS),
            Self::Python => ("src/app.py", PYTHON_FILES, PYTHON_TOOLS),
            Self::Go => ("plugin.go", GO_FILES, GO_TOOLS),
        };
        let (anna, bert) = (self.greeted("anna"), self.greeted("bert"));
        let fillings = [
            ("name", name),
            ("source", source),
            ("files", files),
            ("tools", tools),
            ("sdk", sdk::version()),
            ("anna", &anna),
            ("bert", &bert),
        ];
        fillings.iter().fold(text.to_owned(), |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::{
        collections::BTreeMap,
        fs,
        path::{Path, PathBuf},
    };

    /// The texts of all files below a folder, by their path in the folder `under`.
    pub(in crate::plugin) fn collect(folder: &Path, under: &Path, found: &mut BTreeMap<PathBuf, String>) {
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
    fn a_new_plugin_gets_all_generated_types() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugin/template");
        let pairs =
            [(JAVASCRIPT_TYPES, "types", "javascript/types/interfaces"), (PYTHON_TYPES, "bindings", "python/bindings")];
        for (types, to, from) in pairs {
            let from = templates.join(from);
            let mut expected = BTreeMap::new();
            collect(&from, &from, &mut expected);
            let given =
                types.iter().map(|(file, text)| (Path::new(file).strip_prefix(to).unwrap(), (*text).to_owned()));
            assert_eq!(given.map(|(file, text)| (file.to_owned(), text)).collect::<BTreeMap<_, _>>(), expected);
        }
    }
}
