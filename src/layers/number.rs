//! What our own inner loops share: the types they work on and how.

use half::bf16;

/// The types that inner loops read and write; they compute in f32.
pub trait Number: Copy + Send + Sync {
    fn wide(self) -> f32;
    fn narrow(value: f32) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        value
    }
}

impl Number for bf16 {
    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    /// To the nearest, ties to even; nothing here is NaN but what came in as such.
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        let bits = value.to_bits();
        let up = 0x7fff + (bits >> 16 & 1);
        Self::from_bits((bits.wrapping_add(up) >> 16) as u16)
    }
}

/// A pointer that threads share: each touches its own rows only.
pub struct Shared<T>(pub *mut T);

// SAFETY: see above; `T` is a number.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// As a pointer's own `add`.
    pub fn at(&self, offset: usize) -> *mut T {
        // Only made a slice of where the tensor is known to reach.
        self.0.wrapping_add(offset)
    }
}

/// `a * b + c`, rounded once where the processor can.
#[inline(always)]
pub fn fused<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    match FUSED {
        true => a.mul_add(b, c),
        false => a * b + c,
    }
}
