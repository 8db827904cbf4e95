//! Layouts that say the same, files that say something else, and people at every edge.

use std::path::PathBuf;

use super::*;
use crate::checkpoint::open::open;
use crate::checkpoint::write::{Entry, safetensors};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/goldens")
        .join(name)
}

fn settings(precision: DType) -> Settings {
    Settings {
        precision,
        device: Device::Cpu,
        threads: 1,
    }
}

fn original(kind: &str) -> VitPose {
    let path = fixture(&format!("vitpose/a/vitpose_tiny_{kind}.pth"));
    VitPose::open(&path, settings(DType::F32)).unwrap().0
}

fn refused(path: &Path) -> String {
    let opened = VitPose::open(path, settings(DType::F32));
    opened.err().unwrap().to_string()
}

/// A tensor on its way from one file to another.
#[derive(Clone)]
struct Stored {
    name: String,
    shape: Vec<u64>,
    values: Vec<f32>,
}

impl Stored {
    /// Rows `from` to `to` under another name.
    fn rows(&self, name: String, from: usize, to: usize) -> Self {
        let row = self.values.len() / self.shape[0] as usize;
        let mut shape = self.shape.clone();
        shape[0] = (to - from) as u64;
        Self {
            name,
            shape,
            values: self.values[from * row..to * row].to_vec(),
        }
    }
}

/// The real numbers of a tiny original checkpoint.
fn tensors(kind: &str) -> Vec<Stored> {
    let file = open(fixture(&format!("vitpose/a/vitpose_tiny_{kind}.pth"))).unwrap();
    let real = file.tensors().iter().filter(|(_, t)| t.dtype.is_float());
    let stored = real.map(|(name, tensor)| Stored {
        name: name.to_string(),
        shape: tensor.shape.clone(),
        values: file.f32s(name).unwrap(),
    });
    stored.collect()
}

