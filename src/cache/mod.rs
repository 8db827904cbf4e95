//! Floor 3: the model files of the product: where they lie, whether they are whole, how they get there.

pub mod body;
pub mod clear;
pub mod digest;
pub mod discover;
pub mod error;
pub mod fast;
pub mod files;
pub mod info;
pub mod ledger;
pub mod manifest;
pub mod owner;
pub mod place;
pub mod progress;
pub mod sight;
pub mod status;
pub mod store;
pub mod structure;
pub mod surroundings;
pub mod transfer;
pub mod verify;
