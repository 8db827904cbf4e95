//! What is loaded where: the models' sizes against the machine's memory, before anything is loaded.

pub mod ladder;
mod layout;
pub mod machine;
pub mod measured;
pub mod report;
pub mod sizes;
pub mod wish;
