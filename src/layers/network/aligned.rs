//! Memory for floats that begins at a cache line, so that wide loads never straddle two.

/// One cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f32; 16]);

/// A fixed number of floats, zero at first, that never move.
pub struct Aligned(Box<[Line]>);

impl Aligned {
    /// At least `len` floats.
    pub fn zeroed(len: usize) -> Self {
        Self(vec![Line([0.0; 16]); len.div_ceil(16)].into_boxed_slice())
    }

    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: a line is sixteen floats without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) }
    }

    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

impl Default for Aligned {
    fn default() -> Self {
        Self::zeroed(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Aligned;

    #[test]
    fn begins_at_a_cache_line_and_holds_what_was_asked() {
        let mut memory = Aligned::zeroed(33);
        assert_eq!(memory.as_mut_ptr() as usize % 64, 0);
        assert_eq!(memory.as_slice(), [0.0; 48]);
        memory.as_mut_slice()[32] = 1.0;
        assert_eq!(memory.as_slice()[32], 1.0);
    }
}
