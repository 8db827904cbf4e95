//! What `pose4d bench` measures: the stages of 4D-Humans one by one, and the machine beside them.

pub mod rates;
pub mod request;
mod stages;
pub mod stand;
pub mod synthetic;
pub mod work;