fn write(folder: &Path, name: &str, tensors: &[Stored]) -> PathBuf {
    let path = folder.join(name);
    let entries: Vec<Entry> = tensors
        .iter()
        .map(|t| Entry {
            name: t.name.clone(),
            dtype: DType::F32,
            shape: t.shape.clone(),
        })
        .collect();
    let mut file = std::fs::File::create(&path).unwrap();
    safetensors::write(&mut file, &entries, &[], &mut |index, sink| {
        let values = tensors[index].values.iter();
        sink(&values.flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    })
    .unwrap();
    path
}

fn replaced(name: &str, pairs: &[(&str, &str)]) -> String {
    let found = pairs.iter().find(|(from, _)| name.contains(from));
    found.map_or(name.to_owned(), |(from, to)| name.replace(from, to))
}

/// mmpose keeps no class token's position: it is added to the others.
fn in_mmpose(tensor: Stored) -> Vec<Stored> {
    if tensor.name == "backbone.pos_embed" {
        let width = tensor.shape[2] as usize;
        let (class, own) = tensor.values.split_at(width);
        let sums = own.iter().zip(class.iter().cycle()).map(|(p, c)| p + c);
        return vec![Stored {
            shape: vec![1, tensor.shape[1] - 1, width as u64],
            values: sums.collect(),
            ..tensor
        }];
    }
    let parts = [
        ("norm1", "ln1"),
        ("norm2", "ln2"),
        ("mlp.fc1", "ffn.layers.0.0"),
        ("mlp.fc2", "ffn.layers.1"),
        ("last_norm", "ln1"),
        ("patch_embed.proj", "patch_embed.projection"),
        ("keypoint_head", "head"),
    ];
    let name = replaced(&tensor.name, &parts).replace("blocks", "layers");
    vec![Stored { name, ..tensor }]
}

/// Hugging Face keeps queries, keys and values apart.
fn in_hugging_face(tensor: Stored) -> Vec<Stored> {
    let name = tensor.name.replace("blocks", "encoder.layer");
    if let Some((place, end)) = name.split_once("attn.qkv") {
        let third = tensor.shape[0] as usize / 3;
        let parts = ["query", "key", "value"].into_iter().enumerate();
        let part = |(i, part): (usize, &str)| {
            let name = format!("{place}attention.attention.{part}{end}");
            tensor.rows(name, i * third, (i + 1) * third)
        };
        return parts.map(part).collect();
    }
    let parts = [
        ("pos_embed", "embeddings.position_embeddings"),
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ("attn.proj", "attention.output.dense"),
        ("norm1", "layernorm_before"),
        ("norm2", "layernorm_after"),
        ("last_norm", "layernorm"),
        ("keypoint_head.deconv_layers.0", "head.deconv1"),
        ("keypoint_head.deconv_layers.1", "head.batchnorm1"),
        ("keypoint_head.deconv_layers.3", "head.deconv2"),
        ("keypoint_head.deconv_layers.4", "head.batchnorm2"),
        ("keypoint_head.final_layer", "head.conv"),
    ];
    vec![Stored {
        name: replaced(&name, &parts),
        ..tensor
    }]
}

/// ViTPose+: a quarter of the second layer's outputs is the data set's own; other data sets'
/// parts and heads lie beside it.
fn in_plus(tensor: Stored) -> Vec<Stored> {
    let rows = tensor.shape[0] as usize;
    if let Some((place, end)) = tensor.name.split_once("fc2") {
        let own = |i| format!("{place}experts.{i}{end}");
        let mut all = vec![
            tensor.rows(tensor.name.clone(), 0, rows - 8),
            tensor.rows(own(0), rows - 8, rows),
        ];
        all.extend((1..6).map(|i| tensor.rows(own(i), 0, 8)));
        return all;
    }
    let mut all = vec![tensor.clone()];
    if let Some(rest) = tensor.name.strip_prefix("keypoint_head") {
        all.push(tensor.rows(format!("associate_keypoint_heads.0{rest}"), 0, rows / 2));
    }
    all
}

#[test]
fn every_layout_gives_the_same_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let crops = Tensor::randn([2, 3, 256, 192], FLOAT);
    type Layout = fn(Stored) -> Vec<Stored>;
    let layouts: [(&str, Layout); 3] = [
        ("mmpose", in_mmpose),
        ("hugging face", in_hugging_face),
        ("plus", in_plus),
    ];
    for kind in ["classic", "simple"] {
        let expected = original(kind).heat_maps(&crops).unwrap();
        for (name, layout) in layouts {
            let all: Vec<Stored> = tensors(kind).into_iter().flat_map(layout).collect();
            let path = write(folder.path(), "other.safetensors", &all);
            let (model, _) = VitPose::open(&path, settings(DType::F32)).unwrap();
            assert_eq!(model.size().depth, 2);
            let found = model.heat_maps(&crops).unwrap();
            assert!(found.equal(&expected), "{name} {kind}");
        }
    }
}

#[test]
fn lower_precisions_say_nearly_the_same() {
    let crops = Tensor::randn([2, 3, 256, 192], FLOAT);
    for kind in ["classic", "simple"] {
        let exact = original(kind).heat_maps(&crops).unwrap();
        let largest = exact.abs().max().double_value(&[]);
        for (precision, near) in [(DType::BF16, 0.05), (DType::F16, 0.01)] {
            let path = fixture(&format!("vitpose/a/vitpose_tiny_{kind}.pth"));
            let (model, _) = VitPose::open(&path, settings(precision)).unwrap();
            let rough = model.heat_maps(&crops).unwrap();
            assert_eq!(rough.kind(), Kind::Float);
            let far = (&rough - &exact).abs().max().double_value(&[]);
            assert!(
                far < near * largest,
                "{kind} {precision:?}: {far} of {largest}"
            );
            let alone = model.heat_maps(&crops.narrow(0, 1, 1)).unwrap();
            assert!(alone.equal(&rough.narrow(0, 1, 1)), "{kind} {precision:?}");
        }
    }
}

