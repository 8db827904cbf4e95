//! The C heap around large models: weights in mappings of their own, so that what is let go goes
//! back to the system at once.

use std::sync::Mutex;
use std::sync::PoisonError;

/// How many models are being loaded.
static LOADING: Mutex<usize> = Mutex::new(0);

/// Held while weights are loaded.
///
/// glibc keeps blocks of up to 32 MB in its arenas once one of that size was freed, which the first
/// tensor to be laid out anew does: weights then share 64 MB pieces with gaps between them, a third
/// more than they need, and stay with the process when a model is let go.
pub struct Loading(());

impl Loading {
    pub fn enter() -> Self {
        let mut loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if *loading == 0 {
            glibc::own_mappings_from(OWN_MAPPING);
        }
        *loading += 1;
        Self(())
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        let mut loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        *loading = loading.saturating_sub(1);
        if *loading == 0 {
            // Where glibc's own adaptation ends: what a forward pass needs again and again stays
            // in the arenas, and costs no page faults.
            glibc::own_mappings_from(glibc::MOST);
            glibc::trim();
        }
    }
}

/// Smallest block that gets a mapping of its own while a model is loaded, bytes.
const OWN_MAPPING: i32 = 256 << 10;

/// Gives free memory back to the system, as far as the C heap can.
pub fn trim() {
    glibc::trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// `DEFAULT_MMAP_THRESHOLD_MAX` on 64 bits.
    pub(super) const MOST: c_int = 32 << 20;
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;

    // `malloc.h`
    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub(super) fn own_mappings_from(bytes: c_int) {
        // SAFETY: both may be called at any time and from any thread; they take the heap's locks.
        unsafe {
            mallopt(M_MMAP_THRESHOLD, bytes);
            // As glibc adapts it: twice the other. Set together, since either ends adaptation.
            mallopt(M_TRIM_THRESHOLD, 2 * MOST);
        }
    }

    pub(super) fn trim() {
        // SAFETY: as above.
        unsafe { malloc_trim(0) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod glibc {
    pub(super) const MOST: i32 = 32 << 20;

    pub(super) fn own_mappings_from(_bytes: i32) {}

    pub(super) fn trim() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::memory;

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn what_was_loaded_is_given_back() {
        const BLOCK: usize = 4 << 20;
        const BLOCKS: usize = 64;
        let rss = || memory::read().rss.unwrap();
        let before = rss();
        let mut held = Vec::new();
        {
            let (_outer, _inner) = (Loading::enter(), Loading::enter());
            for _ in 0..BLOCKS {
                // What lies between the weights, as a tensor on its way does.
                let staging = vec![1_u8; BLOCK];
                held.push(vec![2_u8; BLOCK]);
                drop(staging);
            }
        }
        let all = (BLOCK * BLOCKS) as u64;
        let loaded = rss() - before;
        assert!(loaded < all + all / 4, "{loaded} for {all}");
        // Every second one: no block keeps its neighbours'.
        let mut index = 0;
        held.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        let half = rss() - before;
        assert!(half < all / 2 + all / 4, "{half} for half of {all}");
        assert_eq!(held.len(), BLOCKS / 2);
    }
}
