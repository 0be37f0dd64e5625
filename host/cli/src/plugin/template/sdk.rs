//! The package `ticketing-sdk`, which the program contains. So a new plugin needs no registry that has the package,
//! and gets the version that belongs to its host.

use super::File;

/// Pairs of a path in the new folder and the text of a file of `components/sdk/`.
macro_rules! package {
    ($($file:literal),* $(,)?) => {
        &[$((concat!("ticketing-sdk/", $file), include_str!(concat!("../../../../../components/sdk/", $file)))),*]
    };
}

/// The files of the package. The interfaces are in the folder `wit` of each plugin already.
pub(super) const FILES: &[File] = package![
    "CHANGELOG.md",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "src/allocator.rs",
    "src/bindings.rs",
    "src/bindings/http.rs",
    "src/bindings/imports.rs",
    "src/bindings/messaging.rs",
    "src/bindings/timers.rs",
    "src/capability.rs",
    "src/component.rs",
    "src/error.rs",
    "src/fields.rs",
    "src/headers.rs",
    "src/id.rs",
    "src/json.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/messaging.rs",
    "src/paging.rs",
    "src/payload.rs",
    "src/replica.rs",
    "src/request.rs",
    "src/requests.rs",
    "src/response.rs",
    "src/router.rs",
    "src/settings.rs",
    "src/signals.rs",
    "src/store.rs",
    "src/store/row.rs",
    "src/store/value.rs",
    "src/testing.rs",
    "src/time.rs",
];

/// The version of the package in the form of a dependency, such as `0.1`.
pub(super) fn version() -> &'static str {
    let manifest = include_str!("../../../../../components/sdk/Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.and_then(|version| version.rsplit_once('.')).map_or("*", |(compatible, _)| compatible)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::collect, *};
    use std::{collections::BTreeMap, path::Path};

    #[test]
    fn a_new_plugin_gets_the_whole_sdk() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components/sdk");
        let mut expected = BTreeMap::new();
        collect(&package, &package, &mut expected);
        expected.retain(|file, _| !file.starts_with("wit"));
        let given = FILES.iter().map(|(file, text)| (Path::new(file).strip_prefix("ticketing-sdk").unwrap(), *text));
        assert_eq!(given.map(|(file, text)| (file.to_owned(), text.to_owned())).collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn the_version_names_all_compatible_ones() {
        assert_eq!(version(), "0.1");
    }
}
