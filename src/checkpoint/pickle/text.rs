//! Short strings of a pickle, decoded into memory.

use super::super::error::{Fault, Parse};
use super::super::escapes;
use super::value::Coding;

/// Decodes `bytes`: text becomes UTF-8, Python 2's strings stay bytes.
pub fn decode(bytes: Vec<u8>, coding: Coding) -> Parse<Vec<u8>> {
    match coding {
        Coding::Raw => Ok(bytes),
        Coding::Utf8 => utf8(bytes),
        Coding::Escaped => {
            let mut out = Vec::with_capacity(bytes.len());
            escapes::unescape(&bytes, true, &mut out)?;
            Ok(out)
        }
        Coding::RawUnicode => {
            let mut out = String::with_capacity(bytes.len());
            escapes::raw_unicode(&bytes, true, &mut |code| {
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                Ok(())
            })?;
            Ok(out.into_bytes())
        }
    }
}

/// UTF-8 as Python writes it: lone surrogates are let through, as U+FFFD.
fn utf8(mut text: Vec<u8>) -> Parse<Vec<u8>> {
    if std::str::from_utf8(&text).is_ok() {
        return Ok(text);
    }
    let mut at = 0;
    while let Some(&[first, second, third]) = text.get(at..).and_then(|t| t.first_chunk()) {
        let surrogate = first == 0xed && (0xa0..0xc0).contains(&second) && third & 0xc0 == 0x80;
        if surrogate && let Some(place) = text.get_mut(at..at + 3) {
            place.copy_from_slice("\u{fffd}".as_bytes());
        }
        at += 1;
    }
    match std::str::from_utf8(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Fault::corrupt("a text that is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogates_are_let_through_and_nothing_else() {
        let decode = |text: &[u8]| decode(text.to_vec(), Coding::Utf8);
        assert_eq!(decode(b"\xed\xa0\x80x").unwrap(), "\u{fffd}x".as_bytes());
        assert!(decode(b"\xff").is_err());
        assert!(decode(b"\xc3").is_err());
    }

    #[test]
    fn raw_unicode_becomes_utf8() {
        let text = decode(b"\xe9\\u0041\\ud800".to_vec(), Coding::RawUnicode).unwrap();
        assert_eq!(text, "\u{e9}A\u{fffd}".as_bytes());
    }
}
