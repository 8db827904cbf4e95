"""Good .npy, .npz, .safetensors, .tflite and YAML files, and archives of good files."""

import gzip
import io
import json
import struct
import zipfile

import numpy as np
import safetensors
import safetensors.torch
import torch
import yaml

import flatbuffer
from common import Truth, array, payload, tar, tensor
from good_torch import DTYPES, save, short

CODES = ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16"]


def npy(value, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, value, version=version, allow_pickle=False)
    return buffer.getvalue()


def npy_with_header(header, value, version=(1, 0), align=64):
    """An array under a header written by hand."""
    width = 2 if version == (1, 0) else 4
    text = header.encode("latin1" if version < (3, 0) else "utf8")
    room = -(6 + 2 + width + len(text) + 1) % align
    text += b" " * room + b"\n"
    prefix = b"\x93NUMPY" + bytes(version) + len(text).to_bytes(width, "little")
    return prefix + text + value.tobytes()


def npy_cases(corpus):
    def add(name, data):
        truth = Truth(np.load(io.BytesIO(data), allow_pickle=False))
        corpus.good(f"npy/{name}.npy", "npy", data, truth=truth)

    for code in CODES:
        plain = code[1:]
        for version in ((1, 0), (2, 0), (3, 0)):
            add(f"{plain}-v{version[0]}", npy(array(code, (3, 4), version), version))
        add(f"{plain}-fortran", npy(np.asfortranarray(array(code, (2, 3, 4), "F"))))
        if code[0] == "<":
            add(f"{plain}-big-endian", npy(array(">" + plain, (5, 2), "B")))
            add(f"{plain}-big-endian-fortran", npy(np.asfortranarray(array(">" + plain, (5, 2), "G"))))
    for shape in ((), (0,), (1,), (3, 0, 2), (1, 1, 1, 1, 1, 1), (2,) * 9):
        add("shape-" + ("x".join(map(str, shape)) or "scalar"), npy(array("<f4", shape, "s")))
    add("view-column", npy(array("<f4", (4, 5), "v")[:, 2]))
    value = array("<f4", (3, 4), "h")
    headers = {
        "python2-longs": "{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 4L), }",
        "no-spaces": "{'descr':'<f4','fortran_order':False,'shape':(3,4)}",
        "other-order": "{'shape': (3, 4), 'fortran_order': False, 'descr': '<f4'}",
        "double-quotes": '{"descr": "<f4", "fortran_order": False, "shape": (3, 4)}',
        "many-spaces": "{ 'descr' :  '<f4' , 'fortran_order' : False , 'shape' : ( 3 , 4 , ) , }",
        "equal-sign": "{'descr': '=f4', 'fortran_order': False, 'shape': (3, 4), }",
        "word": "{'descr': 'float32', 'fortran_order': False, 'shape': (3, 4), }",
    }
    for name, header in headers.items():
        add(f"header-{name}", npy_with_header(header, value))
        add(f"header-{name}-v2", npy_with_header(header, value, (2, 0), 16))
    add("header-unaligned", npy_with_header(headers["no-spaces"], value, align=1))


