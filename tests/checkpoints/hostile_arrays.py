"""Hostile .npy, .npz, .safetensors, .tflite, YAML and archives, and what is no checkpoint at all."""

import gzip
import io
import json
import pickle
import struct
import tarfile

import numpy as np

import flatbuffer
from common import array, payload, tar
from good_arrays import npy, safetensors_file
from good_torch import save
from hostile_pickle import FORMS
from zipcraft import Entry, archive, raw_deflate, zip64_extra

VALUE = array("<f4", (3, 4), "hostile")


def npy_text(text, data=VALUE.tobytes(), version=(1, 0), length=None):
    raw = text.encode("latin-1")
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + (length if length is not None else len(raw)).to_bytes(width, "little") + raw + data


def header(descr="'<f4'", order="False", shape="(3, 4)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def object_array(gadget="os.system"):
    module, name = gadget.rsplit(".", 1)
    return npy_text(header("'|O'", shape="(1,)"), b"\x80\x02" + FORMS["reduce"](module, name) + b".")


def npy_broken():
    deep = "(" * 4000 + ")" * 4000
    return {
        "objects-call": object_array(), "objects-call-eval": object_array("builtins.eval"), "objects-plain": npy_text(header("'|O'", shape="(1,)"), pickle.dumps([None])), "shape-overflow": npy_text(header(shape="(9223372036854775808, 4)")), "shape-overflow-product": npy_text(header(shape="(4294967296, 4294967296)")), "shape-overflow-small": npy_text(header(shape="(4611686018427387904, 4)")),
        "shape-huge": npy_text(header(shape="(1099511627776,)")), "shape-negative": npy_text(header(shape="(-3, 4)")), "shape-both-negative": npy_text(header(shape="(-3, -4)")), "shape-65": npy_text(header(shape="(" + "1, " * 65 + ")"), b"\0" * 4), "shape-1000": npy_text(header(shape="(" + "1, " * 1000 + ")"), b"\0" * 4), "shape-empty-huge": npy_text(header(shape="(0, 18446744073709551616)"), b""),
        "shape-float": npy_text(header(shape="(3.0, 4)")), "shape-list": npy_text(header(shape="[3, 4]")), "shape-number": npy_text(header(shape="12")), "shape-text": npy_text(header(shape="'34'")), "shape-code": npy_text(header(shape="(__import__('os').system('id'),)")), "shape-sum": npy_text(header(shape="(3+0, 4)")), "shape-power": npy_text(header(shape="(9**9**9,)")),
        "descr-unknown": npy_text(header("'<q9'")), "descr-empty": npy_text(header("''")), "descr-number": npy_text(header("5")), "descr-longdouble": npy_text(header("'<f16'")), "descr-zero-wide": npy_text(header("'|V0'", shape="(1099511627776,)"), b""), "descr-void": npy_text(header("'|V8'", shape="(6,)")), "descr-struct": npy_text(header("[('a', '<f4'), ('b', '<i4')]", shape="(6,)")), "descr-struct-deep": npy_text(header("[('a', " * 500 + "'<f4'" + ")]" * 500, shape="(6,)")), "descr-subarray": npy_text(header("('<f4', (99999999999,))", shape="(1,)")), "descr-time": npy_text(header("'<M8[s]'", shape="(6,)")), "descr-text": npy_text(header("'<U3'", shape="(4,)")), "descr-wide-text": npy_text(header("'<U999999999999'", shape="(1,)")),
        "order-number": npy_text(header(order="1")), "order-missing": npy_text("{'descr': '<f4', 'shape': (3, 4)}\n"), "shape-missing": npy_text("{'descr': '<f4', 'fortran_order': False}\n"), "descr-missing": npy_text("{'fortran_order': False, 'shape': (3, 4)}\n"), "key-extra": npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'x': 1}\n"), "key-twice-differing": npy_text("{'descr': '<f8', 'descr': '<q4', 'fortran_order': False, 'shape': (3, 4)}\n"),
        "not-a-dict": npy_text("[1, 2, 3]\n"), "empty-header": npy_text(""), "header-is-code": npy_text("__import__('os').system('id')\n"), "header-deep": npy_text(deep), "header-deep-shape": npy_text(header(shape=deep)), "header-not-text": npy_text("\xff\xfe\xfd\n", version=(3, 0)), "header-unclosed": npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)"), "header-then-more": npy_text(header().rstrip() + "; import os\n"),
        "header-length-larger": npy_text(header(), length=60000), "header-length-4g": npy_text(header(), version=(2, 0), length=0xFFFFFFFF), "header-length-2g": npy_text(header(), version=(2, 0), length=0x7FFFFFFF), "header-length-zero": npy_text(header(), length=0), "header-length-cut": b"\x93NUMPY\x01\x00\x10", "version-0": npy_text(header(), version=(0, 0)), "version-4": npy_text(header(), version=(4, 0)), "version-9-9": npy_text(header(), version=(9, 9)), "magic-only": b"\x93NUMPY",
        "data-short": npy_text(header(), VALUE.tobytes()[:-1]), "data-missing": npy_text(header(), b""), "data-half": npy_text(header(), VALUE.tobytes()[:24]),
    }  # fmt: skip


