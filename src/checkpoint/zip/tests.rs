//! Archives as Python and PyTorch write them, and as attackers do.

use std::sync::Arc;

use super::*;

/// One member as it is written; each field can lie.
#[derive(Clone)]
struct Lie {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    data: Vec<u8>,
    flags: u16,
    local_flags: Option<u16>,
    method: u16,
    crc: Option<u32>,
    local_crc: Option<u32>,
    stored: Option<u32>,
    len: Option<u32>,
    local_len: Option<u32>,
    header: Option<u32>,
    extra: Vec<u8>,
    local_extra: Vec<u8>,
    attributes: u32,
    descriptor: Vec<u8>,
    gap: Vec<u8>,
}

fn member(name: &str, data: &[u8]) -> Lie {
    Lie {
        name: name.into(),
        local_name: None,
        data: data.into(),
        flags: 0,
        local_flags: None,
        method: 0,
        crc: None,
        local_crc: None,
        stored: None,
        len: None,
        local_len: None,
        header: None,
        extra: vec![],
        local_extra: vec![],
        attributes: 0,
        descriptor: vec![],
        gap: vec![],
    }
}

/// What the end record says, and what stands around it.
#[derive(Default)]
struct End {
    entries: Option<u16>,
    size: Option<u32>,
    offset: Option<u32>,
    comment: Vec<u8>,
    comment_len: Option<u16>,
    /// Bytes between the directory and the end record.
    before: Vec<u8>,
}

