//! Which components a save concerns.

use std::path::{Path, PathBuf};

use crate::guests::Guest;
use crate::workspace::Workspace;

/// The components that are made of one of these files: by being in its folder,
/// by depending on the package in it, or because everything is.
pub(super) fn by<'a>(workspace: &Workspace, components: &'a [Guest], paths: &[PathBuf]) -> Vec<&'a Guest> {
    let wit = workspace.root.join("wit");
    let concerns = |component: &&Guest| {
        let folders = workspace.folders_of(&component.folder);
        paths.iter().any(|path| path.starts_with(&wit) || folders.iter().any(|folder| path.starts_with(folder)))
    };
    components.iter().filter(concerns).collect()
}

/// Whether a file is one that somebody writes, and not what an editor or a
/// compiler leaves.
pub(super) fn is_source(root: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(root).unwrap_or(path);
    let is_hidden = |part: &std::ffi::OsStr| {
        let part = part.to_string_lossy();
        part.starts_with('.') || part.ends_with('~') || part == "target" || part == "4913"
    };
    !below.iter().any(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::{Kind, find};

    #[test]
    fn a_save_concerns_the_component_and_a_shared_crate_all_that_use_it() {
        let workspace = Workspace::find().unwrap();
        let components = find(&workspace, Kind::Component).unwrap();
        let concerned = |paths: &[&str]| -> Vec<String> {
            let paths: Vec<_> = paths.iter().map(|path| workspace.root.join(path)).collect();
            by(&workspace, &components, &paths).into_iter().map(|component| component.name.clone()).collect()
        };
        assert_eq!(concerned(&["components/tickets/src/routes.rs"]), ["tickets"]);
        assert_eq!(concerned(&["components/tickets/plugin.toml", "components/auth/src/lib.rs"]), ["auth", "tickets"]);
        let users = concerned(&["components/events/src/lib.rs"]);
        assert!(users.contains(&"orders".to_owned()) && !users.contains(&"storefront".to_owned()), "{users:?}");
        assert!(concerned(&["components/sdk/src/http.rs"]).len() > users.len());
        assert_eq!(concerned(&["wit/deps/http/http.wit"]).len(), components.len());
        assert!(concerned(&["README.md", "components/README.md"]).is_empty());
    }

    #[test]
    fn what_editors_and_compilers_leave_is_no_source() {
        let root = Path::new("/srv/.cache/work");
        for (path, expected) in [
            ("components/tickets/src/lib.rs", true),
            ("components/tickets/migrations/0001.sql", true),
            ("components/tickets/src/.lib.rs.swp", false),
            ("components/tickets/src/lib.rs~", false),
            ("components/tickets/src/4913", false),
            ("components/tickets/target/debug/x", false),
        ] {
            assert_eq!(is_source(root, &root.join(path)), expected, "{path}");
        }
    }
}
