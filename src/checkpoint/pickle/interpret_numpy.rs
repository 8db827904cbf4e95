//! numpy's arrays, scalars and types, as `ndarray.__reduce__` of every version writes them.
//!
//! Source: numpy 1.x and 2.x, `numpy/core/src/multiarray/methods.c` (`array_reduce`,
//! `array_setstate`), `descriptor.c` (`arraydescr_reduce`), `numeric.py` (`_frombuffer`).

use super::super::blob::{Blob, Encoding};
use super::super::dtype::DType;
use super::super::error::{Fault, Parse};
use super::super::limits;
use super::super::tensor::{Data, Tensor, View};
use super::interpret::{Made, Meaning, Reader, Step};
use super::value::{Coding, Global, Id, Value};

/// Text that spells bytes is decoded at opening up to this length, to see that it does.
const MAX_CHECK: u64 = 1 << 20;

/// What a `numpy.dtype` says.
struct Kind {
    /// `None`: one that is not read.
    dtype: Option<DType>,
    big_endian: bool,
    /// In words for a note.
    name: String,
}

/// Where bytes are in the file, and how it spells them.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    pub offset: u64,
    pub stored: u64,
    pub encoding: Encoding,
}

impl<'a> Reader<'a> {
    pub(super) fn numpy(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let Global { module, name } = made.global;
        let module = module.replace("numpy._core", "numpy.core");
        match (module.as_str(), name.as_str()) {
            ("numpy.core.multiarray" | "numpy.core._multiarray_umath", "_reconstruct") => {
                self.reconstructed(made)
            }
            ("numpy.core.multiarray" | "numpy.core._multiarray_umath", "scalar") => {
                self.scalar(made)
            }
            ("numpy.core.numeric", "_frombuffer") => self.from_buffer(made),
            ("numpy", "dtype") => {
                let kind = self.kind_of(made)?;
                Ok(Step::Is(Meaning::Plain(kind.name.into())))
            }
            _ => Ok(Step::opaque(made.global)),
        }
    }

    /// `_reconstruct(class, (0,), b'b')` and the state `(1, shape, dtype, fortran, data)`.
    fn reconstructed(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let class = made.args.first().and_then(|&id| self.pickle.global(id));
        let class = class.unwrap_or(made.global);
        if !is_array_class(class) {
            return Ok(Step::opaque(class));
        }
        let state = made.object.state().and_then(|id| self.pickle.items(id));
        let (shape, dtype, fortran, data) = match state {
            Some(&[_, shape, dtype, fortran, data]) => (shape, dtype, fortran, data),
            // Before numpy 1.0.
            Some(&[shape, dtype, fortran, data]) => (shape, dtype, fortran, data),
            _ => return Err(Fault::corrupt("an array whose state is not numpy's")),
        };
        let fortran = match self.pickle.value(fortran) {
            Value::Bool(fortran) => *fortran,
            Value::Int(fortran) => *fortran != 0,
            other => return Err(unexpected("an array's order", other)),
        };
        self.array(class, shape, dtype, fortran, data)
    }

    /// `_frombuffer(buffer, dtype, shape, order)`: protocol 5.
    fn from_buffer(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let &[data, dtype, shape, order] = made.args else {
            return Err(Fault::corrupt("_frombuffer without its four arguments"));
        };
        let order = self.pickle.text(order);
        let fortran = match order.as_deref() {
            Some("C" | "A" | "K") => false,
            Some("F") => true,
            _ => {
                return Err(Fault::corrupt(
                    "an array whose order is neither 'C' nor 'F'",
                ));
            }
        };
        let class = Global {
            module: "numpy".into(),
            name: "ndarray".into(),
        };
        self.array(&class, shape, dtype, fortran, data)
    }

    /// `scalar(dtype, bytes)`: a tensor without dimensions.
    fn scalar(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let &[dtype, ref data @ ..] = made.args else {
            return Err(Fault::corrupt("a numpy scalar without a type"));
        };
        let kind = self.kind(dtype)?;
        let (Some(dtype), &[data]) = (kind.dtype, data) else {
            return Ok(Step::opaque(format!("numpy scalar of {}", kind.name)));
        };
        let tensor = self.tensor(dtype, kind.big_endian, Vec::new(), false, data)?;
        Ok(Step::Is(Meaning::Tensor(tensor)))
    }

