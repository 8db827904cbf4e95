//! What kind of file some bytes are, by their first few; names the usual mistakes.

/// What the bytes look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Jpeg,
    Png,
    Webp,
    Other {
        /// A noun phrase, such as "a GIF".
        looks_like: String,
        hint: &'static str,
    },
}

const CONVERT: &str = "Convert it first.";
const WEB_PAGE: &str = "A download or URL probably answered with a page instead of the picture.";
const VIDEO: &str = "For video use `pose4d process` or decode the frames first.";

/// Offset, bytes there, what it is, what to do.
const SIGNATURES: &[(usize, &[u8], &str, &str)] = &[
    (0, b"GIF8", "a GIF", CONVERT),
    (0, b"BM", "a BMP", CONVERT),
    (0, b"II*\0", "a TIFF", CONVERT),
    (0, b"MM\0*", "a TIFF", CONVERT),
    (0, b"\0\0\x01\0", "an ICO icon", CONVERT),
    (0, b"8BPS", "a Photoshop file", CONVERT),
    (0, b"\xFF\x0A", "a JPEG XL", CONVERT),
    (0, b"\0\0\0\x0CJXL ", "a JPEG XL", CONVERT),
    (0, b"\0\0\0\x0CjP  ", "a JPEG 2000", CONVERT),
    (4, b"ftypavif", "an AVIF", CONVERT),
    (4, b"ftypavis", "an AVIF", CONVERT),
    (4, b"ftyphei", "a HEIC photo", CONVERT),
    (4, b"ftypmif1", "a HEIF photo", CONVERT),
    (4, b"ftyp", "an MP4 video", VIDEO),
    (4, b"moov", "a QuickTime video", VIDEO),
    (0, b"\x1A\x45\xDF\xA3", "a WebM or Matroska video", VIDEO),
    (8, b"AVI ", "an AVI video", VIDEO),
    (0, b"\0\0\x01\xBA", "an MPEG video", VIDEO),
    (0, b"%PDF", "a PDF", CONVERT),
    (0, b"PK\x03\x04", "a ZIP archive", "Unpack it first."),
    (0, b"\x1F\x8B", "gzip-compressed data", "Unpack it first."),
];

pub fn sniff(bytes: &[u8]) -> Kind {
    let at = |offset: usize, signature: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(signature))
    };
    if at(0, b"\xFF\xD8\xFF") {
        return Kind::Jpeg;
    }
    if at(0, b"\x89PNG") {
        return Kind::Png;
    }
    if at(0, b"RIFF") && at(8, b"WEBP") {
        return Kind::Webp;
    }
    SIGNATURES
        .iter()
        .find(|(offset, signature, ..)| at(*offset, signature))
        .map(|(_, _, what, hint)| (format!("it looks like {what}"), *hint))
        .or_else(|| text_kind(bytes))
        .map_or_else(
            || unknown(bytes),
            |(looks_like, hint)| Kind::Other { looks_like, hint },
        )
}

fn text_kind(bytes: &[u8]) -> Option<(String, &'static str)> {
    let head = bytes.get(..bytes.len().min(256))?;
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let start = head.trim_ascii_start().to_ascii_lowercase();
    let starts = |text: &str| start.starts_with(text.as_bytes());
    let found = if starts("<!doctype html") || starts("<html") || starts("<head") {
        ("an HTML page", WEB_PAGE)
    } else if starts("<svg") || start.windows(4).any(|four| four == b"<svg") {
        ("an SVG drawing", CONVERT)
    } else if starts("<?xml") || starts("<") {
        ("XML", WEB_PAGE)
    } else if starts("data:") || starts("/9j/") || starts("ivborw0kggo") {
        ("base64 text", "Give it as imageBase64, or decode it first.")
    } else if starts("{") || starts("[") {
        ("JSON", WEB_PAGE)
    } else if !head.is_empty()
        && head
            .iter()
            .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
    {
        ("plain text", "Give a path as imagePath.")
    } else {
        return None;
    };
    Some((format!("it looks like {}", found.0), found.1))
}

fn unknown(bytes: &[u8]) -> Kind {
    let head: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
    Kind::Other {
        looks_like: format!("it begins with the bytes {}", head.join(" ")),
        hint: "If these are raw pixels, give them as pixels with width and height.",
    }
}
