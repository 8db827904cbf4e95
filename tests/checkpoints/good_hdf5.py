"""Good HDF5 files, all written and read by h5py."""

import io
import os
import tempfile

import h5py
import numpy as np

from common import Truth, array

LIBVERS = ["earliest", "v108", "v110", "v112", "v114", "latest"]
CODES = ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16"]


def read(group, path=""):
    """Every numeric dataset, by its keys: what a program gets that walks the file."""
    found = {}
    for key in group.keys():
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            continue
        try:
            item = group[key]
        except KeyError:
            continue  # a soft link that leads nowhere
        name = f"{path}.{key}" if path else key
        if isinstance(item, h5py.Group):
            found.update(read(item, name))
        elif isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype.kind in "biufc":
            found[name] = np.asarray(item[()]).astype(item.dtype, copy=False).reshape(item.shape)
    return found


def make(fill, libver="earliest", **options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.h5")
        low = libver if isinstance(libver, tuple) else (libver, "latest" if libver == "latest" else libver)
        if libver == "earliest":
            low = "earliest"
        with h5py.File(path, "w", libver=low, **options) as file:
            fill(file)
        with open(path, "rb") as file:
            return file.read()


def add_all(corpus):
    def add(name, fill, libver="earliest", **options):
        data = make(fill, libver, **options)
        with h5py.File(io.BytesIO(data), "r") as file:
            truth = Truth(read(file))
        corpus.good(f"hdf5/{name}.h5", "hdf5", data, truth=truth, ordered=False)

    for libver in LIBVERS:
        layouts(add, libver)
        groups(add, libver)
    filters(add)
    types(add)
    states(add)
    file_options(add)


def layouts(add, libver):
    def every(file):
        file["contiguous"] = array("<f4", (3, 5), 1)
        file["scalar"] = array("<f8", (), 1)
        file["empty"] = array("<f4", (0, 4), 1)
        file.create_dataset("null", data=h5py.Empty("f4"))
        file.create_dataset("never_written", (2, 3), "<f4")
        file.create_dataset("fill_value", (2, 3), "<i4", fillvalue=-7)
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        value = array("<f4", (4, 2), 2)
        space = h5py.h5s.create_simple(value.shape)
        dataset = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, dcpl=compact)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, value)

    add(f"layouts-{libver}", every, libver)
    chunked = {
        "one_chunk": ((4, 6), (4, 6), None), "even": ((4, 6), (2, 3), None), "uneven": ((5, 7), (2, 3), None),
        "one_dim": ((17,), (4,), None), "three_dims": ((3, 4, 5), (2, 2, 2), None), "rows": ((9, 3), (1, 3), None),
        "extensible": ((5, 4), (2, 2), (None, 4)), "extensible_both": ((3, 5), (2, 2), (None, None)),
        "fixed_max": ((5, 4), (2, 2), (50, 40)), "larger_chunk": ((3,), (8,), (None,)), "empty": ((0, 3), (2, 3), (None, 3)),
        "hundreds": ((300,), (1,), None), "hundreds_extensible": ((200,), (1,), (None,)), "hundreds_both": ((20, 15), (1, 1), (None, None)),
    }  # fmt: skip
    for name, (shape, chunks, most) in chunked.items():
        fill = lambda f: f.create_dataset("w", data=array("<f4", shape, 3), chunks=chunks, maxshape=most)
        add(f"chunked-{name}-{libver}", fill, libver)

    def sparse_chunks(file):
        dataset = file.create_dataset("w", (40,), "<i4", chunks=(4,), fillvalue=9)
        dataset[8:12] = 1
        dataset[30:33] = 2
        grown = file.create_dataset("grown", data=array("<i2", (3,), 1), chunks=(2,), maxshape=(None,))
        grown.resize((9,))
        shrunk = file.create_dataset("shrunk", data=array("<i2", (9, 4), 1), chunks=(2, 3), maxshape=(None, None))
        shrunk.resize((4, 2))
        shrunk.resize((5, 5))

    add(f"chunked-some-missing-{libver}", sparse_chunks, libver)
    for name, options in {
        "gzip": dict(compression="gzip"), "gzip-shuffle": dict(compression="gzip", shuffle=True),
        "fletcher32": dict(fletcher32=True), "lzf": dict(compression="lzf"),
        "all": dict(compression="gzip", shuffle=True, fletcher32=True),
    }.items():  # fmt: skip
        value = np.repeat(array("<f4", (7, 3), 1), 3, axis=1)
        fill = lambda f: f.create_dataset("w", data=value, chunks=(3, 4), **options)
        add(f"filter-{name}-{libver}", fill, libver)


