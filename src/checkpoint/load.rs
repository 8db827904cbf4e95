//! A tensor straight into its final place and precision, with several threads where that pays.

use std::thread;

use super::blob::Blob;
use super::cast::{Caster, cast};
use super::dtype::DType;
use super::error::{Fault, Parse};
use super::tensor::{Data, Tensor};

/// Below this, starting a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 4 << 20;
/// Bytes read at a time: they should still be in the processor's cache when they are cast.
const PIECE: usize = 256 << 10;

/// Fills `out` with the tensor's elements as type `to`: row-major, little-endian.
///
/// Real numbers change precision (see [`Caster`]); every other type must be `to` already.
pub fn load_into(tensor: &Tensor, to: DType, out: &mut [u8], threads: usize) -> Parse<()> {
    let expected = tensor.elements()?.saturating_mul(to.size() as u64);
    if out.len() as u64 != expected || Caster::result(tensor.dtype, to) != to {
        return Err(Fault::unsupported(format!(
            "{} {:?} does not fit {} bytes of {to}",
            tensor.dtype,
            tensor.shape,
            out.len()
        )));
    }
    match (&tensor.data, tensor.extent()) {
        (Data::View(view), Some(extent)) => {
            let start = extent.offset - view.storage.offset;
            let whole = start == 0 && extent.len == view.storage.len;
            let stretch = Stretch {
                blob: &view.storage,
                start,
                len: extent.len,
                from: tensor.dtype,
                to,
                checked: whole && view.storage.crc.is_some(),
            };
            stretch.load(out, threads)
        }
        _ => stream(tensor, to, out),
    }
}

fn stream(tensor: &Tensor, to: DType, out: &mut [u8]) -> Parse<()> {
    let mut filled = 0;
    let mut caster = Caster::new(tensor.dtype, to);
    let mut put = |piece: &[u8]| {
        let end = filled + piece.len();
        let place = out.get_mut(filled..end);
        place
            .ok_or_else(|| Fault::corrupt("more bytes than the shape says"))?
            .copy_from_slice(piece);
        filled = end;
        Ok(())
    };
    tensor.stream(&mut |piece| match &mut caster {
        Some(caster) => caster.push(piece, &mut put),
        None => put(piece),
    })?;
    if filled == out.len() {
        return Ok(());
    }
    Err(Fault::corrupt("fewer bytes than the shape says"))
}

/// Elements that lie in the file just as in memory, but for their precision.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    blob: &'a Blob,
    start: u64,
    len: u64,
    from: DType,
    to: DType,
    checked: bool,
}

impl Stretch<'_> {
    fn load(self, out: &mut [u8], threads: usize) -> Parse<()> {
        let elements = out.len() / self.to.size();
        let parts = (self.len / WORTH_A_THREAD).clamp(1, threads.max(1) as u64) as usize;
        let each = elements.div_ceil(parts).max(1);
        let pieces = out.chunks_mut(each * self.to.size()).enumerate();
        let part = |(index, out): (usize, &mut [u8])| {
            self.part((index * each * self.from.size()) as u64, out)
        };
        let sums: Vec<Parse<crc32fast::Hasher>> = if parts == 1 {
            pieces.map(part).collect()
        } else {
            thread::scope(|scope| {
                let running: Vec<_> = pieces
                    .map(|piece| scope.spawn(move || part(piece)))
                    .collect();
                let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(Fault::corrupt("a loading thread failed")))
                };
                running.into_iter().map(join).collect()
            })
        };
        let mut sum = crc32fast::Hasher::new();
        for part in sums {
            sum.combine(&part?);
        }
        match self.blob.crc.filter(|_| self.checked) {
            Some(expected) => super::blob::check_sum(sum.finalize(), expected),
            None => Ok(()),
        }
    }

    /// Loads the elements from byte `from_start` of the stretch on, until `out` is full.
    fn part(self, from_start: u64, out: &mut [u8]) -> Parse<crc32fast::Hasher> {
        let mut crc = crc32fast::Hasher::new();
        let mut offset = self.blob.offset + self.start + from_start;
        let count = PIECE / self.from.size().max(self.to.size());
        let mut piece = vec![0; count * self.from.size()];
        for out in out.chunks_mut(count * self.to.size()) {
            let bytes = out.len() / self.to.size() * self.from.size();
            let read = &mut piece[..bytes];
            self.blob.source.read_exact_at(read, offset)?;
            if self.checked {
                crc.update(read);
            }
            // Also when nothing is cast: the system copies into memory that nobody has touched
            // yet at a third of the speed.
            cast(self.from, self.to, read, out);
            offset += bytes as u64;
        }
        Ok(crc)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checkpoint::source::Source;
    use crate::checkpoint::tensor::View;

    fn tensor(values: &[f32], crc: Option<u32>) -> Tensor {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let len = bytes.len() as u64;
        let source: Source = Arc::new(bytes);
        let mut blob = Blob::raw(&source, 0, len).unwrap();
        blob.crc = crc;
        Tensor {
            dtype: DType::F32,
            shape: vec![values.len() as u64],
            data: Data::View(View::whole(blob)),
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let values: Vec<f32> = (0..3_000_001).map(|i| i as f32 * 0.37 - 4e5).collect();
        let tensor = tensor(&values, None);
        let crc = crc32fast::hash(&tensor.read().unwrap());
        let tensor = super::tests::tensor(&values, Some(crc));
        for to in [DType::F32, DType::BF16, DType::F64] {
            let load = |threads| {
                let mut out = vec![0; values.len() * to.size()];
                load_into(&tensor, to, &mut out, threads).unwrap();
                out
            };
            let one = load(1);
            assert!(load(2) == one && load(3) == one, "{to}");
            let mut streamed = vec![0; one.len()];
            stream(&tensor, to, &mut streamed).unwrap();
            assert!(streamed == one, "{to} streamed");
        }
    }

    #[test]
    fn a_damaged_byte_is_noticed() {
        let tensor = tensor(&[1.0; 3_000_000], Some(0xdead_beef));
        let mut out = vec![0; 12_000_000];
        for threads in [1, 2] {
            let fault = load_into(&tensor, DType::F32, &mut out, threads).unwrap_err();
            assert!(fault.message.contains("checksum"), "{fault}");
        }
    }

    #[test]
    fn a_place_of_another_size_or_type_is_refused() {
        let tensor = tensor(&[1.0, 2.0], None);
        assert!(load_into(&tensor, DType::F32, &mut [0; 7], 1).is_err());
        assert!(load_into(&tensor, DType::I32, &mut [0; 8], 1).is_err());
    }
}
