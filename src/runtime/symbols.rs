//! C functions of the libtorch in this process that tch does not wrap, by name.

use std::sync::OnceLock;

/// The function called `name`, as a pointer of type `T`; `None` where this libtorch lacks it.
///
/// # Safety
/// `T` must be the function's own type, as the pinned libtorch's headers state it.
#[cfg(unix)]
pub unsafe fn function<T: Copy>(name: &str) -> Option<T> {
    // SAFETY: the caller vouches for the type; a symbol that is not there is an error.
    unsafe { library().get::<T>(name.as_bytes()) }
        .ok()
        .map(|symbol| *symbol)
}

/// # Safety
/// None is ever found here.
#[cfg(not(unix))]
pub unsafe fn function<T: Copy>(_name: &str) -> Option<T> {
    None
}

#[cfg(unix)]
fn library() -> &'static libloading::os::unix::Library {
    use libloading::os::unix::{Library, RTLD_LAZY};
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    // Only what is already mapped: opening another copy would start a second libtorch.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const RTLD_NOLOAD: i32 = 4;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const RTLD_NOLOAD: i32 = 0x10;
    const NAMES: [&str; 3] = [
        "libtorch_cpu.so",
        "@rpath/libtorch_cpu.dylib",
        "libtorch_cpu.dylib",
    ];
    // Never dropped, and so never closed: libtorch stays for the life of the process.
    LIBRARY.get_or_init(|| {
        NAMES
            .iter()
            // SAFETY: a mapped library is only referenced again; no initialiser runs.
            .find_map(|name| unsafe { Library::open(Some(*name), RTLD_LAZY | RTLD_NOLOAD) }.ok())
            .unwrap_or_else(Library::this)
    })
}
