//! Real numbers from one precision to another, as PyTorch rounds them, in a stream of any pieces.

use half::{bf16, f16};

use super::dtype::DType;
use super::error::Parse;
use super::tensor::Sink;

/// Turns a stream of little-endian elements into another type; cuts through an element are fine.
pub struct Caster {
    from: DType,
    to: DType,
    /// The beginning of an element whose end is in the next piece.
    rest: Vec<u8>,
    out: Vec<u8>,
}

impl Caster {
    /// `None` when nothing is to be done, or nothing may be: whole numbers, truth values, complex
    /// and 8-bit numbers keep their type.
    pub fn new(from: DType, to: DType) -> Option<Self> {
        (from != to && from.is_float() && to.is_float()).then(|| Self {
            from,
            to,
            rest: Vec::with_capacity(from.size()),
            out: Vec::new(),
        })
    }

    /// The type that `from` has after a wish for `to`.
    pub fn result(from: DType, to: DType) -> DType {
        if from.is_float() && to.is_float() {
            to
        } else {
            from
        }
    }

    /// Casts `piece` and passes the result on.
    pub fn push(&mut self, mut piece: &[u8], sink: &mut Sink) -> Parse<()> {
        let size = self.from.size();
        self.out.clear();
        if !self.rest.is_empty() {
            let taken = piece.len().min(size - self.rest.len());
            self.rest.extend_from_slice(&piece[..taken]);
            piece = &piece[taken..];
            if self.rest.len() < size {
                return Ok(());
            }
            let whole = std::mem::take(&mut self.rest);
            self.append(&whole);
        }
        let cut = piece.len() - piece.len() % size;
        self.append(&piece[..cut]);
        self.rest.extend_from_slice(&piece[cut..]);
        sink(&self.out)
    }

    fn append(&mut self, elements: &[u8]) {
        let start = self.out.len();
        let count = elements.len() / self.from.size();
        self.out.resize(start + count * self.to.size(), 0);
        cast(self.from, self.to, elements, &mut self.out[start..]);
    }
}

/// Writes `bytes`, whole elements of type `from`, to `out` as type `to`; as many as both hold.
///
/// Only between real numbers of 16 bits and more; equal types are copied.
pub fn cast(from: DType, to: DType, bytes: &[u8], out: &mut [u8]) {
    match (from, to) {
        _ if from == to => {
            let n = bytes.len().min(out.len());
            out[..n].copy_from_slice(&bytes[..n]);
        }
        (DType::F32, _) => widen(bytes, to, out, f32::from_le_bytes),
        (DType::F16, _) => widen(bytes, to, out, |x| f16::from_le_bytes(x).to_f32()),
        (DType::BF16, _) => widen(bytes, to, out, |x| bf16::from_le_bytes(x).to_f32()),
        // PyTorch rounds a double to half precision by way of single precision.
        (_, _) => widen(bytes, to, out, |x| f64::from_le_bytes(x) as f32),
    }
}

/// Every type fits single precision on its way, but for doubles to doubles, which are copied.
fn widen<const N: usize>(bytes: &[u8], to: DType, out: &mut [u8], single: impl Fn([u8; N]) -> f32) {
    match to {
        DType::BF16 => map(bytes, out, |x| bf16_from_f32(single(x)).to_le_bytes()),
        DType::F16 => map(bytes, out, |x| f16::from_f32(single(x)).to_le_bytes()),
        DType::F32 => map(bytes, out, |x| single(x).to_le_bytes()),
        _ => map(bytes, out, |x| f64::from(single(x)).to_le_bytes()),
    }
}

fn map<const N: usize, const M: usize>(
    bytes: &[u8],
    out: &mut [u8],
    convert: impl Fn([u8; N]) -> [u8; M],
) {
    let (elements, _) = bytes.as_chunks::<N>();
    let (results, _) = out.as_chunks_mut::<M>();
    for (result, element) in results.iter_mut().zip(elements) {
        *result = convert(*element);
    }
}

/// Round to nearest, ties to even, without a branch, so that the compiler makes vectors of it.
fn bf16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let result = if value.is_nan() { 0x7fc0 } else { rounded };
    result as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: DType, to: DType, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut caster = Caster::new(from, to).unwrap();
        let mut out = Vec::new();
        for piece in bytes.chunks(piece) {
            caster
                .push(piece, &mut |cast| {
                    out.extend_from_slice(cast);
                    Ok(())
                })
                .unwrap();
        }
        out
    }

    #[test]
    fn rounds_every_pattern_as_the_half_crate_does() {
        for high in 0..=u16::MAX {
            for low in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let value = f32::from_bits(u32::from(high) << 16 | low);
                let expected = bf16::from_f32(value);
                let found = bf16::from_bits(bf16_from_f32(value));
                assert!(
                    found == expected || (found.is_nan() && expected.is_nan()),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn cuts_through_elements_change_nothing() {
        let bytes: Vec<u8> = [1.5_f64, -3.25e-3, 7e4, f64::INFINITY]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        for to in [DType::F32, DType::F16, DType::BF16] {
            let whole = run(DType::F64, to, &bytes, bytes.len());
            assert_eq!(whole.len(), 4 * to.size());
            for piece in 1..9 {
                assert_eq!(
                    run(DType::F64, to, &bytes, piece),
                    whole,
                    "{to} in {piece}s"
                );
            }
        }
    }

    #[test]
    fn whole_numbers_keep_their_type() {
        assert!(Caster::new(DType::I64, DType::F32).is_none());
        assert_eq!(Caster::result(DType::Bool, DType::BF16), DType::Bool);
        assert_eq!(Caster::result(DType::F64, DType::BF16), DType::BF16);
    }
}
