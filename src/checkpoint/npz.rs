//! `.npz` archives: named arrays in a zip file.

use super::checkpoint::{Contents, Opaque};
use super::error::{Fault, Parse};
use super::npy::Arrays;
use super::source::Source;
use super::zip::Archive;

/// Whether an archive with members of these names is one of numpy's.
pub fn looks_like<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name.ends_with(".npy"))
}

/// Reads all arrays; members that hold none are listed.
pub fn read(source: &Source) -> Parse<Contents> {
    let archive = Archive::open(source)?;
    let mut arrays = Arrays::default();
    for (member, blob) in archive.blobs() {
        let place = |fault: Fault| fault.within(format_args!("member {member:?}"));
        let blob = blob.map_err(place)?;
        // As numpy does: the extension is dropped from the name, the content decides.
        let array = member.strip_suffix(".npy");
        let found = arrays.add(array.unwrap_or(member), &blob).map_err(place)?;
        if !found && array.is_some() {
            return Err(place(Fault::corrupt("not a .npy array, whatever its name")));
        }
        if !found {
            arrays.contents.opaque.push(Opaque {
                path: member.to_owned(),
                class: "zip member without an array".into(),
            });
        }
    }
    Ok(arrays.contents)
}

#[cfg(test)]
#[path = "npz_tests.rs"]
mod tests;
