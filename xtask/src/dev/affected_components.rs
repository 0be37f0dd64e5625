//! The components that a changed file belongs to.

use std::path::PathBuf;

use crate::guests::Guest;
use crate::workspace::Workspace;

/// Finds the components to compile after a change of these files. A file affects
/// a component if it is in the folder of the component, or in the folder of a
/// package that the component depends on. `cargo xtask interfaces` brings a change
/// of `wit/` into such a folder.
pub(super) fn affected_components<'a>(
    workspace: &Workspace,
    components: &'a [Guest],
    paths: &[PathBuf],
) -> Vec<&'a Guest> {
    let is_affected = |component: &&Guest| {
        let folders = workspace.source_folders_of(&component.folder);
        paths.iter().any(|path| folders.iter().any(|folder| path.starts_with(folder)))
    };
    components.iter().filter(is_affected).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::{Kind, find};

    #[test]
    fn a_file_affects_its_component_and_a_shared_crate_affects_all_its_users() {
        let workspace = Workspace::find().unwrap();
        let components = find(&workspace, Kind::Component).unwrap();
        let affected = |paths: &[&str]| -> Vec<String> {
            let paths: Vec<_> = paths.iter().map(|path| workspace.root.join(path)).collect();
            affected_components(&workspace, &components, &paths)
                .into_iter()
                .map(|component| component.name.clone())
                .collect()
        };
        assert_eq!(affected(&["components/tickets/src/routes.rs"]), ["tickets"]);
        assert_eq!(affected(&["components/tickets/plugin.toml", "components/auth/src/lib.rs"]), ["auth", "tickets"]);
        let users = affected(&["components/events/src/lib.rs"]);
        assert!(users.contains(&"orders".to_owned()) && !users.contains(&"storefront".to_owned()), "{users:?}");
        assert!(affected(&["components/sdk/src/router.rs"]).len() > users.len());
        assert_eq!(affected(&["components/sdk/src/bindings/http.rs"]).len(), components.len());
        assert!(affected(&["README.md", "components/README.md"]).is_empty());
    }
}