    fn array(
        &self,
        class: &Global,
        shape: Id,
        dtype: Id,
        fortran: bool,
        data: Id,
    ) -> Parse<Step<'a>> {
        let kind = self.kind(dtype)?;
        let shape = self.sizes(shape)?;
        let Some(dtype) = kind.dtype else {
            // An array of objects keeps them in a list; one without dimensions is its object.
            return Ok(match self.pickle.value(data) {
                Value::List(items) => match items.as_slice() {
                    &[only] if shape.is_empty() => Step::Like(only),
                    items => Step::list(items),
                },
                _ => Step::opaque(format!("{class} of {}", kind.name)),
            });
        };
        let tensor = self.tensor(dtype, kind.big_endian, shape, fortran, data)?;
        Ok(Step::Is(Meaning::Tensor(tensor)))
    }

    /// A tuple (or list) of sizes.
    pub(super) fn sizes(&self, id: Id) -> Parse<Vec<u64>> {
        let bad = || Fault::corrupt("a shape that is no tuple of sizes");
        let items = match self.pickle.object(id).and_then(|object| self.made(object)) {
            // torch.Size(...)
            Some(made) if made.global.name == "Size" => made.args.first().copied(),
            _ => Some(id),
        };
        let items = items.and_then(|id| self.pickle.items(id)).ok_or_else(bad)?;
        if items.len() > limits::MAX_DIMS {
            return Err(Fault::hostile(format!(
                "a shape of {} dimensions",
                items.len()
            )));
        }
        let size = |&id: &Id| self.pickle.unsigned(id).ok_or_else(bad);
        items.iter().map(size).collect()
    }

    fn tensor(
        &self,
        dtype: DType,
        big_endian: bool,
        shape: Vec<u64>,
        fortran: bool,
        data: Id,
    ) -> Parse<Tensor> {
        let elements = limits::elements(&shape)?;
        let bytes = elements.checked_mul(dtype.size() as u64);
        let bytes =
            bytes.ok_or_else(|| Fault::hostile(format!("the shape {shape:?} overflows")))?;
        let place = |fault: Fault| fault.within(format_args!("an array of {dtype} {shape:?}"));
        let storage = self.blob(data, bytes).map_err(place)?;
        let strides = (fortran && shape.len() > 1).then(|| column_major(&shape));
        Ok(Tensor {
            dtype,
            shape,
            data: Data::View(View {
                storage,
                offset: 0,
                strides,
                big_endian,
            }),
        })
    }

    /// `len` bytes, however the pickle spells them.
    fn blob(&self, id: Id, len: u64) -> Parse<Blob> {
        let raw = self
            .raw(id)
            .ok_or_else(|| unexpected("its data", self.pickle.value(id)))?;
        let stored = raw.stored;
        let most = match raw.encoding {
            Encoding::Latin1 => len.saturating_mul(2),
            Encoding::Escaped => len.saturating_mul(4),
            Encoding::RawUnicode => len.saturating_mul(10),
            _ => len,
        };
        if stored < len || stored > most {
            return Err(Fault::corrupt(format!(
                "it takes {len} bytes, its data are {stored}; the file is damaged"
            )));
        }
        let blob = Blob::encoded(self.source, raw.offset, stored, len, raw.encoding)?;
        if raw.encoding != Encoding::Raw && stored <= MAX_CHECK && self.may_check(stored) {
            blob.stream(0, len, &mut |_| Ok(()))?;
        }
        Ok(blob)
    }

    pub(super) fn raw(&self, id: Id) -> Option<Raw> {
        if let Some(run) = self.pickle.run(id) {
            return Some(Raw {
                offset: run.offset,
                stored: run.len,
                encoding: match run.coding {
                    Coding::Raw => Encoding::Raw,
                    Coding::Utf8 => Encoding::Latin1,
                    Coding::Escaped => Encoding::Escaped,
                    Coding::RawUnicode => Encoding::RawUnicode,
                },
            });
        }
        let made = self.made(self.pickle.object(id)?)?;
        let Global { module, name } = made.global;
        match (module.as_str(), name.as_str(), made.args) {
            // How Python 3 writes bytes in protocols 0 to 2.
            ("_codecs", "encode", &[text, codec])
            | ("builtins" | "__builtin__", "bytearray" | "bytes", &[text, codec]) => {
                let codec = self.pickle.text(codec)?;
                let latin1 = matches!(codec.as_ref(), "latin1" | "latin-1" | "iso-8859-1");
                let text = self.pickle.run(text).filter(|_| latin1)?;
                Some(Raw {
                    offset: text.offset,
                    stored: text.len,
                    encoding: match text.coding {
                        Coding::Utf8 => Encoding::Latin1,
                        Coding::RawUnicode => Encoding::RawUnicode,
                        Coding::Raw | Coding::Escaped => return None,
                    },
                })
            }
            ("builtins" | "__builtin__", "bytearray" | "bytes", &[]) => Some(Raw {
                offset: 0,
                stored: 0,
                encoding: Encoding::Raw,
            }),
            ("builtins" | "__builtin__", "bytearray" | "bytes", &[inner]) => {
                self.pickle.run(inner)?;
                self.raw(inner)
            }
            _ => None,
        }
    }

    fn kind(&self, id: Id) -> Parse<Kind> {
        let made = self.pickle.object(id).and_then(|object| self.made(object));
        match made {
            Some(made) if made.global.module == "numpy" && made.global.name == "dtype" => {
                self.kind_of(made)
            }
            Some(made) => Ok(Kind::unread(made.global.to_string())),
            None => Err(unexpected("an array's type", self.pickle.value(id))),
        }
    }

    /// `dtype(code, align, copy)` and the state `(3, order, subarray, names, fields, …)`.
    fn kind_of(&self, made: Made<'a>) -> Parse<Kind> {
        let &[code, ..] = made.args else {
            return Err(Fault::corrupt("a numpy type without a code"));
        };
        let state = made.object.state().and_then(|id| self.pickle.items(id));
        let order = match state {
            Some(&[_, order, subarray, names, ..]) => {
                let is_none = |id| matches!(self.pickle.value(id), Value::None);
                if !is_none(subarray) || !is_none(names) {
                    return Ok(Kind::unread("a structured type".into()));
                }
                self.pickle.text(order)
            }
            Some(_) => return Err(Fault::corrupt("a numpy type whose state is not numpy's")),
            None => None,
        };
        let named = self.pickle.global(code).map(|class| class.name.clone());
        let text = self.pickle.text(code).map(|text| text.into_owned());
        let Some(name) = named.or(text) else {
            return Err(unexpected("a numpy type's code", self.pickle.value(code)));
        };
        let plain = name.trim_start_matches(['<', '>', '|', '=']);
        let order = order.as_deref().unwrap_or(&name);
        Ok(Kind {
            dtype: dtype_of(plain),
            big_endian: order.starts_with('>'),
            name: format!("type {plain}"),
        })
    }
}