fn words(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

fn halves(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

fn archive(members: &[Lie], end: End) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for m in members {
        let header = out.len() as u32;
        let crc = m.crc.unwrap_or(crc32fast::hash(&m.data));
        let stored = m.stored.unwrap_or(m.data.len() as u32);
        let len = m.len.unwrap_or(m.data.len() as u32);
        let local_name = m.local_name.as_ref().unwrap_or(&m.name);
        out.extend(b"PK\x03\x04");
        halves(
            &mut out,
            &[20, m.local_flags.unwrap_or(m.flags), m.method, 0, 0],
        );
        words(
            &mut out,
            &[
                m.local_crc.unwrap_or(crc),
                stored,
                m.local_len.unwrap_or(len),
            ],
        );
        halves(
            &mut out,
            &[local_name.len() as u16, m.local_extra.len() as u16],
        );
        out.extend(local_name);
        out.extend(&m.local_extra);
        out.extend(&m.data);
        out.extend(&m.descriptor);
        out.extend(&m.gap);
        directory.extend(b"PK\x01\x02");
        halves(&mut directory, &[20, 20, m.flags, m.method, 0, 0]);
        words(&mut directory, &[crc, stored, len]);
        halves(
            &mut directory,
            &[m.name.len() as u16, m.extra.len() as u16, 0, 0, 0],
        );
        words(&mut directory, &[m.attributes, m.header.unwrap_or(header)]);
        directory.extend(&m.name);
        directory.extend(&m.extra);
    }
    let offset = out.len() as u32;
    out.extend(&directory);
    out.extend(&end.before);
    out.extend(b"PK\x05\x06\0\0\0\0");
    let entries = end.entries.unwrap_or(members.len() as u16);
    halves(&mut out, &[entries, entries]);
    words(
        &mut out,
        &[
            end.size.unwrap_or(directory.len() as u32),
            end.offset.unwrap_or(offset),
        ],
    );
    halves(
        &mut out,
        &[end.comment_len.unwrap_or(end.comment.len() as u16)],
    );
    out.extend(&end.comment);
    out
}

fn open(bytes: Vec<u8>) -> Parse<Archive> {
    let source: Source = Arc::new(bytes);
    Archive::open(&source)
}

fn read(archive: &Archive, name: &str) -> Parse<Vec<u8>> {
    archive.blob(name).unwrap()?.read(1 << 20)
}

fn deflated(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn members_are_read_in_order() {
    let packed = deflated(b"hello hello hello");
    let members = [
        member("b.npy", b"stored"),
        member("folder/", b""),
        Lie {
            method: 8,
            crc: Some(crc32fast::hash(b"hello hello hello")),
            len: Some(17),
            ..member("folder/a", &packed)
        },
        Lie {
            flags: 1 << 11,
            ..member("δ", b"")
        },
    ];
    let comment = b"a comment".to_vec();
    let end = End {
        comment,
        ..End::default()
    };
    let found = open(archive(&members, end)).unwrap();
    assert_eq!(
        found.names().collect::<Vec<_>>(),
        ["b.npy", "folder/a", "δ"]
    );
    assert_eq!(read(&found, "b.npy").unwrap(), b"stored");
    assert_eq!(read(&found, "folder/a").unwrap(), b"hello hello hello");
    assert_eq!(read(&found, "δ").unwrap(), b"");
    assert!(found.blob("missing").is_none() && !found.contains("folder/"));
    assert_eq!(
        open(archive(&[], End::default())).unwrap().names().count(),
        0
    );
}

#[test]
fn descriptors_of_every_form_are_checked() {
    let crc = crc32fast::hash(b"data");
    for (signed, wide) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut descriptor = if signed {
            b"PK\x07\x08".to_vec()
        } else {
            vec![]
        };
        words(&mut descriptor, &[crc, 4]);
        if wide {
            words(&mut descriptor, &[0, 4, 0]);
        } else {
            words(&mut descriptor, &[4]);
        }
        let good = Lie {
            flags: 8,
            local_crc: Some(0),
            local_len: Some(0),
            descriptor: descriptor.clone(),
            ..member("a", b"data")
        };
        let found = open(archive(&[good.clone(), member("b", b"2")], End::default())).unwrap();
        assert_eq!(read(&found, "a").unwrap(), b"data", "{signed} {wide}");
        for at in 0..descriptor.len() {
            let mut bad = good.clone();
            bad.descriptor[at] ^= 1;
            assert!(
                open(archive(&[bad], End::default())).is_err(),
                "{signed} {wide} {at}"
            );
        }
    }
    let missing = Lie {
        flags: 8,
        ..member("a", b"data")
    };
    assert!(open(archive(&[missing], End::default())).is_err());
}

#[test]
fn lies_of_members_are_refused() {
    let bomb = deflated(&vec![0; 20 << 20]);
    let unicode_path = [b"\x75\x70\x06\0\x01\0\0\0\0".as_slice(), b"x"].concat();
    let a = || member("a", b"data");
    let cases: [(&str, Lie); 24] = [
        ("encrypted", Lie { flags: 1, ..a() }),
        (
            "strongly encrypted",
            Lie {
                flags: 1 | 1 << 6,
                ..a()
            },
        ),
        (
            "masked headers",
            Lie {
                flags: 1 << 13,
                ..a()
            },
        ),
        (
            "encrypted in the local header only",
            Lie {
                local_flags: Some(1),
                ..a()
            },
        ),
        (
            "patched",
            Lie {
                flags: 1 << 5,
                ..a()
            },
        ),
        ("bzip2", Lie { method: 12, ..a() }),
        (
            "other local name",
            Lie {
                local_name: Some(b"b".into()),
                ..a()
            },
        ),
        (
            "longer local name",
            Lie {
                local_name: Some(b"ab".into()),
                ..a()
            },
        ),
        (
            "other local checksum",
            Lie {
                local_crc: Some(1),
                ..a()
            },
        ),
        (
            "other local size",
            Lie {
                local_len: Some(3),
                ..a()
            },
        ),
        (
            "zero local size",
            Lie {
                local_len: Some(0),
                ..a()
            },
        ),
        (
            "stored in fewer bytes",
            Lie {
                len: Some(5),
                ..a()
            },
        ),
        (
            "beyond the file",
            Lie {
                stored: Some(1 << 20),
                len: Some(1 << 20),
                ..a()
            },
        ),
        (
            "into the directory",
            Lie {
                stored: Some(5),
                len: Some(5),
                ..a()
            },
        ),
        (
            "before its data ends",
            Lie {
                stored: Some(3),
                len: Some(3),
                ..a()
            },
        ),
        (
            "header elsewhere",
            Lie {
                header: Some(1),
                ..a()
            },
        ),
        (
            "header past the end",
            Lie {
                header: Some(u32::MAX - 1),
                ..a()
            },
        ),
        (
            "64-bit sizes missing",
            Lie {
                stored: Some(u32::MAX),
                len: Some(u32::MAX),
                ..a()
            },
        ),
        (
            "symbolic link",
            Lie {
                attributes: 0xa1ff << 16,
                ..a()
            },
        ),
        (
            "device",
            Lie {
                attributes: 0x2000 << 16,
                ..a()
            },
        ),
        (
            "second name",
            Lie {
                extra: unicode_path,
                ..a()
            },
        ),
        (
            "extra field cut off",
            Lie {
                extra: b"\x01\0\x09\0\0".into(),
                ..a()
            },
        ),
        (
            "hidden bytes behind",
            Lie {
                gap: b"hidden".into(),
                ..a()
            },
        ),
        (
            "bomb",
            Lie {
                method: 8,
                len: Some(20 << 20),
                ..member("a", &bomb)
            },
        ),
    ];
    for (what, lie) in cases {
        for members in [vec![lie.clone()], vec![lie, member("b", b"2")]] {
            assert!(open(archive(&members, End::default())).is_err(), "{what}");
        }
    }
    let folder = open(archive(&[member("a/", b"data")], End::default()));
    assert!(folder.is_err());
}

#[test]
fn members_that_share_bytes_or_names_are_refused() {
    let twice = [member("a", b"1"), member("a", b"2")];
    assert!(open(archive(&twice, End::default())).is_err());
    // Both entries point to the first local header.
    let same = [
        member("a", b"1"),
        Lie {
            header: Some(0),
            ..member("a", b"1")
        },
    ];
    assert!(open(archive(&same, End::default())).is_err());
    // The second member lies inside the first one's data.
    let inner = archive(&[member("b", b"x")], End::default());
    let outer = [
        member("a", &inner),
        Lie {
            header: Some(31),
            ..member("b", b"x")
        },
    ];
    assert!(open(archive(&outer, End::default())).is_err());
}

#[test]
fn checksums_are_compared_when_read() {
    let damaged = Lie {
        crc: Some(1),
        ..member("a", b"data")
    };
    let found = open(archive(&[damaged], End::default())).unwrap();
    let message = read(&found, "a").err().unwrap().message;
    assert!(message.contains("checksum"), "{message}");
    assert!(!found.has_no_checksums());
}

#[test]
fn lies_of_the_end_are_refused() {
    let members = [member("a", b"data"), member("b", b"2")];
    let inner_end = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    let cases = [
        (
            "fewer entries",
            End {
                entries: Some(1),
                ..End::default()
            },
        ),
        (
            "more entries",
            End {
                entries: Some(3),
                ..End::default()
            },
        ),
        (
            "no entries",
            End {
                entries: Some(0),
                ..End::default()
            },
        ),
        (
            "directory too small",
            End {
                size: Some(46),
                ..End::default()
            },
        ),
        (
            "directory elsewhere",
            End {
                offset: Some(0),
                ..End::default()
            },
        ),
        (
            "directory past the end",
            End {
                offset: Some(u32::MAX - 1),
                ..End::default()
            },
        ),
        (
            "comment too long",
            End {
                comment_len: Some(1),
                ..End::default()
            },
        ),
        (
            "comment too short",
            End {
                comment: b"xx".into(),
                comment_len: Some(1),
                ..End::default()
            },
        ),
        (
            "an end inside the comment",
            End {
                comment: inner_end,
                ..End::default()
            },
        ),
        (
            "bytes before the end",
            End {
                before: b"xx".into(),
                ..End::default()
            },
        ),
    ];
    for (what, end) in cases {
        assert!(open(archive(&members, end)).is_err(), "{what}");
    }
    let good = archive(&members, End::default());
    for (what, bytes) in [
        ("before", [b"x".as_slice(), &good].concat()),
        ("behind", [good.as_slice(), b"x"].concat()),
        ("empty", vec![]),
        (
            "nothing but an end's beginning",
            good[good.len() - 22..good.len() - 1].to_vec(),
        ),
    ] {
        assert!(open(bytes).is_err(), "{what}");
    }
    // Adjusted offsets make room for other data in front.
    let shifted = Lie {
        header: Some(4),
        ..member("a", b"data")
    };
    let end = End {
        offset: Some(39),
        ..End::default()
    };
    let mut moved = archive(&[shifted], end);
    moved.splice(0..0, *b"1234");
    let message = open(moved).err().unwrap().message;
    assert!(message.contains("4 bytes before it"), "{message}");
}

/// The 64-bit end record with the given fields, and its locator.
fn wide(entries: u64, size: u64, offset: u64, at: u64) -> Vec<u8> {
    let mut out = b"PK\x06\x06".to_vec();
    out.extend(44_u64.to_le_bytes());
    halves(&mut out, &[45, 45]);
    words(&mut out, &[0, 0]);
    for field in [entries, entries, size, offset] {
        out.extend(field.to_le_bytes());
    }
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend(at.to_le_bytes());
    words(&mut out, &[1]);
    out
}

#[test]
fn the_64_bit_end_is_read_and_its_lies_are_refused() {
    let members = [member("a", b"data")];
    let directory = 31 + 4;
    let size = 47;
    let at = directory + size;
    let with = |before: Vec<u8>, entries, size, offset| {
        let end = End {
            entries,
            size,
            offset,
            before,
            ..End::default()
        };
        open(archive(&members, end))
    };
    let ones = (Some(u16::MAX), Some(u32::MAX), Some(u32::MAX));
    let good = wide(1, size, directory, at);
    assert!(with(good.clone(), ones.0, ones.1, ones.2).is_ok());
    assert!(with(good.clone(), None, None, None).is_ok());
    assert!(
        with(good.clone(), Some(2), None, None).is_err(),
        "entries differ"
    );
    assert!(
        with(good.clone(), None, Some(46), None).is_err(),
        "sizes differ"
    );
    assert!(
        with(good.clone(), None, None, Some(0)).is_err(),
        "offsets differ"
    );
    let lies = [
        wide(2, size, directory, at),
        wide(u64::MAX, size, directory, at),
        wide(1, u64::MAX, directory, at),
        wide(1, size, u64::MAX, at),
        wide(1, size - 1, directory, at),
        wide(1, size, directory, at + 1),
        wide(1, size, directory, u64::MAX),
        wide(1, size, directory, 0),
    ];
    for (nth, lie) in lies.into_iter().enumerate() {
        assert!(with(lie, ones.0, ones.1, ones.2).is_err(), "lie {nth}");
    }
    let mut longer = good;
    longer[4] = 45;
    assert!(with(longer, ones.0, ones.1, ones.2).is_err());
}

#[test]
fn too_many_members_are_refused_before_they_are_read() {
    let mut bytes = vec![0; 17 << 20];
    let end = wide(1 << 18, 17 << 20, 0, 17 << 20);
    bytes.extend(end);
    bytes.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    let message = open(bytes).err().unwrap().message;
    assert!(message.contains("at most"), "{message}");
}
