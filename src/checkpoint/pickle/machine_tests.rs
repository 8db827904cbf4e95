//! Every opcode: as it should be, cut off anywhere, and without what it needs on the stack.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::super::error::Kind;
use super::super::super::source::{ReadAt, Window};
use super::super::value::Call;
use super::*;

fn read(bytes: &[u8]) -> Parse<Pickle> {
    let source: Source = Arc::new(bytes.to_vec());
    parse(&source, 0, bytes.len() as u64)
}

/// A value in words, to compare with what Python makes of the same bytes.
fn show(pickle: &Pickle, id: Id) -> String {
    let all = |ids: &[Id]| {
        let shown: Vec<String> = ids.iter().map(|&id| show(pickle, id)).collect();
        shown.join(" ")
    };
    let pairs = |pairs: &[(Id, Id)]| {
        let flat: Vec<Id> = pairs
            .iter()
            .flat_map(|&(key, value)| [key, value])
            .collect();
        all(&flat)
    };
    match pickle.value(id) {
        Value::None => "None".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Big(run) => match pickle.big(id) {
            Some(bytes) => format!("big{bytes:?}"),
            None => format!("big of {}", run.len),
        },
        Value::Float(x) => format!("{x:?}"),
        Value::Text(run) | Value::Str(run) => match pickle.text(id) {
            Some(text) => format!("{text:?}"),
            None => format!("text of {} at {}", run.len, run.offset),
        },
        Value::Bytes(run) => match pickle.bytes(id) {
            Some(bytes) => format!("b{bytes:?}"),
            None => format!("bytes of {} at {}", run.len, run.offset),
        },
        Value::List(items) => format!("[{}]", all(items)),
        Value::Tuple(items) => format!("({})", all(items)),
        Value::Set(items) => format!("<{}>", all(items)),
        Value::FrozenSet(items) => format!("<{}>", all(items)),
        Value::Dict(items) => format!("{{{}}}", pairs(items)),
        Value::Global(_) => pickle.global(id).unwrap().to_string(),
        Value::Persistent(key) => format!("persistent {}", show(pickle, *key)),
        Value::Object(object) => {
            let call = match object.call {
                Call::Reduce => "",
                Call::New => "new ",
                Call::Instance => "of ",
            };
            let mut text = format!(
                "{call}{}{}",
                show(pickle, object.callable),
                show(pickle, object.args)
            );
            if let Some(kwargs) = object.kwargs() {
                text += &format!("**{}", show(pickle, kwargs));
            }
            if let Some(state) = object.state() {
                text += &format!(" state {}", show(pickle, state));
            }
            if !object.items().is_empty() {
                text += &format!(" items {}", all(object.items()));
            }
            if !object.pairs().is_empty() {
                text += &format!(" pairs {}", pairs(object.pairs()));
            }
            text
        }
    }
}

