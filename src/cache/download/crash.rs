//! The steps between which a process may die, named so that tests can let it die at each of them.

/// Does nothing, except in the tests that count the steps and end the process at a given one.
#[inline]
pub fn step(_what: &str) {
    #[cfg(test)]
    tests::count(_what);
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static STEPS: AtomicU32 = AtomicU32::new(0);
    static LAST: LazyLock<Option<u32>> =
        LazyLock::new(|| std::env::var("POSE4D_TEST_CRASH_AT").ok()?.parse().ok());

    pub fn count(what: &str) {
        if let Some(last) = *LAST
            && STEPS.fetch_add(1, Ordering::Relaxed) + 1 == last
        {
            eprintln!("crash at step {last}: {what}");
            std::process::abort();
        }
    }
}
