//! Corpus cases that are read otherwise than their truth says, each group with its reason.
//!
//! A case on these lists must go on differing: one that no longer does is to be taken off.

/// Beginnings of names, and why.
type Known = &'static [(&'static str, &'static str)];

/// Good files that Python reads and we do not, or not wholly.
pub const GOOD: Known = &[
    (
        "pickle-numpy2/sparse-bsr",
        "scipy's block-sparse matrices: kept as opaque objects, no model uses them",
    ),
    (
        "pickle-numpy2/sparse-dia",
        "scipy's diagonal matrices: as above",
    ),
    (
        "pickle-numpy2/sparse-dok",
        "scipy's dictionaries of keys: as above",
    ),
    (
        "pickle-numpy2/sparse-lil",
        "scipy's lists of lists: as above",
    ),
];

/// Files made to be refused that are read: nothing in them is run, and what they hold is true.
pub const HOSTILE: Known = &[
    (
        "hdf5/new-fhdb-0-",
        "the damaged heap block holds no link that is followed",
    ),
    (
        "hdf5/new-superblock-base",
        "the base address is zero in every file h5py writes; not used",
    ),
    ("hdf5/old-superblock-base", "as above"),
    (
        "npy/descr-",
        "no numbers: texts and fields are listed as values or opaque",
    ),
    (
        "npy/objects-plain",
        "an array of objects is opaque; its pickle is not looked into",
    ),
    (
        "pickle/arrays/frombuffer-of-text",
        "text of one byte each is the bytes it says",
    ),
    (
        "pickle/globals/builtins.type-",
        "a class that is asked for, never called",
    ),
    (
        "pickle/opcodes/wrong-",
        "Python's TypeError for keys that cannot be hashed; no dict is made here",
    ),
    (
        "tar/member-empty",
        "an empty member is listed and not opened",
    ),
    ("tar/symlink-inside", "a link is listed and not followed"),
    (
        "tflite/",
        "what cannot be read is listed as opaque; no size it claims is allocated",
    ),
];

/// Drops known differences from `wrong`, lines that begin with the case's name.
///
/// Gives the groups that no longer have a case.
pub fn drop_known(wrong: &mut Vec<String>, known: Known) -> Vec<&'static str> {
    let mut met = vec![false; known.len()];
    wrong.retain(|line| {
        // A bound that is broken is never known.
        let read = line.ends_with(": was read") || !line.contains(": took ");
        let group = known.iter().position(|(start, _)| line.starts_with(start));
        match group.filter(|_| read) {
            Some(index) => {
                met[index] = true;
                false
            }
            None => true,
        }
    });
    let gone = known.iter().zip(met).filter(|(_, met)| !met);
    gone.map(|((start, _), _)| *start).collect()
}
