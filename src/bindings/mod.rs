//! Floor 6: the only user of napi: JS values in, JS values out, stable error codes.

mod engine;
mod error;
mod fields;
mod frames;
mod lifetime;
mod model;
mod options;
mod placeholder;
mod results;
mod value;
