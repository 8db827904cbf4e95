//! Bytes written as UTF-8 text of the code points below 256, turned back into bytes.
//!
//! Pickle protocols 0 to 2 of Python 3 write every array so; the text is half as long again as
//! the bytes, and gigabytes of it must be decoded at the speed of memory.

use super::error::{Fault, Parse};

/// Bytes decoded at a step of the vector loop.
#[cfg(target_arch = "x86_64")]
const STEP: usize = 8;

pub fn not_bytes() -> Fault {
    Fault::corrupt("bytes written as text hold a character above 255")
}

/// Decodes a piece; a character cut in two at the end is left unless the piece is the `last`.
/// Returns the bytes used.
pub fn decode(text: &[u8], last: bool, out: &mut Vec<u8>) -> Parse<usize> {
    let text = match text.split_last() {
        Some((&(0xc0..), whole)) if !last => whole,
        _ => text,
    };
    if !is_latin1(text) {
        return Err(not_bytes());
    }
    let before = out.len();
    out.resize(before + text.len() + 8, 0);
    let room = out.get_mut(before..).unwrap_or_default();
    let len = compact(text, room);
    out.truncate(before + len);
    Ok(text.len())
}

/// Whether every byte is ASCII, or `c2` or `c3` and then a continuation.
fn is_latin1(text: &[u8]) -> bool {
    let lead = |byte: u8| byte >= 0xc0;
    let ends_well = text.last().is_none_or(|&byte| !lead(byte));
    let begins_well = text.first().is_none_or(|&byte| byte & 0xc0 != 0x80);
    // Without branches, so that it becomes a vector loop.
    let bad =
        text.iter()
            .zip(text.get(1..).unwrap_or_default())
            .fold(0_u8, |bad, (&first, &second)| {
                let continues = second & 0xc0 == 0x80;
                let wrong = lead(first) & (first & 0xfe != 0xc2);
                bad | u8::from(wrong | (lead(first) != continues))
            });
    begins_well && ends_well && bad == 0
}

/// Drops the lead bytes and gives their low bits to the continuations; the length of the result.
///
/// `out` is 8 bytes longer than `text`, which [`is_latin1`] has passed.
fn compact(text: &[u8], out: &mut [u8]) -> usize {
    let (used, len) = compact_vector(text, out);
    let mut len = len;
    let mut previous = used
        .checked_sub(1)
        .and_then(|i| text.get(i))
        .copied()
        .unwrap_or(0);
    for &byte in text.get(used..).unwrap_or_default() {
        if let Some(place) = out.get_mut(len) {
            *place = byte | lead_bits(previous);
        }
        len += usize::from(byte < 0xc0);
        previous = byte;
    }
    len
}

/// What a lead byte gives to the byte after it: `c3` its lowest bit, as bit 6.
fn lead_bits(previous: u8) -> u8 {
    if previous == 0xc3 { 0x40 } else { 0 }
}

#[cfg(not(target_arch = "x86_64"))]
fn compact_vector(_: &[u8], _: &mut [u8]) -> (usize, usize) {
    (0, 0)
}

/// As much as fits in whole steps: bytes used and made.
#[cfg(target_arch = "x86_64")]
fn compact_vector(text: &[u8], out: &mut [u8]) -> (usize, usize) {
    if !is_x86_feature_detected!("ssse3") || out.len() < text.len() + STEP {
        return (0, 0);
    }
    // SAFETY: the processor has SSSE3, and `out` is a step longer than `text`.
    unsafe { compact_ssse3(text, out) }
}

/// For every set of lead bytes among eight, the places of the others.
#[cfg(target_arch = "x86_64")]
static PLACES: [[u8; STEP]; 256] = places();

#[cfg(target_arch = "x86_64")]
const fn places() -> [[u8; STEP]; 256] {
    let mut table = [[0x80_u8; STEP]; 256];
    let mut leads = 0;
    while leads < 256 {
        let (mut from, mut to) = (0, 0);
        while from < STEP {
            if leads & (1 << from) == 0 {
                table[leads][to] = from as u8;
                to += 1;
            }
            from += 1;
        }
        leads += 1;
    }
    table
}

