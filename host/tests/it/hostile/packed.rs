//! Handlers of packed requests, as core modules without a library.

use crate::support::{Host, Setup};
use plugin_pack::Parts;
use std::{fs, path::Path};

const MANIFEST: &str = "name = 'packed'\nversion = '1.0.0'\nlimits.wall_time_ms = 2000\n\
                        [[routes]]\npath = '/packed/{word}'\nmethods = ['GET', 'POST']";
const PACKED: &str = "platform:packed/packed-handler@1.0.0";
const PLAIN: &str = "platform:http/handler@1.0.0";

/// Takes memory from 1024 on, one piece after another.
const HONEST: &str = "(local $start i32)
    (local.set $start (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $start) (local.get $size)))
    (local.get $start)";

/// A function that answers 200, and with the memory from the start of the texts
/// to the end of the ends, or with nothing if the request is not packed.
const ANSWER: &str = "(func $answer (param $texts i32) (param $ends i32) (param $count i32) (result i32)
    (i32.store16 (i32.const 8) (i32.const 200))
    (i32.store (i32.const 20) (local.get $texts))
    (i32.store (i32.const 24) (i32.sub
        (i32.add (local.get $ends) (i32.shl (local.get $count) (i32.const 2))) (local.get $texts)))
    (global.set $next (i32.const 1024))
    (i32.const 8))";

/// A plugin that exports these handlers. Its allocator has this body.
fn plugin(exports: &[&str], allocator: &str) -> Vec<u8> {
    let handlers: String = exports
        .iter()
        .map(|export| match *export {
            PACKED => format!(
                "(func (export \"{PACKED}#handle\") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                    (call $answer (local.get 0) (local.get 2) (local.get 3)))"
            ),
            other => format!(
                "(func (export \"{other}#handle\") (param i32) (result i32)
                    (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))"
            ),
        })
        .collect();
    let module = format!(
        "(module (memory (export \"memory\") 2) (global $next (mut i32) (i32.const 1024)) {ANSWER} {handlers}
            (func (export \"cabi_realloc\")
                (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32) {allocator}))"
    );
    let folder = tempfile::tempdir().unwrap();
    let exports: String = exports.iter().map(|export| format!("export {export};\n")).collect();
    fs::write(folder.path().join("world.wit"), format!("package a:b;\nworld packed {{\n{exports}}}\n")).unwrap();
    let interfaces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/deps");
    std::os::unix::fs::symlink(interfaces, folder.path().join("deps")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    plugin_pack::name_world(&mut module, folder.path()).unwrap();
    plugin_pack::pack(&module, Parts { manifest: MANIFEST.as_bytes(), ..Parts::default() }).unwrap()
}

async fn host_with(plugin: Vec<u8>) -> Host {
    let host = Setup::without_components().start().await;
    host.operator().deploy("packed", plugin).await;
    host
}

/// The texts of a request, from the memory of the component. The last end is the
/// length of all texts.
fn texts(memory: &[u8]) -> Vec<String> {
    let number = |at: usize| u32::from_le_bytes(memory[at..at + 4].try_into().unwrap()) as usize;
    let length = number(memory.len() - 4);
    let ends = (length.next_multiple_of(4)..memory.len()).step_by(4).map(number);
    let mut start = 0;
    ends.map(|end| String::from_utf8(memory[std::mem::replace(&mut start, end)..end].to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn a_request_comes_in_one_piece() {
    let host = host_with(plugin(&[PACKED], HONEST)).await;
    let note = "n".repeat(300);
    for (path, query) in [("/packed/h%C3%A9", ""), ("/packed/h%C3%A9?", ""), ("/packed/h%C3%A9?a=%20", "a=%20")] {
        let request = reqwest::Client::new().get(format!("http://{}{path}", host.address())).header("x-note", &note);
        let reply =
            request.header("cookie", "session=secret").header("authorization", "Bearer x").send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        let texts = texts(&reply.bytes().await.unwrap());
        assert_eq!(texts[..7], [&id, "GET", "/packed/{word}", "/packed/h%C3%A9", query, "", ""], "{path}");
        assert_eq!(texts[7..9], ["word", "h\u{e9}"], "{path}");
        let headers: Vec<_> = texts[9..].chunks(2).collect();
        assert!(headers.iter().any(|header| header[0] == "x-note" && header[1] == note), "{headers:?}");
        let is_secret = |name: &str| ["cookie", "authorization"].contains(&name);
        assert!(headers.iter().all(|header| !is_secret(&header[0])), "{headers:?}");
    }
}

#[tokio::test]
async fn of_two_handlers_the_packed_one_is_called() {
    let host = host_with(plugin(&[PLAIN, PACKED], HONEST)).await;
    assert!(host.visitor().get("/packed/a").await.text.contains("/packed/{word}"));
    host.operator().deploy("packed", plugin(&[PLAIN], HONEST)).await;
    assert_eq!(host.visitor().get("/packed/a").await.text, "");
    // A newer SDK exports another handler, which does the same work.
    host.operator().deploy("packed", plugin(&[PACKED], HONEST)).await;
    assert!(host.visitor().get("/packed/a").await.text.contains("/packed/{word}"));
}

#[tokio::test]
async fn an_allocator_that_lies_ends_its_own_call() {
    for (what, allocator, status, kind) in [
        ("beyond the memory", "(i32.const 131072)", 500, "trap"),
        ("at the end of the memory", "(i32.const 131071)", 500, "trap"),
        ("at the last address", "(i32.const -1)", 500, "trap"),
        ("not aligned", "(i32.or (i32.const 2049) (local.get $align))", 500, "trap"),
        ("a trap", "unreachable", 500, "trap"),
        ("a loop", "(loop (br 0)) unreachable", 504, "deadline"),
    ] {
        let host = host_with(plugin(&[PACKED], allocator)).await;
        let reply = host.visitor().get("/packed/a").await;
        assert_eq!((reply.status, reply.errors().len()), (status, 1), "{what}: {reply:?}");
        assert_eq!(host.failures("packed", kind).await, 1, "{what}");
        host.operator().deploy("packed", plugin(&[PACKED], HONEST)).await;
        assert_eq!(host.visitor().get("/packed/a").await.status, 200, "{what}");
    }
}

/// All texts in the same place: the component reads a wrong request, and the host
/// does not care.
#[tokio::test]
async fn an_allocator_that_gives_one_place_harms_only_its_component() {
    let host = host_with(plugin(&[PACKED], "(i32.const 1024)")).await;
    let body = serde_json::json!({ "text": "x".repeat(50_000) });
    let reply = host.visitor().post("/packed/a", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(host.visitor().get("/packed/a").await.status, 200);
}
