//! `.tflite` files: operators, tensors and constants, with fp16 and sparse weights expanded to f32.
//!
//! Layout: TensorFlow Lite schema v3 (`tensorflow/lite/schema/schema.fbs`). Only what the
//! networks of this project use is interpreted; anything else is an error that names it.

use super::flatbuffer::{Buffer, OutOfBounds, Table};

/// Why a `.tflite` file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TfliteError {
    #[error("not a TensorFlow Lite file: the magic \"TFL3\" is missing at byte 4")]
    Magic,
    #[error("damaged TensorFlow Lite file: {0}")]
    Damaged(#[from] OutOfBounds),
    #[error("damaged TensorFlow Lite file: {0}")]
    Invalid(String),
    #[error("TensorFlow Lite file not supported: {0}")]
    Unsupported(String),
}

type Result<T> = std::result::Result<T, TfliteError>;

/// No network of ours comes near; a file that claims more is not one of ours.
const MAX_ELEMENTS: usize = 1 << 26;

/// The operators the networks of this project consist of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OpKind {
    Add { activation: Activation },
    Concatenation { axis: i32 },
    Conv2d(Window),
    DepthwiseConv2d(Window),
    DepthToSpace { block: usize },
    Dequantize,
    Densify,
    Logistic,
    MaxPool2d { window: Window, kernel: [usize; 2] },
    Pad,
    Reshape,
    ResizeBilinear { half_pixel_centers: bool },
}

/// How a sliding window moves, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub same_padding: bool,
    /// `[vertical, horizontal]`
    pub stride: [usize; 2],
    pub activation: Activation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    None,
    Relu6,
}

/// One operator; tensors by index.
#[derive(Debug, Clone, PartialEq)]
pub struct Op {
    pub kind: OpKind,
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
}

/// A tensor's description; its constant data, if any, is read on demand.
#[derive(Debug, Clone)]
pub struct TensorInfo {
    pub name: String,
    pub shape: Vec<usize>,
    dtype: u8,
    buffer: usize,
    sparsity: Option<Sparsity>,
}

/// Row compression of the last dimension, the only sparse form our files use.
#[derive(Debug, Clone)]
struct Sparsity {
    segments: Vec<usize>,
    indices: Vec<usize>,
}

/// A parsed file with one subgraph.
pub struct TfliteFile<'a> {
    buffers: Vec<&'a [u8]>,
    pub tensors: Vec<TensorInfo>,
    pub ops: Vec<Op>,
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
}

const FLOAT32: u8 = 0;
const FLOAT16: u8 = 1;
const INT32: u8 = 2;

impl<'a> TfliteFile<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.get(4..8) != Some(b"TFL3") {
            return Err(TfliteError::Magic);
        }
        let model = Buffer(bytes).root()?;
        let codes = model
            .tables("the operator codes", 1)?
            .iter()
            .map(operator_code)
            .collect::<Result<Vec<_>>>()?;
        let subgraphs = model.tables("the subgraphs", 2)?;
        let [graph] = subgraphs.as_slice() else {
            return Err(TfliteError::Unsupported(format!(
                "{} subgraphs, expected 1",
                subgraphs.len()
            )));
        };
        let buffers = model
            .tables("the buffers", 4)?
            .iter()
            .map(|b| Ok(b.vector("a buffer", 0, 1)?))
            .collect::<Result<Vec<_>>>()?;
        let tensors = graph
            .tables("the tensors", 0)?
            .iter()
            .map(|t| tensor(t, buffers.len()))
            .collect::<Result<Vec<_>>>()?;
        let count = tensors.len();
        let ops = graph
            .tables("the operators", 3)?
            .iter()
            .map(|op| operator(op, &codes, count))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            inputs: indices(graph.i32s("the inputs", 1)?, count)?,
            outputs: indices(graph.i32s("the outputs", 2)?, count)?,
            buffers,
            tensors,
            ops,
        })
    }

    pub fn is_constant(&self, tensor: usize) -> bool {
        !self.buffers[self.tensors[tensor].buffer].is_empty()
    }

    /// A constant as f32, fp16 widened and sparse rows expanded; `None` for an activation.
    pub fn constant_f32(&self, tensor: usize) -> Result<Option<Vec<f32>>> {
        if !self.is_constant(tensor) {
            return Ok(None);
        }
        let info = &self.tensors[tensor];
        let data = self.buffers[info.buffer];
        let values: Vec<f32> = match info.dtype {
            FLOAT32 => data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            FLOAT16 => data
                .chunks_exact(2)
                .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
            other => {
                return Err(TfliteError::Unsupported(format!(
                    "weights \"{}\" of type {other}",
                    info.name
                )));
            }
        };
        let values = match &info.sparsity {
            Some(sparsity) => densify(info, sparsity, &values)?,
            None => values,
        };
        let expected = elements(&info.shape)?;
        if values.len() != expected {
            return Err(TfliteError::Invalid(format!(
                "\"{}\" of shape {:?} holds {} values, expected {expected}",
                info.name,
                info.shape,
                values.len()
            )));
        }
        Ok(Some(values))
    }

    pub fn constant_i32(&self, tensor: usize) -> Result<Vec<i32>> {
        let info = &self.tensors[tensor];
        if info.dtype != INT32 {
            return Err(TfliteError::Unsupported(format!(
                "\"{}\" should hold int32",
                info.name
            )));
        }
        let data = self.buffers[info.buffer];
        Ok(data
            .chunks_exact(4)
            .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect())
    }
}

