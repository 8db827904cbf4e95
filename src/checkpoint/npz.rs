//! `.npz` archives: named arrays in a zip file.

use super::checkpoint::{Contents, Opaque};
use super::error::{Fault, Parse};
use super::npy;
use super::source::Source;
use super::zip::Archive;

/// Whether an archive with members of these names is one of numpy's.
pub fn looks_like<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name.ends_with(".npy"))
}

/// Reads all arrays; members that hold none are listed.
pub fn read(source: &Source) -> Parse<Contents> {
    let archive = Archive::open(source)?;
    let mut contents = Contents::default();
    for (member, blob) in archive.blobs() {
        let place = |fault: Fault| fault.within(format_args!("member {member:?}"));
        let blob = blob.map_err(place)?;
        // As numpy does: the extension is dropped from the name, the content decides.
        let name = member.strip_suffix(".npy");
        if name.is_none() && !npy::is_array(&blob).map_err(place)? {
            contents.opaque.push(Opaque {
                path: member.to_owned(),
                class: "zip member without an array".into(),
            });
            continue;
        }
        npy::add(name.unwrap_or(member), blob, &mut contents).map_err(place)?;
    }
    Ok(contents)
}

#[cfg(test)]
#[path = "npz_tests.rs"]
mod tests;
