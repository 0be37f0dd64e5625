//! Fuzzes one target for a long time, with the stable compiler.
//!
//! Uploads have a fuzzer of their own (`fuzz/`). It compiles all code with counters
//! at the branches, as cargo-fuzz does with a nightly compiler. The plugin files of
//! the tests are its first inputs. The other targets are tests
//! (`host/tests/it/fuzz/`), which here run for longer and from another seed. A test
//! runs the code under the fuzzer of uploads, too.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::guests::{self, Kind};
use crate::process::{print_status, run};
use crate::toolchain;
use crate::workspace::Workspace;

/// They add a counter to each branch and record the operands of comparisons.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];
/// The largest input.
const MAX_INPUT_BYTES: u32 = 1 << 20;
const INPUT_LIMIT_SECONDS: u32 = 20;
const MEMORY_LIMIT_MIB: u32 = 2_048;

/// What to fuzz.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Target {
    /// A plugin file up to the compiler
    Upload,
    /// Manifests, policies, routes and subjects
    Manifest,
    /// Statements and migrations of components, also executed on SQLite
    Sql,
    /// The bytes that reach the public listener
    Http,
}

/// Fuzzes a target for this number of seconds. An input that makes the code fail
/// is an error.
pub(crate) fn fuzz(workspace: &Workspace, target: Target, seconds: u32) -> Result<()> {
    match target {
        Target::Upload => uploads(workspace, seconds),
        Target::Manifest => tests(workspace, &["fuzz::manifest::", "fuzz::policy::"], seconds),
        Target::Sql => tests(workspace, &["fuzz::sql::"], seconds),
        Target::Http => tests(workspace, &["fuzz::http::"], seconds),
    }
}

/// Runs the tests with these names, each for this number of seconds.
fn tests(workspace: &Workspace, names: &[&str], seconds: u32) -> Result<()> {
    guests::build(workspace, &[Kind::Component, Kind::Test])?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() << 32;
    print_status(&format!("Fuzzing for {seconds} s from the seed {seed}"));
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast", "--test", "it", "--", "--nocapture"]).args(names);
    run(cargo.env("TICKETING_FUZZ_SEED", seed.to_string()).env("TICKETING_FUZZ_SECONDS", seconds.to_string()))
}

/// Runs the fuzzer of uploads. It saves an input that makes the code fail in
/// `target/fuzz/`.
fn uploads(workspace: &Workspace, seconds: u32) -> Result<()> {
    let folder = workspace.fuzz_folder();
    let (corpus, seeds, built) = (folder.join("corpus"), folder.join("seeds"), folder.join("build"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&seeds)?;
    guests::build(workspace, &[Kind::Test])?;
    for guest in guests::find(workspace, Kind::Test)? {
        let file = Kind::Test.output_folder(workspace).join(format!("{}.wasm", guest.name));
        let plugin = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        // The byte 0 says that the input has no separate manifest.
        fs::write(seeds.join(&guest.name), [&[0], plugin.as_slice()].concat())?;
    }
    print_status("Building the fuzzer");
    let crate_folder = workspace.root.join("fuzz");
    // The fuzzer uses the same versions of the dependencies as the host.
    fs::copy(workspace.root.join("Cargo.lock"), crate_folder.join("Cargo.lock"))?;
    let target = toolchain::host_target()?;
    let mut cargo = workspace.cargo();
    // With an explicit target, cargo does not apply the flags to build scripts and macros.
    cargo.args(["build", "--release", "--target", &target, "--manifest-path"]).arg(crate_folder.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&built).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    run(cargo.env("TICKETING_NO_BUNDLE", "1"))?;
    print_status(&format!("Fuzzing for {seconds} s"));
    let mut fuzzer = Command::new(built.join(target).join("release/upload"));
    fuzzer.current_dir(&folder).arg(&corpus).arg(&seeds).args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={MAX_INPUT_BYTES}"),
        format!("-timeout={INPUT_LIMIT_SECONDS}"),
        format!("-rss_limit_mb={MEMORY_LIMIT_MIB}"),
        "-print_final_stats=1".to_owned(),
    ]);
    run(&mut fuzzer)
}