/// Opcode, a program that uses it, and what that makes.
const VALID: &[(Op, &[u8], &str)] = &[
    (Op::Mark, b"(t.", "()"),
    (Op::Stop, b"N.", "None"),
    (Op::Pop, b"K\x01K\x020.", "1"),
    (Op::Pop, b"K\x01(0.", "1"),
    (Op::PopMark, b"K\x01(K\x02K\x031.", "1"),
    (Op::Dup, b"K\x012\x86.", "(1 1)"),
    (Op::Float, b"F-1.5\n.", "-1.5"),
    (Op::Float, b"Finf\n.", "inf"),
    (Op::Int, b"I-17\n.", "-17"),
    (Op::Int, b"I00\n.", "false"),
    (Op::Int, b"I01\n.", "true"),
    (
        Op::Int,
        b"I18446744073709551616\n.",
        "big[0, 0, 0, 0, 0, 0, 0, 0, 1]",
    ),
    (Op::BinInt, b"J\xfe\xff\xff\xff.", "-2"),
    (Op::BinInt1, b"K\xff.", "255"),
    (
        Op::Long,
        b"L-9223372036854775808L\n.",
        "-9223372036854775808",
    ),
    (Op::Long, b"L5\n.", "5"),
    (Op::BinInt2, b"M\x00\x01.", "256"),
    (Op::None, b"N.", "None"),
    (Op::PersId, b"Pkey 1\n.", "persistent \"key 1\""),
    (Op::BinPersId, b"K\x05Q.", "persistent 5"),
    (
        Op::Reduce,
        b"ccollections\nOrderedDict\n)R.",
        "collections.OrderedDict()",
    ),
    (Op::String, b"S'a\\x00\\n\\''\n.", "\"a\\0\\n'\""),
    (Op::String, b"S\"\"\n.", "\"\""),
    (Op::BinString, b"T\x02\x00\x00\x00a\xe9.", "\"a\u{e9}\""),
    (Op::ShortBinString, b"U\x01\x80.", "\"\\u{80}\""),
    (Op::Unicode, b"V\\u20ac\xe9\n.", "\"\u{20ac}\u{e9}\""),
    (
        Op::BinUnicode,
        b"X\x03\x00\x00\x00\xe2\x82\xac.",
        "\"\u{20ac}\"",
    ),
    (Op::Append, b"]K\x01a.", "[1]"),
    (Op::Build, b"cm\nC\n)\x81}b.", "new m.C() state {}"),
    (Op::Global, b"cm.n\nC\n.", "m.n.C"),
    (Op::Dict, b"(K\x01NK\x02Nd.", "{1 None 2 None}"),
    (Op::EmptyDict, b"}.", "{}"),
    (Op::Appends, b"](K\x01K\x02e.", "[1 2]"),
    (Op::Appends, b"cm\nC\n)R(K\x01e.", "m.C() items 1"),
    (Op::Get, b"]p7\n0g7\n.", "[]"),
    (Op::BinGet, b"]q\x070h\x07.", "[]"),
    (Op::Inst, b"(K\x01im\nC\n.", "of m.C(1)"),
    (
        Op::LongBinGet,
        b"]r\x07\x00\x00\x000j\x07\x00\x00\x00.",
        "[]",
    ),
    (Op::List, b"(K\x01l.", "[1]"),
    (Op::EmptyList, b"].", "[]"),
    (Op::Obj, b"(cm\nC\nK\x01o.", "of m.C(1)"),
    (Op::Put, b"Np0\n.", "None"),
    (Op::Put, b"Np18446744073709551615\n.", "None"),
    (Op::BinPut, b"Nq\xff.", "None"),
    (Op::LongBinPut, b"Nr\xff\xff\xff\xff.", "None"),
    (Op::SetItem, b"}K\x01Ns.", "{1 None}"),
    (Op::Tuple, b"(K\x01K\x02t.", "(1 2)"),
    (Op::EmptyTuple, b").", "()"),
    (Op::SetItems, b"}(K\x01NK\x02Nu.", "{1 None 2 None}"),
    (Op::SetItems, b"cm\nC\n)R(K\x01Nu.", "m.C() pairs 1 None"),
    (Op::BinFloat, b"G\x3f\xf8\x00\x00\x00\x00\x00\x00.", "1.5"),
    (Op::Proto, b"\x80\x05N.", "None"),
    (Op::NewObj, b"cm\nC\nK\x01\x85\x81.", "new m.C(1)"),
    (Op::Tuple1, b"K\x01\x85.", "(1)"),
    (Op::Tuple2, b"K\x01K\x02\x86.", "(1 2)"),
    (Op::Tuple3, b"K\x01K\x02K\x03\x87.", "(1 2 3)"),
    (Op::NewTrue, b"\x88.", "true"),
    (Op::NewFalse, b"\x89.", "false"),
    (Op::Long1, b"\x8a\x02\x00\xff.", "-256"),
    (Op::Long1, b"\x8a\x00.", "0"),
    (Op::Long4, b"\x8b\x03\x00\x00\x00\x00\x00\x01.", "65536"),
    (Op::BinBytes, b"B\x01\x00\x00\x00\xff.", "b[255]"),
    (Op::ShortBinBytes, b"C\x00.", "b[]"),
    (Op::ShortBinUnicode, b"\x8c\x01a.", "\"a\""),
    (Op::BinUnicode8, b"\x8d\x01\0\0\0\0\0\0\0a.", "\"a\""),
    (Op::BinBytes8, b"\x8e\x01\0\0\0\0\0\0\0a.", "b[97]"),
    (Op::EmptySet, b"\x8f.", "<>"),
    (Op::AddItems, b"\x8f(K\x01K\x02\x90.", "<1 2>"),
    (Op::FrozenSet, b"(K\x01\x91.", "<1>"),
    (Op::NewObjEx, b"cm\nC\n)}\x92.", "new m.C()**{}"),
    (Op::StackGlobal, b"\x8c\x01m\x8c\x03C.D\x93.", "m.C.D"),
    (Op::Memoize, b"]\x94N\x940h\x00.", "[]"),
    (Op::Frame, b"\x95\x02\0\0\0\0\0\0\0N.", "None"),
    // CPython, too, is content when the bytes a frame claims are there.
    (Op::Frame, b"\x95\x00\0\0\0\0\0\0\0N.", "None"),
    (Op::ByteArray8, b"\x96\x01\0\0\0\0\0\0\0a.", "b[97]"),
    (Op::ReadonlyBuffer, b"C\x01a\x98.", "b[97]"),
];

