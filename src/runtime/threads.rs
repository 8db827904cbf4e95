//! How many cores may be used, and the state every thread that computes must be in.

use std::num::NonZeroUsize;

/// Cores this process may use: the smallest of the machine's, its CPU affinity and its cgroup
/// quota (rounded down, at least 1).
pub fn usable_cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The worker count for a setting in which 0 means "as many as there are cores".
pub fn worker_count(setting: usize) -> usize {
    if setting == 0 {
        usable_cores()
    } else {
        setting
    }
}

/// Whether the processor multiplies bf16 matrices natively (AVX512-BF16; AMX machines have it too),
/// so that libtorch is several times as fast with them as with fp32.
pub fn multiplies_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Held by a worker thread for as long as it computes: operators run on this thread alone, and
/// nothing is recorded for gradients. Both settings are per thread in libtorch, so each worker
/// enters for itself; neither crosses threads, and so this value cannot either.
pub struct ComputeScope {
    _no_grad: tch::NoGradGuard,
    _stays_here: std::marker::PhantomData<*const ()>,
}

impl ComputeScope {
    pub fn enter() -> Self {
        one_thread_per_operator();
        Self {
            _no_grad: tch::no_grad_guard(),
            _stays_here: std::marker::PhantomData,
        }
    }
}

/// Held by the thread that owns a device's tensors for as long as it computes: operators on the CPU
/// run on `threads` threads, and nothing is recorded for gradients.
pub struct OwnerScope {
    _no_grad: tch::NoGradGuard,
    _stays_here: std::marker::PhantomData<*const ()>,
}

impl OwnerScope {
    pub fn enter(threads: usize) -> Self {
        let threads = i32::try_from(threads.max(1)).unwrap_or(i32::MAX);
        if tch::get_num_threads() != threads {
            tch::set_num_threads(threads);
        }
        Self {
            _no_grad: tch::no_grad_guard(),
            _stays_here: std::marker::PhantomData,
        }
    }
}

/// One thread inside each operator, for the calling thread and those started later. Frames side
/// by side beat threads inside an operator, and one thread gives the same sums every time.
pub fn one_thread_per_operator() {
    if tch::get_num_threads() != 1 {
        tch::set_num_threads(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_at_least_one_core_and_zero_means_all() {
        assert!(usable_cores() >= 1);
        assert_eq!(worker_count(0), usable_cores());
        assert_eq!(worker_count(3), 3);
    }

    #[test]
    fn a_scope_switches_gradients_off_and_back_on() {
        let records = || {
            let weight = tch::Tensor::from_slice(&[1.0_f32]).set_requires_grad(true);
            (&weight * 2.0).requires_grad()
        };
        assert!(records());
        {
            let _scope = ComputeScope::enter();
            assert!(!records());
        }
        assert!(records());
    }

    #[test]
    fn every_worker_computes_on_one_thread() {
        for _ in 0..3 {
            let threads = std::thread::spawn(|| {
                let _scope = ComputeScope::enter();
                tch::get_num_threads()
            });
            assert_eq!(threads.join().unwrap(), 1);
        }
    }
}
