//! The committed archives: a gzipped tar of plain files with short names, nothing else.

use std::fs;
use std::io::Read;
use std::path::Path;

/// Names and contents of all members.
///
/// # Panics
/// When the archive is missing or not as our generator writes it.
pub fn unpack(path: &Path) -> Vec<(String, Vec<u8>)> {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .unwrap();
    let mut tar = bytes.as_slice();
    let mut found = Vec::new();
    while let Some((header, rest)) = tar.split_at_checked(512) {
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        let text = |range: std::ops::Range<usize>| {
            let bytes = header[range].split(|&b| b == 0).next().unwrap_or_default();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let name = match text(345..500) {
            prefix if prefix.is_empty() => text(0..100),
            prefix => format!("{prefix}/{}", text(0..100)),
        };
        let size = usize::from_str_radix(text(124..136).trim(), 8).unwrap();
        found.push((name, rest[..size].to_vec()));
        tar = &rest[size.next_multiple_of(512)..];
    }
    found
}