def groups(add, libver):
    def nested(file):
        for name in ("state_dict/backbone/blocks/0/attn/qkv/weight", "state_dict/backbone/blocks/0/attn/qkv/bias", "state_dict/head.weight"):
            file[name] = array("<f4", (2, len(name) % 5 + 1), name)
        file.create_group("nothing/at/all")
        file.attrs["epoch"] = 3
        file["state_dict"].attrs["note"] = "text"
        file["state_dict/head.weight"].attrs["scale"] = array("<f8", (2,), 1)

    add(f"nested-{libver}", nested, libver)

    def links(file):
        file["a/w"] = array("<f4", (2, 2), 1)
        file["hard"] = file["a/w"]
        file["hard_group"] = file["a"]
        file["soft"] = h5py.SoftLink("/a/w")
        file["a/soft_relative"] = h5py.SoftLink("w")
        file["soft_group"] = h5py.SoftLink("/a")
        file["dangling"] = h5py.SoftLink("/not/there")

    add(f"links-{libver}", links, libver)
    add(f"many-datasets-{libver}", lambda f: [f.create_dataset(f"w{i}", data=array("<f2", (i % 3,), i)) for i in range(150)], libver)
    add(f"tracked-order-{libver}", lambda f: [f.create_dataset(n, data=array("<f4", (1,), n)) for n in "zyxabc"], libver, track_order=True)

    def attributes(file):
        file["w"] = array("<f4", (2,), 1)
        for i in range(30):  # more than are kept in the object header: dense storage
            file["w"].attrs[f"a{i}"] = "v" * i
        file.attrs["array"] = np.arange(5)
        file.attrs["string"] = "é"
        file.attrs["strings"] = ["a", "bc"]
        file.attrs["empty"] = h5py.Empty("f4")
        if libver == "earliest":
            return
        file.attrs["large"] = np.zeros(9000)

    add(f"attributes-{libver}", attributes, libver)

    def strings(file):
        file["w"] = array("<f4", (2,), 1)
        file["vlen"] = "text of any length"
        file["fixed"] = np.bytes_("abc")
        file["list"] = ["a", "bc"]
        file["compound"] = np.zeros(2, dtype=[("x", "f4"), ("y", "i4")])
        file["ragged"] = h5py.Dataset if False else 1
        file.create_dataset("vlen_ints", (2,), dtype=h5py.vlen_dtype("i4"))
        file["ref"] = file["w"].ref

    add(f"not-tensors-beside-{libver}", strings, libver)


def filters(add):
    value = np.repeat(array("<f4", (16, 4), 1), 4, axis=1)
    for level in (0, 1, 9):
        add(f"gzip-level-{level}", lambda f: f.create_dataset("w", data=value, compression=level))
    for code in ("|u1", "<i2", "<f4", "<f8", "<c16", ">f4"):
        add(f"shuffle-{code[1:]}-{'big' if code[0] == '>' else 'little'}", lambda f: f.create_dataset("w", data=array(code, (5, 6), 1), shuffle=True, compression="gzip", chunks=(2, 4)))
        add(f"lzf-{code[1:]}-{'big' if code[0] == '>' else 'little'}", lambda f: f.create_dataset("w", data=np.repeat(array(code, (5, 6), 1), 5), shuffle=True, compression="lzf", chunks=(70,)))
    noise = array("<u1", (3000,), "noise")
    add("lzf-incompressible", lambda f: f.create_dataset("w", data=noise, compression="lzf", chunks=(1000,)))
    add("gzip-zeros", lambda f: f.create_dataset("w", data=np.zeros((300, 200), "<f4"), compression="gzip"))
    add("lzf-zeros", lambda f: f.create_dataset("w", data=np.zeros((300, 200), "<f4"), compression="lzf"))
    add("fletcher32-odd", lambda f: f.create_dataset("w", data=array("|u1", (7, 3), 1), fletcher32=True, chunks=(3, 3)))
    add("fletcher32-long", lambda f: f.create_dataset("w", data=array("|u1", (1999,), 1), fletcher32=True, chunks=(1999,)))
    add("scaleoffset-int", lambda f: f.create_dataset("v", data=array("<f4", (3,), 1)))

    def filtered_away(file):
        # One chunk stored without the optional filter: its filter mask says so.
        dataset = file.create_dataset("w", (4, 4), "<f4", chunks=(2, 4), compression="gzip")
        dataset.id.write_direct_chunk((0, 0), array("<f4", (2, 4), 5).tobytes(), filter_mask=1)
        dataset[2:] = array("<f4", (2, 4), 6)

    add("filter-mask", filtered_away)
    for libver in ("earliest", "latest"):
        add(f"filter-mask-{libver}", filtered_away, libver)


