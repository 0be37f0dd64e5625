//! The memory that hashes fill. It is kept for the next ones, because the
//! kernel takes a tenth of a hash's time to hand out as much again, page by
//! page.

use argon2::Block;
use parking_lot::Mutex;

/// What is kept when nobody hashes, all together.
const KEPT_BYTES: usize = 64 << 20;

/// Memory that hashes have used and others can use again.
#[derive(Debug)]
pub(super) struct Memory {
    free: Mutex<Vec<Vec<Block>>>,
    /// What most hashes need: those with the parameters in use.
    blocks: usize,
}

impl Memory {
    pub(super) fn new(blocks: usize) -> Self {
        Self { free: Mutex::default(), blocks }
    }

    /// Lends so much for as long as a hash takes.
    pub(super) fn lend<T>(&self, blocks: usize, hash: impl FnOnce(&mut [Block]) -> T) -> T {
        if blocks != self.blocks {
            return hash(&mut vec![Block::new(); blocks]);
        }
        let used = self.free.lock().pop();
        let mut memory = used.unwrap_or_else(|| vec![Block::new(); blocks]);
        let result = hash(&mut memory);
        let mut free = self.free.lock();
        if (free.len() + 1) * blocks * Block::SIZE <= KEPT_BYTES {
            free.push(memory);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_no_more_is_kept_than_the_limit() {
        let blocks = KEPT_BYTES / Block::SIZE / 2;
        let memory = Memory::new(blocks);
        let place = |memory: &Memory| memory.lend(blocks, |blocks| blocks.as_ptr());
        assert_eq!(place(&memory), place(&memory));
        memory.lend(blocks, |_| memory.lend(blocks, |_| place(&memory)));
        assert_eq!(memory.free.lock().len(), 2);
        assert_eq!(memory.lend(8, |blocks| blocks.len()), 8);
        assert_eq!(memory.free.lock().len(), 2, "other sizes are not kept");
    }
}
