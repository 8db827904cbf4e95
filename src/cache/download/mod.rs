//! Files over HTTP that one can trust: resumed, hashed on the way, published whole or not at all.
//!
//! A download lives in a folder of its own beside its destination, `<name>.<owner>.part/` while a
//! process works on it and `<name>.part/` while nobody does. The name tells whose it is, so taking one
//! over is a single rename, and no lock is needed for correctness:
//!
//! - two processes never write to the same file: each has a folder of its own name, and what may still
//!   have a living writer is copied before it is continued;
//! - the final name only ever appears by a rename of a complete, verified and synced file.

pub mod attempts; // the sources in turn: retries, pauses, reasons
pub mod body; // bytes of one reply → partial
pub mod client; // requests, redirects, what went wrong in words
pub mod crash; // steps between which a process may die
pub mod digest; // hashes on the way
pub mod fault; // how a failure is dealt with
pub mod meter; // rate, time left, at most ten reports a second
pub mod owner; // which process, and whether it still lives
pub mod partial; // the folder of one download: bytes so far, what they belong to
pub mod places; // names beside the destination; claims and adoptions
pub mod reply; // status and headers → what to do
pub mod request; // what callers say and get
pub mod run; // the whole of a download, and its publication
pub mod sniff; // pages and pointers where a file was expected
pub mod space; // room on the disk
pub mod state; // what is remembered of a partial
pub mod sweep; // what dead processes left behind
pub mod watch; // cancellation and reports while waiting

#[cfg(test)]
mod behaviour_tests;
#[cfg(test)]
mod campaign_tests;
#[cfg(test)]
mod child_tests;
#[cfg(test)]
mod download_tests;
#[cfg(test)]
mod faults_more_tests;
#[cfg(test)]
mod faults_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod transport_tests;