def types(add):
    for code in CODES:
        name = np.dtype(code).name
        for libver in ("earliest", "latest"):
            add(f"dtype-{name}-{libver}", lambda f: f.update({}) if False else f.create_dataset("w", data=array(code, (3, 4), 1)), libver)
        if np.dtype(code).itemsize > 1 and code != "|b1":
            add(f"dtype-{name}-big-endian", lambda f: f.create_dataset("w", data=array(">" + code[1:], (3, 4), 1)))

    def enums(file):
        kind = h5py.enum_dtype({"A": 0, "B": 1, "C": 200}, basetype="u1")
        file.create_dataset("enum", data=array("|u1", (5,), 1), dtype=kind)
        file["w"] = array("<f4", (2,), 1)

    add("dtype-enum", enums)

    def committed(file):
        file["type"] = np.dtype("<f4")
        file.create_dataset("w", (3, 2), dtype=file["type"], data=array("<f4", (3, 2), 1))

    for libver in ("earliest", "latest"):
        add(f"committed-type-{libver}", committed, libver)


def states(add):
    import torch

    torch.manual_seed(5)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(2, 3))
    state = {k: v.numpy() for k, v in net.state_dict().items()}
    add("state_dict-flat", lambda f: [f.create_dataset(k, data=v) for k, v in state.items()])
    add("state_dict-nested", lambda f: [f.create_dataset(k.replace(".", "/"), data=v) for k, v in state.items()])
    add("state_dict-compressed", lambda f: [f.create_dataset(k, data=v, **({"compression": "gzip"} if v.shape else {})) for k, v in state.items()])
    add("state_dict-below-model", lambda f: [f.create_dataset("model/" + k, data=v) for k, v in state.items()], "latest")

    def keras(file):
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"]
        layer = group.create_group("dense")
        layer.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        layer["dense/kernel:0"] = array("<f4", (2, 3), 1)
        layer["dense/bias:0"] = array("<f4", (3,), 1)

    add("keras", keras)
    odd = ["a b", "ü☃", "x" * 200, "quote\"'", "tab\t", "..a", "0"]
    for libver in ("earliest", "latest"):
        add(f"odd-names-{libver}", lambda f: [f.create_dataset(n, data=array("<f4", (i + 1,), n)) for i, n in enumerate(odd)], libver)


def file_options(add):
    value = array("<f4", (3, 3), 1)
    add("userblock", lambda f: f.create_dataset("w", data=value), userblock_size=512)
    add("userblock-latest", lambda f: f.create_dataset("w", data=value), "latest", userblock_size=2048)
    for strategy in ("page", "fsm", "aggregate", "none"):
        for persist in (False, True):
            more = dict(fs_strategy=strategy, fs_persist=persist)
            add(f"space-{strategy}-{'kept' if persist else 'dropped'}", lambda f: f.create_dataset("w", data=value), ("v110", "latest"), **more)

    def deleted(file):
        for i in range(20):
            file[f"w{i}"] = array("<f4", (i,), i)
        for i in range(0, 20, 3):
            del file[f"w{i}"]
        file["again"] = value

    for libver in ("earliest", "latest"):
        add(f"deleted-{libver}", deleted, libver)

    def long_header(file):
        dataset = file.create_dataset("w", data=value)
        for i in range(6):
            dataset.attrs[f"note{i}"] = "x" * (300 * i)
        group = file.create_group("g")
        for i in range(6):
            group.attrs[f"note{i}"] = "y" * 500
        group["v"] = value

    for libver in ("earliest", "v110", "latest"):
        add(f"continued-headers-{libver}", long_header, libver)

    def times(file):
        file.create_dataset("w", data=value, track_times=True)

    add("track-times", times)