#[test]
fn other_files_are_told_from_vitpose() {
    let folder = tempfile::tempdir().unwrap();
    let none = refused(&folder.path().join("none.pth"));
    assert!(none.contains("none.pth"), "{none}");
    for other in ["hmr2/a/hmr2_tiny.ckpt", "smpl/a/SMPL_NEUTRAL.pkl.gz"] {
        let text = refused(&fixture(other));
        assert!(text.contains("not a checkpoint of ViTPose"), "{text}");
    }
    let changed = |change: &dyn Fn(Stored) -> Option<Stored>| {
        let all: Vec<Stored> = tensors("classic").into_iter().filter_map(change).collect();
        refused(&write(folder.path(), "changed.safetensors", &all))
    };
    let text = changed(&|t| match t.name.contains("final_layer") {
        true => Some(t.rows(t.name.clone(), 0, 14)),
        false => Some(t),
    });
    assert!(text.contains("14 keypoints"), "{text}");
    let text = changed(&|t| match t.name.as_str() {
        "backbone.pos_embed" => Some(Stored {
            shape: vec![1, 97, 64],
            values: vec![0.0; 97 * 64],
            ..t
        }),
        _ => Some(t),
    });
    assert!(text.contains("97 positions"), "{text}");
    let text = changed(&|t| Some(t).filter(|t| t.name != "backbone.blocks.1.mlp.fc2.bias"));
    assert!(text.contains("backbone.blocks.1.mlp.fc2.bias"), "{text}");
    let path = fixture("vitpose/a/vitpose_tiny_simple.pth");
    let opened = VitPose::open_with(&path, settings(DType::F32), Some(5));
    assert!(opened.err().unwrap().to_string().contains("5 heads"));
}

#[test]
fn people_at_every_edge() {
    let model = original("classic");
    let image = Rgb8 {
        width: 160,
        height: 120,
        data: (0..160 * 120 * 3).map(|i| (i * 7 % 251) as u8).collect(),
    };
    let boxes: Vec<BBox> = [
        [20.0, 10.0, 90.0, 110.0],
        [-40.0, -30.0, 30.0, 40.0],
        [0.0, 0.0, 160.0, 120.0],
        [150.0, 100.0, 400.0, 900.0],
        [500.0, 500.0, 600.0, 700.0],
        [80.0, 60.0, 81.0, 61.0],
        [159.0, 119.0, 160.0, 120.0],
        [30.0, 20.0, 30.0, 90.0],
        [20.0, 10.0, 90.0, 110.0],
    ]
    .map(|[x1, y1, x2, y2]| BBox::new(x1, y1, x2, y2))
    .to_vec();
    let found = model.estimate(&image, &boxes).unwrap();
    assert_eq!(found.len(), boxes.len());
    for (bbox, person) in boxes.iter().zip(&found) {
        assert!(
            person.as_flattened().iter().all(|v| v.is_finite()),
            "{bbox:?}"
        );
        // A person alone is the person they are among others.
        let alone = model.estimate(&image, &[*bbox]).unwrap();
        assert_eq!(alone[0], *person, "{bbox:?}");
    }
    assert_eq!(found[0], found[8]);
    assert!(model.estimate(&image, &[]).unwrap().is_empty());
    let nothing = BBox::new(5.0, 5.0, 5.0, 5.0);
    let error = model.estimate(&image, &[boxes[0], nothing]).unwrap_err();
    assert!(
        error.to_string().contains("[5, 5, 5, 5] has no area"),
        "{error}"
    );
}

#[test]
fn the_mirror_image_swaps_sides() {
    use crate::geometry::joints::KeypointSet;

    let names = KeypointSet::Coco17.names();
    for (joint, mirrored) in MIRRORED.iter().enumerate() {
        let expected = match names[joint].split_once('_') {
            Some(("left", part)) => format!("right_{part}"),
            Some(("right", part)) => format!("left_{part}"),
            _ => names[joint].to_owned(),
        };
        assert_eq!(names[*mirrored as usize], expected);
    }
    // A network that sees the mirror image first and the image second says the mirrored thing.
    let mut model = original("classic");
    let crops = Tensor::randn([1, 3, 256, 192], FLOAT);
    let order = Tensor::from_slice(&MIRRORED);
    let mirrored = model.heat_maps(&crops.flip([3])).unwrap();
    let expected = model.heat_maps(&crops).unwrap();
    assert!(mirrored.index_select(1, &order).flip([3]).equal(&expected));
    model.procedure.shift = true;
    let shifted = model.heat_maps(&crops).unwrap();
    let column = |t: &Tensor, x: i64| t.select(3, x);
    // The first column stays where it was.
    assert!(column(&shifted, 0).equal(&column(&expected, 0)));
    assert!(!column(&shifted, 1).equal(&column(&expected, 1)));
}
