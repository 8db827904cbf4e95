//! Tests of the tar walker, on archives put together by hand.

use std::io::Write as _;

use super::*;

fn header(name: &str, kind: u8, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    write!(&mut block[124..136], "{size:011o}").unwrap();
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    sealed(block)
}

fn sealed(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    write!(&mut block[148..155], "{sum:06o}\0").unwrap();
    block
}

fn member(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, data.len() as u64).to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn walk(bytes: &[u8]) -> Parse<Vec<(String, Sort, Vec<u8>)>> {
    let mut tar = TarStream::new(bytes);
    let mut found = Vec::new();
    while let Some(member) = tar.advance()? {
        let mut data = Vec::new();
        tar.read_to_end(&mut data)?;
        found.push((member.name, member.sort, data));
    }
    Ok(found)
}

#[test]
fn members_come_in_order_with_their_data() {
    let mut bytes = member("a/", b'5', b"");
    bytes.extend(member("a/one", b'0', &[7; 1000]));
    bytes.extend(member("a/link", b'2', b""));
    bytes.extend(member("two", 0, b"2"));
    bytes.extend([0; 2 * BLOCK]);
    let found = walk(&bytes).unwrap();
    let expected = [
        ("a/", Sort::Folder, vec![]),
        ("a/one", Sort::File, vec![7; 1000]),
        ("a/link", Sort::Link, vec![]),
        ("two", Sort::File, b"2".to_vec()),
    ];
    assert_eq!(found, expected.map(|(name, sort, data)| (name.to_string(), sort, data)));
}

#[test]
fn data_that_is_not_read_is_passed_over() {
    let mut bytes = member("one", b'0', &[7; 5000]);
    bytes.extend(member("two", b'0', b"2"));
    let mut tar = TarStream::new(bytes.as_slice());
    assert_eq!(tar.advance().unwrap().unwrap().size, 5000);
    tar.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(tar.advance().unwrap().unwrap().name, "two");
}

#[test]
fn long_names_by_gnu_and_pax_and_prefix() {
    let long = "n".repeat(300);
    let mut bytes = member("././@LongLink", b'L', format!("{long}\0").as_bytes());
    bytes.extend(member("cut", b'0', b"1"));
    let record = format!("{} path={long}\n", 300 + 10);
    bytes.extend(member("PaxHeader", b'x', record.as_bytes()));
    bytes.extend(member("cut", b'0', b"2"));
    let mut prefixed = header("name", b'0', 0);
    prefixed[345..351].copy_from_slice(b"folder");
    bytes.extend(sealed(prefixed));
    let names: Vec<_> = walk(&bytes).unwrap().into_iter().map(|found| found.0).collect();
    assert_eq!(names, [long.clone(), long, "folder/name".into()]);
}

#[test]
fn sizes_beyond_octal_are_read() {
    let mut block = header("big", b'0', 0);
    block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]);
    let block = sealed(block);
    let mut tar = TarStream::new(block.as_slice());
    assert_eq!(tar.advance().unwrap().unwrap().size, 3 << 32);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let whole = member("one", b'0', &[7; 1000]);
    for end in [1, 511, 513, 1000, 1535] {
        assert_eq!(walk(&whole[..end]).unwrap_err().kind, Kind::Corrupt, "{end}");
    }
    let mut wrong_sum = whole.clone();
    wrong_sum[0] ^= 1;
    assert_eq!(walk(&wrong_sum).unwrap_err().kind, Kind::Corrupt);
    for record in ["", "9", "x path=a\n", "99 path=a\n", "3 p\n", "9 path=a "] {
        let mut bytes = member("pax", b'x', record.as_bytes());
        bytes.extend(member("one", b'0', b""));
        assert_eq!(walk(&bytes).is_err(), !record.is_empty(), "{record:?}");
    }
    assert!(walk(&member("pax", b'x', b"10 size=-\n")).is_err());
}

#[test]
fn sizes_without_measure_are_refused_at_once() {
    let mut endless = header("././@LongLink", b'L', 0);
    endless[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]);
    assert_eq!(walk(&sealed(endless)).unwrap_err().kind, Kind::Hostile);
    let mut beyond = header("one", b'0', 0);
    beyond[124..136].fill(0xff);
    assert_eq!(walk(&sealed(beyond)).unwrap_err().kind, Kind::Hostile);
    let many: Vec<u8> = member("a", b'0', b"").repeat(MAX_MEMBERS + 1);
    assert_eq!(walk(&many).unwrap_err().kind, Kind::Hostile);
}
