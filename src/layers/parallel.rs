//! Work of our own on libtorch's threads: its pool stays the only one, and its count is kept to.

use std::ffi::c_void;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::TchError;

use crate::runtime::symbols::function;

type Body = unsafe extern "C" fn(begin: i64, end: i64, context: *mut c_void);
/// `torch_parallel_for` of `torch/csrc/stable/c/shim.h`.
type ParallelFor =
    unsafe extern "C" fn(begin: i64, end: i64, grain: i64, body: Body, context: *mut c_void) -> i32;

struct Context<'a> {
    work: &'a (dyn Fn(Range<usize>) + Sync),
    failed: AtomicBool,
}

/// Calls `work` with parts of `0..count`, none smaller than `grain` but the last; each number is in
/// exactly one part.
pub fn split(
    count: usize,
    grain: usize,
    work: impl Fn(Range<usize>) + Sync,
) -> Result<(), TchError> {
    static FUNCTION: OnceLock<Option<ParallelFor>> = OnceLock::new();
    // SAFETY: the type is that of the header named above.
    let found = FUNCTION.get_or_init(|| unsafe { function("torch_parallel_for") });
    let Some(parallel_for) = found else {
        work(0..count);
        return Ok(());
    };
    let context = Context {
        work: &work,
        failed: AtomicBool::new(false),
    };
    // SAFETY: the context outlives the call, which returns when all parts are done.
    let status = unsafe {
        parallel_for(
            0,
            count as i64,
            grain.max(1) as i64,
            part,
            (&raw const context).cast_mut().cast(),
        )
    };
    match status == 0 && !context.failed.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err(TchError::Torch("a part of the work panicked".into())),
    }
}

/// # Safety
/// `context` points to a live [`Context`].
unsafe extern "C" fn part(begin: i64, end: i64, context: *mut c_void) {
    // SAFETY: `split` passes its own.
    let context = unsafe { &*context.cast::<Context>() };
    let range = begin.max(0) as usize..end.max(0) as usize;
    // No panic may cross into C++.
    if catch_unwind(AssertUnwindSafe(|| (context.work)(range))).is_err() {
        context.failed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn every_number_is_met_once() {
        let seen: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
        split(seen.len(), 7, |range| {
            for i in range {
                seen[i].fetch_add(1, Ordering::Relaxed);
            }
        })
        .unwrap();
        assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1));
        split(0, 1, |range| assert!(range.is_empty())).unwrap();
    }

    #[test]
    fn a_panic_is_an_error() {
        let failed = split(10, 1, |range| assert!(!range.contains(&5)));
        assert!(failed.is_err());
    }
}
