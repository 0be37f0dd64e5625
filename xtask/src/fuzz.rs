//! The fuzzer of uploads (`fuzz/`), with the stable compiler.
//!
//! What cargo-fuzz does with a nightly one: everything is compiled so that the
//! fuzzer sees which branches are taken. The plugin files of the tests are what
//! it begins with.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::guests::{self, Kind};
use crate::process::{run, say};
use crate::toolchain;
use crate::workspace::Workspace;

/// Counters at every branch, and what comparisons compare.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];
/// Larger files are not tried.
const MAX_INPUT_BYTES: u32 = 1 << 20;
const INPUT_LIMIT_SECONDS: u32 = 20;
const MEMORY_LIMIT_MIB: u32 = 2_048;

/// Fuzzes for so long. What breaks it is kept in `target/fuzz/`, and is an error.
pub(crate) fn fuzz(workspace: &Workspace, seconds: u32) -> Result<()> {
    let folder = workspace.fuzz();
    let (corpus, seeds, built) = (folder.join("corpus"), folder.join("seeds"), folder.join("build"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&seeds)?;
    guests::build(workspace, &[Kind::Test])?;
    for guest in guests::find(workspace, Kind::Test)? {
        let file = Kind::Test.output(workspace).join(format!("{}.wasm", guest.name));
        let plugin = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        // No manifest beside it.
        fs::write(seeds.join(&guest.name), [&[0], plugin.as_slice()].concat())?;
    }
    say("Building the fuzzer");
    let own = workspace.root.join("fuzz");
    // The versions that the host has.
    fs::copy(workspace.root.join("Cargo.lock"), own.join("Cargo.lock"))?;
    let target = toolchain::host()?;
    let mut cargo = workspace.cargo();
    // With a target, build scripts and macros are compiled as ever.
    cargo.args(["build", "--release", "--target", &target, "--manifest-path"]).arg(own.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&built).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    run(cargo.env("TICKETING_NO_BUNDLE", "1"))?;
    say(&format!("Fuzzing for {seconds} s"));
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
