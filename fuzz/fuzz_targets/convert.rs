//! See `pose4d_fuzz::targets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pose4d_fuzz::targets::run("convert", data));