/// # Safety
/// Needs SSSE3. `out` must be at least [`STEP`] bytes longer than `text`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "ssse3")]
unsafe fn compact_ssse3(text: &[u8], out: &mut [u8]) -> (usize, usize) {
    use std::arch::x86_64::*;
    // The byte before the first is none: the piece begins with a whole character.
    let (mut used, mut len) = (0, 0);
    let mut before = 0_u8;
    while used + 2 * STEP <= text.len() {
        // SAFETY: 16 bytes of `text` from `used` on are inside it; a step writes 8 bytes at most
        // `used` + 8 bytes into `out`, which is 8 longer than `text`; so does the second.
        unsafe {
            let bytes = _mm_loadu_si128(text.as_ptr().add(used).cast());
            let previous = _mm_or_si128(
                _mm_slli_si128::<1>(bytes),
                _mm_cvtsi32_si128(i32::from(before)),
            );
            let after_c3 = _mm_cmpeq_epi8(previous, _mm_set1_epi8(0xc3_u8 as i8));
            let bits = _mm_and_si128(after_c3, _mm_set1_epi8(0x40));
            let values = _mm_or_si128(bytes, bits);
            // Lead bytes are the ones with the two upper bits set: as signed, -64 and above, below 0.
            let leads = _mm_and_si128(
                _mm_cmplt_epi8(bytes, _mm_setzero_si128()),
                _mm_cmpgt_epi8(bytes, _mm_set1_epi8(-65)),
            );
            let leads = _mm_movemask_epi8(leads) as u32;
            let (low, high) = ((leads & 0xff) as usize, (leads >> 8) as usize);
            let order = _mm_loadl_epi64(PLACES.as_ptr().add(low).cast());
            _mm_storel_epi64(
                out.as_mut_ptr().add(len).cast(),
                _mm_shuffle_epi8(values, order),
            );
            len += STEP - low.count_ones() as usize;
            let order = _mm_loadl_epi64(PLACES.as_ptr().add(high).cast());
            let upper = _mm_srli_si128::<8>(values);
            _mm_storel_epi64(
                out.as_mut_ptr().add(len).cast(),
                _mm_shuffle_epi8(upper, order),
            );
            len += STEP - high.count_ones() as usize;
        }
        used += 2 * STEP;
        before = text.get(used - 1).copied().unwrap_or(0);
    }
    (used, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(bytes: &[u8]) -> Vec<u8> {
        let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        text.into_bytes()
    }

    #[test]
    fn every_byte_in_every_neighbourhood() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for len in (0..70).chain([1000, 4097]) {
            let mut bytes: Vec<u8> = (0..len).map(|_| next()).collect();
            for ascii in [false, true] {
                if ascii {
                    bytes.iter_mut().for_each(|byte| *byte &= 0x7f);
                }
                let mut out = b"kept".to_vec();
                let text = encode(&bytes);
                assert_eq!(decode(&text, true, &mut out), Ok(text.len()));
                assert_eq!(&out[..4], b"kept");
                assert_eq!(&out[4..], bytes, "{len} bytes");
            }
        }
    }

    #[test]
    fn characters_cut_in_two_wait() {
        let text = encode(&[0x41, 0xff, 0x80]);
        for cut in 0..=text.len() {
            let mut out = Vec::new();
            let used = decode(&text[..cut], false, &mut out).unwrap();
            let rest = decode(&text[used..], true, &mut out).unwrap();
            assert_eq!((out.as_slice(), used + rest), (&[0x41, 0xff, 0x80][..], 5));
        }
    }

    #[test]
    fn other_text_is_refused() {
        let good = encode(&[0x90; 40]);
        for bad in [
            &b"\xc4\x80"[..],
            b"\xc1\x80",
            b"\xc3A",
            b"\x80",
            b"a\x80",
            b"\xe2\x82\xac",
        ] {
            for at in (0..good.len()).step_by(2) {
                let text = [&good[..at], bad, &good[at..]].concat();
                assert!(
                    decode(&text, true, &mut Vec::new()).is_err(),
                    "{bad:x?} at {at}"
                );
            }
        }
        assert!(decode(b"a\xc3", true, &mut Vec::new()).is_err());
    }
}
