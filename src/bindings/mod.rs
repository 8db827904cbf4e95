//! Floor 6: the only user of napi: JS values in, JS values out, stable error codes.

#![cfg_attr(
    test,
    allow(dead_code, reason = "in test builds #[napi] exports nothing")
)]

mod bench;
mod blocking;
mod body;
mod depth;
mod engine;
mod error;
mod fields;
mod frames;
mod lifetime;
mod looks;
mod model;
mod model_options;
mod models;
mod options;
mod overlay;
mod reports;
mod results;
mod runtime;
mod shared;
mod task;
mod value;
