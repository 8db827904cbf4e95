//! Sparse matrices of scipy and torch, read as the dense ones they stand for.
//!
//! Source: scipy 0.9 to 1.17, `scipy/sparse/` (`_csc`, `_csr`, `_coo` and their old names); PyTorch,
//! `torch/_utils.py` (`_rebuild_sparse_tensor`). Values of one place are added up in the file's
//! order, as `toarray` and `to_dense` do.

use std::sync::Arc;

use super::super::dtype::DType;
use super::super::error::{Fault, Parse};
use super::super::limits;
use super::super::tensor::{Data, Tensor};
use super::dense::{Dense, Places};
use super::interpret::{Made, Meaning, Reader, Step};
use super::value::{Global, Id};

/// Places are read at opening up to this many bytes, to see that they are inside the matrix.
const MAX_CHECK: u64 = 8 << 20;

/// The layouts that are read.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Rows,
    Columns,
    Coordinates,
}

impl<'a> Reader<'a> {
    pub(super) fn scipy(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let Some(layout) = scipy_layout(made.global) else {
            return Ok(Step::opaque(made.global));
        };
        let place = |fault: Fault| fault.within(made.global);
        let dense = self.scipy_dense(made, layout).map_err(place)?;
        Ok(Step::Is(Meaning::Tensor(dense)))
    }

    fn scipy_dense(&self, made: Made<'a>, layout: Layout) -> Parse<Tensor> {
        let field = |name: &str| self.field(made, name);
        let shape = match field("_shape")? {
            Some(shape) => Some(shape),
            None => field("shape")?,
        };
        let shape = self.sizes(shape.ok_or_else(|| missing("its shape"))?)?;
        let values = self.part(field("data")?, "its data")?;
        let places = match layout {
            Layout::Rows | Layout::Columns => Places::Compressed {
                pointers: self.part(field("indptr")?, "its indptr")?,
                indices: self.part(field("indices")?, "its indices")?,
                by_column: layout == Layout::Columns,
            },
            Layout::Coordinates => Places::Coordinates(match field("coords")? {
                Some(coords) => {
                    let coords = self.pickle.items(coords).unwrap_or_default();
                    let part = |&id: &Id| self.part(Some(id), "its coords");
                    coords.iter().map(part).collect::<Parse<_>>()?
                }
                None => vec![
                    self.part(field("row")?, "its row")?,
                    self.part(field("col")?, "its col")?,
                ],
            }),
        };
        self.dense(shape, values, places)
    }

    /// `_rebuild_sparse_tensor(layout, (indices, values, size))`, or with two lists of indices.
    pub(super) fn torch_sparse(&self, made: Made<'a>, layout: Id, data: Id) -> Parse<Step<'a>> {
        let Meaning::Plain(layout) = self.meaning(layout)? else {
            return Err(Fault::corrupt("a sparse tensor without a layout"));
        };
        let parts = self.pickle.items(data).unwrap_or_default();
        let what = "a sparse tensor's parts";
        let made_of = match (layout.as_str().unwrap_or_default(), parts) {
            ("torch.sparse_coo", &[indices, values, size, ..]) => self.dense(
                self.sizes(size)?,
                self.part(Some(values), what)?,
                Places::Stacked(self.part(Some(indices), what)?),
            ),
            (
                layout @ ("torch.sparse_csr" | "torch.sparse_csc"),
                &[pointers, indices, values, size, ..],
            ) => self.dense(
                self.sizes(size)?,
                self.part(Some(values), what)?,
                Places::Compressed {
                    pointers: self.part(Some(pointers), what)?,
                    indices: self.part(Some(indices), what)?,
                    by_column: layout == "torch.sparse_csc",
                },
            ),
            _ => {
                return Ok(Step::unread(
                    made.global,
                    format!("its layout {layout} is not read"),
                ));
            }
        };
        let place = |fault: Fault| fault.within(format_args!("a tensor of layout {layout}"));
        made_of
            .map(|tensor| Step::Is(Meaning::Tensor(tensor)))
            .map_err(place)
    }

    fn dense(&self, shape: Vec<u64>, values: Tensor, places: Places) -> Parse<Tensor> {
        if matches!(values.dtype, DType::F8E4M3 | DType::F8E5M2) {
            return Err(Fault::unsupported("sparse values of 8-bit floats"));
        }
        let dtype = values.dtype;
        let bytes = limits::elements(&shape)?.checked_mul(dtype.size() as u64);
        let bytes =
            bytes.ok_or_else(|| Fault::hostile(format!("the shape {shape:?} overflows")))?;
        let dense = Dense::new(shape.clone(), values, places)?;
        let stored = dense.stored()?;
        limits::check_expansion(stored, bytes)?;
        if stored <= MAX_CHECK && self.may_check(stored) {
            dense.check()?;
        }
        Ok(Tensor {
            dtype,
            shape,
            data: Data::Special(Arc::new(dense)),
        })
    }

    /// One of the arrays a sparse matrix is made of.
    fn part(&self, id: Option<Id>, what: &str) -> Parse<Tensor> {
        match id.map(|id| self.meaning(id)).transpose()? {
            Some(Meaning::Tensor(tensor)) => Ok(tensor),
            _ => Err(missing(what)),
        }
    }
}

fn missing(what: &str) -> Fault {
    Fault::corrupt(format!("{what} is missing, or no array"))
}

fn scipy_layout(class: &Global) -> Option<Layout> {
    let file = class.module.strip_prefix("scipy.sparse.")?;
    let file = file.strip_prefix('_').unwrap_or(file);
    let kind = class.name.strip_suffix("_matrix");
    let kind = kind.or_else(|| class.name.strip_suffix("_array"))?;
    if kind != file {
        return None;
    }
    match kind {
        "csr" => Some(Layout::Rows),
        "csc" => Some(Layout::Columns),
        "coo" => Some(Layout::Coordinates),
        _ => None,
    }
}
