//! `.tflite` → graph: constants folded, paddings moved into the windows, unasked branches cut.

use std::collections::HashMap;

use super::graph::{Conv, Graph, Kind, Node, Padding, Shape, TensorId};
use crate::checkpoint::tflite::{Activation, Op, OpKind, TfliteError, TfliteFile, Window};

type Result<T> = std::result::Result<T, TfliteError>;

/// The graph that computes the outputs at the given positions of the file's output list.
pub fn lower(file: &TfliteFile<'_>, outputs: &[usize]) -> Result<Graph> {
    let wanted = outputs
        .iter()
        .map(|&i| {
            file.outputs.get(i).copied().ok_or_else(|| {
                TfliteError::Invalid(format!(
                    "output {i} of a network with {} outputs",
                    file.outputs.len()
                ))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let [input] = file.inputs.as_slice() else {
        return Err(TfliteError::Unsupported(format!(
            "{} inputs, expected 1",
            file.inputs.len()
        )));
    };
    let live = live_ops(file, &wanted);
    let mut lowering = Lowering::new(file, &live)?;
    lowering.tensor(*input)?;
    for op in live {
        lowering.op(op)?;
    }
    lowering.finish(*input, &wanted)
}

/// The operators that the wanted tensors need, in file order.
fn live_ops<'f>(file: &'f TfliteFile<'_>, wanted: &[usize]) -> Vec<&'f Op> {
    let mut needed = vec![false; file.tensors.len()];
    wanted.iter().for_each(|&t| needed[t] = true);
    let mut live = Vec::new();
    for op in file.ops.iter().rev() {
        if op.outputs.iter().any(|&t| needed[t]) {
            op.inputs.iter().for_each(|&t| needed[t] = true);
            live.push(op);
        }
    }
    live.reverse();
    live
}

struct Lowering<'f, 'a> {
    file: &'f TfliteFile<'a>,
    /// The operator that makes each constant expression (dequantised or densified weights).
    producers: HashMap<usize, &'f Op>,
    ids: HashMap<usize, TensorId>,
    shapes: Vec<Shape>,
    nodes: Vec<Node>,
    /// Pads whose every reader is a window without padding: the window takes them over.
    folded: HashMap<usize, (usize, Padding)>,
}

impl<'f, 'a> Lowering<'f, 'a> {
    fn new(file: &'f TfliteFile<'a>, live: &[&'f Op]) -> Result<Self> {
        let mut producers = HashMap::new();
        for op in live {
            op.outputs.iter().for_each(|&t| {
                producers.insert(t, *op);
            });
        }
        let mut this = Self {
            file,
            producers,
            ids: HashMap::new(),
            shapes: Vec::new(),
            nodes: Vec::new(),
            folded: HashMap::new(),
        };
        for op in live.iter().filter(|op| op.kind == OpKind::Pad) {
            this.try_fold(op, live)?;
        }
        Ok(this)
    }

    fn try_fold(&mut self, op: &Op, live: &[&Op]) -> Result<()> {
        let (input, output) = (operand(op, 0)?, result(op)?);
        let (spatial, channels) = self.paddings(op)?;
        let mut readers = live
            .iter()
            .filter(|reader| reader.inputs.contains(&output))
            .peekable();
        let windowed = readers.peek().is_some()
            && !self.file.outputs.contains(&output)
            && readers.all(|reader| match reader.kind {
                OpKind::Conv2d(w) | OpKind::DepthwiseConv2d(w) => !w.same_padding,
                _ => false,
            });
        if channels == 0 && windowed {
            self.folded.insert(output, (input, spatial));
        }
        Ok(())
    }

    fn finish(self, input: usize, wanted: &[usize]) -> Result<Graph> {
        let id = |t: &usize| {
            self.ids.get(t).copied().ok_or_else(|| {
                TfliteError::Invalid(format!(
                    "output \"{}\" is never computed",
                    self.file.tensors[*t].name
                ))
            })
        };
        let outputs = wanted.iter().map(id).collect::<Result<Vec<_>>>()?;
        Ok(Graph {
            input: id(&input)?,
            outputs,
            shapes: self.shapes,
            nodes: self.nodes,
        })
    }

    fn shape_of(&self, tensor: usize) -> Result<Shape> {
        let info = &self.file.tensors[tensor];
        match info.shape.as_slice() {
            [1, height, width, channels] => Ok(Shape {
                height: *height,
                width: *width,
                channels: *channels,
            }),
            [1, rows, columns] => Ok(Shape {
                height: 1,
                width: *rows,
                channels: *columns,
            }),
            [1, channels] => Ok(Shape {
                height: 1,
                width: 1,
                channels: *channels,
            }),
            other => Err(TfliteError::Unsupported(format!(
                "\"{}\" of shape {other:?}",
                info.name
            ))),
        }
    }

    fn tensor(&mut self, tensor: usize) -> Result<TensorId> {
        if let Some(&id) = self.ids.get(&tensor) {
            return Ok(id);
        }
        let shape = self.shape_of(tensor)?;
        self.shapes.push(shape);
        self.ids.insert(tensor, self.shapes.len() - 1);
        Ok(self.shapes.len() - 1)
    }

    fn read(&self, tensor: usize) -> Result<TensorId> {
        self.ids.get(&tensor).copied().ok_or_else(|| {
            TfliteError::Invalid(format!(
                "\"{}\" is read before it is computed",
                self.file.tensors[tensor].name
            ))
        })
    }

    fn push(&mut self, kind: Kind, inputs: Vec<TensorId>, output: usize) -> Result<()> {
        let output = self.tensor(output)?;
        self.nodes.push(Node {
            kind,
            inputs,
            output,
        });
        Ok(())
    }

    fn op(&mut self, op: &Op) -> Result<()> {
        let output = result(op)?;
        match op.kind {
            // Constants are pulled in by whoever reads them.
            OpKind::Dequantize | OpKind::Densify => Ok(()),
            OpKind::Conv2d(window) => self.conv(op, window, false),
            OpKind::DepthwiseConv2d(window) => self.conv(op, window, true),
            OpKind::Pad if self.folded.contains_key(&output) => Ok(()),
            OpKind::Pad => {
                let (spatial, channels) = self.paddings(op)?;
                let input = self.read(operand(op, 0)?)?;
                self.push(Kind::Pad { spatial, channels }, vec![input], output)
            }
            OpKind::MaxPool2d { window, kernel } => self.max_pool(op, window, kernel),
            OpKind::Reshape => {
                let id = self.read(operand(op, 0)?)?;
                if self.shapes[id].volume() != self.shape_of(output)?.volume() {
                    return Err(TfliteError::Invalid(
                        "a reshape changes the number of values".into(),
                    ));
                }
                self.ids.insert(output, id);
                Ok(())
            }
            OpKind::Add { activation } => {
                let inputs = vec![self.read(operand(op, 0)?)?, self.read(operand(op, 1)?)?];
                let same = self.shapes[inputs[0]] == self.shapes[inputs[1]];
                if !same || self.shapes[inputs[0]] != self.shape_of(output)? {
                    return Err(TfliteError::Unsupported(
                        "an addition of different shapes".into(),
                    ));
                }
                self.push(
                    Kind::Add {
                        relu6: activation == Activation::Relu6,
                    },
                    inputs,
                    output,
                )
            }
            OpKind::ResizeBilinear {
                half_pixel_centers: true,
            } => self.unary(op, Kind::Resize),
            OpKind::ResizeBilinear { .. } => Err(TfliteError::Unsupported(
                "bilinear resize without half-pixel centres".into(),
            )),
            OpKind::DepthToSpace { block } => self.unary(op, Kind::DepthToSpace { block }),
            OpKind::Logistic => self.unary(op, Kind::Sigmoid),
            OpKind::Concatenation { axis: 1 } => {
                let inputs = op
                    .inputs
                    .iter()
                    .map(|&t| self.read(t))
                    .collect::<Result<Vec<_>>>()?;
                if inputs.iter().any(|&i| {
                    self.file.tensors[output].shape.len() != 3 || self.shapes[i].volume() == 0
                }) {
                    return Err(TfliteError::Unsupported("a concatenation of images".into()));
                }
                self.push(Kind::Concat, inputs, output)
            }
            OpKind::Concatenation { axis } => Err(TfliteError::Unsupported(format!(
                "a concatenation along axis {axis}"
            ))),
        }
    }

    fn unary(&mut self, op: &Op, kind: Kind) -> Result<()> {
        let input = self.read(operand(op, 0)?)?;
        self.push(kind, vec![input], result(op)?)
    }

    fn conv(&mut self, op: &Op, window: Window, depthwise: bool) -> Result<()> {
        let source = operand(op, 0)?;
        let (source, folded) = self
            .folded
            .get(&source)
            .copied()
            .unwrap_or((source, Padding::default()));
        let input = self.read(source)?;
        let (from, to) = (self.shapes[input], self.shape_of(result(op)?)?);
        let weights_at = operand(op, 1)?;
        let [out, kernel_h, kernel_w, last] = self.file.tensors[weights_at].shape[..] else {
            return Err(TfliteError::Invalid(
                "convolution weights without four dimensions".into(),
            ));
        };
        let kernel = [kernel_h, kernel_w];
        let fits = if depthwise {
            out == 1 && last == from.channels && last == to.channels
        } else {
            out == to.channels && last == from.channels
        };
        let bias = self.constant(operand(op, 2)?)?;
        let padding = pad_for(from, to, kernel, window, folded)?;
        if !fits || bias.len() != to.channels {
            return Err(TfliteError::Invalid(format!(
                "convolution weights {:?} do not fit {from:?} → {to:?}",
                self.file.tensors[weights_at].shape
            )));
        }
        let conv = Conv {
            depthwise,
            weights: self.constant(weights_at)?,
            bias,
            kernel,
            stride: window.stride,
            padding,
            relu6: window.activation == Activation::Relu6,
        };
        self.push(Kind::Conv(conv), vec![input], result(op)?)
    }

    fn max_pool(&mut self, op: &Op, window: Window, kernel: [usize; 2]) -> Result<()> {
        if window.activation != Activation::None {
            return Err(TfliteError::Unsupported(
                "pooling with an activation".into(),
            ));
        }
        let input = self.read(operand(op, 0)?)?;
        let (from, to) = (self.shapes[input], self.shape_of(result(op)?)?);
        let padding = pad_for(from, to, kernel, window, Padding::default())?;
        self.push(
            Kind::MaxPool {
                kernel,
                stride: window.stride,
                padding,
            },
            vec![input],
            result(op)?,
        )
    }

    /// A constant, through the operators that widen or expand it.
    fn constant(&self, tensor: usize) -> Result<Vec<f32>> {
        let mut at = tensor;
        // Two steps are the longest chain there is (densify, dequantize); a loop in a file is an error.
        for _ in 0..4 {
            if let Some(values) = self.file.constant_f32(at)? {
                return Ok(values);
            }
            match self.producers.get(&at) {
                Some(op) if matches!(op.kind, OpKind::Dequantize | OpKind::Densify) => {
                    at = operand(op, 0)?
                }
                _ => break,
            }
        }
        Err(TfliteError::Invalid(format!(
            "\"{}\" should be constant",
            self.file.tensors[tensor].name
        )))
    }

    fn paddings(&self, op: &Op) -> Result<(Padding, usize)> {
        let amounts = self.file.constant_i32(operand(op, 1)?)?;
        let amounts = amounts
            .iter()
            .map(|&v| usize::try_from(v).ok().filter(|&v| v <= 4096))
            .collect::<Option<Vec<_>>>();
        match amounts.as_deref() {
            Some([0, 0, top, bottom, left, right, 0, channels]) => Ok((
                Padding {
                    top: *top,
                    right: *right,
                    bottom: *bottom,
                    left: *left,
                },
                *channels,
            )),
            other => Err(TfliteError::Unsupported(format!("padding by {other:?}"))),
        }
    }
}

fn operand(op: &Op, index: usize) -> Result<usize> {
    op.inputs
        .get(index)
        .copied()
        .ok_or_else(|| TfliteError::Invalid(format!("{:?} has no operand {index}", op.kind)))
}

fn result(op: &Op) -> Result<usize> {
    op.outputs
        .first()
        .copied()
        .ok_or_else(|| TfliteError::Invalid(format!("{:?} has no result", op.kind)))
}

/// The zeros around the input that give the output its size.
fn pad_for(
    from: Shape,
    to: Shape,
    kernel: [usize; 2],
    window: Window,
    folded: Padding,
) -> Result<Padding> {
    let axis = |size: usize, out: usize, k: usize, stride: usize, before: usize, after: usize| {
        // TensorFlow's SAME: as little as needed, the odd zero at the end.
        let (before, after) = if window.same_padding {
            let total = ((out.saturating_sub(1)) * stride + k).saturating_sub(size);
            (total / 2, total - total / 2)
        } else {
            (before, after)
        };
        let padded = size + before + after;
        let fits = padded >= k && (padded - k) / stride + 1 == out;
        fits.then_some((before, after))
    };
    let rows = axis(
        from.height,
        to.height,
        kernel[0],
        window.stride[0],
        folded.top,
        folded.bottom,
    );
    let columns = axis(
        from.width,
        to.width,
        kernel[1],
        window.stride[1],
        folded.left,
        folded.right,
    );
    match (rows, columns) {
        (Some((top, bottom)), Some((left, right))) => Ok(Padding {
            top,
            right,
            bottom,
            left,
        }),
        _ => Err(TfliteError::Invalid(format!(
            "a {kernel:?} window does not lead from {from:?} to {to:?}"
        ))),
    }
}
