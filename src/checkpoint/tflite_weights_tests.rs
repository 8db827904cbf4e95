//! Tests of the constants of `.tflite` files: built by hand, and those of `@mediapipe/pose`.

use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::checkpoint::error::Kind;
use crate::checkpoint::tflite::TfliteFile;

/// A file under construction: offsets lead forward, so what they lead to comes later.
struct File(Vec<u8>);

/// A field of a table.
enum Field {
    Missing,
    Byte(u8),
    Int(i32),
    /// The offset of what [`File::lead`] puts there.
    Offset,
}

impl File {
    fn new() -> Self {
        Self(b"\0\0\0\0TFL3".to_vec())
    }

    fn int(&mut self, at: usize, value: usize) {
        self.0[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
    }

    fn lead(&mut self, slot: usize, to: usize) {
        self.int(slot, to - slot);
    }

    /// Writes a table; its place, and that of each field.
    fn table(&mut self, fields: &[Field]) -> (usize, Vec<usize>) {
        let vtable = self.0.len().next_multiple_of(4);
        self.0.resize(vtable, 0);
        let head = 4 + 2 * fields.len();
        let at = (vtable + head).next_multiple_of(4);
        self.0.resize(at + 4 + 4 * fields.len(), 0);
        self.0[vtable..vtable + 2].copy_from_slice(&(head as u16).to_le_bytes());
        self.int(at, at - vtable);
        let slots: Vec<usize> = (0..fields.len()).map(|i| at + 4 + 4 * i).collect();
        for (i, field) in fields.iter().enumerate() {
            let offset = match field {
                Field::Missing => 0,
                _ => 4 + 4 * i as u16,
            };
            self.0[vtable + 4 + 2 * i..][..2].copy_from_slice(&offset.to_le_bytes());
            match field {
                Field::Byte(value) => self.0[slots[i]] = *value,
                Field::Int(value) => self.int(slots[i], *value as u32 as usize),
                Field::Missing | Field::Offset => {}
            }
        }
        (at, slots)
    }

    fn vector(&mut self, count: usize, bytes: &[u8]) -> usize {
        let at = self.0.len().next_multiple_of(4);
        self.0.resize(at, 0);
        self.0.extend((count as u32).to_le_bytes());
        self.0.extend(bytes);
        at
    }

    fn ints(&mut self, values: &[i32]) -> usize {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.vector(values.len(), &bytes)
    }

    /// A vector of `count` tables; the slots for their offsets.
    fn tables(&mut self, count: usize) -> (usize, Vec<usize>) {
        let at = self.vector(count, &vec![0; 4 * count]);
        (at, (0..count).map(|i| at + 4 + 4 * i).collect())
    }
}

/// Rows kept sparse: where they begin, columns; each as uint16 or uint8.
struct Sparse {
    starts: &'static [u8],
    columns: &'static [u8],
}

struct Constant {
    name: &'static str,
    code: u8,
    shape: &'static [i32],
    data: Vec<u8>,
    sparse: Option<Sparse>,
}

fn constant(name: &'static str, code: u8, shape: &'static [i32], data: &[u8]) -> Constant {
    Constant {
        name,
        code,
        shape,
        data: data.to_vec(),
        sparse: None,
    }
}

/// A file of constants, each with a buffer of its own; buffer 0 is empty, as is the custom.
fn file(constants: &[Constant]) -> Vec<u8> {
    use Field::{Byte, Int, Missing, Offset};
    let mut file = File::new();
    let (model, slots) = file.table(&[Int(3), Missing, Offset, Missing, Offset]);
    file.int(0, model);
    let (graphs, graph_slots) = file.tables(1);
    file.lead(slots[2], graphs);
    let (graph, graph_fields) = file.table(&[Offset]);
    file.lead(graph_slots[0], graph);
    let (buffers, buffer_slots) = file.tables(constants.len() + 1);
    file.lead(slots[4], buffers);
    let (empty, _) = file.table(&[]);
    file.lead(buffer_slots[0], empty);
    let (tensors, tensor_slots) = file.tables(constants.len());
    file.lead(graph_fields[0], tensors);
    for (i, constant) in constants.iter().enumerate() {
        let sparsity = if constant.sparse.is_some() {
            Offset
        } else {
            Missing
        };
        let number = Int(i as i32 + 1);
        let fields = [
            Offset,
            Byte(constant.code),
            number,
            Offset,
            Missing,
            Missing,
            sparsity,
        ];
        let (tensor, slots) = file.table(&fields);
        file.lead(tensor_slots[i], tensor);
        let shape = file.ints(constant.shape);
        file.lead(slots[0], shape);
        let name = file.vector(constant.name.len(), constant.name.as_bytes());
        file.lead(slots[3], name);
        if let Some(sparse) = &constant.sparse {
            let at = sparsity_table(&mut file, constant.shape, sparse);
            file.lead(slots[6], at);
        }
        let (buffer, slots) = file.table(&[Offset]);
        file.lead(buffer_slots[i + 1], buffer);
        let data = file.vector(constant.data.len(), &constant.data);
        file.lead(slots[0], data);
    }
    file.0
}

fn sparsity_table(file: &mut File, shape: &[i32], sparse: &Sparse) -> usize {
    use Field::{Byte, Int, Missing, Offset};
    let (at, slots) = file.table(&[Offset, Missing, Offset]);
    let order: Vec<i32> = (0..shape.len() as i32).collect();
    let order = file.ints(&order);
    file.lead(slots[0], order);
    let (dims, dim_slots) = file.tables(shape.len());
    file.lead(slots[2], dims);
    for (size, slot) in shape[..shape.len() - 1].iter().zip(&dim_slots) {
        let (dim, _) = file.table(&[Byte(0), Int(*size)]);
        file.lead(*slot, dim);
    }
    let fields = [Byte(1), Missing, Byte(3), Offset, Byte(3), Offset];
    let (dim, slots) = file.table(&fields);
    file.lead(*dim_slots.last().unwrap(), dim);
    for (slot, bytes) in [(slots[3], sparse.starts), (slots[5], sparse.columns)] {
        let (table, inner) = file.table(&[Offset]);
        file.lead(slot, table);
        let vector = file.vector(bytes.len(), bytes);
        file.lead(inner[0], vector);
    }
    at
}

fn parse(bytes: Vec<u8>) -> Parse<Contents> {
    let source: Source = Arc::new(bytes);
    read(&source)
}

fn examples() -> Vec<Constant> {
    let mut sparse = constant("sparse", 9, &[2, 3], &[5, 6, 7]);
    sparse.sparse = Some(Sparse {
        starts: &[0, 2, 3],
        columns: &[0, 2, 1],
    });
    vec![
        constant("conv/kernel", 0, &[2], &[0, 0, 128, 63, 0, 0, 0, 64]),
        constant("half", 1, &[1, 2], &[0, 60, 0, 64]),
        constant("quantised", 9, &[3], &[1, 2, 255]),
        constant("scalar", 4, &[], &[9, 0, 0, 0, 0, 0, 0, 0]),
        constant("computed", 0, &[5], &[]),
        constant("text", 5, &[1], b"words"),
        constant("half", 1, &[1], &[0, 60]),
        sparse,
    ]
}

#[test]
fn constants_of_every_kind_are_tensors() {
    let contents = parse(file(&examples())).unwrap();
    let found: Vec<_> = contents
        .tensors
        .iter()
        .map(|(name, t)| (name.as_str(), t.dtype, t.shape.clone(), t.read().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "conv/kernel",
                DType::F32,
                vec![2],
                vec![0, 0, 128, 63, 0, 0, 0, 64]
            ),
            ("half", DType::F16, vec![1, 2], vec![0, 60, 0, 64]),
            ("quantised", DType::I8, vec![3], vec![1, 2, 255]),
            ("scalar", DType::I64, vec![], vec![9, 0, 0, 0, 0, 0, 0, 0]),
            ("half#2", DType::F16, vec![1], vec![0, 60]),
            ("sparse", DType::I8, vec![2, 3], vec![5, 0, 6, 0, 7, 0]),
        ]
    );
    assert_eq!(contents.opaque[0].class, "TensorFlow Lite strings");
    assert!(contents.tensors["conv/kernel"].extent().is_some());
}

