//! PHALP's networks: the next pose of a tracked person, and their appearance as numbers.

pub mod appearance;
pub mod pose_predictor;
pub mod predictor_config;
