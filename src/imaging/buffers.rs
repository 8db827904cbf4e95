//! Memory of pictures that are done with, kept for the next: fresh pages of a full-HD frame cost the
//! system about as long as decoding it.

use std::sync::{Mutex, PoisonError};

/// Kept at most, all together.
const MAX_BYTES: usize = 64 << 20;

static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer with room for `capacity` bytes.
pub fn take(capacity: usize) -> Vec<u8> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    // Not a much larger one: a small picture must not hold a large one's memory.
    let fits = |b: &Vec<u8>| b.capacity() >= capacity && b.capacity() / 2 <= capacity;
    match free.iter().position(fits) {
        Some(index) => {
            let mut buffer = free.swap_remove(index);
            buffer.clear();
            buffer
        }
        None => Vec::with_capacity(capacity),
    }
}

/// Takes a buffer back; the oldest go where there are too many.
pub fn give(buffer: Vec<u8>) {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    free.push(buffer);
    while free.iter().map(Vec::capacity).sum::<usize>() > MAX_BYTES {
        free.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, since the buffers are the process's.
    #[test]
    fn buffers_come_back_within_bounds() {
        // Of a size no other test decodes.
        let mut buffer = take(7_654_321);
        buffer.push(9);
        let address = buffer.as_ptr();
        give(buffer);
        let again = take(7_600_000);
        assert!(again.is_empty() && again.as_ptr() == address);
        give(again);
        assert!(take(1_000).capacity() < 7_000_000);
        give(Vec::with_capacity(MAX_BYTES + 1));
        let kept: usize = FREE.lock().unwrap().iter().map(Vec::capacity).sum();
        assert!(kept <= MAX_BYTES);
    }
}
