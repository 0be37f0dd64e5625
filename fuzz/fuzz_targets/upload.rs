//! The fuzzer of uploads. The tests of the host have its code, and run it for a short
//! time with changes of good files (`host/tests/it/fuzz/upload.rs`).

#![no_main]

#[path = "../../host/tests/it/fuzz/upload/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    input::check(bytes);
});
