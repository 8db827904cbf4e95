//! Names of zip members: their encoding, and which are refused.

use std::borrow::Cow;

use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits::MAX_NAME;

/// Code page 437 from 0x80, which names without the UTF-8 flag are written in.
const CP437: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', //
    'É', 'æ', 'Æ', 'ô', 'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', //
    'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡', '«', '»', //
    '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛', '┐', //
    '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', //
    '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀', //
    'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', //
    '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

/// The name as text; a fault for names that only an attack uses.
pub fn decode(bytes: &[u8], utf8: bool) -> Parse<String> {
    if bytes.len() > MAX_NAME {
        return Err(Fault::hostile(format!(
            "a zip member's name of {} bytes; at most {MAX_NAME} are read",
            bytes.len()
        )));
    }
    let name = if utf8 {
        std::str::from_utf8(bytes)
            .map_err(|_| Fault::corrupt("a zip member's name is marked as UTF-8 and is not"))?
            .to_owned()
    } else {
        bytes.iter().map(|&byte| cp437(byte)).collect()
    };
    check(&name)?;
    Ok(name)
}

fn cp437(byte: u8) -> char {
    byte.checked_sub(128)
        .and_then(|high| CP437.get(usize::from(high)).copied())
        .unwrap_or(char::from(byte))
}

/// Nothing is ever unpacked to disk; such names are still a sign of an attack on who does.
fn check(name: &str) -> Parse<()> {
    let why = match name.as_bytes() {
        [] => "has no name",
        [b'/', ..] => "has an absolute name",
        [drive, b':', b'/', ..] if drive.is_ascii_alphabetic() => "names a drive",
        bytes if bytes.contains(&b'\\') => "has a backslash in its name",
        bytes if bytes.contains(&0) => "has a zero byte in its name",
        _ if name.split('/').any(|part| part == "..") => "leads out of the archive",
        _ => return Ok(()),
    };
    let shown: Cow<str> = match name.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    };
    Err(Fault::hostile(format!("a zip member {why}: {shown:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_both_encodings() {
        assert_eq!(decode("a/δ.npy".as_bytes(), true).unwrap(), "a/δ.npy");
        assert_eq!(decode(b"\x80\xe1\xff", false).unwrap(), "Çß\u{a0}");
        assert!(decode(b"\xff", true).is_err());
    }

    #[test]
    fn names_of_attacks_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "C:/x",
            "C:\\x",
            "a\\b",
            "..",
            "../x",
            "a/../b",
            "a/..",
            "a\0b",
        ] {
            assert!(decode(name.as_bytes(), true).is_err(), "{name:?}");
        }
        assert!(decode(&vec![b'a'; MAX_NAME + 1], true).is_err());
        for name in ["a..b/c", "w:0.npy", ".data/x", "...", "a/"] {
            assert_eq!(decode(name.as_bytes(), true).unwrap(), name);
        }
    }
}
