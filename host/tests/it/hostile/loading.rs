//! Plugins that the host must not run. They stop the start, with the reason.

use super::with_plugin;
use crate::support::{Setup, guest};
use std::path::PathBuf;

/// Asserts that the host refuses to start with these plugins. Returns its message.
async fn refusal(setup: &Setup) -> String {
    let mut said = String::new();
    for command in ["check", "serve"] {
        let output = setup.output(command).await;
        assert!(!output.status.success(), "{command} should fail");
        assert!(output.stdout.is_empty() || !String::from_utf8_lossy(&output.stdout).contains("serving"));
        said = String::from_utf8(output.stderr).unwrap();
    }
    said
}

fn file(setup: &Setup, name: &str, bytes: &[u8]) -> PathBuf {
    let path = setup.data().with_file_name(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A component with a manifest and these other fields, as text.
pub(super) fn component(manifest: &str, fields: &str) -> Vec<u8> {
    let manifest = format!("name = 'odd'\nversion = '1.0.0'\n{manifest}").replace('\n', "\\n").replace('"', "\\\"");
    wat::parse_str(format!("(component {fields} (@custom \"platform:manifest\" \"{manifest}\"))")).unwrap()
}

async fn refusal_of(bytes: &[u8]) -> String {
    let setup = Setup::without_components();
    let path = file(&setup, "odd.wasm", bytes);
    let said = refusal(&with_plugin(setup, &path, &["store"])).await;
    assert!(said.contains("odd.wasm"), "the message names the file: {said}");
    said
}

#[tokio::test]
async fn a_plugin_without_the_grant_that_it_needs_stops_the_start() {
    let said = refusal(&with_plugin(Setup::without_components(), &guest("hostile"), &["identity"])).await;
    assert!(said.contains("needs the grant store"), "{said}");
}

#[tokio::test]
async fn a_plugin_that_imports_what_the_host_does_not_have_stops_the_start() {
    let said = refusal_of(&component("", "(import \"acme:rocket/launch@1.0.0\" (instance))")).await;
    assert!(said.contains("acme:rocket/launch@1.0.0") && said.contains("does not offer"), "{said}");
    let said = refusal_of(&component("", "(import \"wasi:keyvalue/store@0.2.0\" (instance))")).await;
    assert!(said.contains("wasi:keyvalue/store"), "{said}");
}

#[tokio::test]
async fn a_plugin_whose_manifest_promises_too_much_stops_the_start() {
    let said = refusal_of(&component("[[routes]]\npath = '/odd'\nmethods = ['GET']", "")).await;
    assert!(said.contains("platform:http/handler"), "{said}");
    let said = refusal_of(&component("[messaging]\nsubscribes = ['odd.event']", "")).await;
    assert!(said.contains("platform:messaging/handler"), "{said}");
    let said = refusal_of(&component("[limits]\nmemory_mib = 100000", "")).await;
    assert!(said.contains("limits.memory_mib"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_no_plugin_stops_the_start() {
    for (bytes, reason) in [
        (b"#!/bin/sh".to_vec(), "not WebAssembly"),
        (wat::parse_str("(module)").unwrap(), "core module"),
        (wat::parse_str("(component)").unwrap(), "platform:manifest"),
        (std::fs::read(guest("hello")).unwrap()[..1_000].to_vec(), "not valid"),
    ] {
        let said = refusal_of(&bytes).await;
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let absent = Setup::without_components().data().with_file_name("absent.wasm");
    let said = refusal(&with_plugin(Setup::without_components(), &absent, &[])).await;
    assert!(said.contains("absent.wasm"), "{said}");
}

#[tokio::test]
async fn two_plugins_with_one_name_or_one_route_stop_the_start() {
    let setup = with_plugin(with_plugin(Setup::without_components(), &guest("hello"), &[]), &guest("hello"), &[]);
    let said = refusal(&setup).await;
    assert!(said.contains("two plugins are named hello"), "{said}");

    let setup = Setup::without_components();
    let rival = std::fs::read(guest("hello")).unwrap();
    let renamed = rename(&rival, "name = \"hello\"", "name = \"rival\"");
    let path = file(&setup, "rival.wasm", &renamed);
    let said = refusal(&with_plugin(with_plugin(setup, &guest("hello"), &[]), &path, &[])).await;
    assert!(said.contains("/hello") && said.contains("rival"), "{said}");
}

/// Replaces a text in a file by another text of the same length.
fn rename(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    let mut renamed = bytes.to_vec();
    renamed[at..at + from.len()].copy_from_slice(to.as_bytes());
    renamed
}
