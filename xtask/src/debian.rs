//! The installation of Debian packages.

use std::fs;
use std::process::Command;

use crate::process::{find_program, print_status, run};

/// Whether this process can install packages with `apt-get`.
pub(crate) fn may_install() -> bool {
    find_program("apt-get").is_some() && is_root()
}

/// Installs packages. It ignores errors, because the caller checks for the
/// programs afterwards.
pub(crate) fn install(packages: &[&str]) {
    print_status(&format!("Installing the Debian packages {} with apt-get", packages.join(" and ")));
    for mut command in commands(packages) {
        if let Err(error) = run(&mut command) {
            print_status(&error.to_string());
        }
    }
}

/// The owner of `/proc/self` is the user of this process.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn commands(packages: &[&str]) -> [Command; 2] {
    let mut update = Command::new("apt-get");
    update.arg("update");
    let mut install = Command::new("apt-get");
    install.args(["install", "-y"]).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    [update, install]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_installs_without_questions() {
        let commands = commands(&["one", "other"]).map(|command| format!("{command:?}"));
        assert_eq!(
            commands,
            [r#""apt-get" "update""#, r#"DEBIAN_FRONTEND="noninteractive" "apt-get" "install" "-y" "one" "other""#]
        );
    }
}