def npy_cases(add):
    for name, data in npy_broken().items():
        kinds = {"kinds": ["Hostile"]} if name.startswith("objects-call") else {}
        add(f"npy/{name}.npy", data, expect="refused", **kinds)
        if not name.startswith(("descr-text", "descr-time", "objects-plain", "descr-struct", "descr-void", "descr-longdouble")):
            add(f"npz/{name}.npz", archive([Entry("good.npy", npy(VALUE)), Entry("bad.npy", data)]), expect="survives" if name == "descr-zero-wide" else "refused", **kinds)
    start = npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (", b"", version=(2, 0), length=5_000_000)
    add("npy/header-of-5-mb.npy", start, repeat=[[len(start), b"1, ".hex(), 2_000_000]])
    add("npy/data-more.npy", npy(VALUE) + b"\0" * 8, expect="survives")


def npz_cases(add):
    good = lambda: [Entry("a.npy", npy(VALUE)), Entry("b.npy", npy(VALUE * 2))]
    zeros = 80_000_000
    body = npy_text(header(shape=f"({zeros // 4},)"), b"")
    big = body + b"\0" * zeros
    packed = raw_deflate(big)
    broken = {
        "bomb": archive(good() + [Entry("bomb.npy", big, method=8, stored=packed)]),
        "bomb-says-small": archive(good() + [Entry("bomb.npy", npy(VALUE), method=8, stored=packed)]),
        "bomb-of-bombs": archive([Entry("x.npy", big, method=8, stored=packed, local_offset=0)] * 0 + [Entry("x.npy", big, method=8, stored=packed)] + [Entry(f"y{i}.npy", big, method=8, stored=packed, local_offset=0, local_name=b"x.npy") for i in range(30)]),
        "duplicate": archive(good() + [Entry("a.npy", npy(VALUE))]), "crc": archive([Entry("a.npy", npy(VALUE), crc=1)]), "crc-deflated": archive([Entry("a.npy", npy(VALUE), method=8, crc=1)]), "names-differ": archive([Entry("a.npy", npy(VALUE), local_name=b"b.npy")]), "encrypted": archive([Entry("a.npy", npy(VALUE), flags=1)]),
        "overlap": archive(good() + [Entry("c.npy", npy(VALUE), local_offset=0)]), "symlink": archive(good() + [Entry("c.npy", b"/etc/passwd", central_mode=0o120777)]), "path-escape": archive(good() + [Entry("../c.npy", npy(VALUE))]), "absolute": archive(good() + [Entry("/etc/c.npy", npy(VALUE))]),
        "method-14": archive([Entry("a.npy", npy(VALUE), method=14, stored=npy(VALUE))]), "size-lie": archive([Entry("a.npy", npy(VALUE), size=1 << 30)]), "offset": archive([Entry("a.npy", npy(VALUE), central_offset=10_000)]), "zip64-size": archive([Entry("a.npy", npy(VALUE), size=0xFFFFFFFF, central_extra=zip64_extra(1 << 60))]),
        "objects-call": archive(good() + [Entry("o.npy", object_array())]), "objects-call-deflated": archive([Entry("o.npy", object_array("builtins.exec"), method=8)]), "cut": archive(good())[:-30], "member-empty": archive(good() + [Entry("e.npy", b"")]), "member-not-npy": archive(good() + [Entry("e.npy", b"hello")]),
        "entries": archive(good(), entries=60000), "pickle-member": archive([Entry("a", pickle.dumps(VALUE))]),
    }  # fmt: skip
    for name, data in broken.items():
        add(f"npz/zip-{name}.npz", data, **({"kinds": ["Hostile"]} if "call" in name else {}))


def safetensors_cases(add):
    raw = payload(24, "safe")
    t = lambda dtype="F32", shape=(2, 3), start=0, end=24: {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    make = lambda header, data=raw, **more: safetensors_file(header, data, **more)
    length = lambda n, rest=b"{}": struct.pack("<Q", n) + rest
    j = lambda text, data=raw: safetensors_file(text.encode() if isinstance(text, str) else text, data)
    item = '{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}'
    broken = {
        "length-larger": length(3), "length-max": length(2**64 - 1), "length-i64": length(2**63), "length-100mb": length(100_000_000), "length-zero": length(0), "length-of-all": length(10), "seven-bytes": b"\x10\0\0\0\0\0\0", "header-cut": make({"w": t()})[:30], "eight-bytes": length(2, b""),
        "not-json": j("{w: 1}"), "not-an-object": j("[1, 2]"), "a-string": j('"{"'), "number": j("5"), "null": j("null"), "json-unclosed": j('{"w":' + item), "json-trailing": j('{"w":' + item + "} x"), "two-objects": j('{"w":' + item + "}{}"), "not-utf8": j(b'{"w\xff":' + item.encode() + b"}"), "byte-order-mark": j(b"\xef\xbb\xbf" + b'{"w":' + item.encode() + b"}"), "leading-space": j(' {"w":' + item + "}"), "nul-after": j(b'{"w":' + item.encode() + b"}\0\0"), "comments": j('{/* x */"w":' + item + "}"), "trailing-comma": j('{"w":' + item + ",}"), "single-quotes": j("{'w':" + item + "}"),
        "lone-surrogate": j('{"\\ud83d":' + item + "}"), "control-character": j('{"a\x01b":' + item + "}"), "key-twice": j('{"w":' + item + ',"w":' + item + "}"), "key-twice-escaped": j('{"w":' + item + ',"\\u0077":' + item + "}"), "field-twice": j('{"w":{"dtype":"F32","dtype":"I32","shape":[2,3],"data_offsets":[0,24]}}'), "metadata-twice": j('{"__metadata__":{},"__metadata__":{},"w":' + item + "}"),
        "dtype-unknown": make({"w": t("F31")}), "dtype-lower": make({"w": t("f32")}), "dtype-number": make({"w": {**t(), "dtype": 5}}), "dtype-missing": make({"w": {"shape": [2, 3], "data_offsets": [0, 24]}}), "shape-missing": make({"w": {"dtype": "F32", "data_offsets": [0, 24]}}), "offsets-missing": make({"w": {"dtype": "F32", "shape": [2, 3]}}), "item-null": make({"w": None}), "item-list": make({"w": []}),
        "shape-negative": make({"w": t(shape=(-2, -3))}), "shape-float": make({"w": t(shape=(2.0, 3))}), "shape-exponent": j('{"w":{"dtype":"F32","shape":[6e0],"data_offsets":[0,24]}}'), "shape-text": make({"w": t(shape=("2", "3"))}), "shape-nested": make({"w": t(shape=([2, 3],))}), "shape-overflow": make({"w": t(shape=(2**63, 2**63))}), "shape-overflow-to-size": make({"w": t(shape=(2**62 + 6,))}), "shape-beyond-64-bit": make({"w": t(shape=(2**64 + 6,))}), "shape-null": make({"w": {**t(), "shape": None}}), "shape-65": make({"w": t(shape=(1,) * 64 + (6,))}), "shape-larger": make({"w": t(shape=(2, 4))}), "shape-smaller": make({"w": t(shape=(2, 2))}), "empty-overflow": make({"w": t(shape=(0, 2**64)), "x": t()}),
        "end-past-data": make({"w": t(shape=(2, 4), end=32)}), "begin-past-end": make({"w": t(start=24, end=0)}), "begin-past-data": make({"w": t(shape=(0,), start=99, end=99)}), "offsets-negative": make({"w": t(start=-24, end=0)}), "offsets-max": make({"w": t(start=2**64 - 24, end=2**64)}), "offsets-wrap": make({"w": t(start=2**64 - 12, end=12)}), "offsets-three": make({"w": {**t(), "data_offsets": [0, 24, 48]}}), "offsets-one": make({"w": {**t(), "data_offsets": [24]}}), "offsets-float": make({"w": {**t(), "data_offsets": [0.0, 24.0]}}),
        "overlap": make({"a": t(shape=(2, 2), end=16), "b": t(shape=(2, 2), start=8, end=24)}), "same-bytes": make({"a": t(), "b": t()}), "hole": make({"a": t(shape=(2,), end=8), "b": t(shape=(2,), start=16, end=24)}), "hole-at-start": make({"a": t(shape=(4,), start=8, end=24)}), "data-after": make({"a": t()}, raw + b"more"), "data-cut": make({"a": t()}, raw[:-1]), "data-missing": make({"a": t()}, b""),
        "metadata-list": make({"__metadata__": [1], "w": t()}), "metadata-number-value": make({"__metadata__": {"a": 1}, "w": t()}), "metadata-nested": make({"__metadata__": {"a": {"b": "c"}}, "w": t()}), "metadata-null": j('{"__metadata__":null,"w":5}'),
        "deep-lists": j("[" * 50_000 + "]" * 50_000), "deep-value": j('{"w":' + "[" * 50_000 + "]" * 50_000 + "}"), "deep-objects": j('{"a":' * 50_000 + "1" + "}" * 50_000), "deep-metadata": j('{"__metadata__":' + '{"a":' * 50_000 + '"b"' + "}" * 50_000 + "}"), "deep-shape": j('{"w":{"dtype":"F32","data_offsets":[0,24],"shape":' + "[" * 50_000 + "]" * 50_000 + "}}"), "deep-unclosed": j('{"w":' + "[" * 100_000),
        "name-too-long": make({"n" * 100_000: t()}), "number-of-a-million-digits": j('{"w":{"dtype":"F32","data_offsets":[0,24],"shape":[' + "1" * 100_000 + "]}}"),
    }  # fmt: skip
    survives = {"metadata-null"} & set()
    for name, data in broken.items():
        add(f"safetensors/{name}.safetensors", data, expect="survives" if name in survives else "refused")
    head = struct.pack("<Q", 99_999_999) + b"{}"
    add("safetensors/header-of-100-mb.safetensors", head, repeat=[[len(head), b" ".hex(), 99_999_997]])
    head = struct.pack("<Q", 70_000_000) + b'{"w":['
    add("safetensors/header-of-numbers.safetensors", head, repeat=[[len(head), b"1,".hex(), 35_000_000]])
    one = b'"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
    head = struct.pack("<Q", 1 + len(one) * 1_000_000) + b"{"
    add("safetensors/same-key-a-million-times.safetensors", head, repeat=[[len(head), one.hex(), 1_000_000]])
    head = struct.pack("<Q", 40_000_000 + 20) + b'{"__metadata__":{"a":"'
    add("safetensors/metadata-of-40-mb.safetensors", head, repeat=[[len(head), b"x".hex(), 40_000_000]])


def tflite_cases(add):
    def broken(name, data, **facts):
        add(f"tflite/{name}.tflite", data, **facts)

    raw = payload(24, "tfl")
    good = flatbuffer.tflite([("w", 0, (2, 3), raw)])
    model = lambda *args, **kwargs: flatbuffer.tflite(*args, **kwargs)
    for name, tensors in {
        "shape-larger": [("w", 0, (2, 4), raw)], "shape-smaller": [("w", 0, (2, 2), raw)], "shape-negative": [("w", 0, (-2, 3), raw)], "shape-both-negative": [("w", 0, (-2, -3), raw)], "shape-overflow": [("w", 0, (2**31 - 1,) * 3, raw)], "shape-huge": [("w", 0, (2**31 - 1,), raw)], "dims-many": [("w", 0, (1,) * 100, raw[:4])],
        "type-unknown": [("w", 200, (2, 3), raw)], "type-text": [("w", 5, (2,), raw)], "type-resource": [("w", 13, (1,), raw)], "data-cut": [("w", 0, (2, 3), raw[:-1])], "name-not-utf8": [(b"\xff\xfe", 0, (2, 3), raw)], "name-too-long": [("n" * 100_000, 0, (2, 3), raw)],
    }.items():  # fmt: skip
        broken(name, model(tensors))
    broken("buffer-past-end", model([("w", 0, (2, 3), raw)], buffer_of=lambda i: 7))
    broken("buffer-max", model([("w", 0, (2, 3), raw)], buffer_of=lambda i: 0xFFFFFFFF))
    broken("name-twice", model([("w", 0, (2, 3), raw), ("w", 0, (2, 3), raw)]), expect="survives")
    broken("no-name", model([("", 0, (2, 3), raw)]), expect="survives")
    for name, value in {"zero": 0, "past-end": len(good) + 100, "max": 0xFFFFFFFF, "negative": 0x80000000, "last": len(good) - 1, "itself": 4}.items():
        broken(f"root-{name}", struct.pack("<I", value) + good[4:])
    root = struct.unpack_from("<I", good)[0]
    vtable = root - struct.unpack_from("<i", good, root)[0]
    patch = lambda at, code, value: good[:at] + struct.pack(code, value) + good[at + struct.calcsize(code) :]
    for name, (at, code, value) in {
        "vtable-before-start": (root, "<i", 1 << 30), "vtable-past-end": (root, "<i", -(1 << 30)), "vtable-max": (root, "<i", -(1 << 31)), "vtable-itself": (root, "<i", 0), "vtable-length-zero": (vtable, "<H", 0), "vtable-length-odd": (vtable, "<H", 5), "vtable-length-max": (vtable, "<H", 0xFFFF),
        "field-past-table": (vtable + 4 + 2 * 2, "<H", 0xFFFE), "field-at-vtable": (vtable + 4 + 2 * 2, "<H", 2),
    }.items():  # fmt: skip
        broken(name, patch(at, code, value), expect="survives" if name in ("vtable-length-odd", "vtable-itself", "field-at-vtable", "vtable-length-max", "field-past-table") else "refused")
    graphs = root + struct.unpack_from("<H", good, vtable + 4 + 2 * 2)[0]
    for name, value in {"graphs-past-end": len(good), "graphs-max": 0xFFFFFFFF, "graphs-zero": 0}.items():
        broken(name, patch(graphs, "<I", value))
    vector = graphs + struct.unpack_from("<I", good, graphs)[0]
    for name, value in {"graph-count-max": 0xFFFFFFFF, "graph-count-1g": 0x3FFFFFFF, "graph-count-zero": 0}.items():
        broken(name, patch(vector, "<I", value), expect="survives" if name == "graph-count-zero" else "refused")
    place = good.index(raw) - 4
    for name, value in {"buffer-length-max": 0xFFFFFFFF, "buffer-length-larger": 25, "buffer-length-smaller": 23, "buffer-length-1g": 1 << 30}.items():
        broken(name, patch(place, "<I", value))
    name_at = good.index(b"\x01\0\0\0w\0")
    broken("name-length-max", patch(name_at, "<I", 0xFFFFFFFF))
    broken("name-length-past-end", patch(name_at, "<I", 100_000))
    for at in (8, 12, 40, len(good) // 2, len(good) - 20):
        broken(f"cut-{at}", good[:at], expect="refused")
    broken("identifier-only", b"\x08\0\0\0TFL3")

    # One table, listed a million times.
    class Shared(flatbuffer.Builder):
        pass

    def shared(builder):
        start = builder.vector("I", [0] * 50_000)
        one = flatbuffer.table(flatbuffer.ref("vector", "i", [1000, 1000]), ("u8", 0), ("u32", 1), flatbuffer.ref("string", "w"))(builder)
        for i in range(50_000):
            at = start + 4 + 4 * i
            struct.pack_into("<I", builder.data, at, one - at)
        return start

    graph = flatbuffer.table(("ref", shared), flatbuffer.ref("vector", "i", []), flatbuffer.ref("vector", "i", []), flatbuffer.ref("tables", []))
    whole = flatbuffer.table(("u32", 3), flatbuffer.ref("tables", []), flatbuffer.ref("tables", [graph]), flatbuffer.ref("string", "x"), flatbuffer.ref("tables", [flatbuffer.table(), flatbuffer.table(flatbuffer.ref("bytes", b"\0" * 4_000_000))]))
    broken("same-tensor-50000-times", Shared().finish(whole))
    sparse = lambda order, dims: flatbuffer.table(flatbuffer.ref("vector", "i", order), flatbuffer.ref("vector", "i", []), flatbuffer.ref("tables", dims))
    dense = lambda size: flatbuffer.table(None, ("i32", size))
    rows = lambda segments, indices: flatbuffer.table(("u8", 1), None, ("u8", 1), flatbuffer.ref("tables", [])if False else ("ref", flatbuffer.table(flatbuffer.ref("vector", "i", segments))), ("u8", 1), ("ref", flatbuffer.table(flatbuffer.ref("vector", "i", indices))))

    def sparse_model(shape, order, dims, data):
        made = flatbuffer.table(flatbuffer.ref("vector", "i", shape), ("u8", 0), ("u32", 1), flatbuffer.ref("string", "w"), None, None, ("ref", sparse(order, dims)))
        graph = flatbuffer.table(flatbuffer.ref("tables", [made]), flatbuffer.ref("vector", "i", []), flatbuffer.ref("vector", "i", []), flatbuffer.ref("tables", []))
        return flatbuffer.Builder().finish(flatbuffer.table(("u32", 3), flatbuffer.ref("tables", []), flatbuffer.ref("tables", [graph]), flatbuffer.ref("string", "x"), flatbuffer.ref("tables", [flatbuffer.table(), flatbuffer.table(flatbuffer.ref("bytes", data))])))

    two = payload(8, "two")
    for name, args in {
        "sparse-segments-past-end": ([2, 3], [0, 1], [dense(2), rows([0, 1, 200], [0, 2])], two), "sparse-segments-fall": ([2, 3], [0, 1], [dense(2), rows([0, 2, 1], [0, 2])], two), "sparse-segments-few": ([2, 3], [0, 1], [dense(2), rows([0, 2], [0, 2])], two), "sparse-index-past-row": ([2, 3], [0, 1], [dense(2), rows([0, 1, 2], [0, 9])], two),
        "sparse-index-negative": ([2, 3], [0, 1], [dense(2), rows([0, 1, 2], [0, -1])], two), "sparse-fewer-values": ([2, 3], [0, 1], [dense(2), rows([0, 1, 2], [0, 2])], two[:4]), "sparse-bomb": ([2**30, 2**30], [0, 1], [dense(2**30), rows([0], [])], b""), "sparse-order": ([2, 3], [1, 0], [dense(2), rows([0, 1, 2], [0, 2])], two), "sparse-dims": ([2, 3], [0, 1], [rows([0, 1, 2], [0, 2])], two),
    }.items():  # fmt: skip
        broken(name, sparse_model(*args))


def yaml_cases(add):
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(12))
    maps = "a: &a {x: 1, y: 2}\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} {{{', '.join(f'k{n}: *{chr(97 + i)}' for n in range(9))}}}\n" for i in range(12))
    tag = "!!python/object/apply:os.system ['id']"
    broken = {
        "laughs": laughs, "laughs-maps": maps, "merge-bomb": "a: &a {x: 1}\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)}\n  <<: [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n  k{i}: {{<<: *{chr(97 + i)}}}\n" for i in range(20)) if False else laughs.replace("x", "yy"), "long-anchor-often": "a: &a " + "x" * 100_000 + "\nb: [" + "*a," * 20_000 + "]\n",
        "python-apply": f"a: {tag}\n", "python-apply-top": f"{tag}\n", "python-new": "a: !!python/object/new:subprocess.Popen [['id']]\n", "python-object": "a: !!python/object:os.environ {}\n", "python-name": "a: !!python/name:os.system\n", "python-module": "a: !!python/module:os\n", "python-tuple-call": "a: !!python/tuple [!!python/object/apply:eval ['1']]\n", "python-tag-prefix": "%TAG ! tag:yaml.org,2002:python/\n---\na: !object/apply:os.system ['id']\n", "python-tag-full": "a: !<tag:yaml.org,2002:python/object/apply:os.system> ['id']\n", "python-in-list": f"- 1\n- {tag}\n", "python-in-key": f"? {tag}\n: 1\n", "ruby-object": "a: !ruby/object:Gem::Installer\n  i: x\n", "java-object": "a: !!javax.script.ScriptEngineManager [x]\n",
        "self-alias": "a: &a [*a]\n", "self-alias-map": "a: &a\n  b: *a\n", "alias-unknown": "a: *b\n", "deep-flow": "a: " + "[" * 100_000 + "]" * 100_000, "deep-flow-unclosed": "a: " + "[" * 100_000, "deep-maps": "a: " + "{a: " * 50_000 + "1" + "}" * 50_000, "deep-dashes": "- " * 50_000 + "x\n", "deep-questions": "? " * 50_000 + "x\n", "unclosed-quote": "a: 'abc\n", "unclosed-list": "a: [1, 2\n", "unclosed-map": "a: {b: 1\n", "tab-indent": "a:\n\tb: 1\n", "bad-indent": "a:\n    b: 1\n  c: 2\n", "bad-escape": 'a: "\\q"\n', "nul": "a: b\0c\n", "control": "a: b\x01\n", "colon-colon": "a: b: c\n", "reserved": "a: @x\n", "percent": "a: %x\n",
    }  # fmt: skip
    for name, text in broken.items():
        survives = name in ("ruby-object",)
        python = name.startswith("python")
        add(f"yaml/{name}.yaml", text.encode(), expect="refused", **({"kinds": ["Hostile"]} if python else {}))
        del survives
    add("yaml/not-utf8.yaml", b"a: \xff\xfe\n")
    add("yaml/binary.yaml", bytes(range(256)) * 4)
    add("yaml/60-mb.yaml", b"a: x", repeat=[[4, b"x".hex(), 60_000_000]])
    add("yaml/many-lines.yaml", b"- x\n", repeat=[[4, b"- x\n".hex(), 5_000_000]])
    add("yaml/many-spaces.yaml", b"a: x", repeat=[[3, b" ".hex(), 30_000_000]], expect="survives")
    add("yaml/many-open.yaml", b"a: [", repeat=[[4, b"[".hex(), 10_000_000]])
    add("yaml/many-anchors.yaml", b"- &a x\n", repeat=[[7, b"- &a x\n".hex(), 1_000_000]], expect="survives")
    add("yaml/document-marks.yaml", b"a: 1\n", repeat=[[5, b"---\na: 1\n".hex(), 100_000]])


