//! A value that one result holds twice: made in JavaScript once, the same object in both places.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::ToNapiValue;
use napi::sys;

/// Clones are the same value. All of them belong into one object, whose making is one handle scope.
pub struct Shared<T>(Arc<Mutex<State<T>>>);

enum State<T> {
    Waiting(T),
    /// The handle, which is a pointer.
    Made(usize),
    /// Making it failed, or goes on.
    Gone,
}

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(State::Waiting(value))))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ToNapiValue> ToNapiValue for Shared<T> {
    unsafe fn to_napi_value(env: sys::napi_env, val: Self) -> napi::Result<sys::napi_value> {
        let mut state = val.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Gone) {
            State::Waiting(value) => {
                // SAFETY: the environment is that of the caller.
                let raw = unsafe { T::to_napi_value(env, value)? };
                *state = State::Made(raw as usize);
                Ok(raw)
            }
            State::Made(raw) => {
                *state = State::Made(raw);
                Ok(raw as sys::napi_value)
            }
            State::Gone => Err(napi::Error::from_reason("a shared value was never made")),
        }
    }
}