impl Kind {
    fn unread(name: String) -> Self {
        Self {
            dtype: None,
            big_endian: false,
            name,
        }
    }
}

/// numpy's code (`f4`), or the name of a class that adds a type (`ml_dtypes.bfloat16`).
fn dtype_of(code: &str) -> Option<DType> {
    Some(match code {
        "b1" | "?" => DType::Bool,
        "u1" => DType::U8,
        "i1" => DType::I8,
        "u2" => DType::U16,
        "i2" => DType::I16,
        "u4" => DType::U32,
        "i4" => DType::I32,
        "u8" => DType::U64,
        "i8" => DType::I64,
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        "c8" => DType::C64,
        "c16" => DType::C128,
        name => return DType::from_name(name),
    })
}

/// Arrays and those of their kinds that add no data of their own.
fn is_array_class(class: &Global) -> bool {
    let module = class.module.replace("numpy._core", "numpy.core");
    matches!(
        (module.as_str(), class.name.as_str()),
        ("numpy", "ndarray" | "matrix" | "memmap" | "recarray")
            | (
                "numpy.matrixlib.defmatrix" | "numpy.core.defmatrix",
                "matrix"
            )
            | ("numpy.core.memmap", "memmap")
            | ("numpy.core.records" | "numpy.rec", "recarray")
    )
}

/// Strides, in elements, of an array whose first dimension runs fastest.
fn column_major(shape: &[u64]) -> Vec<u64> {
    let step = |product: &mut u64, &size: &u64| {
        let stride = *product;
        *product = product.saturating_mul(size.max(1));
        Some(stride)
    };
    shape.iter().scan(1_u64, step).collect()
}

fn unexpected(what: &str, found: &Value) -> Fault {
    Fault::corrupt(format!("{what}: {} is not what numpy writes", found.kind()))
}