def tar_entry(name, data=b"", kind=b"0", link="", checksum=None, size=None, magic=b"ustar\x0000"):
    head = bytearray(512)
    put = lambda at, value: head.__setitem__(slice(at, at + len(value)), value)
    put(0, (name if isinstance(name, bytes) else name.encode())[:100])
    put(100, b"0000644\x00" b"0000000\x00" b"0000000\x00")
    put(124, size if size is not None else b"%011o\x00" % len(data))
    put(136, b"00000000000\x00")
    put(148, b" " * 8)
    put(156, kind)
    put(157, link.encode()[:100])
    put(257, magic)
    put(148, checksum or b"%06o\x00 " % sum(head))
    return bytes(head) + data + b"\0" * (-len(data) % 512)


def tar_cases(add):
    good = tar_entry("w.npy", npy(VALUE))
    end = b"\0" * 1024
    pax = lambda **fields: tar_entry("pax", b"".join(pax_record(k, v) for k, v in fields.items()), b"x")
    broken = {
        "escape": tar_entry("../w.npy", npy(VALUE)) + end, "escape-beside": good + tar_entry("a/../../x", b"x") + end, "escape-deep": good + tar_entry("a/b/../../../etc/x.npy", npy(VALUE)) + end, "absolute": tar_entry("/etc/w.npy", npy(VALUE)) + end, "absolute-beside": good + tar_entry("/etc/passwd", b"x") + end, "drive": good + tar_entry("C:\\x.npy", npy(VALUE)) + end, "backslashes": good + tar_entry("..\\..\\x.npy", npy(VALUE)) + end,
        "symlink": good + tar_entry("link", kind=b"2", link="/etc/passwd") + end, "symlink-inside": good + tar_entry("l.npy", kind=b"2", link="w.npy") + end, "hardlink": good + tar_entry("link", kind=b"1", link="/etc/shadow") + end, "symlink-then-through": tar_entry("d", kind=b"2", link="/tmp") + tar_entry("d/w.npy", npy(VALUE)) + end, "character-device": good + tar_entry("null", kind=b"3") + end, "block-device": good + tar_entry("sda", kind=b"4") + end, "pipe": good + tar_entry("pipe", kind=b"6") + end, "unknown-kind": good + tar_entry("q", kind=b"q") + end,
        "checksum": tar_entry("w.npy", npy(VALUE), checksum=b"000000\x00 ") + end, "checksum-text": tar_entry("w.npy", npy(VALUE), checksum=b"abcdefgh") + end, "size-larger": tar_entry("w.npy", npy(VALUE), size=b"00000077777\x00") + end, "size-max": tar_entry("w.npy", npy(VALUE), size=b"77777777777\x00") + end, "size-text": tar_entry("w.npy", npy(VALUE), size=b"abcdefghijk\x00") + end, "size-negative": tar_entry("w.npy", npy(VALUE), size=b"-0000000001\x00") + end, "size-base256-max": tar_entry("w.npy", npy(VALUE), size=b"\x80" + b"\x7f" + b"\xff" * 10) + end, "size-base256-negative": tar_entry("w.npy", npy(VALUE), size=b"\xff" * 12) + end, "size-base256-8e": tar_entry("w.npy", npy(VALUE), size=b"\x80\0\0\0" + struct.pack(">Q", 2**63)) + end,
        "cut-in-data": good[:600], "cut-in-header": good + tar_entry("x.npy", npy(VALUE))[:300], "sparse": good + tar_entry("s", b"x" * 512, kind=b"S") + end, "long-name-endless": tar_entry("././@LongLink", b"a" * 100, b"L", size=b"77777777777\x00"), "long-link": tar_entry("././@LongLink", b"/etc/passwd\0", b"K") + tar_entry("l", kind=b"2") + end, "long-name-escapes": tar_entry("././@LongLink", b"../../etc/w.npy\0", b"L") + tar_entry("x", npy(VALUE)) + end,
        "pax-path-escapes": pax(path="../../etc/w.npy") + good + end, "pax-size-max": pax(size="9223372036854775807") + good + end, "pax-size-negative": pax(size="-1") + good + end, "pax-size-text": pax(size="abc") + good + end, "pax-link": pax(linkpath="/etc/passwd") + tar_entry("l", kind=b"2") + end, "pax-record-length": tar_entry("pax", b"999 path=x\n", b"x") + good + end, "pax-record-zero": tar_entry("pax", b"0 path=x\n", b"x") + good + end, "pax-record-text": tar_entry("pax", b"hello\n", b"x") + good + end, "pax-of-1g": tar_entry("pax", b"x", b"x", size=b"07777777777\x00"), "pax-sparse-bomb": pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "w.npy", "GNU.sparse.realsize": str(1 << 50)}) + good + end,
        "member-twice": good + good + end, "nothing": end, "no-weights": tar_entry("readme.txt", b"hello") + end, "member-calls": good + tar_entry("x.pkl", b"\x80\x02" + FORMS["reduce"]("os", "system") + b".") + end, "member-empty": tar_entry("w.npy", b"") + end,
    }  # fmt: skip
    for name, data in broken.items():
        kinds = {"kinds": ["Hostile"]} if name == "member-calls" else {}
        harmless = name in ("no-weights", "unknown-kind", "nothing")
        add(f"tar/{name}.tar", data, expect="refused" if not harmless or name == "nothing" else "survives", **kinds)
        add(f"tar/{name}.tar.gz", gzip.compress(data, mtime=0), expect="refused" if not harmless or name == "nothing" else "survives", **kinds)
    many = tar_entry("d/", b"", b"5")
    add("tar/many-folders.tar", good + end, repeat=[[len(good), many.hex(), 300_000]], expect="survives")
    inner = gzip.compress(good + end, mtime=0)
    for depth in range(8):
        inner = gzip.compress(tar_entry(f"d{depth}.tar.gz", inner) + end, mtime=0)
    add("tar/nested-8.tar.gz", inner)


