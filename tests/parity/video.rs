//! A clip followed frame by frame.
