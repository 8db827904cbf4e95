//! The graph both executors run: tensors of one image, NHWC, f32, constants folded in.

/// Index of a tensor in `Graph::shapes`.
pub type TensorId = usize;

/// `[height, width, channels]` of one image's activation; vectors are `[1, 1, n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    /// How many values it holds.
    pub fn volume(&self) -> usize {
        self.height * self.width * self.channels
    }
}

/// A convolution with its bias and, where the file fuses one, a clamp to 0..=6.
#[derive(Clone, Debug)]
pub struct Conv {
    pub depthwise: bool,
    /// `[out, kernel height, kernel width, in]`; depthwise `[kernel height, kernel width, channels]`.
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: Padding,
    pub relu6: bool,
}

/// Zeros around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    pub top: usize,
    pub right: usize,
    pub bottom: usize,
    pub left: usize,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub enum Kind {
    Conv(Conv),
    Add {
        relu6: bool,
    },
    MaxPool {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    },
    /// Bilinear, half-pixel centres, edges repeated.
    Resize,
    /// Depth-column-row order, as TensorFlow has it.
    DepthToSpace {
        block: usize,
    },
    /// Zeros around the image and after the channels.
    Pad {
        spatial: Padding,
        channels: usize,
    },
    /// Flat concatenation, in order.
    Concat,
    Sigmoid,
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(c) if c.depthwise => "depthwise convolution",
            Self::Conv(_) => "convolution",
            Self::Add { .. } => "add",
            Self::MaxPool { .. } => "max pooling",
            Self::Resize => "resize",
            Self::DepthToSpace { .. } => "depth to space",
            Self::Pad { .. } => "pad",
            Self::Concat => "concatenation",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub inputs: Vec<TensorId>,
    pub output: TensorId,
}

/// A network in the order it is computed.
#[derive(Clone, Debug)]
pub struct Graph {
    pub shapes: Vec<Shape>,
    pub nodes: Vec<Node>,
    pub input: TensorId,
    /// In the order they were asked for.
    pub outputs: Vec<TensorId>,
}