fn elements(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1usize, |n, &d| {
            n.checked_mul(d).filter(|&n| n <= MAX_ELEMENTS)
        })
        .ok_or_else(|| TfliteError::Invalid(format!("a tensor of shape {shape:?} is too large")))
}

fn indices(raw: Vec<i32>, count: usize) -> Result<Vec<usize>> {
    raw.into_iter()
        .map(|i| {
            usize::try_from(i)
                .ok()
                .filter(|&i| i < count)
                .ok_or_else(|| TfliteError::Invalid(format!("tensor index {i} of {count} tensors")))
        })
        .collect()
}

fn operator_code(code: &Table<'_>) -> Result<i32> {
    // Files of before 2020 carry the code in a byte, later ones in an integer; the larger is true.
    Ok(code.i32(3, 0)?.max(i32::from(code.u8(0, 0)?)))
}

fn tensor(table: &Table<'_>, buffers: usize) -> Result<TensorInfo> {
    let name = table.string("a tensor's name", 3)?;
    let shape = table
        .i32s("a tensor's shape", 0)?
        .into_iter()
        .map(|d| {
            usize::try_from(d)
                .map_err(|_| TfliteError::Invalid(format!("\"{name}\" has a negative size")))
        })
        .collect::<Result<Vec<_>>>()?;
    elements(&shape)?;
    let buffer = table.i32(2, 0)? as usize;
    if buffer >= buffers {
        return Err(TfliteError::Invalid(format!(
            "\"{name}\" refers to buffer {buffer} of {buffers}"
        )));
    }
    let sparsity = match table.table("a tensor's sparsity", 6)? {
        Some(s) => Some(sparsity(&s, &shape, &name)?),
        None => None,
    };
    Ok(TensorInfo {
        name,
        shape,
        dtype: table.u8(1, 0)?,
        buffer,
        sparsity,
    })
}

fn sparsity(table: &Table<'_>, shape: &[usize], name: &str) -> Result<Sparsity> {
    let unsupported =
        |what: &str| TfliteError::Unsupported(format!("sparse tensor \"{name}\": {what}"));
    let order = table.i32s("the traversal order", 0)?;
    if order.len() != shape.len() || order.iter().enumerate().any(|(i, &d)| d != i as i32) {
        return Err(unsupported(
            "another traversal order than the dimensions' own",
        ));
    }
    let dims = table.tables("the dimension metadata", 2)?;
    let Some((last, dense)) = dims.split_last() else {
        return Err(unsupported("no dimensions"));
    };
    if dense.len() + 1 != shape.len() {
        return Err(unsupported("block sparsity"));
    }
    for (dim, &size) in dense.iter().zip(shape) {
        if dim.u8(0, 0)? != 0 || dim.i32(1, 0)? as usize != size {
            return Err(unsupported("a dimension other than the last is compressed"));
        }
    }
    if last.u8(0, 0)? != 1 {
        return Err(unsupported("the last dimension is not compressed"));
    }
    Ok(Sparsity {
        segments: index_vector(last, 2)?,
        indices: index_vector(last, 4)?,
    })
}

/// A union of vectors of int32, uint16 or uint8: its type at `field`, its table one after.
fn index_vector(table: &Table<'_>, field: usize) -> Result<Vec<usize>> {
    let Some(vector) = table.table("sparse indices", field + 1)? else {
        return Ok(Vec::new());
    };
    Ok(match table.u8(field, 0)? {
        1 => vector
            .i32s("sparse indices", 0)?
            .into_iter()
            .map(|v| v.max(0) as usize)
            .collect(),
        2 => {
            let bytes = vector.vector("sparse indices", 0, 2)?;
            bytes
                .chunks_exact(2)
                .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))
                .collect()
        }
        3 => vector
            .vector("sparse indices", 0, 1)?
            .iter()
            .map(|&b| usize::from(b))
            .collect(),
        other => {
            return Err(TfliteError::Unsupported(format!(
                "sparse index type {other}"
            )));
        }
    })
}

