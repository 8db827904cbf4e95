//! Bytes and text as Python's source spells them: what pickle's protocol 0 writes.
//!
//! Both decoders take a piece of a longer text: unless it is the `last` one, an escape that may
//! go on in the next piece is left, and the bytes used are returned.

use super::error::{Fault, Parse};

/// The longest escape: `\U0001f600`.
const LONGEST: usize = 10;

/// Decodes the inside of a Python 2 string literal: `\n`, `\\`, `\x00`, `\000`.
pub fn unescape(text: &[u8], last: bool, out: &mut Vec<u8>) -> Parse<usize> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = until_backslash(rest);
        out.extend_from_slice(plain);
        at += plain.len();
        let escape = rest.get(plain.len()..).unwrap_or_default();
        if escape.is_empty() || (!last && escape.len() < LONGEST) {
            return Ok(at);
        }
        at += string_escape(escape, out)?;
    }
    Ok(at)
}

/// Decodes the escape at the start of `text`; the bytes it took.
fn string_escape(text: &[u8], out: &mut Vec<u8>) -> Parse<usize> {
    let kind = *text
        .get(1)
        .ok_or_else(|| Fault::corrupt("a string ends in a backslash"))?;
    let byte = match kind {
        b'\n' => return Ok(2),
        b'\\' | b'\'' | b'"' => kind,
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        b'0'..=b'7' => {
            let digits = text.iter().skip(1).take(3);
            let digits = digits.take_while(|digit| (b'0'..=b'7').contains(digit));
            let (len, value) = digits.fold((1, 0_u32), |(len, value), digit| {
                (len + 1, value * 8 + u32::from(digit - b'0'))
            });
            out.push(value as u8);
            return Ok(len);
        }
        b'x' => {
            let value = hex(text.get(2..4));
            let value = value.ok_or_else(|| Fault::corrupt("a bad \\x escape in a string"))?;
            out.push(value as u8);
            return Ok(4);
        }
        // Python keeps what it does not know.
        other => {
            out.push(b'\\');
            other
        }
    };
    out.push(byte);
    Ok(2)
}

/// Decodes raw-unicode-escape: Latin-1 with `\uXXXX` and `\UXXXXXXXX`; passes code points to
/// `push`, lone surrogates too.
pub fn raw_unicode(
    text: &[u8],
    last: bool,
    push: &mut dyn FnMut(u32) -> Parse<()>,
) -> Parse<usize> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = until_backslash(rest);
        for &byte in plain {
            push(u32::from(byte))?;
        }
        at += plain.len();
        let escape = rest.get(plain.len()..).unwrap_or_default();
        if escape.is_empty() || (!last && escape.len() < LONGEST) {
            return Ok(at);
        }
        let digits = match escape.get(1) {
            Some(b'u') => 4,
            Some(b'U') => 8,
            // The second of two backslashes begins no escape.
            other => {
                push(u32::from(b'\\'))?;
                if let Some(&byte) = other {
                    push(u32::from(byte))?;
                    at += 1;
                }
                at += 1;
                continue;
            }
        };
        let code = hex(escape.get(2..2 + digits)).filter(|&code| code <= 0x10_ffff);
        push(code.ok_or_else(|| Fault::corrupt("a bad \\u escape in a text"))?)?;
        at += 2 + digits;
    }
    Ok(at)
}

fn until_backslash(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == b'\\');
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

fn hex(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0_u32, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of every size, which must not matter.
    fn pieces(
        text: &[u8],
        mut decode: impl FnMut(&[u8], bool, &mut Vec<u8>) -> Parse<usize>,
    ) -> Parse<Vec<u8>> {
        let mut whole = Vec::new();
        assert_eq!(decode(text, true, &mut whole)?, text.len());
        for size in 1..text.len() {
            let (mut out, mut kept) = (Vec::new(), Vec::new());
            for (i, piece) in text.chunks(size).enumerate() {
                kept.extend_from_slice(piece);
                let last = (i + 1) * size >= text.len();
                let used = decode(&kept, last, &mut out)?;
                kept.drain(..used);
            }
            assert_eq!((&out, kept.len()), (&whole, 0), "pieces of {size}");
        }
        Ok(whole)
    }

    #[test]
    fn string_escapes() {
        let decoded = pieces(br"a\n\\\'\x00\xff\101\0\18\q\7", unescape).unwrap();
        assert_eq!(decoded, b"a\n\\'\x00\xffA\0\x018\\q\x07");
        for bad in [&br"\x4"[..], br"\xzz", b"\\"] {
            assert!(unescape(bad, true, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn raw_unicode_escapes() {
        let decode = |text: &[u8]| {
            let bytes = pieces(text, |text, last, out| {
                raw_unicode(text, last, &mut |code| {
                    out.extend(code.to_be_bytes());
                    Ok(())
                })
            })?;
            let (codes, _) = bytes.as_chunks::<4>();
            let codes: Vec<u32> = codes.iter().map(|&code| u32::from_be_bytes(code)).collect();
            Parse::Ok(codes)
        };
        assert_eq!(decode(br"\u0041\U0001f600").unwrap(), [0x41, 0x1f600]);
        let codes: Vec<u32> = "\u{e9}\\n\\\\u0041".chars().map(u32::from).collect();
        assert_eq!(decode(b"\xe9\\n\\\\u0041").unwrap(), codes);
        assert_eq!(decode(br"\ud800").unwrap(), [0xd800]);
        assert_eq!(decode(b"end\\").unwrap(), [101, 110, 100, 92]);
        assert!(decode(br"\u00").is_err());
        assert!(decode(br"\U00110000").is_err());
        assert!(decode(br"\u00g0").is_err());
    }
}