/// Programs without what their last opcode needs.
const UNDERFLOW: &[(Op, &[u8])] = &[
    (Op::Stop, b"."),
    (Op::Stop, b"(."),
    (Op::Stop, b"N(."),
    (Op::Pop, b"0N."),
    (Op::PopMark, b"N1."),
    (Op::Dup, b"2."),
    (Op::Dup, b"N(2."),
    (Op::BinPersId, b"Q."),
    (Op::Reduce, b")R."),
    (Op::Reduce, b"cm\nC\n()R."),
    (Op::Append, b"Na."),
    (Op::Build, b"}b."),
    (Op::Dict, b"d."),
    (Op::Dict, b"(Nd."),
    (Op::Appends, b"e."),
    (Op::Appends, b"(Ne."),
    (Op::Get, b"g0\n."),
    (Op::BinGet, b"h\x00."),
    (Op::Inst, b"im\nC\n."),
    (Op::LongBinGet, b"j\x00\x00\x00\x00."),
    (Op::List, b"l."),
    (Op::Obj, b"o."),
    (Op::Obj, b"(o."),
    (Op::Put, b"p0\n."),
    (Op::BinPut, b"q\x00."),
    (Op::LongBinPut, b"r\x00\x00\x00\x00."),
    (Op::SetItem, b"NNs."),
    (Op::SetItem, b"}(NNs."),
    (Op::Tuple, b"Nt."),
    (Op::SetItems, b"}u."),
    (Op::SetItems, b"(u."),
    (Op::SetItems, b"}(Nu."),
    (Op::NewObj, b")\x81."),
    (Op::Tuple1, b"\x85."),
    (Op::Tuple2, b"N\x86."),
    (Op::Tuple3, b"NN\x87."),
    (Op::Tuple3, b"N(NN\x87."),
    (Op::AddItems, b"\x8f\x90."),
    (Op::FrozenSet, b"\x91."),
    (Op::NewObjEx, b")}\x92."),
    (Op::StackGlobal, b"\x8c\x01m\x93."),
    (Op::Memoize, b"\x94."),
    (Op::ReadonlyBuffer, b"\x98."),
];

/// Opcodes that are refused however they come.
const REFUSED: &[(Op, &[u8], Kind)] = &[
    (Op::Ext1, b"\x82\x01.", Kind::Hostile),
    (Op::Ext2, b"\x83\x01\x00.", Kind::Hostile),
    (Op::Ext4, b"\x84\x01\x00\x00\x00.", Kind::Hostile),
    (Op::NextBuffer, b"\x97.", Kind::Unsupported),
];

