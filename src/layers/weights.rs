//! A checkpoint's tensors for a network: asked for by name and shape, given in the working
//! precision on the working device, and accounted for at the end.

use std::fmt::Display;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::cast::Caster;
use crate::checkpoint::checkpoint::{Checkpoint, Format};
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{CheckpointError, Fault};
use crate::checkpoint::load::load_into;
use crate::checkpoint::mapping::Mapping;
use crate::checkpoint::rename::{self, Rule};
use crate::checkpoint::report::{LoadReport, Mismatch, Recorder, Tolerance, Wanted};
use crate::checkpoint::{open, tensor};
use crate::runtime::heap::Loading;

/// Why a model's weights cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Some tensors are missing, unused, or of another shape or type.
    #[error("the checkpoint does not fit the model: {0}")]
    Report(Box<LoadReport>),
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// How a model wants its weights.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Precision of the real numbers.
    pub precision: DType,
    pub device: Device,
    /// Names of the checkpoint → names of the model.
    pub renames: &'static [Rule],
    /// Threads that read and cast.
    pub threads: usize,
}

/// A tensor of a model. Where it is a view of a mapped file, it keeps the file mapped.
///
/// Views made of it with tch (`f_narrow`, `f_shallow_clone`, …) must not outlive it.
pub struct Param {
    tensor: Tensor,
    _mapping: Option<Mapping>,
}

impl Param {
    /// A tensor computed from others, such as folded weights.
    pub fn owned(tensor: Tensor) -> Self {
        Self {
            tensor,
            _mapping: None,
        }
    }
}

impl Deref for Param {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

/// A tensor that owns its memory.
impl From<Tensor> for Param {
    fn from(tensor: Tensor) -> Self {
        Self {
            tensor,
            _mapping: None,
        }
    }
}

/// An open checkpoint, or the part of it below a prefix. Clones share the accounts.
#[derive(Clone)]
pub struct Weights {
    shared: Arc<Shared>,
    prefix: String,
}

/// A tensor of whole numbers.
pub struct Integers {
    pub values: Vec<i64>,
    pub shape: Vec<u64>,
}

struct Shared {
    checkpoint: Checkpoint,
    mapping: Option<Mapping>,
    /// The model's name → the checkpoint's.
    names: IndexMap<String, String>,
    recorder: Mutex<Recorder>,
    options: Options,
    /// Until the last part of it is loaded.
    _heap: Loading,
}

impl Weights {
    /// Opens `path`; no tensor is read yet.
    pub fn open(path: &Path, options: Options) -> Result<Self, WeightsError> {
        Self::new(open::open(path)?, options)
    }

    /// As [`Weights::open`], for a model that lays its weights out anew: no tensor is a view of a
    /// mapped file, whose pages would count beside the copies.
    pub fn open_unmapped(path: &Path, options: Options) -> Result<Self, WeightsError> {
        Self::with(open::open(path)?, options, false)
    }

    pub fn new(checkpoint: Checkpoint, options: Options) -> Result<Self, WeightsError> {
        Self::with(checkpoint, options, true)
    }

    fn with(checkpoint: Checkpoint, options: Options, mapped: bool) -> Result<Self, WeightsError> {
        let path = checkpoint.path().to_path_buf();
        let table = rename::table(checkpoint.names(), options.renames)
            .map_err(|message| Fault::corrupt(message).at(&path))?;
        let names = table
            .into_iter()
            .map(|(new, old)| (new, old.to_owned()))
            .collect();
        // The fast form is the one file of ours that nobody writes in place.
        let mapping = (mapped && checkpoint.format() == Format::Safetensors)
            .then(|| Mapping::open(&path))
            .transpose()
            .map_err(|error| Fault::from(error).at(&path))?;
        if let Some(mapping) = &mapping {
            mapping.prefetch(options.threads);
        }
        let shared = Shared {
            checkpoint,
            mapping,
            names,
            recorder: Mutex::default(),
            options,
            _heap: Loading::enter(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            prefix: String::new(),
        })
    }

    /// The part below `name`: `weights.sub("blocks").sub(3).get("norm1.weight", &[1280])`.
    pub fn sub(&self, name: impl Display) -> Self {
        Self {
            shared: self.shared.clone(),
            prefix: format!("{}{name}.", self.prefix),
        }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.shared.names.contains_key(&self.full(name))
    }

