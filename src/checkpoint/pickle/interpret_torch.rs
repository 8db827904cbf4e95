//! torch's tensors and parameters, as `torch._utils` rebuilds them.
//!
//! Source: PyTorch 0.3 to 2.11, `torch/_utils.py`, `torch/_tensor.py`, `torch/nn/parameter.py`.

use super::super::dtype::DType;
use super::super::error::{Fault, Parse};
use super::super::tensor::{Data, Tensor, View};
use super::interpret::{Made, Meaning, Reader, Step};
use super::interpret_numpy::Raw;
use super::nested;
use super::storage::{Storage, persistent_id};
use super::value::{Global, Id, Value};

impl<'a> Reader<'a> {
    pub(super) fn torch(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let Global { module, name } = made.global;
        match (module.as_str(), name.as_str()) {
            ("torch._utils", name) => self.rebuilt(name, made, made.args),
            ("torch._tensor" | "torch.tensor", "_rebuild_from_type" | "_rebuild_from_type_v2") => {
                self.rebuilt_from_type(made)
            }
            ("torch.nn.parameter" | "torch.nn", "Parameter" | "Buffer") => match made.args {
                &[data, ..] => Ok(Step::Like(data)),
                [] => Ok(Step::opaque(made.global)),
            },
            ("torch" | "torch._C", "Size") => match made.args {
                &[sizes] => Ok(Step::Like(sizes)),
                _ => Ok(Step::opaque(made.global)),
            },
            ("torch" | "torch._C", "device") => Ok(self.device(made)),
            ("torch.serialization", "_get_layout") => match made.args {
                &[layout] => Ok(Step::Like(layout)),
                _ => Ok(Step::opaque(made.global)),
            },
            ("torch.jit._pickle", _) => Ok(self.scripted(made)),
            _ => Ok(Step::opaque(made.global)),
        }
    }

    /// `device('cuda', 0)`
    fn device(&self, made: Made<'a>) -> Step<'a> {
        let part = |&id: &Id| match self.pickle.int(id) {
            Some(index) => Some(index.to_string()),
            None => self.pickle.text(id).map(|text| text.into_owned()),
        };
        match made.args.iter().map(part).collect::<Option<Vec<_>>>() {
            Some(parts) => Step::Is(Meaning::Plain(parts.join(":").into())),
            None => Step::opaque(made.global),
        }
    }

    /// Lists and tagged values of TorchScript archives.
    fn scripted(&self, made: Made<'a>) -> Step<'a> {
        match (made.global.name.as_str(), made.args) {
            (
                "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist"
                | "restore_type_tag",
                &[value, ..],
            ) => Step::Like(value),
            _ => Step::opaque(made.global),
        }
    }

    /// `_rebuild_from_type_v2(function, class, args, state)`: the function's tensor.
    fn rebuilt_from_type(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let &[function, class, args, ..] = made.args else {
            return Err(Fault::corrupt("_rebuild_from_type without its arguments"));
        };
        let function = self.pickle.global(function);
        let args = self.pickle.items(args);
        match (function, args) {
            (Some(function), Some(args)) if function.module == "torch._utils" => {
                self.rebuilt(&function.name, made, args)
            }
            _ => {
                let class = self.pickle.global(class).unwrap_or(made.global);
                Ok(Step::unread(class, "a class of tensor that is not known"))
            }
        }
    }

    /// A function of `torch._utils` with its arguments.
    fn rebuilt(&self, name: &str, made: Made<'a>, args: &'a [Id]) -> Parse<Step<'a>> {
        match (name, args) {
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", &[data, ..])
            | ("_rebuild_device_tensor_from_numpy" | "_rebuild_xla_tensor", &[data, ..]) => {
                Ok(Step::Like(data))
            }
            ("_rebuild_tensor" | "_rebuild_tensor_v2", &[storage, offset, size, stride, ..]) => {
                let flags = args.get(6).copied();
                self.strided(made.global, [storage, offset, size, stride], None, flags)
            }
            (
                "_rebuild_tensor_v3",
                &[storage, offset, size, stride, _, _, dtype, ref flags @ ..],
            ) => {
                let dtype = self.pickle.global(dtype).filter(|g| g.module == "torch");
                let Some(dtype) = dtype.and_then(|g| DType::from_name(&g.name)) else {
                    return Ok(Step::unread(made.global, "its type is not read"));
                };
                let flags = flags.first().copied();
                self.strided(
                    made.global,
                    [storage, offset, size, stride],
                    Some(dtype),
                    flags,
                )
            }
            ("_rebuild_sparse_tensor", &[layout, data]) => self.torch_sparse(made, layout, data),
            ("_rebuild_qtensor", _) => Ok(Step::unread(
                made.global,
                "quantised tensors are not read; save the model before it is quantised",
            )),
            ("_rebuild_meta_tensor_no_storage", _) => Ok(Step::unread(
                made.global,
                "a tensor on torch's device 'meta' has no values; save the model's real weights",
            )),
            (name, _) if name.starts_with("_rebuild") => {
                Ok(Step::unread(made.global, "this kind of tensor is not read"))
            }
            _ => Ok(Step::opaque(made.global)),
        }
    }

    /// A view of a storage. `dtype` is given where the storage has none of its own.
    fn strided(
        &self,
        global: &Global,
        [storage, offset, size, stride]: [Id; 4],
        dtype: Option<DType>,
        flags: Option<Id>,
    ) -> Parse<Step<'a>> {
        if let Some(flags) = flags
            && self.is_conjugate(flags)?
        {
            let why = "it is a lazily conjugated or negated view; call .resolve_conj() or \
                       .resolve_neg() before saving";
            return Ok(Step::unread(global, why));
        }
        let offset = self.pickle.unsigned(offset);
        let offset = offset.ok_or_else(|| Fault::corrupt("a tensor's offset is no size"))?;
        let shape = self.sizes(size)?;
        let strides = self
            .sizes(stride)
            .map_err(|fault| fault.within("strides"))?;
        let storage = self.storage(storage)?;
        let tensor = Tensor {
            dtype: dtype.unwrap_or(storage.dtype),
            shape,
            data: Data::View(View {
                storage: storage.blob,
                offset,
                strides: Some(strides),
                big_endian: storage.big_endian,
            }),
        };
        tensor.check()?;
        Ok(Step::Is(Meaning::Tensor(tensor)))
    }

