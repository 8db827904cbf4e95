//! Runs a graph through libtorch tensors, on any device: channels last, single operators.

use tch::{Device, Kind as Dtype, Tensor};

use super::error::NetworkError;
use super::graph::{Conv, Graph, Kind, Node, Padding};

type Result<T> = std::result::Result<T, NetworkError>;

/// A convolution's constants on the device: `[out, in / groups, kh, kw]` and bias.
struct Weights {
    kernel: Tensor,
    bias: Tensor,
}

/// A prepared network; belongs to the thread that built it.
pub struct EagerNetwork {
    graph: Graph,
    device: Device,
    weights: Vec<Option<Weights>>,
    input: Vec<f32>,
    outputs: Vec<Vec<f32>>,
}

impl EagerNetwork {
    pub fn new(mut graph: Graph, device: Device) -> Result<Self> {
        let mut weights = Vec::with_capacity(graph.nodes.len());
        for node in &mut graph.nodes {
            weights.push(match &mut node.kind {
                Kind::Conv(conv) => {
                    let made = upload(conv, graph.shapes[node.inputs[0]].channels, device)?;
                    (conv.weights, conv.bias) = (Vec::new(), Vec::new());
                    Some(made)
                }
                _ => None,
            });
        }
        let input = vec![0.0; graph.shapes[graph.input].volume()];
        let outputs = graph
            .outputs
            .iter()
            .map(|&t| vec![0.0; graph.shapes[t].volume()])
            .collect();
        Ok(Self {
            graph,
            device,
            weights,
            input,
            outputs,
        })
    }

    pub fn input_mut(&mut self) -> &mut [f32] {
        &mut self.input
    }

    pub fn output(&self, index: usize) -> &[f32] {
        &self.outputs[index]
    }

    pub fn run(&mut self) -> Result<()> {
        let shape = self.graph.shapes[self.graph.input];
        let size = [
            1,
            shape.height as i64,
            shape.width as i64,
            shape.channels as i64,
        ];
        let input = Tensor::f_from_slice(&self.input)?
            .f_view(size)?
            .f_permute([0, 3, 1, 2])?;
        let mut values: Vec<Option<Tensor>> = self.graph.shapes.iter().map(|_| None).collect();
        values[self.graph.input] = Some(input.f_to_device(self.device)?);
        let mut last_use = vec![0; values.len()];
        for (step, node) in self.graph.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&t| last_use[t] = step);
        }
        self.graph
            .outputs
            .iter()
            .for_each(|&t| last_use[t] = usize::MAX);
        for (step, node) in self.graph.nodes.iter().enumerate() {
            values[node.output] = Some(self.compute(node, self.weights[step].as_ref(), &values)?);
            node.inputs
                .iter()
                .filter(|&&t| last_use[t] == step)
                .for_each(|&t| values[t] = None);
        }
        for (slot, &tensor) in self.outputs.iter_mut().zip(&self.graph.outputs) {
            let flat = rows(value(&values, tensor)?)?
                .f_to_device(Device::Cpu)?
                .f_contiguous()?;
            flat.f_copy_data(slot, flat.numel())?;
        }
        Ok(())
    }

    fn compute(
        &self,
        node: &Node,
        weights: Option<&Weights>,
        values: &[Option<Tensor>],
    ) -> Result<Tensor> {
        let input = value(values, node.inputs[0])?;
        let (from, to) = (
            self.graph.shapes[node.inputs[0]],
            self.graph.shapes[node.output],
        );
        let output = match (&node.kind, weights) {
            (Kind::Conv(conv), Some(weights)) => {
                let stride = conv.stride.map(|s| s as i64);
                let groups = if conv.depthwise {
                    from.channels as i64
                } else {
                    1
                };
                let padded = pad(input, conv.padding, 0, 0.0)?;
                let y = padded.f_conv2d(
                    &weights.kernel,
                    Some(&weights.bias),
                    stride,
                    [0, 0],
                    [1, 1],
                    groups,
                )?;
                if conv.relu6 { y.f_clamp(0.0, 6.0)? } else { y }
            }
            (Kind::Conv(_), None) => {
                return Err(NetworkError::Failed(
                    "a convolution lost its weights".into(),
                ));
            }
            (Kind::Add { relu6 }, _) => {
                let y = input.f_add(value(values, node.inputs[1])?)?;
                if *relu6 { y.f_clamp(0.0, 6.0)? } else { y }
            }
            (
                Kind::MaxPool {
                    kernel,
                    stride,
                    padding,
                },
                _,
            ) => {
                let (kernel, stride) = (kernel.map(|k| k as i64), stride.map(|s| s as i64));
                let padded = pad(input, *padding, 0, f64::NEG_INFINITY)?;
                padded.f_max_pool2d(kernel, stride, [0, 0], [1, 1], false)?
            }
            (Kind::Resize, _) => input.f_upsample_bilinear2d(
                [to.height as i64, to.width as i64],
                false,
                None,
                None,
            )?,
            (Kind::DepthToSpace { block }, _) => {
                let (b, deep) = (*block as i64, to.channels as i64);
                let (h, w) = (from.height as i64, from.width as i64);
                input
                    .f_view([1, b, b, deep, h, w])?
                    .f_permute([0, 3, 4, 1, 5, 2])?
                    .f_reshape([1, deep, h * b, w * b])?
            }
            (Kind::Pad { spatial, channels }, _) => pad(input, *spatial, *channels, 0.0)?,
            (Kind::Concat, _) => {
                let parts = node
                    .inputs
                    .iter()
                    .map(|&t| rows(value(values, t)?))
                    .collect::<Result<Vec<_>>>()?;
                let size = [1, to.height as i64, to.width as i64, to.channels as i64];
                Tensor::f_cat(&parts, 0)?
                    .f_view(size)?
                    .f_permute([0, 3, 1, 2])?
            }
            (Kind::Sigmoid, _) => input.f_sigmoid()?,
        };
        Ok(output)
    }
}