    /// Libtorch's name of the working precision.
    pub fn kind(&self) -> Kind {
        kind(self.shared.options.precision).unwrap_or(Kind::Float)
    }

    /// The real numbers called `name` in the working precision.
    ///
    /// A tensor that is missing or of another shape is noted, and a stand-in of the right shape
    /// given, so that [`Weights::finish`] can name everything that is wrong and not only the first.
    pub fn get(&self, name: &str, shape: &[i64]) -> Result<Param, WeightsError> {
        self.take(name, shape, None, self.shared.options.precision)
    }

    /// As [`Weights::get`], in a precision of its own.
    pub fn get_in(
        &self,
        name: &str,
        shape: &[i64],
        precision: DType,
    ) -> Result<Param, WeightsError> {
        self.take(name, shape, None, precision)
    }

    /// The shape of `name` as the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<Vec<i64>> {
        let stored = self.shared.names.get(&self.full(name))?;
        let tensor = self.shared.checkpoint.get(stored).ok()?;
        let dimension = |&d: &u64| i64::try_from(d).ok();
        tensor.shape.iter().map(dimension).collect()
    }

    /// The names below this prefix, without it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.shared.names.keys();
        names.filter_map(|name| name.strip_prefix(&self.prefix))
    }

    pub fn device(&self) -> Device {
        self.shared.options.device
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        self.shared.checkpoint.path()
    }

    /// As [`Weights::get`], for a tensor that must be of type `dtype` and keeps it.
    pub fn get_exact(
        &self,
        name: &str,
        shape: &[i64],
        dtype: DType,
    ) -> Result<Param, WeightsError> {
        self.take(name, shape, Some(dtype), dtype)
    }

    /// Whole numbers of any type, as they lie in memory, and their shape; `None` when there are
    /// none called `name`.
    pub fn integers(&self, name: &str) -> Result<Option<Integers>, WeightsError> {
        let full = self.full(name);
        let Some(stored) = self.shared.names.get(&full) else {
            return Ok(None);
        };
        let tensor = self.shared.checkpoint.get(stored)?;
        let bytes = self.shared.checkpoint.read(stored)?;
        let values = integers(tensor.dtype, &bytes).ok_or_else(|| {
            Fault::unsupported(format!("whole numbers expected, {} found", tensor.dtype))
                .within(format_args!("tensor {stored:?}"))
                .at(self.shared.checkpoint.path())
        })?;
        self.recorder().applied(&full);
        Ok(Some(Integers {
            values,
            shape: tensor.shape.clone(),
        }))
    }

    /// Ends the loading: an error when something is missing, unused or wrong that `tolerance`
    /// does not list.
    pub fn finish(self, tolerance: &Tolerance) -> Result<LoadReport, WeightsError> {
        let recorder = std::mem::take(&mut *self.recorder());
        let source = self.shared.checkpoint.path().display().to_string();
        let names = self.shared.names.keys().map(String::as_str);
        let report = recorder.report(&source, names, tolerance);
        if report.is_complete() {
            Ok(report)
        } else {
            Err(WeightsError::Report(Box::new(report)))
        }
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        // A name lost from the accounts of a thread that panicked shows up as unused.
        self.shared
            .recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn take(
        &self,
        name: &str,
        shape: &[i64],
        exact: Option<DType>,
        precision: DType,
    ) -> Result<Param, WeightsError> {
        let full = self.full(name);
        let wanted = Wanted {
            name: full.clone(),
            shape: shape.iter().map(|&d| d.unsigned_abs()).collect(),
            dtype: exact,
        };
        let Some(stored) = self.shared.names.get(&full) else {
            self.recorder().missing(wanted);
            return stand_in(shape, precision, self.shared.options.device);
        };
        let tensor = self.shared.checkpoint.get(stored)?;
        let fits = exact.map_or(tensor.dtype.is_float(), |dtype| dtype == tensor.dtype);
        if !fits || tensor.shape != wanted.shape {
            self.recorder().mismatched(Mismatch {
                wanted,
                found_shape: tensor.shape.clone(),
                found_dtype: tensor.dtype,
            });
            return stand_in(shape, precision, self.shared.options.device);
        }
        self.recorder().applied(&full);
        let to = exact.unwrap_or_else(|| Caster::result(tensor.dtype, precision));
        self.shared.load(stored, tensor, shape, to)
    }
}

