//! One way to run a network: packed operators where libtorch offers them, tensors elsewhere.

use tch::Device;

use super::eager::EagerNetwork;
use super::error::NetworkError;
use super::graph::Graph;
use super::xnn::XnnNetwork;

/// Which executor to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    /// Packed on the CPU if this libtorch can, tensors otherwise.
    Best,
    /// Tensors, on any device.
    Tensors,
}

/// A network ready to run, on the thread that built it. Input and output: f32, NHWC, one image.
pub enum Network {
    Packed(Box<XnnNetwork>),
    Tensors(Box<EagerNetwork>),
}

impl Network {
    pub fn new(graph: Graph, device: Device, executor: Executor) -> Result<Self, NetworkError> {
        if executor == Executor::Best && device == Device::Cpu {
            match XnnNetwork::new(graph.clone()) {
                Ok(network) => return Ok(Self::Packed(Box::new(network))),
                Err(NetworkError::Unavailable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::Tensors(Box::new(EagerNetwork::new(graph, device)?)))
    }

    /// "xnnpack" or "tensors".
    pub fn executor(&self) -> &'static str {
        match self {
            Self::Packed(_) => "xnnpack",
            Self::Tensors(_) => "tensors",
        }
    }

    pub fn input_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Packed(network) => network.input_mut(),
            Self::Tensors(network) => network.input_mut(),
        }
    }

    pub fn run(&mut self) -> Result<(), NetworkError> {
        match self {
            Self::Packed(network) => network.run(),
            Self::Tensors(network) => network.run(),
        }
    }

    pub fn output(&self, index: usize) -> &[f32] {
        match self {
            Self::Packed(network) => network.output(index),
            Self::Tensors(network) => network.output(index),
        }
    }
}
