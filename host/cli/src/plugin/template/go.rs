//! The platform for Go, in the folder `platform` of a plugin. Its README says which of
//! the files are generated.

use super::File;

macro_rules! platform {
    ($($file:literal),* $(,)?) => {
        &[$((concat!("platform/", $file), include_str!(concat!("go/platform/", $file, ".template")))),*]
    };
}

pub(super) const PLATFORM: &[File] = platform![
    "README.md",
    "bindings/exports/export_platform_handlers_event_handler/handler.go",
    "bindings/exports/export_platform_handlers_request_handler/handler.go",
    "bindings/exports/export_platform_handlers_timer_handler/handler.go",
    "bindings/exports/wit_exports/wit_exports.go",
    "bindings/imports/platform_handlers_event_handler/empty.s",
    "bindings/imports/platform_handlers_event_handler/wit_bindings.go",
    "bindings/imports/platform_handlers_request_handler/empty.s",
    "bindings/imports/platform_handlers_request_handler/wit_bindings.go",
    "bindings/imports/platform_handlers_timer_handler/empty.s",
    "bindings/imports/platform_handlers_timer_handler/wit_bindings.go",
    "bindings/imports/platform_http_types/empty.s",
    "bindings/imports/platform_http_types/wit_bindings.go",
    "bindings/imports/platform_identity_identity/empty.s",
    "bindings/imports/platform_identity_identity/wit_bindings.go",
    "bindings/imports/platform_live_live/empty.s",
    "bindings/imports/platform_live_live/wit_bindings.go",
    "bindings/imports/platform_messaging_types/empty.s",
    "bindings/imports/platform_messaging_types/wit_bindings.go",
    "bindings/imports/platform_payments_payments/empty.s",
    "bindings/imports/platform_payments_payments/wit_bindings.go",
    "bindings/imports/platform_requests_requests/empty.s",
    "bindings/imports/platform_requests_requests/wit_bindings.go",
    "bindings/imports/platform_signals_signals/empty.s",
    "bindings/imports/platform_signals_signals/wit_bindings.go",
    "bindings/imports/platform_store_sql/empty.s",
    "bindings/imports/platform_store_sql/wit_bindings.go",
    "bindings/imports/wasi_clocks_wall_clock/empty.s",
    "bindings/imports/wasi_clocks_wall_clock/wit_bindings.go",
    "bindings/imports/wasi_config_store/empty.s",
    "bindings/imports/wasi_config_store/wit_bindings.go",
    "bindings/imports/wasi_logging_logging/empty.s",
    "bindings/imports/wasi_logging_logging/wit_bindings.go",
    "bindings/imports/wasi_random_random/empty.s",
    "bindings/imports/wasi_random_random/wit_bindings.go",
    "go.mod",
    "handlers.go",
    "pkg/LICENSE",
    "pkg/go.mod",
    "pkg/wit/runtime/empty.s",
    "pkg/wit/runtime/runtime.go",
    "pkg/wit/types/option.go",
    "pkg/wit/types/result.go",
    "pkg/wit/types/tuple.go",
    "pkg/wit/types/unit.go",
    "store.go",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};
    use wit_parser::{Resolve, WorldItem};

    /// The functions that the bindings import and export, as the compiler of Go gets them.
    fn bound() -> BTreeSet<String> {
        let lines = PLATFORM.iter().flat_map(|(_, text)| text.lines());
        let is_function =
            |line: &&str| !line.contains("[resource-drop]") && !line.contains("cabi_") && line.contains("platform:");
        let directives = lines.filter(|line| line.starts_with("//go:wasm")).filter(is_function);
        directives.map(str::to_owned).collect()
    }

    #[test]
    fn the_bindings_have_all_functions_of_the_platform() {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let (package, _) = resolve.push_dir(wit).unwrap();
        let world = &resolve.worlds[resolve.select_world(&[package], Some("host")).unwrap()];
        let mut published = BTreeSet::new();
        for (directive, joint, items) in [("wasmimport", ' ', &world.imports), ("wasmexport", '#', &world.exports)] {
            for (key, item) in items {
                let name = resolve.name_world_key(key);
                let WorldItem::Interface { id, .. } = item else { continue };
                // Two handlers of one name cannot be beside each other.
                if !name.starts_with("platform:") || joint == '#' && !name.starts_with("platform:handlers/") {
                    continue;
                }
                let functions = resolve.interfaces[*id].functions.keys();
                published.extend(functions.map(|function| format!("//go:{directive} {name}{joint}{function}")));
            }
        }
        assert!(published.len() > 25, "{published:?}");
        assert_eq!(bound(), published, "platform/README.md in the template says how to make the bindings again");
    }

    #[test]
    fn the_list_has_all_files_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugin/template/go/platform");
        let mut found = BTreeSet::new();
        let mut folders = vec![folder.clone()];
        while let Some(next) = folders.pop() {
            for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
                        found.insert(format!("platform/{}", name.strip_suffix(".template").unwrap()));
                    }
                }
            }
        }
        assert_eq!(PLATFORM.iter().map(|(file, _)| (*file).to_owned()).collect::<BTreeSet<_>>(), found);
    }
}