def npz_cases(corpus):
    def add(name, data, names=None):
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            truth = Truth({key: held[key] for key in (names or held.files)})
        corpus.good(f"npz/{name}.npz", "npz", data, truth=truth, root="")

    def made(write, **arrays):
        buffer = io.BytesIO()
        write(buffer, **arrays)
        return buffer.getvalue()

    ways = {"stored": np.savez, "deflated": np.savez_compressed}
    for way, write in ways.items():
        for code in CODES:
            arrays = {"w": array(code, (3, 4), 1), "b": array(code, (2,), 2), "s": array(code, (), 3)}
            add(f"{way}-{code[1:]}", made(write, **arrays, fortran=np.asfortranarray(arrays["w"])))
        mean = {"pose": array("<f4", (144,), 1), "shape": array("<f4", (10,), 1), "cam": array("<f4", (3,), 1)}
        add(f"{way}-smpl_mean_params", made(write, **mean))
        add(f"{way}-zeros", made(write, z=np.zeros((70, 90), "<f8"), o=np.ones((3, 3), ">f4")))
        add(f"{way}-many", made(write, **{f"layer{i}.w": array("<f4", (i % 4,), i) for i in range(120)}))
        add(f"{way}-odd-names", made(write, **{"a b": array("<f4", (1,), 1), "ü☃": array("<f4", (2,), 1), "x.npy": array("<f4", (1,), 2), "n" * 200: array("<f4", (1,), 3)}))
        buffer = io.BytesIO()
        write(buffer, array("<f4", (2,), 1), array("<f4", (3,), 2))
        add(f"{way}-unnamed", buffer.getvalue())
        strings = made(write, w=array("<f4", (2,), 1), names=np.array(["a", "bc"]), raw=np.array([b"x"]))
        add(f"{way}-strings-beside", strings, names=["w"])
    inner = npy(array("<f4", (3, 3), "z"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:  # other tools: folders, other files beside
        out.writestr(zipfile.ZipInfo("folder/w.npy"), inner)
        out.writestr(zipfile.ZipInfo("bare.npy"), inner)
    add("folders", buffer.getvalue())
    for level in (1, 6, 9):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as out:
            out.writestr(zipfile.ZipInfo("w.npy"), npy(array("<f4", (40, 25), "z")), zipfile.ZIP_DEFLATED)
        add(f"level-{level}", buffer.getvalue())


def safetensors_file(header, data, pad=0):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    text += b" " * pad
    return struct.pack("<Q", len(text)) + text + data


def safetensors_cases(corpus):
    def add(name, data):
        loaded = safetensors.torch.load(data)
        corpus.good(f"safetensors/{name}.safetensors", "safetensors", data, loaded, root="", ordered=False)

    known = [d for d in DTYPES if d not in (torch.complex128,)]
    for dtype in known:
        value = {"w": tensor(dtype, (3, 4), 1), "s": tensor(dtype, (), 1), "none": tensor(dtype, (0, 2), 1), "z.bias": tensor(dtype, (5,), 1)}
        add(f"dtype-{short(dtype)}", safetensors.torch.save(value))
        add(f"metadata-{short(dtype)}", safetensors.torch.save(value, {"format": "pt", "note": "é\n\"quoted\""}))
    mixed = {short(d): tensor(d, (2, 3), 2) for d in known}
    add("mixed", safetensors.torch.save(mixed))
    add("many", safetensors.torch.save({f"b{i}.w": tensor(torch.float16, (i % 5,), i) for i in range(900)}))
    add("odd-names", safetensors.torch.save({n: tensor(torch.float32, (i + 1,), i) for i, n in enumerate(["a b", "ü☃", "😀", "q\"\\/", "tab\t", "x" * 300, " "])}))
    add("no-tensors-but-empty", safetensors.torch.save({"e": tensor(torch.float32, (0,), 1)}))
    raw = payload(40, "raw")
    a = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    b = {"dtype": "I16", "shape": [8], "data_offsets": [24, 40]}
    hand = {
        "metadata-first": {"__metadata__": {"a": "b"}, "x": a, "y": b},
        "metadata-last": {"x": a, "y": b, "__metadata__": {}},
        "offset-order-differs": {"y": b, "x": a},
        "keys-in-other-order": {"x": {"data_offsets": [0, 24], "shape": [2, 3], "dtype": "F32"}, "y": b},
    }
    for name, header in hand.items():
        for pad in (0, 1, 7, 200):
            add(f"hand-{name}-pad{pad}", safetensors_file(header, raw, pad))
    spaced = b'{ "x" : {"dtype":"F32", "shape" : [ 2 , 3 ],\n"data_offsets":[0,24]} ,\t"y":{"dtype":"I16","shape":[8],"data_offsets":[24,40]}}'
    add("hand-whitespace", safetensors_file(spaced, raw))
    escaped = b'{"\\u0078\\u00e9\\ud83d\\ude00":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"y":{"dtype":"I16","shape":[8],"data_offsets":[24,40]}}'
    add("hand-escapes", safetensors_file(escaped, raw))


def tflite_cases(corpus):
    codes = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "complex64": 8, "int8": 9, "float64": 10, "complex128": 11, "uint64": 12, "uint32": 15, "uint16": 16}

    def add(name, tensors, **options):
        data = flatbuffer.tflite([(n, codes[a.dtype.name], a.shape, a.tobytes()) for n, a in tensors.items()], **options)
        corpus.good(f"tflite/{name}.tflite", "tflite", data, tensors, ordered=False)

    for code in CODES:
        dtype = np.dtype(code).name
        add(f"dtype-{dtype}", {"w": array(code, (2, 3), 1), "b/c": array(code, (4,), 2)})
    add("many", {f"t{i}": array("<f4", (i % 3 + 1,), i) for i in range(100)})
    add("scalar", {"s": array("<f4", (), 1), "x": array("<f4", (1, 1, 1, 1), 1)})
    add("activations", {"w": array("<f4", (2, 2), 1)}, activations=["input", "output"])
    add("names", {"model/conv;bias": array("<f4", (2,), 1), "ü": array("<i4", (2,), 1)})


def yaml_cases(corpus):
    texts = {
        "config": "MODEL:\n  BACKBONE:\n    TYPE: vit\n    DROP_PATH_RATE: 0.55\n  IMAGE_SIZE: 256\n  IMAGE_MEAN:\n  - 0.485\n  - 0.456\n  - 0.406\nTRAIN:\n  LR: 1.0e-05\n  FREEZE: true\n  NOTHING: null\n",
        "flow": "{a: [1, 2, 3], b: {c: d, e: 'f'}, g: \"h\\n\\u00e9\"}\n",
        "anchors": "base: &base {lr: 0.1, steps: [1, 2]}\nuse: *base\nagain: *base\n",
        "merge": "base: &b\n  lr: 0.1\n  wd: 0.2\nnet:\n  <<: *b\n  lr: 0.5\n",
        "scalars": "int: 12\nneg: -7\nfloat: 3.25\nexp: 6.02e+23\nhex: 0x1F\nnull1: ~\nnull2:\nstr: plain text\nq: '12'\ndq: \"0.5\"\ntrue1: true\nfalse1: False\n",
        "blocks": "lit: |\n  line one\n  line two\nfold: >\n  some\n  text\nstrip: |-\n  end\n",
        "document-start": "%YAML 1.1\n---\na: 1\nb: [x, y]\n...\n",
        "list": "- a: 1\n  b: 2\n- c\n- [1, 2.5, null]\n",
        "comments": "# a config\na: 1 # one\n\n# two\nb:\n  # three\n  c: d\n",
        "unicode": "name: Grüße ☃ 😀\n\"ключ\": значение\n",
        "interpolation": "hydra:\n  dir: ${oc.env:HOME}/x\npath: ${paths.root}/data\n",
        "yaml11-booleans": "a: yes\nb: no\nc: on\nd: Off\ne: y\n",
        "yaml11-numbers": "a: 010\nb: 1_000\nc: 1e-3\nd: 1e5\ne: .5\nf: 0b101\ng: 1:30\nh: +3\ni: 0o10\n",
        "keys": "1: one\ntrue: yes it is\n2.5: x\n",
        "empty-containers": "a: []\nb: {}\nc: ''\n",
        "crlf": "a: 1\r\nb:\r\n  - x\r\n  - y\r\n",
        "json": '{"a": [1, 2, {"b": null}], "c": "d"}',
        "deep": "".join(f"{'  ' * i}l{i}:\n" for i in range(30)) + "  " * 30 + "end: 1\n",
        "long": "".join(f"key_{i}: value {i}\n" for i in range(800)),
        "nested-lists": "a:\n- - 1\n  - 2\n- - 3\n",
        "quoted": "a: 'it''s'\nb: \"tab\\tnew\\nline \\x41\"\nc: \"multi\n  line\"\n",
    }  # fmt: skip
    for name, text in texts.items():
        truth = Truth(yaml.safe_load(text))
        corpus.good(f"yaml/{name}.yaml", "yaml", text.encode(), truth=truth)
    truth = Truth(yaml.safe_load(texts["config"]))
    corpus.good("yaml/byte-order-mark.yaml", "yaml", "\ufeff".encode() + texts["config"].encode(), truth=truth)
    corpus.good("yaml/suffix.yml", "yaml", texts["config"].encode(), truth=truth)


def wrapped_cases(corpus):
    """gzip, tar and tar.gz of files that are in the corpus already."""
    chosen = [
        "torch-zip/lightning-yacs-adam.ckpt", "torch-zip/dtype-float32-p2.pt", "torch-zip/views-float16.pth",
        "torch-legacy/dtype-float32-p2.pt", "torch-legacy/trained.pth.tar", "torchscript/script-block.pt",
        "pickle-numpy2/holds-detectron2-p4.pkl", "pickle-numpy1/holds-detectron2-p2.pkl",
        "pickle-numpy2/python2-smpl-p0.pkl", "pickle-numpy2/python2-smpl-p2.pkl", "pickle-numpy2/sparse-csc-p4.pkl",
        "npy/f4-v1.npy", "npz/stored-smpl_mean_params.npz", "npz/deflated-f8.npz",
        "safetensors/mixed.safetensors", "tflite/dtype-float32.tflite", "hdf5/nested-latest.h5", "yaml/config.yaml",
    ]  # fmt: skip
    for name in chosen:
        data, facts = corpus.files[name], corpus.facts[name]
        base = name.replace("/", "-")
        corpus.add(f"gzip/{base}.gz", gzip.compress(data, mtime=0), **facts)
        for suffix, pack in (("tar", lambda d: d), ("tar.gz", lambda d: gzip.compress(d, mtime=0))):
            member = name.split("/")[1]
            packed = pack(tar([(member, data)]))
            corpus.add(f"tar/{base}.{suffix}", packed, format="tar", members={member: facts})
    named = gzip.compress(corpus.files["npy/f4-v1.npy"], mtime=0)
    named = named[:3] + b"\x08" + named[4:10] + b"weights.npy\x00" + named[10:]
    corpus.add("gzip/with-name.npy.gz", named, **corpus.facts["npy/f4-v1.npy"])
    two = corpus.files["npy/f4-v1.npy"]
    two = gzip.compress(two[:100], mtime=0) + gzip.compress(two[100:], mtime=0)
    corpus.add("gzip/two-members.npy.gz", two, **corpus.facts["npy/f4-v1.npy"])
    layout = {
        "logs/train/multiruns/hmr2/0/checkpoints/epoch=35-step=1000000.ckpt": "torch-zip/lightning-omegaconf-adam.ckpt",
        "logs/train/multiruns/hmr2/0/model_config.yaml": "yaml/config.yaml",
        "data/smpl_mean_params.npz": "npz/stored-smpl_mean_params.npz",
        "data/SMPL_to_J19.pkl": "pickle-numpy2/holds-bare-p4.pkl",
    }
    members = [(inside, corpus.files[case]) for inside, case in layout.items()]
    facts = {inside: corpus.facts[case] for inside, case in layout.items()}
    import tarfile

    formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    for name, format in formats.items():
        data = tar(members, format=format)
        corpus.add(f"tar/hmr2_data-{name}.tar", data, format="tar", members=facts)
        corpus.add(f"tar/hmr2_data-{name}.tar.gz", gzip.compress(data, mtime=0), format="tar", members=facts)
        long = "a_folder_of_a_long_name/" * 5 + "w.npy" if name == "ustar" else "f" * 150 + "/" + "g" * 120 + ".npy"
        packed = tar([(long, corpus.files["npy/f4-v1.npy"])], format=format)
        corpus.add(f"tar/long-names-{name}.tar", packed, format="tar", members={long: corpus.facts["npy/f4-v1.npy"]})


def add_all(corpus):
    npy_cases(corpus)
    npz_cases(corpus)
    safetensors_cases(corpus)
    tflite_cases(corpus)
    yaml_cases(corpus)
