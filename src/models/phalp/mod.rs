//! PHALP's networks: the next pose of a tracked person, and their appearance as numbers.

pub mod appearance;
pub mod atlas;
mod body_head;
mod encoder_layer;
pub mod picture;
pub mod pose_predictor;
pub mod predictor_config;
pub mod smoothing;
