//! Floor 3: the model files of the product: where they lie, whether they are whole, how they get there.

pub mod error;
