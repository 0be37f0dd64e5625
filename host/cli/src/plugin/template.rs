//! The templates of `new`. The program contains their files.

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
}

/// A path in the new folder, and the text of the file.
type File = (&'static str, &'static str);

/// Pairs of a path in the new folder and the text of a file of `template/`.
macro_rules! files {
    ($($to:literal $from:literal),* $(,)?) => {
        &[$(($to, include_str!(concat!("template/", $from, ".template")))),*]
    };
}

/// The manifest of all templates.
pub(super) const MANIFEST: &str = include_str!("template/shared/plugin.toml.template");
const SHARED: &[File] = files![
    "plugin.toml" "shared/plugin.toml",
    "README.md" "shared/README.md",
    "migrations/0001_greetings.sql" "shared/greetings.sql",
];
const RUST: &[File] = files![
    "Cargo.toml" "rust/Cargo.toml",
    "src/lib.rs" "rust/lib.rs",
    "wit/world.wit" "rust/world.wit",
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
    "src/plugin.js" "javascript/plugin.js",
    "wit/world.wit" "shared/world.wit",
    "host.toml" "shared/host.toml",
    ".gitignore" "javascript/gitignore",
];
const PYTHON: &[File] = files![
    "requirements.txt" "python/requirements.txt",
    "src/app.py" "python/app.py",
    "wit/world.wit" "shared/world.wit",
    "host.toml" "shared/host.toml",
    ".gitignore" "python/gitignore",
];

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

impl Template {
    /// All files of the template.
    pub(super) fn files(self) -> impl Iterator<Item = File> {
        let own = match self {
            Self::Rust => RUST,
            Self::RustHttp => RUST_HTTP,
            Self::Javascript => JAVASCRIPT,
            Self::Python => PYTHON,
        };
        SHARED.iter().chain(own).copied()
    }

    /// The commands that install the tools of the folder.
    pub(super) fn installation(self) -> &'static [&'static str] {
        match self {
            Self::Rust | Self::RustHttp => &[],
            Self::Javascript => &["npm install"],
            Self::Python => &["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"],
        }
    }

    /// A text of the template with the name of the plugin.
    pub(super) fn fill(self, text: &str, name: &str) -> String {
        let (source, tools) = match self {
            Self::Rust => ("src/lib.rs", RUST_TOOLS),
            Self::RustHttp => ("src/lib.rs", RUST_HTTP_TOOLS),
            Self::Javascript => ("src/plugin.js", JAVASCRIPT_TOOLS),
            Self::Python => ("src/app.py", PYTHON_TOOLS),
        };
        text.replace("{{name}}", name).replace("{{source}}", source).replace("{{tools}}", tools)
    }
}
