//! How much memory a CUDA card has free, asked of the CUDA runtime that libtorch brought along.

/// One card, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardMemory {
    pub free: u64,
    pub total: u64,
}

/// The memory of card `index`; `None` where there is no such card, or no CUDA runtime is loaded.
///
/// The question makes CUDA's context on the card, as using it would.
pub fn memory(index: usize) -> Option<CardMemory> {
    if index >= super::libtorch::cuda().devices {
        return None;
    }
    found::memory(i32::try_from(index).ok()?)
}

#[cfg(unix)]
mod found {
    use std::fs;

    use libloading::os::unix::Library;

    use super::CardMemory;

    /// `cudaError_t` is an `int`, and 0 is success (CUDA runtime API, all versions since 4).
    type MemGetInfo = unsafe extern "C" fn(free: *mut usize, total: *mut usize) -> i32;
    type GetDevice = unsafe extern "C" fn(index: *mut i32) -> i32;
    type SetDevice = unsafe extern "C" fn(index: i32) -> i32;

    pub(super) fn memory(index: i32) -> Option<CardMemory> {
        let runtime = runtime()?;
        // SAFETY: the types are those of `cuda_runtime_api.h`.
        let (info, get, set) = unsafe {
            (
                *runtime.get::<MemGetInfo>(b"cudaMemGetInfo").ok()?,
                *runtime.get::<GetDevice>(b"cudaGetDevice").ok()?,
                *runtime.get::<SetDevice>(b"cudaSetDevice").ok()?,
            )
        };
        let (mut before, mut free, mut total) = (0, 0, 0);
        // SAFETY: places for one number each; the thread's device is put back as it was.
        let fine = unsafe {
            let fine = get(&raw mut before) == 0
                && set(index) == 0
                && info(&raw mut free, &raw mut total) == 0;
            set(before);
            fine
        };
        fine.then_some(CardMemory {
            free: free as u64,
            total: total as u64,
        })
    }

    /// The library as libtorch's CUDA half mapped it, whatever its version.
    fn runtime() -> Option<Library> {
        const RTLD_LAZY: i32 = 1;
        const RTLD_NOLOAD: i32 = 4;
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let path = library_in_maps(&maps)?;
        // SAFETY: what is mapped is only referenced again; no initialiser runs.
        unsafe { Library::open(Some(path), RTLD_LAZY | RTLD_NOLOAD) }.ok()
    }

    pub(super) fn library_in_maps(maps: &str) -> Option<&str> {
        let paths = maps.lines().filter_map(|line| line.get(line.find('/')?..));
        let mut named = paths.filter(|path| {
            let name = path.rsplit('/').next().unwrap_or_default();
            // `libcudart.so.13`, or with a hash in older bundles: `libcudart-9335f6a2.so.12`.
            name.starts_with("libcudart") && name.contains(".so")
        });
        named.next()
    }
}

#[cfg(not(unix))]
mod found {
    pub(super) fn memory(_index: i32) -> Option<super::CardMemory> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_not_there_has_no_memory() {
        assert_eq!(memory(usize::MAX), None);
    }

    #[test]
    #[cfg(unix)]
    fn the_runtime_is_found_under_any_of_its_names() {
        let maps = |name: &str| {
            format!("7f-7f r--p 0 08:01 1 /a b/lib/libtorch_cpu.so\n7f-7f r-xp 0 08:01 2 {name}\n")
        };
        for name in ["/a b/libcudart.so.13", "/x/libcudart-9335f6a2.so.12"] {
            assert_eq!(found::library_in_maps(&maps(name)), Some(name));
        }
        assert_eq!(found::library_in_maps(&maps("/x/libcudart.txt")), None);
    }

    /// With a card and the full libtorch only; elsewhere there is nothing to ask.
    #[test]
    fn every_card_there_is_tells_its_memory() {
        for index in 0..super::super::libtorch::cuda().devices {
            let card = memory(index).unwrap();
            assert!(card.free > 0 && card.free <= card.total);
        }
    }
}
