//! Floor 2: libtorch, devices, threads and memory readings.