    /// Whether a tensor's metadata say that its values are yet to be conjugated or negated.
    fn is_conjugate(&self, flags: Id) -> Parse<bool> {
        let Value::Dict(pairs) = self.pickle.value(flags) else {
            return Ok(false);
        };
        self.work(pairs.len())?;
        Ok(pairs.iter().any(|&(key, value)| {
            let set = matches!(self.pickle.value(value), Value::Bool(true));
            let key = self.pickle.text(key);
            set && matches!(key.as_deref(), Some("conj" | "neg"))
        }))
    }

    /// A storage: beside the pickle by its persistent id, or inside it as a file of its own.
    fn storage(&self, id: Id) -> Parse<Storage> {
        match self.pickle.value(id) {
            Value::Persistent(key) => {
                let key = persistent_id(self.pickle, *key)?;
                match self.storages {
                    Some(storages) => storages.storage(&key),
                    None => Err(Fault::corrupt(format!(
                        "its tensors' values (storage {:?}) are in another file",
                        key.key
                    ))),
                }
            }
            Value::Object(object) => {
                let made = self.made(object).filter(|made| {
                    made.global.module == "torch.storage" && made.global.name == "_load_from_bytes"
                });
                let bytes = made.and_then(|made| made.args.first().copied());
                let bytes = bytes.ok_or_else(|| Fault::corrupt("a tensor without a storage"))?;
                let bytes = self.raw(bytes);
                let bytes = bytes.ok_or_else(|| Fault::corrupt("a storage that is no bytes"))?;
                self.nested_storage(bytes)
            }
            other => Err(Fault::corrupt(format!(
                "{} where a tensor's storage is expected",
                other.kind()
            ))),
        }
    }

    fn nested_storage(&self, bytes: Raw) -> Parse<Storage> {
        if let Some(known) = self.nested.borrow().get(&bytes.offset) {
            return Ok(known.clone());
        }
        let found = nested::storage(self.source, bytes.offset, bytes.stored, bytes.encoding)
            .map_err(|fault| fault.within("a storage inside the pickle"))?;
        self.nested.borrow_mut().insert(bytes.offset, found.clone());
        Ok(found)
    }
}
