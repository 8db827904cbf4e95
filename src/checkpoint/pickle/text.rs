//! Text and bytes as the old protocols spell them.

use super::super::error::{Fault, Parse};

/// Decodes the inside of a Python 2 string literal.
pub fn unescape(text: &[u8]) -> Parse<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&kind, after)) = rest.split_first() else {
            return Err(Fault::corrupt("a string ends in a backslash"));
        };
        rest = after;
        match kind {
            b'\n' => {}
            b'\\' | b'\'' | b'"' => out.push(kind),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'v' => out.push(11),
            b'f' => out.push(12),
            b'r' => out.push(b'\r'),
            b'0'..=b'7' => {
                let n = 1 + rest.iter().take(2).take_while(|b| is_octal(**b)).count();
                let digits = [&[kind], rest.get(..n - 1).unwrap_or_default()].concat();
                let value = digits
                    .iter()
                    .fold(0_u32, |v, d| v * 8 + u32::from(d - b'0'));
                out.push(value as u8);
                rest = rest.get(n - 1..).unwrap_or_default();
            }
            b'x' => {
                let value = hex(rest.get(..2));
                let value = value.ok_or_else(|| Fault::corrupt("a bad \\x escape in a string"))?;
                out.push(value as u8);
                rest = rest.get(2..).unwrap_or_default();
            }
            // Python keeps what it does not know.
            other => out.extend([b'\\', other]),
        }
    }
    Ok(out)
}

fn is_octal(byte: u8) -> bool {
    (b'0'..=b'7').contains(&byte)
}

fn hex(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0_u32, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

/// Decodes raw-unicode-escape into UTF-8. Lone surrogates become U+FFFD.
pub fn raw_unicode(text: &[u8]) -> Parse<Vec<u8>> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = match (byte, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(&other)) => {
                // The second of two backslashes begins no escape.
                out.push('\\');
                out.push(char::from(other));
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            _ => {
                out.push(char::from(byte));
                continue;
            }
        };
        let code = hex(rest.get(1..1 + digits)).filter(|&code| code <= 0x10_ffff);
        let code = code.ok_or_else(|| Fault::corrupt("a bad \\u escape in a text"))?;
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = rest.get(1 + digits..).unwrap_or_default();
    }
    Ok(out.into_bytes())
}

/// UTF-8 as Python writes it: lone surrogates are let through, as U+FFFD.
pub fn utf8(text: Vec<u8>) -> Parse<Vec<u8>> {
    if std::str::from_utf8(&text).is_ok() {
        return Ok(text);
    }
    let mut clean = text;
    let mut at = 0;
    while let Some(&[first, second, third]) = clean.get(at..).and_then(|t| t.first_chunk()) {
        let surrogate = first == 0xed && (0xa0..0xc0).contains(&second) && third & 0xc0 == 0x80;
        if surrogate && let Some(place) = clean.get_mut(at..at + 3) {
            place.copy_from_slice("\u{fffd}".as_bytes());
        }
        at += 1;
    }
    match std::str::from_utf8(&clean) {
        Ok(_) => Ok(clean),
        Err(_) => Err(Fault::corrupt("a text that is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_escapes() {
        let decoded = unescape(br"a\n\\\'\x00\xff\101\0\18\q\7").unwrap();
        assert_eq!(decoded, b"a\n\\'\x00\xffA\0\x018\\q\x07");
        assert!(unescape(br"\x4").is_err());
        assert!(unescape(br"\xzz").is_err());
        assert!(unescape(b"\\").is_err());
    }

    #[test]
    fn raw_unicode_escapes() {
        let decode = |text: &[u8]| String::from_utf8(raw_unicode(text).unwrap()).unwrap();
        assert_eq!(decode(br"\u0041\U0001f600"), "A\u{1f600}");
        assert_eq!(decode(b"\xe9\\n\\\\u0041"), "\u{e9}\\n\\\\u0041");
        assert_eq!(decode(br"\ud800"), "\u{fffd}");
        assert_eq!(decode(b"end\\"), "end\\");
        assert!(raw_unicode(br"\u00").is_err());
        assert!(raw_unicode(br"\U00110000").is_err());
        assert!(raw_unicode(br"\u00g0").is_err());
    }

    #[test]
    fn utf8_with_surrogates() {
        assert_eq!(
            utf8(b"\xed\xa0\x80x".to_vec()).unwrap(),
            "\u{fffd}x".as_bytes()
        );
        assert!(utf8(b"\xff".to_vec()).is_err());
        assert!(utf8(b"\xc3".to_vec()).is_err());
    }
}
