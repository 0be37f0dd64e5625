//! The memory of a component.
//!
//! The allocator of the standard library asks for more memory at its first use,
//! whatever memory the component has at its start. The host then changes the
//! protection of that memory for each instance, and once more when the instance
//! ends. This is most of the cost of a short instance. The allocator here is the
//! same one, `dlmalloc`, but it begins with memory that the component has anyway.
//! The crate has a source of memory that does so too, if the linker leaves enough
//! behind the data. A package cannot ask the linker for that, so here is a static.

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32::memory_grow,
    cell::UnsafeCell,
    mem::MaybeUninit,
    ptr::null_mut,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};
use dlmalloc::Dlmalloc;

/// A page of WebAssembly.
const PAGE_BYTES: usize = 64 << 10;
/// Enough for a small request. Pages that nobody touches are never in the host's memory.
const FIRST_BYTES: usize = 256 << 10;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Dlmalloc::new_with_allocator(Memory)));

struct Allocator(UnsafeCell<Dlmalloc<Memory>>);

// SAFETY: a component without the feature `atomics` has one thread.
unsafe impl Sync for Allocator {}

// SAFETY: each function keeps the contract of `Dlmalloc`, which is that of the trait.
// No function runs inside of another one, because there is one thread.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(memory, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(memory, layout.size(), layout.align(), bytes) }
    }
}

/// Aligned as `dlmalloc` needs it.
#[repr(align(16))]
struct First(UnsafeCell<MaybeUninit<[u8; FIRST_BYTES]>>);

// SAFETY: `Memory` gives it to one allocator, and nothing else uses it.
unsafe impl Sync for First {}

/// `dlmalloc` joins no regions whose flags differ. Its own flag is the bit 0.
const APART: u32 = 2;
static FIRST: First = First(UnsafeCell::new(MaybeUninit::zeroed()));
static FIRST_IS_USED: AtomicBool = AtomicBool::new(false);

/// The source of memory for `dlmalloc`.
struct Memory;

// SAFETY: each region is given once. It is a static of its own, or new pages.
unsafe impl dlmalloc::Allocator for Memory {
    fn alloc(&self, bytes: usize) -> (*mut u8, usize, u32) {
        if bytes <= FIRST_BYTES && !FIRST_IS_USED.swap(true, Relaxed) {
            return (FIRST.0.get().cast(), FIRST_BYTES, APART);
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        let before = memory_grow::<0>(pages);
        if before == usize::MAX {
            return (null_mut(), 0, 0);
        }
        let (begin, bytes) = (before * PAGE_BYTES, pages * PAGE_BYTES);
        // No allocation of Rust ends at the very end of the address space.
        let ends_at_the_end = begin.wrapping_add(bytes) == 0;
        (begin as *mut u8, if ends_at_the_end { bytes - 16 } else { bytes }, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}