#[test]
fn the_product_s_own_files_are_read_as_the_engine_reads_them() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("node_modules/@mediapipe/pose");
    for name in ["pose_landmark_lite.tflite", "pose_landmark_full.tflite"] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let contents = parse(bytes.clone()).unwrap();
        let file = TfliteFile::parse(&bytes).unwrap();
        let mut compared = 0;
        for (at, info) in file.tensors.iter().enumerate() {
            let Some(tensor) = contents.tensors.get(&info.name) else {
                assert!(!file.is_constant(at), "{} is missing", info.name);
                continue;
            };
            let bytes = tensor.read().unwrap();
            let values: Vec<f32> = match tensor.dtype {
                DType::F16 => bytes
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
                    .collect(),
                DType::F32 => bytes
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect(),
                _ => continue,
            };
            assert_eq!(
                file.constant_f32(at).unwrap().unwrap(),
                values,
                "{}",
                info.name
            );
            compared += 1;
        }
        assert!(compared > 100, "{compared} of {}", contents.tensors.len());
    }
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let refused = |constant: Constant| parse(file(&[constant])).err().unwrap();
    let short = refused(constant("w", 0, &[3], &[0; 8]));
    assert!(
        short.message.contains("takes 12 bytes, the file holds 8"),
        "{short}"
    );
    let huge = refused(constant("w", 0, &[i32::MAX, i32::MAX, i32::MAX], &[0; 8]));
    assert_eq!(huge.kind, Kind::Hostile, "{huge}");
    assert_eq!(
        refused(constant("w", 0, &[-1], &[0; 4])).kind,
        Kind::Corrupt
    );
    // A sparse tensor that claims to be large, and one whose columns are not there.
    let sparse = |shape, starts, columns| {
        let mut constant = constant("w", 9, shape, &[1, 2]);
        constant.sparse = Some(Sparse { starts, columns });
        parse(file(&[constant]))
    };
    let bomb = sparse(&[1, 1 << 30], &[0, 2], &[0, 1]).err().unwrap();
    assert_eq!(bomb.kind, Kind::Hostile, "{bomb}");
    assert!(sparse(&[2, 3], &[0, 2], &[0, 1]).is_err());
    for (starts, columns) in [
        (&[0, 1, 9], &[0, 1]),
        (&[2, 1, 2], &[0, 1]),
        (&[0, 1, 2], &[0, 3]),
    ] {
        let contents = sparse(&[2, 3], starts, columns).unwrap();
        assert!(contents.tensors["w"].read().is_err(), "{starts:?}");
    }
}

