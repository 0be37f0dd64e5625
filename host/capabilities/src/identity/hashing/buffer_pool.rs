//! A pool of the memory buffers that hashes fill. The pool keeps a buffer for the
//! next hash: the kernel needs a tenth of a hash's time to provide the same memory
//! again, page by page.
//!
//! A hash reads its buffer at random places. The processor has to look up the address of
//! almost every small page, which takes a seventh of the hash's time. So the buffers ask for
//! huge pages.

use argon2::Block;
use parking_lot::Mutex;

/// The total size of the buffers that the pool keeps.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// The unused buffers. All have the size that the configured parameters need.
#[derive(Debug)]
pub(super) struct BufferPool {
    free: Mutex<Vec<Vec<Block>>>,
    blocks: usize,
}

impl BufferPool {
    pub(super) fn new(blocks: usize) -> Self {
        Self { free: Mutex::default(), blocks }
    }

    /// Runs `hash` with a buffer of this size.
    pub(super) fn with_buffer<T>(&self, blocks: usize, hash: impl FnOnce(&mut [Block]) -> T) -> T {
        if blocks != self.blocks {
            return hash(&mut vec![Block::new(); blocks]);
        }
        let kept = self.free.lock().pop();
        let mut buffer = kept.unwrap_or_else(|| on_huge_pages(blocks));
        let result = hash(&mut buffer);
        let mut free = self.free.lock();
        if (free.len() + 1) * blocks * Block::SIZE <= MAX_KEPT_BYTES {
            free.push(buffer);
        }
        result
    }
}

/// A new buffer, on huge pages if the system has some.
fn on_huge_pages(blocks: usize) -> Vec<Block> {
    let mut buffer = Vec::with_capacity(blocks);
    // Before the first write, because the kernel gives a page its size then.
    #[cfg(target_os = "linux")]
    advise_huge_pages(buffer.spare_capacity_mut());
    buffer.resize(blocks, Block::new());
    buffer
}

/// Asks the kernel for huge pages in the part of the memory that they fill. Memory
/// without them works as well, so a refusal changes nothing.
#[cfg(target_os = "linux")]
fn advise_huge_pages(memory: &mut [std::mem::MaybeUninit<Block>]) {
    use rustix::mm::{Advice, madvise};

    const HUGE_PAGE_BYTES: usize = 2 << 20;

    let begin = memory.as_mut_ptr().cast::<u8>();
    let before = begin.align_offset(HUGE_PAGE_BYTES);
    let Some(rest) = size_of_val(memory).checked_sub(before) else { return };
    let bytes = rest - rest % HUGE_PAGE_BYTES;
    if bytes > 0 {
        // SAFETY: The range lies inside of the memory, and the advice changes no byte of it.
        #[expect(unsafe_code, reason = "a range of memory is a pointer and a length")]
        let advised = unsafe { madvise(begin.wrapping_add(before).cast(), bytes, Advice::LinuxHugepage) };
        if let Err(error) = advised {
            tracing::debug!(%error, "password hashes use small pages");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_reused_and_kept_up_to_the_limit() {
        let blocks = MAX_KEPT_BYTES / Block::SIZE / 2;
        let pool = BufferPool::new(blocks);
        let address = |pool: &BufferPool| pool.with_buffer(blocks, |blocks| blocks.as_ptr());
        assert_eq!(address(&pool), address(&pool));
        pool.with_buffer(blocks, |_| pool.with_buffer(blocks, |_| address(&pool)));
        assert_eq!(pool.free.lock().len(), 2);
        assert_eq!(pool.with_buffer(8, |blocks| blocks.len()), 8);
        assert_eq!(pool.free.lock().len(), 2, "other sizes are not kept");
    }
}
