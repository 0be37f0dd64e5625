//! The programs that `cargo xtask test` installs for tests.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The program in this folder of the tools, or one on the path.
///
/// # Panics
/// There is neither.
#[must_use]
pub fn tool(folder: &str, program: &str) -> PathBuf {
    let installed = installed(&Path::new(folder).join("bin").join(program));
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join(program));
    installed.into_iter().chain(on_path).find(|file| file.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no {program}: `cargo xtask test` installs it, or put one on the PATH, or leave out the tests that \
             need it with `cargo xtask test --embedded`"
        )
    })
}

/// A file below the folder of the tools.
///
/// # Panics
/// There is none.
#[must_use]
pub fn tool_file(path: &str) -> PathBuf {
    let file = installed(Path::new(path)).filter(|file| file.is_file());
    file.unwrap_or_else(|| panic!("there is no {path}: `cargo xtask test` installs it"))
}

fn installed(path: &Path) -> Option<PathBuf> {
    // <target>/<profile>/deps/<test> or <target>/<profile>/<program>, and the tools are in <target>/tools.
    let program = env::current_exe().unwrap();
    program.ancestors().skip(2).take(2).map(|folder| folder.join("tools").join(path)).find(|file| file.exists())
}
