//! Floor 3: the model files of the product: where they lie, whether they are whole, how they get there.

pub mod body;
pub mod clear;
pub mod digest;
pub mod discover;
pub mod download;
pub mod drafting;
pub mod ensure;
pub mod error;
pub mod fast;
pub mod files;
pub mod info;
pub mod ledger;
pub mod lock;
pub mod lookup;
pub mod manifest;
pub mod means;
pub mod optimize;
pub mod owner;
pub mod place;
pub mod prepare;
pub mod progress;
pub mod sight;
pub mod status;
pub mod store;
pub mod structure;
pub mod surroundings;
pub mod transfer;
pub mod turn;
pub mod unpack;
pub mod verify;

#[cfg(test)]
mod operations_tests;
#[cfg(test)]
mod tidying_tests;
#[cfg(test)]
mod transfer_tests;
#[cfg(test)]
mod world_tests;
