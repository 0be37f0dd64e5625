//! The hook that `skaffold dev` runs when a component changes.

use super::files::path;
use crate::support::{ADMIN_TOKEN, Host, PATIENCE, PluginFile, Setup, component};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// A developer's machine with stand-ins for two programs. `cargo` copies prepared
/// files instead of building them. `kubectl` runs a program on this machine
/// instead of in the container.
struct Machine {
    folder: TempDir,
    operators: String,
}

impl Machine {
    fn new(host: &Host) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "target/components", "next"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let machine = Self { folder, operators: host.operators_address().to_owned() };
        machine.program("cargo", "echo \"$@\" >>\"$HERE/built\"; cp \"$HERE\"/next/* \"$CARGO_TARGET_DIR/components\"");
        machine.program("kubectl", "while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"");
        symlink(env!("CARGO_BIN_EXE_ticketing"), machine.at("bin/ticketing")).unwrap();
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn program(&self, name: &str, text: &str) {
        let file = self.at("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\nset -eu\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Prepares the result of the next build of a component.
    fn next(&self, name: &str, bytes: &[u8]) {
        fs::write(self.at("next").join(format!("{name}.wasm")), bytes).unwrap();
    }

    /// Runs the hook for these changed files of the workspace. Returns whether it
    /// succeeds.
    async fn changed(&self, files: &[&str]) -> bool {
        let root = path("..");
        let files: Vec<String> = files.iter().map(|file| root.join(file).display().to_string()).collect();
        let mut command = Command::new("sh");
        command.arg(path("skaffold/swap.sh")).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", self.at("bin").display()));
        command.env("HERE", self.folder.path()).env("CARGO_TARGET_DIR", self.at("target"));
        command.env("SKAFFOLD_FILES_ADDED_OR_MODIFIED", files.join(";"));
        command
            .env("TICKETING_ADMIN_URL", format!("http://{}", self.operators))
            .env("TICKETING_ADMIN_TOKEN", ADMIN_TOKEN);
        let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        output.status.success()
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.at("built")).unwrap_or_default().lines().count()
    }
}

async fn version(host: &Host, plugin: &str) -> String {
    host.operator().plugin(plugin).await["version"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_changed_component_is_swapped_and_no_other_one_is() {
    let host = Setup::new().start().await;
    let machine = Machine::new(&host);
    let of = |name: &str| PluginFile::read(&component(name));
    assert!(machine.changed(&["README.md", "host/src/main.rs", "components/README.md"]).await);
    assert_eq!(machine.builds(), 0, "no file of a component has changed");

    machine.next("tickets", &of("tickets").bytes());
    machine.next("orders", &of("orders").version("1.0.1").bytes());
    assert!(machine.changed(&["README.md", "components/orders/src/domain.rs"]).await);
    assert_eq!((version(&host, "orders").await.as_str(), version(&host, "tickets").await.as_str()), ("1.0.1", "1.0.0"));

    // A change of the SDK concerns all components. The build changes one of them.
    for name in ["auth", "expiration", "payments", "storefront"] {
        let file = fs::read(component(name)).unwrap();
        machine.next(name, &file);
        fs::copy(component(name), machine.at("target/components").join(format!("{name}.wasm"))).unwrap();
    }
    machine.next("tickets", &of("tickets").version("1.0.2").bytes());
    assert!(machine.changed(&["components/sdk/src/lib.rs"]).await);
    assert_eq!((version(&host, "orders").await.as_str(), version(&host, "tickets").await.as_str()), ("1.0.1", "1.0.2"));
    assert_eq!(machine.builds(), 2);
}

#[tokio::test]
async fn a_refused_component_does_not_hold_up_the_others() {
    let host = Setup::new().start().await;
    let machine = Machine::new(&host);
    machine.next("auth", b"not a component");
    machine.next("tickets", &PluginFile::read(&component("tickets")).version("1.0.1").bytes());
    let both = ["components/auth/src/lib.rs", "components/tickets/src/lib.rs"];
    assert!(!machine.changed(&both).await, "the hook fails visibly");
    assert_eq!((version(&host, "auth").await.as_str(), version(&host, "tickets").await.as_str()), ("1.0.0", "1.0.1"));
    assert!(Path::new(&machine.at("built")).is_file());
}