fn densify(info: &TensorInfo, sparsity: &Sparsity, values: &[f32]) -> Result<Vec<f32>> {
    let invalid = || {
        TfliteError::Invalid(format!(
            "sparse tensor \"{}\" contradicts itself",
            info.name
        ))
    };
    let columns = *info.shape.last().ok_or_else(invalid)?;
    let mut dense = vec![0.0; elements(&info.shape)?];
    let rows = dense.len() / columns.max(1);
    if sparsity.segments.len() != rows + 1 || sparsity.indices.len() != values.len() {
        return Err(invalid());
    }
    for row in 0..rows {
        let (from, to) = (sparsity.segments[row], sparsity.segments[row + 1]);
        let (Some(columns_of_row), Some(values)) =
            (sparsity.indices.get(from..to), values.get(from..to))
        else {
            return Err(invalid());
        };
        for (&column, &value) in columns_of_row.iter().zip(values) {
            if column >= columns {
                return Err(invalid());
            }
            dense[row * columns + column] = value;
        }
    }
    Ok(dense)
}

fn operator(table: &Table<'_>, codes: &[i32], tensors: usize) -> Result<Op> {
    let code_index = table.i32(0, 0)? as usize;
    let code = *codes.get(code_index).ok_or_else(|| {
        TfliteError::Invalid(format!("operator code {code_index} of {}", codes.len()))
    })?;
    let options = table.table("an operator's options", 4)?;
    Ok(Op {
        kind: op_kind(code, options.as_ref())?,
        inputs: indices(table.i32s("an operator's inputs", 1)?, tensors)?,
        outputs: indices(table.i32s("an operator's outputs", 2)?, tensors)?,
    })
}

/// Builtin operator numbers and option fields of the schema.
fn op_kind(code: i32, options: Option<&Table<'_>>) -> Result<OpKind> {
    let int = |field, default| options.map_or(Ok(default), |o| o.i32(field, default));
    let byte = |field, default| options.map_or(Ok(default), |o| o.u8(field, default));
    let window = |activation_field| -> Result<Window> {
        Ok(Window {
            same_padding: byte(0, 0)? == 0,
            stride: [
                positive(int(2, 0)?, "stride")?,
                positive(int(1, 0)?, "stride")?,
            ],
            activation: activation(byte(activation_field, 0)?)?,
        })
    };
    let undilated = |field| -> Result<()> {
        match (int(field, 1)?, int(field + 1, 1)?) {
            (1, 1) => Ok(()),
            _ => Err(TfliteError::Unsupported("dilated convolution".into())),
        }
    };
    Ok(match code {
        0 => OpKind::Add {
            activation: activation(byte(0, 0)?)?,
        },
        2 => OpKind::Concatenation { axis: int(0, 0)? },
        3 => {
            undilated(4)?;
            OpKind::Conv2d(window(3)?)
        }
        4 => {
            undilated(5)?;
            OpKind::DepthwiseConv2d(window(4)?)
        }
        5 => OpKind::DepthToSpace {
            block: positive(int(0, 0)?, "block size")?,
        },
        6 => OpKind::Dequantize,
        14 => OpKind::Logistic,
        17 => OpKind::MaxPool2d {
            window: window(5)?,
            kernel: [
                positive(int(4, 0)?, "filter height")?,
                positive(int(3, 0)?, "filter width")?,
            ],
        },
        22 => OpKind::Reshape,
        23 => {
            if byte(2, 0)? != 0 {
                return Err(TfliteError::Unsupported(
                    "bilinear resize with aligned corners".into(),
                ));
            }
            OpKind::ResizeBilinear {
                half_pixel_centers: byte(3, 0)? != 0,
            }
        }
        34 => OpKind::Pad,
        124 => OpKind::Densify,
        other => return Err(TfliteError::Unsupported(format!("operator number {other}"))),
    })
}

fn positive(value: i32, what: &str) -> Result<usize> {
    usize::try_from(value)
        .ok()
        .filter(|&v| (1..=1024).contains(&v))
        .ok_or_else(|| TfliteError::Invalid(format!("{what} {value}")))
}

fn activation(code: u8) -> Result<Activation> {
    match code {
        0 => Ok(Activation::None),
        3 => Ok(Activation::Relu6),
        other => Err(TfliteError::Unsupported(format!(
            "fused activation {other}"
        ))),
    }
}