impl Shared {
    fn load(
        &self,
        name: &str,
        tensor: &tensor::Tensor,
        shape: &[i64],
        to: DType,
    ) -> Result<Param, WeightsError> {
        if let Some(mapped) = self.mapped(tensor, shape, to)? {
            return self.placed(mapped.0, Some(mapped.1));
        }
        let fault = |fault: Fault| {
            fault
                .within(format_args!("tensor {name:?}"))
                .at(self.checkpoint.path())
        };
        let kind = kind(to).map_err(fault)?;
        let loaded = Tensor::f_empty(shape, (kind, Device::Cpu))?;
        let bytes = loaded.numel() * to.size();
        // SAFETY: a fresh contiguous CPU tensor owns exactly its elements, nobody else has it
        // yet, and every pattern of bits is a valid byte.
        let place = unsafe { std::slice::from_raw_parts_mut(loaded.data_ptr().cast(), bytes) };
        load_into(
            tensor,
            to,
            if bytes == 0 { &mut [] } else { place },
            self.options.threads,
        )
        .map_err(fault)?;
        self.placed(loaded, None)
    }

    /// The tensor where the mapped file has it, if it is there in the type that is wanted.
    fn mapped(
        &self,
        tensor: &tensor::Tensor,
        shape: &[i64],
        to: DType,
    ) -> Result<Option<(Tensor, Mapping)>, WeightsError> {
        let Some(mapping) = self.mapping.as_ref().filter(|_| tensor.dtype == to) else {
            return Ok(None);
        };
        let (Some(bytes), Ok(kind)) = (mapping.bytes(tensor), kind(to)) else {
            return Ok(None);
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        // SAFETY: `bytes` holds the elements of `shape` (the shapes were compared) without gaps
        // and stays mapped as long as the `Param`; networks never write to their weights.
        let view = unsafe {
            Tensor::f_from_blob(bytes.as_ptr(), shape, &strides(shape), kind, Device::Cpu)
        }?;
        Ok(Some((view, mapping.clone())))
    }

    fn placed(&self, tensor: Tensor, mapping: Option<Mapping>) -> Result<Param, WeightsError> {
        let on_cpu = self.options.device == Device::Cpu;
        let tensor = if on_cpu {
            tensor
        } else {
            tensor.f_to_device(self.options.device)?
        };
        Ok(Param {
            tensor,
            _mapping: mapping.filter(|_| on_cpu),
        })
    }
}

/// Memory that is never touched costs nothing; the model it would be part of is never used.
fn stand_in(shape: &[i64], dtype: DType, device: Device) -> Result<Param, WeightsError> {
    let kind = kind(dtype).unwrap_or(Kind::Float);
    Ok(Param {
        tensor: Tensor::f_empty(shape, (kind, device))?,
        _mapping: None,
    })
}

fn strides(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

fn integers(dtype: DType, bytes: &[u8]) -> Option<Vec<i64>> {
    macro_rules! from {
        ($type:ty) => {{
            let words = bytes.as_chunks().0.iter();
            // Beyond i64 there is no index: such a number stays one that no table has.
            words
                .map(|&w| i64::try_from(<$type>::from_le_bytes(w)).unwrap_or(i64::MAX))
                .collect()
        }};
    }
    Some(match dtype {
        DType::U8 => from!(u8),
        DType::I8 => from!(i8),
        DType::U16 => from!(u16),
        DType::I16 => from!(i16),
        DType::U32 => from!(u32),
        DType::I32 => from!(i32),
        DType::U64 => from!(u64),
        DType::I64 => from!(i64),
        _ => return None,
    })
}

fn kind(dtype: DType) -> Result<Kind, Fault> {
    Ok(match dtype {
        DType::Bool => Kind::Bool,
        DType::U8 => Kind::Uint8,
        DType::I8 => Kind::Int8,
        DType::I16 => Kind::Int16,
        DType::I32 => Kind::Int,
        DType::I64 => Kind::Int64,
        DType::F16 => Kind::Half,
        DType::BF16 => Kind::BFloat16,
        DType::F32 => Kind::Float,
        DType::F64 => Kind::Double,
        DType::C64 => Kind::ComplexFloat,
        DType::C128 => Kind::ComplexDouble,
        DType::U16 | DType::U32 | DType::U64 | DType::F8E4M3 | DType::F8E5M2 => {
            return Err(Fault::unsupported(format!("no network works with {dtype}")));
        }
    })
}

#[cfg(test)]
#[path = "weights_tests.rs"]
mod tests;
