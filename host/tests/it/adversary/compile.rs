//! Components that cost the compiler much time or memory.

use super::guests::{compiler_bomb, many_functions, memory_bomb};
use crate::{
    hostile::hostile,
    support::{Host, Setup, chameleon, chameleon_host, guest},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

const LIMITS: &str = "compile_memory_mib = 400\ncompile_cpu_seconds = 3\ncompile_wall_seconds = 8\n";

/// What was seen of the compiler's process.
#[derive(Debug, Default)]
struct Seen {
    most_mib: u64,
    environment: Vec<u8>,
    files: BTreeMap<String, String>,
}

/// Looks at the children of the host until the work is done.
async fn while_watched<T>(host: &Host, work: impl Future<Output = T>) -> (T, Seen) {
    let mut seen = Seen::default();
    let look = async {
        loop {
            host.children().into_iter().for_each(|child| look_at(&child, &mut seen));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::select! {
        () = look => unreachable!("it looks for ever"),
        done = work => done,
    };
    (done, seen)
}

fn look_at(child: &str, seen: &mut Seen) {
    let file = |name: &str| fs::read(format!("/proc/{child}/{name}")).unwrap_or_default();
    let status = String::from_utf8(file("status")).unwrap_or_default();
    let kib =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
    seen.most_mib = seen.most_mib.max(kib("VmRSS:").unwrap_or(0_u64) >> 10);
    // Before it is the program, the child is a copy of the host.
    if !file("cmdline").windows(7).any(|part| part == b"compile") {
        return;
    }
    seen.environment.extend(file("environ"));
    for entry in fs::read_dir(format!("/proc/{child}/fd")).into_iter().flatten().flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default().display().to_string();
        seen.files.insert(entry.file_name().to_string_lossy().into_owned(), target);
    }
}

impl Host {
    fn children(&self) -> Vec<String> {
        let own = self.id();
        let is_child = |pid: &String| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(own.as_str()))
        };
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_child).collect()
    }

    fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }
}

#[tokio::test]
async fn a_component_that_the_compiler_cannot_digest_is_refused_with_the_limit_and_harms_nobody() {
    let setup =
        hostile().private_cache().compiler(LIMITS).variable("JWT_KEY", "a key that no child may see, whoever asks");
    let host = setup.start().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let before = (host.peak_mib(), host.installed().await.files);
    for (what, bytes) in [
        ("loops times locals", compiler_bomb("bomb", 2_000, 900)),
        ("more loops than locals", compiler_bomb("bomb", 300, 4_000)),
        ("more locals than loops", compiler_bomb("bomb", 20_000, 100)),
        ("targets times locals", memory_bomb("bomb", 2_000, 20_000)),
        ("more targets than locals", memory_bomb("bomb", 700, 60_000)),
        ("one of them as a dry run", compiler_bomb("bomb", 2_001, 900)),
        ("many functions", many_functions("bomb", 60_000)),
    ] {
        let begun = Instant::now();
        let path = if what.contains("dry run") { "/plugins?dry_run=true" } else { "/plugins" };
        let upload = async { operator.upload_to(path, bytes).await.unwrap() };
        let visits = async {
            loop {
                visitor.says_hello().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let watched = while_watched(&host, upload);
        let (reply, seen) = tokio::select! { () = visits => unreachable!(), watched = watched => watched };
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} took {:?}", begun.elapsed());
        assert_eq!(reply.status, 422, "{what}: {reply:?}");
        let reason = &reply.errors()[0].0;
        assert!(reason.contains("the limit engine.compile_"), "{what}: {reason}");
        assert!(seen.most_mib < 500, "{what}: {seen:?}");
        assert!(!String::from_utf8_lossy(&seen.environment).contains("KEY"), "{what}: {seen:?}");
        assert!(seen.files.values().all(|file| !file.contains("socket") && !file.ends_with(".db")), "{what}: {seen:?}");
        println!("{what}: {:?}, {} MiB, {reason}", begun.elapsed(), seen.most_mib);
    }
    assert!(host.peak_mib() < before.0 + 150, "{} MiB, before {} MiB", host.peak_mib(), before.0);
    assert_eq!(host.installed().await.files, before.1, "nothing is left");
    assert!(host.children().is_empty());
}

#[tokio::test]
async fn nobody_compiles_what_the_token_may_not_upload() {
    let host = chameleon_host(Setup::without_components().private_cache().compiler(LIMITS)).await;
    let token = json!({ "name": "ci", "role": "deploy", "plugins": ["chameleon"] });
    let ci = host.bearer(&host.operator().make_token(token).await.text);
    for name in ["bomb", "hello", "chameleon2"] {
        let upload = ci.upload(compiler_bomb(name, 2_000, 900));
        let (reply, seen) = while_watched(&host, upload).await;
        assert_eq!(reply.status, 403, "{reply:?}");
        assert_eq!(seen.most_mib, 0, "nothing was compiled");
    }
    let (reply, seen) = while_watched(&host, ci.upload(chameleon("1.0.0", "green", "good"))).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(seen.most_mib > 0, "an upload is compiled in a child");
}

#[tokio::test]
async fn a_host_that_ends_takes_its_compiler_with_it() {
    let mut host = Setup::without_components().private_cache().start().await;
    let operator = host.operator();
    let upload = tokio::spawn(async move { operator.upload_to("/plugins", compiler_bomb("bomb", 2_000, 900)).await });
    let children = async || host.children();
    let children = crate::support::eventually("it compiles", children, |children| !children.is_empty()).await;
    let begun = Instant::now();
    host.terminate().await;
    host.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let gone = async || children.iter().all(|child| !fs::exists(format!("/proc/{child}")).unwrap());
    crate::support::eventually("the child has ended", gone, |gone| *gone).await;
    let _ = upload.await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_settings_is_compiled_without_limits() {
    let limits = "compile_memory_mib = 64\ncompile_cpu_seconds = 1\ncompile_wall_seconds = 1\n";
    let path = guest("hello");
    let setup = Setup::without_components().private_cache().compiler(limits);
    let host = setup.toml(&format!("[[plugin]]\npath = {path:?}")).start().await;
    host.visitor().says_hello().await;
}
