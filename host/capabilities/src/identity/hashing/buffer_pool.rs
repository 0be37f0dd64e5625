//! A pool of the memory buffers that hashes fill. The pool keeps a buffer for the
//! next hash: the kernel needs a tenth of a hash's time to provide the same memory
//! again, page by page.

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
        let mut buffer = kept.unwrap_or_else(|| vec![Block::new(); blocks]);
        let result = hash(&mut buffer);
        let mut free = self.free.lock();
        if (free.len() + 1) * blocks * Block::SIZE <= MAX_KEPT_BYTES {
            free.push(buffer);
        }
        result
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
