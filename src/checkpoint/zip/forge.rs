//! Writes archives that lie, for the tests.

/// One member as it is written; each field can lie.
#[derive(Clone)]
pub struct Lie {
    pub name: Vec<u8>,
    pub local_name: Option<Vec<u8>>,
    pub data: Vec<u8>,
    pub flags: u16,
    pub local_flags: Option<u16>,
    pub method: u16,
    pub crc: Option<u32>,
    pub local_crc: Option<u32>,
    pub stored: Option<u32>,
    pub len: Option<u32>,
    pub local_len: Option<u32>,
    pub header: Option<u32>,
    pub extra: Vec<u8>,
    pub local_extra: Vec<u8>,
    pub attributes: u32,
    pub descriptor: Vec<u8>,
    pub gap: Vec<u8>,
}

pub fn member(name: &str, data: &[u8]) -> Lie {
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
pub struct End {
    pub entries: Option<u16>,
    pub size: Option<u32>,
    pub offset: Option<u32>,
    pub comment: Vec<u8>,
    pub comment_len: Option<u16>,
    /// Bytes between the directory and the end record.
    pub before: Vec<u8>,
}

pub fn words(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

pub fn halves(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

pub fn archive(members: &[Lie], end: End) -> Vec<u8> {
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
