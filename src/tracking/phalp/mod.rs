//! PHALP's tracker: people followed by predicted place, pose and appearance.
//!
//! Paper: Rajasegaran et al., "Tracking People by Predicting 3D Appearance, Location and Pose",
//! CVPR 2022; source: PHALP 96f7e6c, `phalp/trackers/PHALP.py`, `phalp/external/deep_sort_/`.
//! Three faults of that code are not repeated: a cost that is not a number is no perfect match,
//! every track is predicted at its own time, and a box's centre is its centre.

pub mod config;
pub mod cost;
pub mod features;
pub mod location;
pub mod texture;
pub mod track;
pub mod tracker;