def pax_record(key, value):
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def gzip_cases(add):
    good = gzip.compress(npy(VALUE), mtime=0)
    zeros = gzip.compress(npy_text(header(shape="(25000000,)"), b"\0" * 100_000_000), mtime=0)
    nested = good
    for _ in range(30):
        nested = gzip.compress(nested, mtime=0)
    broken = {
        "bomb": zeros, "bomb-of-bomb": gzip.compress(zeros, mtime=0), "nested-30": nested, "crc": good[:-8] + b"\0\0\0\0" + good[-4:], "length": good[:-4] + b"\xff\0\0\0", "cut": good[:-9], "cut-in-trailer": good[:-3], "cut-in-header": good[:6], "header-only": good[:10], "method": good[:2] + b"\x07" + good[3:], "reserved-flags": good[:3] + b"\xe0" + good[4:], "extra-past-end": good[:3] + b"\x04" + good[4:10] + b"\xff\xff" + good[10:], "name-endless": good[:3] + b"\x08" + good[4:10] + b"a" * 50, "garbage-stream": good[:10] + b"\xff" * 60, "garbage-after": good + b"garbage", "second-cut": good + good[:20], "second-bomb": good + zeros, "empty": gzip.compress(b"", mtime=0), "text": gzip.compress(b"hello, this is text", mtime=0), "calls": gzip.compress(b"\x80\x02" + FORMS["reduce"]("os", "system") + b".", mtime=0),
    }  # fmt: skip
    for name, data in broken.items():
        survives = name == "garbage-after"
        add(f"gzip/{name}.npy.gz", data, expect="survives" if survives else "refused", **({"kinds": ["Hostile"]} if name == "calls" else {}))
    checkpoint = save({"w": __import__("torch").ones(3)})
    add("gzip/zip-cut.pt.gz", gzip.compress(checkpoint, mtime=0)[:200])


