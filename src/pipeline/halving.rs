//! Batches that shrink when a device runs out of memory: half as many at a time, and on.

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::{EngineError, INTERNAL, MEMORY};

/// How many items go through a network at a time. Shared by whoever uses that network: where one
/// found no memory, the next need not try.
#[derive(Debug)]
pub struct BatchLimit {
    wished: usize,
    now: AtomicUsize,
}

/// Why a batched work ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed<E> {
    /// No memory for a single item.
    TooLarge(E),
    Other(E),
}

impl BatchLimit {
    /// `wished`: the most at a time; 0 counts as 1.
    pub fn new(wished: usize) -> Self {
        Self {
            wished: wished.max(1),
            now: AtomicUsize::new(wished.max(1)),
        }
    }

    /// What is tried at present.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// What was wished for; more than [`BatchLimit::now`] once memory has run out.
    pub fn wished(&self) -> usize {
        self.wished
    }

    /// `work` over all of `items`, in order, at most [`BatchLimit::now`] at a time.
    ///
    /// When libtorch has no memory for some, they are tried again, half as many at a time; what
    /// is done already stays done.
    pub fn run<T, R, E: Display>(
        &self,
        items: &[T],
        mut work: impl FnMut(&[T]) -> Result<Vec<R>, E>,
    ) -> Result<Vec<R>, Failed<E>> {
        let mut done = Vec::with_capacity(items.len());
        let mut left = items;
        while !left.is_empty() {
            let (part, rest) = left.split_at(self.now().min(left.len()));
            match work(part) {
                Ok(results) => {
                    done.extend(results);
                    left = rest;
                }
                Err(error) if !is_out_of_memory(&error.to_string()) => {
                    return Err(Failed::Other(error));
                }
                Err(error) if part.len() == 1 => return Err(Failed::TooLarge(error)),
                // Never up again: another thread may have gone further down meanwhile.
                Err(_) => {
                    self.now
                        .fetch_min(part.len().div_ceil(2), Ordering::Relaxed);
                }
            }
        }
        Ok(done)
    }
}

impl<E: Display> From<Failed<E>> for EngineError {
    fn from(failed: Failed<E>) -> Self {
        match failed {
            Failed::TooLarge(error) => Self::new(
                MEMORY,
                format!(
                    "no memory for a batch of one: {error}. Give the device more memory, set \
                     device: 'cpu', or a smaller precision"
                ),
            ),
            Failed::Other(error) => Self::new(INTERNAL, error.to_string()),
        }
    }
}

/// Whether a message of libtorch says that memory has run out: its CPU allocator, its CUDA
/// allocator, the CUDA runtime, cuDNN or cuBLAS.
pub fn is_out_of_memory(message: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "out of memory",
        "OutOfMemoryError",
        "can't allocate memory",
        "not enough memory",
        "CUDNN_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUDA: &str =
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …";

    /// A network with memory for `room` items: what it was asked for, and twice each number.
    fn network(
        room: usize,
        asked: &mut Vec<usize>,
    ) -> impl FnMut(&[i32]) -> Result<Vec<i32>, String> {
        move |part| {
            asked.push(part.len());
            if part.len() > room {
                return Err(CUDA.into());
            }
            Ok(part.iter().map(|n| n * 2).collect())
        }
    }

    #[test]
    fn every_item_comes_out_once_and_in_order() {
        let items: Vec<i32> = (0..21).collect();
        let expected: Vec<i32> = items.iter().map(|n| n * 2).collect();
        for room in 1..25 {
            for batch in 0..25 {
                let limit = BatchLimit::new(batch);
                let mut asked = Vec::new();
                let done = limit.run(&items, network(room, &mut asked)).unwrap();
                assert_eq!(done, expected, "room {room}, batch {batch}");
                assert!(limit.now() <= room || asked.iter().all(|&n| n <= room));
            }
        }
    }

    #[test]
    fn the_batch_halves_and_stays_small() {
        let limit = BatchLimit::new(8);
        let items: Vec<i32> = (0..10).collect();
        let mut asked = Vec::new();
        limit.run(&items, network(3, &mut asked)).unwrap();
        assert_eq!(asked, [8, 4, 2, 2, 2, 2, 2]);
        assert_eq!((limit.now(), limit.wished()), (2, 8));
        asked.clear();
        limit.run(&items[..3], network(3, &mut asked)).unwrap();
        assert_eq!(asked, [2, 1]);
    }

    #[test]
    fn one_item_that_does_not_fit_is_told() {
        let limit = BatchLimit::new(4);
        let mut asked = Vec::new();
        let failed = limit
            .run(&[1, 2, 3, 4], network(0, &mut asked))
            .unwrap_err();
        assert_eq!(asked, [4, 2, 1]);
        assert_eq!(failed, Failed::TooLarge(CUDA.to_owned()));
        let error = EngineError::from(failed);
        assert_eq!(error.code, MEMORY);
        assert!(error.message.contains("Tried to allocate"));
    }

    #[test]
    fn any_other_error_ends_the_work_at_once() {
        let limit = BatchLimit::new(4);
        let mut calls = 0;
        let failed = limit.run(&[1, 2, 3], |_| -> Result<Vec<()>, String> {
            calls += 1;
            Err("shapes differ".into())
        });
        assert_eq!(
            failed.unwrap_err(),
            Failed::Other("shapes differ".to_owned())
        );
        assert_eq!((calls, limit.now()), (1, 4));
        let error = EngineError::from(Failed::Other("shapes differ"));
        assert_eq!(error.code, INTERNAL);
    }

    #[test]
    fn nothing_to_do_is_no_work() {
        let none = BatchLimit::new(4).run(&[], |_: &[i32]| -> Result<Vec<i32>, String> {
            Err("asked".into())
        });
        assert_eq!(none.unwrap(), Vec::<i32>::new());
    }

    /// What this libtorch really says, without filling the machine.
    #[test]
    fn libtorchs_own_words_are_understood() {
        let huge = tch::Tensor::f_empty([1 << 52], (tch::Kind::Uint8, tch::Device::Cpu));
        let message = huge.unwrap_err().to_string();
        assert!(is_out_of_memory(&message), "{message}");
        for other in [
            "CUDA error: device-side assert triggered",
            "mat1 and mat2 shapes",
        ] {
            assert!(!is_out_of_memory(other));
        }
    }
}
