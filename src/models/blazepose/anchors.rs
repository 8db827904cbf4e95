//! The detector's anchor centres.
//!
//! `calculators/tflite/ssd_anchors_calculator.cc` with the options of `pose_detection_cpu.pbtxt`:
//! five layers of strides 8, 16, 32, 32, 32 on 224 pixels, two unit-sized anchors a cell and layer.

/// Pixels along a side of the detector's input.
pub const INPUT: usize = 224;
/// Anchors over all layers.
pub const COUNT: usize = 2254;

/// Centres in 0..=1, in the order of the network's rows.
pub fn centers() -> Vec<[f32; 2]> {
    let mut centers = Vec::with_capacity(COUNT);
    // Neighbouring layers of one stride share a grid: six anchors a cell at stride 32.
    for (stride, per_cell) in [(8, 2), (16, 2), (32, 6)] {
        let cells = INPUT / stride;
        for y in 0..cells {
            for x in 0..cells {
                let center = [
                    (x as f32 + 0.5) / cells as f32,
                    (y as f32 + 0.5) / cells as f32,
                ];
                centers.extend(std::iter::repeat_n(center, per_cell));
            }
        }
    }
    centers
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_many_as_the_network_has_rows() {
        let centers = super::centers();
        assert_eq!(centers.len(), super::COUNT);
        assert_eq!(centers[0], [0.5 / 28.0, 0.5 / 28.0]);
        assert_eq!(centers[2253], [6.5 / 7.0, 6.5 / 7.0]);
    }
}
