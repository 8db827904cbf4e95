//! Opening shared libraries for the whole process, and keeping them open.

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::{PreloadStep, plan};

/// Missing dependencies followed for one library; a real PyTorch needs about a dozen.
const MAX_DEPENDENCIES: usize = 48;

/// The libraries opened so far, with what each took.
#[derive(Default)]
pub struct Opened {
    steps: Vec<PreloadStep>,
}

impl Opened {
    /// Opens `library`, and on the way any dependency that the linker misses and that lies in a
    /// known folder.
    pub fn open(&mut self, library: &Path, lib_dir: &Path) -> Result<(), String> {
        let mut left = MAX_DEPENDENCIES;
        self.open_counting(library, lib_dir, &mut left)
    }

    fn open_counting(
        &mut self,
        library: &Path,
        lib_dir: &Path,
        left: &mut usize,
    ) -> Result<(), String> {
        let start = Instant::now();
        let mut result = open_global(library);
        while let Err(error) = &result {
            let Some(dependency) = missing_dependency(error, library, lib_dir) else {
                break;
            };
            if *left == 0 {
                break;
            }
            *left -= 1;
            if self.open_counting(&dependency, lib_dir, left).is_err() {
                break;
            }
            result = open_global(library);
        }
        self.steps.push(PreloadStep {
            path: library.display().to_string(),
            ms: start.elapsed().as_secs_f64() * 1000.0,
            error: result.as_ref().err().cloned(),
        });
        result
    }

    pub fn into_steps(self) -> Vec<PreloadStep> {
        self.steps
    }
}

/// The library that the linker's message says it cannot find, if it lies in a known folder.
fn missing_dependency(error: &str, library: &Path, lib_dir: &Path) -> Option<PathBuf> {
    let name = error.split(": cannot open shared object file").next()?;
    let name = name.rsplit([' ', '/']).next()?;
    if name.is_empty() || library.file_name().is_some_and(|own| own == name) {
        return None;
    }
    plan::search_folders(lib_dir)
        .into_iter()
        .map(|dir| dir.join(name))
        .find(|path| path.exists())
}

#[cfg(unix)]
fn open_global(path: &Path) -> Result<(), String> {
    open_unix(path, libc::RTLD_NOW | libc::RTLD_GLOBAL)
}

#[cfg(unix)]
pub fn pin(path: &Path) -> Result<(), String> {
    open_unix(path, libc::RTLD_NOW | libc::RTLD_NODELETE)
}

#[cfg(unix)]
fn open_unix(path: &Path, flags: i32) -> Result<(), String> {
    // SAFETY: opening runs the library's initialisers; these are libtorch's own and the addon's.
    let opened = unsafe { libloading::os::unix::Library::open(Some(path), flags) };
    match opened {
        Ok(library) => {
            // Never closed: libtorch does not survive being unmapped.
            let _ = library.into_raw();
            Ok(())
        }
        Err(error) => Err(error_text(&error)),
    }
}

#[cfg(windows)]
fn open_global(path: &Path) -> Result<(), String> {
    use libloading::os::windows::{LOAD_WITH_ALTERED_SEARCH_PATH, Library};
    let flags = if path.is_absolute() {
        LOAD_WITH_ALTERED_SEARCH_PATH
    } else {
        0
    };
    // SAFETY: as on Unix.
    let library = unsafe { Library::load_with_flags(path, flags) }.map_err(|e| error_text(&e))?;
    let _ = library.into_raw();
    Ok(())
}

#[cfg(windows)]
pub fn pin(path: &Path) -> Result<(), String> {
    use libloading::os::windows::{LOAD_WITH_ALTERED_SEARCH_PATH, Library};
    // SAFETY: as on Unix.
    let library = unsafe { Library::load_with_flags(path, LOAD_WITH_ALTERED_SEARCH_PATH) }
        .map_err(|e| error_text(&e))?;
    library.pin().map_err(|e| error_text(&e))?;
    let _ = library.into_raw();
    Ok(())
}

/// The linker's reason, which libloading keeps in the error's source on some platforms.
fn error_text(error: &libloading::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Keeps the library that holds `address` mapped until the process ends.
#[cfg(unix)]
pub fn pin_containing(address: *const c_void) {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` is large enough and zeroed; the name it receives belongs to the linker and
    // lives as long as this library is loaded.
    unsafe {
        if libc::dladdr(address, info.as_mut_ptr()) == 0 {
            return;
        }
        let name = info.assume_init().dli_fname;
        if !name.is_null() {
            libc::dlopen(name, libc::RTLD_NOW | libc::RTLD_NODELETE);
        }
    }
}

/// Windows keeps addons that Node loaded for the life of the process unless every environment
/// releases them; the loader calls `pin` on this addon too.
#[cfg(windows)]
pub fn pin_containing(_address: *const c_void) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_missing_dependency_is_found_by_the_linkers_message() {
        let dir = std::env::temp_dir().join(format!("pose4d-open-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("libneeded.so.9"), b"").unwrap();
        let library = dir.join("libowner.so");
        let message = "libneeded.so.9: cannot open shared object file: No such file or directory";
        assert_eq!(
            missing_dependency(message, &library, &dir),
            Some(dir.join("libneeded.so.9"))
        );
        let own = format!("{}: cannot open shared object file: no", library.display());
        assert_eq!(missing_dependency(&own, &library, &dir), None);
        assert_eq!(
            missing_dependency("invalid ELF header", &library, &dir),
            None
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_failed_step_keeps_the_linkers_words() {
        let mut opened = Opened::default();
        let path = Path::new("/nowhere/libnothing.so");
        assert!(opened.open(path, Path::new("/nowhere")).is_err());
        let steps = opened.into_steps();
        assert_eq!(steps.len(), 1);
        assert!(steps[0].error.as_ref().unwrap().contains("libnothing.so"));
    }

    #[test]
    fn pinning_a_system_library_twice_is_harmless() {
        pin(Path::new("libm.so.6")).unwrap();
        pin(Path::new("libm.so.6")).unwrap();
    }
}
