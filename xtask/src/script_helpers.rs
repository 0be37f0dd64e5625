//! Tests of the helpers in the templates for JavaScript and Python. The interpreters of the languages run them without
//! a host.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::script_bindings::TEMPLATES;
use crate::script_bindings::tests::blocks;
use crate::workspace::Workspace;

const CHECKS: &str = "xtask/src/script_helpers";

#[track_caller]
fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("checked\n"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

#[test]
fn the_helpers_in_python_route_commit_refuse_and_convert() {
    let workspace = Workspace::find().unwrap();
    let template = workspace.root.join(TEMPLATES).join("python");
    let folder = tempfile::tempdir().unwrap();
    copy(&template.join("ticketing.py.template"), &folder.path().join("ticketing.py"));
    copy(&workspace.root.join(CHECKS).join("check.py"), &folder.path().join("check.py"));
    let mut python = Command::new("python3");
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", template.join("bindings"));
    passes(python.arg(folder.path().join("check.py")));
}

#[test]
fn the_code_of_the_page_of_python_is_a_plugin() {
    let workspace = Workspace::find().unwrap();
    let template = workspace.root.join(TEMPLATES).join("python");
    let folder = tempfile::tempdir().unwrap();
    copy(&template.join("ticketing.py.template"), &folder.path().join("ticketing.py"));
    for block in blocks(&workspace, "python", "python") {
        // The handlers of each block are there, and the functions are registered.
        let code = format!("{block}\nassert app._routes or app._events\nprint('checked')\n");
        fs::write(folder.path().join("app.py"), code).unwrap();
        let mut python = Command::new("python3");
        python.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", template.join("bindings"));
        passes(python.arg(folder.path().join("app.py")));
    }
}

#[test]
fn the_helpers_in_javascript_route_commit_refuse_and_convert() {
    let workspace = Workspace::find().unwrap();
    let template = workspace.root.join(TEMPLATES).join("javascript/ticketing.js.template");
    let folder = tempfile::tempdir().unwrap();
    let helpers = fs::read_to_string(template).unwrap();
    let helpers = helpers.replace("'platform:store/sql@1.0.0';", "'./sql.mjs';");
    let helpers = helpers.replace("'wasi:config/store@0.2.0-rc.1';", "'./config.mjs';");
    fs::write(folder.path().join("ticketing.mjs"), helpers).unwrap();
    for name in ["check.mjs", "config.mjs", "sql.mjs"] {
        copy(&workspace.root.join(CHECKS).join(name), &folder.path().join(name));
    }
    passes(Command::new("node").arg(folder.path().join("check.mjs")));
}
