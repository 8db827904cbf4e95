//! Boxes as detectors compute with them: `[x1, y1, x2, y2]` in pixels of the network's input, f32.

/// Corners: left, top, right, bottom.
pub type Box4 = [f32; 4];

/// Most growth of a box in one step, as detectron2 bounds it: ln(1000 / 16).
fn max_growth() -> f32 {
    (1000.0_f64 / 16.0).ln() as f32
}

/// Moves and scales `from` by a network's deltas (dx, dy, dw, dh), each divided by its weight.
pub fn apply_deltas(from: Box4, deltas: [f32; 4], weights: [f32; 4]) -> Box4 {
    let [x1, y1, x2, y2] = from;
    let (width, height) = (x2 - x1, y2 - y1);
    let (cx, cy) = (x1 + 0.5 * width, y1 + 0.5 * height);
    let [dx, dy, dw, dh]: [f32; 4] = std::array::from_fn(|i| deltas[i] / weights[i]);
    let (cx, cy) = (dx * width + cx, dy * height + cy);
    let width = dw.min(max_growth()).exp() * width;
    let height = dh.min(max_growth()).exp() * height;
    [
        cx - 0.5 * width,
        cy - 0.5 * height,
        cx + 0.5 * width,
        cy + 0.5 * height,
    ]
}

/// `b` within an image of `width` × `height`.
pub fn clip(b: Box4, width: f32, height: f32) -> Box4 {
    [
        b[0].clamp(0.0, width),
        b[1].clamp(0.0, height),
        b[2].clamp(0.0, width),
        b[3].clamp(0.0, height),
    ]
}

pub fn area(b: Box4) -> f32 {
    (b[2] - b[0]) * (b[3] - b[1])
}

pub fn is_finite(b: Box4) -> bool {
    b.iter().all(|v| v.is_finite())
}
