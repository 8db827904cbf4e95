"""Writes the HDF5 fixtures and expected.json (h5py 3.16, HDF5 2.0; numbers are seeded).

python src/checkpoint/hdf5_fixtures/generate.py
"""
import hashlib
import itertools
import json
import os

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(7)
TYPES = ["?", "u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4", "<u8", ">u8",
         "<i8", ">i8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16"]
SHAPES = [(), (0, 3), (5,), (3, 4)]


def array(kind, shape):
    kind = np.dtype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(kind)
    if kind.kind == "f":
        return (rng.standard_normal(shape) * 10).astype(kind)
    info = np.iinfo(kind)
    numbers = rng.integers(info.min, info.max, shape, dtype=kind.newbyteorder("="), endpoint=True)
    return numbers.astype(kind)


def new(name, **options):
    return h5py.File(os.path.join(HERE, name), "w", **options)


def low_level(file, name, kind, space, **settings):
    """A dataset with properties that h5py's own interface does not offer."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    for setting, value in settings.items():
        getattr(properties, setting)(*value)
    return h5py.Dataset(h5py.h5d.create(file.id, name, kind, space, properties))


def types(name, libver):
    with new(name, libver=libver) as file:
        for i, (kind, shape) in enumerate(itertools.product(TYPES, SHAPES)):
            file[f"block{i % 3}/attn.{i % 2}/w{i}"] = array(kind, shape)
        compact = low_level(file, b"compact", h5py.h5t.IEEE_F32BE, h5py.h5s.create_simple((4,)),
                            set_layout=(h5py.h5d.COMPACT,))
        compact[...] = [1, 2, 3, 4]
        file.create_dataset("unwritten", shape=(4, 5), dtype=">f4", fillvalue=2.5)
        file["datatype"] = np.dtype("f8")
        file.create_dataset("named", data=[1.0, 2.0], dtype=file["datatype"])
        file["enum"] = np.array([1, 2], dtype=h5py.enum_dtype({"A": 1, "B": 2}, basetype="i2"))
        pairs = file.create_dataset("pairs", shape=(5,), dtype=np.dtype(("<f4", (2, 3))))
        pairs[...] = array("f4", (5, 2, 3))


FILTERS = {
    "plain": {},
    "gzip": {"compression": "gzip", "shuffle": True},
    "lzf": {"compression": "lzf", "fletcher32": True},
}


def chunks(name, libver):
    with new(name, libver=libver) as file:
        for filters, options in FILTERS.items():
            group = file.create_group(filters)
            # Enough chunks for pages, super blocks and inner nodes of the new indexes.
            many = [] if libver == "earliest" or filters == "gzip" else [
                ("u1", (1200,), (1,), None), ("i1", (2500,), (1,), (None,)),
                ("u1", (30, 30), (1, 1), (None, None)),
            ]
            for kind, shape, chunk, grows in many + [
                ("<f4", (7, 5), (3, 2), None), (">i2", (7, 5), (7, 5), None),
                ("<f4", (40,), (3,), (None,)), ("<f8", (7, 5, 4), (2, 5, 3), (None, 5, 4)),
                ("<f2", (6, 9), (2, 3), (6, None)), ("<i8", (9, 9), (4, 4), (None, None)),
                (">f4", (9, 5), (4, 4), (20, 11)), ("u1", (18, 18), (1, 1), None),
            ]:
                options = {**options, "chunks": chunk, "maxshape": grows}
                tag = f"{len(group)}.{np.dtype(kind).name}"
                group.create_dataset(tag, data=array(kind, shape), **options)
                part = group.create_dataset(f"{tag}.part", shape=shape, dtype=kind, fillvalue=3,
                                            **options)
                part[1:3] = array(kind, part[1:3].shape)
                if grows and None in grows:
                    size = group.create_dataset(f"{tag}.size", data=array(kind, shape), **options)
                    free = [i for i, n in enumerate(grows) if n is None]
                    size.resize([n - 2 if i in free else n for i, n in enumerate(shape)])
                    size.resize([n + 3 if i in free else n for i, n in enumerate(shape)])
        pairs = file.create_dataset("pairs", shape=(50,), dtype=np.dtype((">i4", (2, 3))),
                                    chunks=(7,), maxshape=(None,), compression="gzip")
        pairs[...] = array("i4", (50, 2, 3))
        sparse = file.create_dataset("sparse", shape=(40000,), dtype="i2", chunks=(3,),
                                     maxshape=(None,) if libver == "latest" else None)
        sparse[39000:39010], sparse[10] = 7, 1
        early = low_level(file, b"early", h5py.h5t.IEEE_F32LE,
                          h5py.h5s.create_simple((10, 5), (20, 13)), set_chunk=((3, 2),),
                          set_alloc_time=(h5py.h5d.ALLOC_TIME_EARLY,))
        early[...] = np.arange(50).reshape(10, 5)


def groups(name, libver, track_order):
    with new(name, libver=libver, track_order=track_order) as file:
        for word in ["zebra", "apple", "mango"] + [f"layer{i}.weight" for i in range(200)]:
            file[word] = array("f4", (2,))
        file.create_group("deep/er/still", track_order=track_order)["w"] = array("f4", (3,))
        file["alias"] = file["zebra"]
        file["soft"] = h5py.SoftLink("/deep/er/still/w")
        file["deep/relative"] = h5py.SoftLink("er/./still/w")
        file["chain"] = h5py.SoftLink("soft")
        file["group_alias"] = h5py.SoftLink("/deep/er")
        file["through"] = h5py.SoftLink("group_alias/still/w")
        file["dangling"] = h5py.SoftLink("/nowhere")
        for i in range(20 if libver == "latest" else 3):
            file.attrs[f"setting{i}"] = i
        for key, value in {
            "text": "Grüße", "fixed": np.bytes_("fixed"), "texts": ["a", "bb", ""], "yes": True,
            "table": np.arange(6).reshape(2, 3), "real": 1.5, "big": np.array([1, 2], ">i4"),
            "nan": np.nan, "nothing": h5py.Empty("f"), "long": "x" * 2000,
        }.items():
            file.attrs[key] = value


def others(name):
    with new(name) as file:
        file["w"] = array("f4", (3,))
        file["text"] = "hello"
        file["texts"] = ["a", "b"]
        file["fixed"] = np.array([b"ab", b"c"])
        file["record"] = np.zeros(3, dtype=[("a", "f4"), ("b", "i4")])
        file.create_dataset("lists", shape=(2,), dtype=h5py.vlen_dtype("i4"))
        file["reference"] = file["w"].ref
        file["extended"] = np.longdouble(1)
        file["empty"] = h5py.Empty("f4")


def keras(name):
    with new(name) as file:
        file.attrs["keras_version"] = "2.15.0"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"conv1", b"dense"])
        weights["conv1/conv1/kernel:0"] = array("f4", (3, 3, 1, 2))
        weights["dense/dense/bias:0"] = array("f4", (4,))
        file["optimizer_weights/Adam/iter:0"] = np.int64(3)


def hostile():
    with new("hostile_external_link.h5") as file:
        file["w"] = array("f4", (3,))
        file["outside"] = h5py.ExternalLink("/etc/other.h5", "/w")
    with new("hostile_external_storage.h5") as file:
        low_level(file, b"w", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((3,)),
                  set_external=(b"/etc/passwd", 0, 12))
    with new("hostile_virtual.h5", libver="latest") as file:
        layout = h5py.VirtualLayout(shape=(3,), dtype="f4")
        layout[:] = h5py.VirtualSource("/tmp/other.h5", "w", shape=(3,))
        file.create_virtual_dataset("w", layout)
    with new("hostile_cycle.h5") as file:
        file["a/w"] = array("f4", (3,))
        file["a/b/up"] = file["a"]
    with new("hostile_soft_loop.h5") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
    with new("hostile_soft_root.h5") as file:
        file["a/self"] = h5py.SoftLink("/")
    with new("hostile_doubling.h5") as file:
        # 2^40 paths to one dataset.
        below = file.create_group("leaf")
        below["w"] = array("f4", (3,))
        for i in range(40):
            group = file.create_group(f"g{i}")
            group["l"], group["r"] = below, below
            below = group
    with new("hostile_deep.h5") as file:
        file["/".join(["d"] * 100)] = array("f4", (3,))
    with new("hostile_zeros.h5") as file:
        file.create_dataset("w", data=np.zeros(1 << 25, "f4"), chunks=(1 << 25,),
                            compression="gzip", compression_opts=9)
    with new("hostile_unwritten.h5") as file:
        file.create_dataset("w", shape=(1 << 40,), dtype="f4")
    with new("hostile_unwritten_chunks.h5") as file:
        file.create_dataset("w", shape=(1 << 30, 1 << 10), dtype="f4", chunks=(1 << 15, 1 << 10))
    with new("hostile_many_chunks.h5", libver="latest") as file:
        file.create_dataset("w", shape=(1 << 40,), dtype="f4", chunks=(1,), maxshape=(None,))
    with new("hostile_same_name.h5") as file:
        file["a/b"] = array("f4", (3,))
        file["a.b"] = array("f4", (3,))
    with new("unsupported_filter.h5") as file:
        file.create_dataset("w", data=array("i4", (30,)), chunks=(30,), scaleoffset=0)


def digest(numbers):
    little = np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("<")))
    return hashlib.sha256(little.tobytes()).hexdigest()


def contents(path):
    """Name → [type, shape, hash of the little-endian bytes], in h5py's order."""
    found = {}

    def visit(group, prefix):
        for key in group:
            try:
                item = group[key]
            except KeyError:
                continue
            if isinstance(item, h5py.Group):
                visit(item, f"{prefix}{key}.")
            elif isinstance(item, h5py.Dataset) and item.shape is not None:
                kind = item.dtype.subdtype[0] if item.dtype.subdtype else item.dtype
                if kind.kind in "biufc" and kind.itemsize <= 16 and kind != np.longdouble:
                    numbers = np.asarray(item[()])
                    kind = numbers.dtype.newbyteorder("=").name
                    found[prefix + key] = [kind, list(numbers.shape), digest(numbers)]

    with h5py.File(path) as file:
        visit(file, "")
    return found


types("types_earliest.h5", "earliest")
types("types_latest.h5", "latest")
chunks("chunks_earliest.h5", "earliest")
chunks("chunks_latest.h5", "latest")
groups("groups_earliest.h5", "earliest", False)
groups("groups_ordered.h5", "earliest", True)
groups("groups_latest.h5", "latest", False)
others("others.h5")
keras("keras.h5")
with new("userblock.h5", userblock_size=1024) as file:
    file["w"] = array("f4", (3,))
    file.create_dataset("z", data=array("f4", (30, 30)), chunks=(7, 7), compression="gzip")
hostile()
good = [name for name in sorted(os.listdir(HERE))
        if name.endswith(".h5") and not name.startswith(("hostile", "unsupported"))]
with open(os.path.join(HERE, "expected.json"), "w") as out:
    json.dump({name: contents(os.path.join(HERE, name)) for name in good}, out, indent=0)
    out.write("\n")
