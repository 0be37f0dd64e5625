//! Debian's packages, where this process may install them.

use std::fs;
use std::process::Command;

use crate::process::{on_path, run, say};

/// Whether there is an `apt-get` that this process may use.
pub(crate) fn may_install() -> bool {
    on_path("apt-get").is_some() && is_root()
}

/// Installs packages. What is missing afterwards decides, not how apt-get ended.
pub(crate) fn install(packages: &[&str]) {
    say(&format!("Installing Debian's {} with apt-get", packages.join(" and ")));
    for mut command in commands(packages) {
        if let Err(error) = run(&mut command) {
            say(&error.to_string());
        }
    }
}

/// Linux says so without a system call of one's own.
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
    fn apt_is_told_to_install_without_asking() {
        let commands = commands(&["one", "other"]).map(|command| format!("{command:?}"));
        assert_eq!(
            commands,
            [r#""apt-get" "update""#, r#"DEBIAN_FRONTEND="noninteractive" "apt-get" "install" "-y" "one" "other""#]
        );
    }
}