/// A file whose `count` tensors are all one table, with a name of `name` bytes.
fn shared(count: usize, name: usize) -> Vec<u8> {
    use Field::{Byte, Int, Missing, Offset};
    let mut file = File::new();
    let (model, slots) = file.table(&[Int(3), Missing, Offset, Missing, Offset]);
    file.int(0, model);
    let (graphs, graph_slots) = file.tables(1);
    file.lead(slots[2], graphs);
    let (graph, graph_fields) = file.table(&[Offset]);
    file.lead(graph_slots[0], graph);
    let (tensors, tensor_slots) = file.tables(count);
    file.lead(graph_fields[0], tensors);
    let (tensor, fields) = file.table(&[Missing, Byte(9), Int(0), Offset]);
    for slot in tensor_slots {
        file.lead(slot, tensor);
    }
    let name = file.vector(name, &vec![b'w'; name]);
    file.lead(fields[3], name);
    let (buffers, buffer_slots) = file.tables(1);
    file.lead(slots[4], buffers);
    let (buffer, fields) = file.table(&[Offset]);
    file.lead(buffer_slots[0], buffer);
    let data = file.vector(1, &[5]);
    file.lead(fields[0], data);
    file.0
}

#[test]
fn tensors_that_share_a_table_cost_little() {
    let start = Instant::now();
    let contents = parse(shared(100_000, 1)).unwrap();
    assert_eq!(contents.tensors.len(), 100_000);
    assert!(contents.tensors.contains_key("w#100000"));
    for (count, name) in [(100_000, 1 << 20), (1 << 20, 1), (100_000, 4000)] {
        assert_eq!(
            parse(shared(count, name)).err().unwrap().kind,
            Kind::Hostile
        );
    }
    assert!(start.elapsed().as_secs_f64() < 2.0, "{:?}", start.elapsed());
}

#[test]
fn mutants_are_survived() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let good = file(&examples());
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut file = good.clone();
        for _ in 0..=random(3) {
            let at = random(file.len());
            file[at] = [0, 0xff, 1, random(256) as u8][random(4)];
        }
        file.truncate(good.len() - random(2) * random(good.len()));
        match parse(file) {
            Ok(contents) => {
                read += 1;
                for tensor in contents.tensors.values().filter(|t| t.check().is_ok()) {
                    let _ = tensor.stream(&mut |_| Ok(()));
                }
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        read > 1000 && refused > 1000,
        "{read} read, {refused} refused"
    );
}

#[test]
fn the_signature_is_known() {
    assert!(looks_like(&file(&[])) && !looks_like(b"TFL3"));
    assert_eq!(
        parse(b"12345678".to_vec()).err().unwrap().kind,
        Kind::Corrupt
    );
}