/// Programs that Python refuses, or that mean something else to it than they seem.
const BAD: &[&[u8]] = &[
    b"",
    b"\xff",
    b"X",
    b"I1x\n.",
    b"I007\n.",
    b"I\n.",
    b"L12LL\n.",
    b"Fabc\n.",
    b"Sabc\n.",
    b"S'abc\"\n.",
    b"S'\n.",
    b"S'\\x4'\n.",
    b"V\\u12\n.",
    b"X\x01\x00\x00\x00\xff.",
    b"c\nC\n.",
    b"cm\n\n.",
    b"c\xff\nC\n.",
    b"NN\x93.",
    b"Np-1\n.",
    b"Npx\n.",
    b"NN\x81.",
    b"cm\nC\nN\x81.",
    b"cm\nC\n)N\x92.",
    b"N)R.",
    b"cm\nC\nNR.",
    b"K\x01K\x02a.",
    b")K\x01a.",
    b"K\x01(K\x02e.",
    b"\x8fK\x01a.",
    b"](K\x01\x90.",
    b"]K\x01K\x02s.",
    b"}}b.",
    b"K\x01\x98.",
    b"\x80\x06N.",
    b"T\xff\xff\xff\xff.",
    b"\x8b\xff\xff\xff\xff.",
    b"T\xff\xff\xff\x7f.",
    b"B\xff\xff\xff\xff.",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x96\x00\x00\x00\x00\x00\x00\x00\x80.",
    b"\x8b\xff\xff\xff\x7f.",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",
    b"\x95\x03\x00\x00\x00\x00\x00\x00\x00N.",
];

