//! The builds of plugins in JavaScript and Python.

use super::{COMPONENT, place, run, tool, without_component};
use crate::plugin::{failure::Failure, files::file_failure};
use std::path::{Path, PathBuf};

/// Runs the script `build` of package.json. Returns the component.
pub(super) fn javascript(folder: &Path) -> Result<PathBuf, Failure> {
    let component = without_component(folder)?;
    let is_installed = |folder: &Path| folder.join("node_modules").is_dir();
    // npm finds packages in the folders above too.
    if !place(folder).canonicalize().is_ok_and(|folder| folder.ancestors().any(is_installed)) {
        let shown = place(folder).display();
        return Err(Failure::Failed(format!("the packages of package.json are missing: run `npm install` in {shown}")));
    }
    run(tool("npm", folder).args(["run", "--silent", "build"]), "install Node.js 20 or later, see nodejs.org")?;
    match component.is_file() {
        true => Ok(component),
        false => Err(Failure::Failed(format!("the script `build` of package.json made no {COMPONENT}"))),
    }
}

/// Makes a component of `app.py` in the folder `scripts`.
pub(super) fn python(folder: &Path, scripts: &str) -> Result<PathBuf, Failure> {
    let component = without_component(folder)?;
    let of_folder = folder.join(".venv/bin/componentize-py");
    // The tool starts in the folder, so its path must be whole.
    let program = match of_folder.is_file() {
        true => std::path::absolute(&of_folder).map_err(|error| file_failure(&of_folder, &error))?,
        false => "componentize-py".into(),
    };
    let mut command = tool(program, folder);
    command.args(["--quiet", "--wit-path", "wit", "componentize", "app", "--output", COMPONENT]);
    command.arg("--python-path").arg(place(Path::new(scripts)));
    run(
        &mut command,
        "run `python3 -m venv .venv` and `.venv/bin/pip install componentize-py==0.25.0` in the folder of the plugin",
    )?;
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_build_without_packages_says_what_to_install_and_leaves_no_old_component() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(COMPONENT), "old").unwrap();
        let failure = javascript(folder.path()).unwrap_err().to_string();
        assert!(failure.contains("run `npm install` in "), "{failure}");
        assert!(!folder.path().join(COMPONENT).exists());
    }
}