def impostor_cases(add):
    files = {
        "page.ckpt": b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>", "page.pkl": b"<html>\n<body>Quota exceeded</body></html>", "error.pt": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "pointer.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "pointer.pt": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "empty.pt": b"", "empty.pkl": b"", "empty.yaml": b"", "empty.h5": b"", "zeros.pt": b"\0" * 5000, "zeros.pkl": b"\0" * 5000, "zeros.h5": b"\0" * 5000, "zeros.tar": b"\0" * 10240, "ones.pt": b"\xff" * 3000, "program.pt": b"\x7fELF" + payload(500, "elf"), "program.pkl": b"MZ" + payload(500, "mz"), "picture.npy": b"\x89PNG\r\n\x1a\n" + payload(300, "png"), "photo.pt": b"\xff\xd8\xff\xe0" + payload(300, "jpg"), "noise.pt": payload(4000, "noise"), "noise.pkl": payload(4000, "noise1"), "noise.ckpt": payload(4000, "noise2"), "noise.h5": payload(4000, "noise3"), "noise.safetensors": payload(4000, "noise4"), "noise.npz": payload(4000, "noise5"), "noise.tflite": payload(4000, "noise6"), "noise.tar.gz": payload(4000, "noise7"),
        "text.pkl": b"hello world\n", "text.pt": b"hello world\n", "python.pkl": b"import os\nos.system('id')\n", "script.pt": b"#!/bin/sh\nrm -rf /\n", "json.pt": b'{"a": 1}', "one-byte.pkl": b".", "one-byte.pt": b"P", "pk.pt": b"PK\x03\x04", "magic.h5": b"\x89HDF\r\n\x1a\n", "magic.npy": b"\x93NUMPY", "magic.gz": b"\x1f\x8b", "zstd.pt": b"\x28\xb5\x2f\xfd" + payload(100, "z"), "xz.tar": b"\xfd7zXZ\0" + payload(100, "x"), "bzip2.pkl": b"BZh9" + payload(100, "b"), "seven.zip": b"7z\xbc\xaf\x27\x1c" + payload(100, "7"), "rar.pt": b"Rar!\x1a\x07" + payload(100, "r"), "onnx.pt": b"\x08\x07\x12\x07pytorch" + payload(100, "o"), "exe.npz": b"MZ" + payload(200, "e"),
    }  # fmt: skip
    for name, data in files.items():
        add(f"impostor/{name}", data, expect="survives" if name == "empty.yaml" else "refused")


def add_all(corpus):
    def add(name, data, expect="refused", **facts):
        corpus.add(name, data, expect=expect, **facts)

    npy_cases(add)
    npz_cases(add)
    safetensors_cases(add)
    tflite_cases(add)
    yaml_cases(add)
    tar_cases(add)
    gzip_cases(add)
    impostor_cases(add)