#[test]
fn every_opcode_works() {
    let mut seen = HashSet::new();
    for (op, program, expected) in VALID {
        let pickle = read(program).unwrap_or_else(|fault| panic!("{op:?}: {fault}"));
        assert_eq!(show(&pickle, pickle.root), *expected, "{op:?}");
        assert_eq!(pickle.end, program.len() as u64, "{op:?}");
        assert!(program.contains(&op.byte()), "{op:?}");
        seen.insert(op.byte());
    }
    seen.extend(REFUSED.iter().map(|(op, ..)| op.byte()));
    let missing: Vec<_> = Op::ALL
        .iter()
        .filter(|op| !seen.contains(&op.byte()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(Op::ALL.len(), 68);
}

#[test]
fn every_opcode_cut_off_is_an_error() {
    for (op, program, _) in VALID {
        for len in 0..program.len() {
            let fault = read(&program[..len]).err();
            assert_eq!(
                fault.map(|f| f.kind),
                Some(Kind::Corrupt),
                "{op:?} cut at {len}"
            );
        }
    }
}

#[test]
fn every_opcode_without_its_operands_is_an_error() {
    for (op, program) in UNDERFLOW {
        let fault = read(program)
            .err()
            .unwrap_or_else(|| panic!("{op:?} was run"));
        assert_eq!(fault.kind, Kind::Corrupt, "{op:?}");
        assert!(fault.message.starts_with(op.name()), "{op:?}: {fault}");
    }
}

#[test]
fn what_python_refuses_is_refused() {
    for program in BAD {
        assert!(
            read(program).is_err(),
            "{:?}",
            program.escape_ascii().to_string()
        );
    }
    for (op, program, kind) in REFUSED {
        let fault = read(program).err().unwrap();
        assert_eq!(fault.kind, *kind, "{op:?}");
        assert!(fault.message.starts_with(op.name()), "{fault}");
    }
}

#[test]
fn unknown_opcodes_are_named_with_their_place() {
    for byte in 0..=255_u8 {
        if Op::from_byte(byte).is_none() {
            let fault = read(&[b'N', byte, b'.']).err().unwrap();
            let expected = format!("0x{byte:02x} at byte 1");
            assert!(fault.message.contains(&expected), "{fault}");
        }
    }
}

/// By every opcode that can name one, reachable or not.
#[test]
fn names_of_attacks_are_refused_wherever_they_are() {
    let programs: &[&[u8]] = &[
        b"cos\nsystem\n0N.",
        b"cposix\nsystem\n(S'id'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x930N.",
        b"\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93.",
        b"\x8c\x06system\x8c\x02osq\x000h\x00\x8c\x06system\x93.",
        b"(S'id'\nios\nsystem\n.",
        b"(cos\nsystem\nS'id'\no.",
        b"cnt\nsystem\n)\x81.",
        b"cbuiltins\neval\n)}\x92.",
        b"c__builtin__\ngetattr\n.",
        b"}(S'a'\ncsubprocess\nPopen\nu.",
    ];
    for program in programs {
        let fault = read(program).err().unwrap();
        assert_eq!(fault.kind, Kind::Hostile, "{fault}");
        assert!(fault.message.contains("could run code"), "{fault}");
    }
    // Changing a class is an attack even when the class is harmless.
    let fault = read(b"ccollections\nOrderedDict\n}(S'a'\nNub.")
        .err()
        .unwrap();
    assert_eq!(fault.kind, Kind::Hostile);
}

#[test]
fn files_of_joblib_are_named() {
    let fault = read(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}b\xff\x00\x00")
        .err()
        .unwrap();
    assert_eq!(fault.kind, Kind::Unsupported);
    assert!(fault.message.contains("joblib"), "{fault}");
}

#[test]
fn long_bytes_and_text_stay_in_the_file() {
    let mut program = b"\x80\x04(".to_vec();
    for op in [b'B', b'X', b'T'] {
        program.push(op);
        program.extend(100_000_u32.to_le_bytes());
        program.extend(std::iter::repeat_n(b'x', 100_000));
    }
    program.extend(b"t.");
    let pickle = read(&program).unwrap();
    let expected = "(bytes of 100000 at 8 text of 100000 at 100013 text of 100000 at 200018)";
    assert_eq!(show(&pickle, pickle.root), expected);
    assert!(pickle.pool.len() < 100);
}

#[test]
fn a_pickle_inside_other_bytes() {
    let source: Source = Arc::new(b"junkK\x01.K\x02.".to_vec());
    let first = parse(&source, 4, source.len()).unwrap();
    assert_eq!((first.int(first.root), first.end), (Some(1), 7));
    let second = parse(&source, first.end, source.len()).unwrap();
    assert_eq!((second.int(second.root), second.end), (Some(2), 10));
    assert!(parse(&source, 4, 6).is_err());
    assert!(parse(&source, 8, 4).is_err());
    assert!(parse(&source, 0, 11).is_err());
    let window: Source = Arc::new(Window::new(source, 7, 3).unwrap());
    let third = parse(&window, 0, 3).unwrap();
    assert_eq!(third.int(third.root), Some(2));
}

/// A file of a few bytes repeated for ever.
struct Flood {
    begin: &'static [u8],
    repeated: &'static [u8],
}

impl ReadAt for Flood {
    fn len(&self) -> u64 {
        1 << 40
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        for (byte, at) in buffer.iter_mut().zip(offset as usize..) {
            *byte = match self.begin.get(at) {
                Some(&byte) => byte,
                None => self.repeated[(at - self.begin.len()) % self.repeated.len()],
            };
        }
        Ok(())
    }
}

/// What would fill the memory is stopped long before.
#[test]
fn floods_are_stopped() {
    let floods: &[(&str, &'static [u8], &'static [u8])] = &[
        ("marks", b"", b"("),
        ("nothing", b"", b"N"),
        ("lists", b"", b"]"),
        ("dicts in lists", b"]", b"}a"),
        ("memo", b"N", b"\x94"),
        ("the same again", b"]q\x00", b"h\x00"),
        ("a list of itself", b"]q\x00", b"h\x00h\x00a0"),
        ("nothing at all", b"", b"N0"),
        ("objects", b"cm\nC\nq\x00", b"h\x00)R"),
        ("states", b"cm\nC\n)R", b"Nb"),
        ("texts", b"", b"\x8c\x14aaaaaaaaaaaaaaaaaaaa"),
        ("tuples in tuples", b"N", b"\x85"),
    ];
    for (what, begin, repeated) in floods {
        let flood: Source = Arc::new(Flood { begin, repeated });
        let start = std::time::Instant::now();
        let fault = parse(&flood, 0, flood.len());
        let fault = fault.err().unwrap_or_else(|| panic!("{what}"));
        assert_eq!(fault.kind, Kind::Hostile, "{what}: {fault}");
        // Unoptimised builds on busy machines are slow; a flood let through takes minutes.
        assert!(start.elapsed().as_secs() < 20, "{what}");
    }
}

/// Numbers in the memo cost nothing by being large.
#[test]
fn giant_memo_numbers() {
    let program = b"]p18446744073709551615\nNr\xff\xff\xff\xff0g18446744073709551615\n.";
    let pickle = read(program).unwrap();
    assert_eq!(show(&pickle, pickle.root), "[]");
}