fn value(values: &[Option<Tensor>], tensor: usize) -> Result<&Tensor> {
    values[tensor]
        .as_ref()
        .ok_or_else(|| NetworkError::Failed("a step reads a value that is gone".into()))
}

/// An activation as the flat row of its NHWC order.
fn rows(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_permute([0, 2, 3, 1])?.f_reshape([-1])?)
}

fn pad(input: &Tensor, spatial: Padding, channels: usize, with: f64) -> Result<Tensor> {
    if spatial == Padding::default() && channels == 0 {
        return Ok(input.shallow_clone());
    }
    let Padding {
        top,
        right,
        bottom,
        left,
    } = spatial;
    let amounts = [left, right, top, bottom, 0, channels].map(|v| v as i64);
    Ok(input.f_pad(amounts, "constant", Some(with))?)
}

fn upload(conv: &Conv, channels_in: usize, device: Device) -> Result<Weights> {
    let [kh, kw] = conv.kernel.map(|k| k as i64);
    let out = conv.bias.len() as i64;
    let flat = Tensor::f_from_slice(&conv.weights)?;
    let kernel = if conv.depthwise {
        flat.f_view([1, kh, kw, out])?.f_permute([3, 0, 1, 2])?
    } else {
        flat.f_view([out, kh, kw, channels_in as i64])?
            .f_permute([0, 3, 1, 2])?
    };
    // OHWI seen as OIHW is channels last already; a depthwise kernel has nothing to reorder.
    let kernel = if conv.depthwise {
        kernel.f_contiguous()?
    } else {
        kernel
    };
    Ok(Weights {
        kernel: kernel.f_to_device(device)?.f_to_kind(Dtype::Float)?,
        bias: Tensor::f_from_slice(&conv.bias)?.f_to_device(device)?,
    })
}
