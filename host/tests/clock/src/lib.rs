//! A clock of the machine that a test sets for one process.
//!
//! Preloaded with `LD_PRELOAD`, these functions replace those of the C library.
//! The variable `SETTABLE_CLOCK` names a file with the seconds that the clock is
//! ahead: eight bytes, little-endian. Clocks that nobody can set, such as the
//! monotonic one, keep their time.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "functions of the C library are written with pointers")]

use libc::{
    CLOCK_REALTIME, CLOCK_REALTIME_COARSE, SYS_clock_gettime, c_int, c_void, clockid_t, time_t, timespec, timeval,
};
use std::{env, fs::File, os::unix::fs::FileExt, sync::OnceLock};

/// The seconds that the clock is set ahead.
fn ahead_seconds() -> i64 {
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    let file = FILE.get_or_init(|| File::open(env::var_os("SETTABLE_CLOCK")?).ok());
    let mut bytes = [0; 8];
    let read = file.as_ref().map(|file| file.read_exact_at(&mut bytes, 0));
    if matches!(read, Some(Ok(()))) { i64::from_le_bytes(bytes) } else { 0 }
}

/// Reads a clock.
///
/// # Safety
/// As in C: the pointer must be valid for writing a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, at: *mut timespec) -> c_int {
    // SAFETY: the kernel checks both arguments, and writes a time or fails.
    let result = unsafe { libc::syscall(SYS_clock_gettime, clock, at) };
    if result == 0 && [CLOCK_REALTIME, CLOCK_REALTIME_COARSE].contains(&clock) {
        // SAFETY: the kernel has just written to this address.
        unsafe { (*at).tv_sec += ahead_seconds() };
    }
    if result == 0 { 0 } else { -1 }
}

/// Reads the time of day in microseconds.
///
/// # Safety
/// As in C: the pointer must be null or valid for writing a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(at: *mut timeval, _zone: *mut c_void) -> c_int {
    let now = now();
    if !at.is_null() {
        // SAFETY: the caller guarantees it.
        unsafe { *at = timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / 1_000 } };
    }
    0
}

/// Reads the time of day in seconds.
///
/// # Safety
/// As in C: the pointer must be null or valid for writing a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(at: *mut time_t) -> time_t {
    let now = now().tv_sec;
    if !at.is_null() {
        // SAFETY: the caller guarantees it.
        unsafe { *at = now };
    }
    now
}

fn now() -> timespec {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local value.
    unsafe { clock_gettime(CLOCK_REALTIME, &raw mut now) };
    now
}
