"""Good pickles of numpy arrays. Runs under numpy 1 and numpy 2: `python good_pickle.py` prints its cases as JSON."""

import base64
import collections
import io
import json
import os
import pickle
import pickletools
import subprocess
import sys
import warnings

import numpy as np
import scipy.sparse

from common import Corpus, Truth, array, class_name

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
MAJOR = int(np.__version__.split(".")[0])


def detectron2(salt):
    """As detectron2's model zoo: names to arrays below `model`."""
    names = {
        "backbone.bottom_up.stem.conv1.weight": (4, 3, 2, 2),
        "backbone.bottom_up.stem.conv1.norm.running_var": (4,),
        "proposal_generator.rpn_head.anchor_deltas.bias": (12,),
        "roi_heads.box_predictor.cls_score.weight": (3, 5),
        "pixel_mean": (3, 1, 1),
    }
    model = {name: array("<f4", shape, salt + name) for name, shape in names.items()}
    model["num_batches_tracked"] = np.array(7, dtype=np.int64)
    return {"model": model, "__author__": "Detectron2 Model Zoo", "matching_heuristics": True}


def basic(add):
    for code in DTYPES:
        for protocol in range(6):
            value = {
                "layer.weight": array("<" + code, (3, 4), code),
                "layer.bias": array("<" + code, (3,), code),
                "scale": array("<" + code, (), code),
                "none": array("<" + code, (0, 2), code),
            }
            add(f"dtype-{code.replace('?', 'b1')}-p{protocol}", pickle.dumps(value, protocol), value, root="")
    for code in ("?", "f2", "f4", "f8", "i8", "c16"):
        for protocol in range(6):
            value = {"w": np.asfortranarray(array("<" + code, (3, 5), 1)), "c": array("<" + code, (2, 3, 2), 2).transpose(2, 0, 1)}
            value["line"] = np.asfortranarray(array("<" + code, (4,), 3))
            add(f"fortran-{code.replace('?', 'b1')}-p{protocol}", pickle.dumps(value, protocol), value, root="")
    for code in ("i2", "u4", "i8", "f2", "f4", "f8", "c8"):
        for protocol in (0, 2, 3, 4, 5):
            value = {"w": array(">" + code, (3, 4), 4), "t": array(">" + code, (3, 2), 5).T, "s": array(">" + code, (), 6)}
            add(f"big-endian-{code}-p{protocol}", pickle.dumps(value, protocol), value, root="")


def structures(add):
    a = lambda *shape: array("<f4", shape, len(shape))
    shared = a(3, 2)
    deep = a(2)
    for level in range(30):
        deep = {f"level{level}": deep}
    objects = {
        "detectron2": detectron2("d"),
        "caffe2": {"blobs": {"conv1_w": a(2, 3), "conv1_b": a(2), "conv1_w_momentum": a(2, 3)}},
        "bare": a(4, 3),
        "bare_list": [a(2), a(3)],
        "bare_tuple": (a(2), {"x": a(1)}),
        "ordered": collections.OrderedDict(b=a(2), a=a(3)),
        "tied": {"a": shared, "b": shared, "l": [shared, shared]},
        "int_keys": {0: a(1), 1: {2: a(2)}, -3: a(1)},
        "views": {"row": shared[1], "col": shared[:, 1], "rev": shared[::-1], "step": a(9)[1::3], "wide": np.broadcast_to(a(3), (4, 3))},
        "values": {"w": a(2), "i": 5, "neg": -70000, "big": 1 << 40, "f": 0.25, "s": "text", "u": "ünï☃", "n": None, "t": True, "l": [1, [2, "x"], ()], "d": {}},
        "deep": deep,
        "many": {f"block{i}.w": array("<f4", (i % 4,), i) for i in range(400)},
        "long_strings": {"w": a(2), "x" * 300: a(3), "note": "n" * 2000, "log": "n" * 70000},
        "beside": {"w": a(2), "bytes": b"\x00\xff", "set": {1, 2}, "frozen": frozenset("a"), "complex": 2 + 1j, "huge": 1 << 200, "bytearray": bytearray(b"q")},
        "scalars": {"w": a(2), "f": np.float32(1.5), "i": np.int64(7), "b": np.bool_(True), "d": np.dtype("f4")},
        "strings": {"w": a(2), "names": np.array(["a", "bc"]), "raw": np.array([b"a", b"bc"])},
        "empty_beside": {"w": a(2), "l": [], "t": (), "d": {}},
        "labels": {"labels": ["walk", "run"], "ids": {"a": 1, "b": 2}},
        "smpl_clean": {"v_template": array("<f8", (9, 3), 1), "f": array("<u4", (4, 3), 1), "J_regressor": array("<f8", (2, 9), 1), "kintree_table": array("<u4", (2, 2), 2), "bs_style": "lbs", "shapedirs": array("<f8", (9, 3, 2), 1)},
    }  # fmt: skip
    roots = {"detectron2": "model", "ordered": "", "tied": "", "views": "", "many": ""}
    for name, value in objects.items():
        for protocol in range(6):
            values = name != "beside"
            add(f"holds-{name}-p{protocol}", pickle.dumps(value, protocol), value, root=roots.get(name), values=values)
    value = detectron2("v")
    for protocol in range(6):
        stream = io.BytesIO()
        pickle._Pickler(stream, protocol).dump(value)
        add(f"by-pure-python-p{protocol}", stream.getvalue(), value, root="model")
        add(f"optimized-p{protocol}", pickletools.optimize(pickle.dumps(value, protocol)), value, root="model")
        stream = io.BytesIO()
        fast = pickle.Pickler(stream, protocol)
        fast.fast = True
        fast.dump(value)
        add(f"without-memo-p{protocol}", stream.getvalue(), value, root="model")
        stream = io.BytesIO()
        plain = pickle._Pickler(stream, protocol)
        plain.framer = _NoFrames(stream.write)
        plain.write = plain.framer.write
        plain.dump(value)
        add(f"without-frames-p{protocol}", stream.getvalue(), value, root="model")
    big = {"w": array("<f4", (200, 90), "big"), "b": array("<f4", (5,), "big")}
    for protocol in (0, 2, 4, 5):
        add(f"over-a-frame-p{protocol}", pickle.dumps(big, protocol), big, root="")


class _NoFrames:
    """Stands in for pickle's framer: protocol 4 and 5 without FRAME opcodes are valid too."""

    _FRAME_SIZE_TARGET = 1 << 62

    def __init__(self, write):
        self.write = write
        self.current_frame = None

    def start_framing(self):
        pass

    def end_framing(self):
        pass

    def commit_frame(self, force=False):
        pass

    def write_large_bytes(self, header, body):
        self.write(header)
        self.write(body)


SPARSE = ["csc", "csr", "coo", "bsr", "dia", "lil", "dok"]


def sparse(add):
    dense = array("<f8", (4, 6), "sparse")
    dense[np.isnan(dense)] = 1.0
    dense[array("<u1", (4, 6), "mask") > 90] = 0
    for kind in SPARSE:
        for protocol in (0, 2, 3, 4, 5):
            value = {"w": dense[0], "J": getattr(scipy.sparse, kind + "_matrix")(dense)}
            add(f"sparse-{kind}-p{protocol}", pickle.dumps(value, protocol), value, root="")
        value = {"J": getattr(scipy.sparse, kind + "_array")(dense.astype("<f4"))}
        add(f"sparse-{kind}-array", pickle.dumps(value, 4), value, root="")
    blocks = scipy.sparse.bsr_matrix(np.kron(dense[:2, :3] != 0, np.ones((2, 2))), blocksize=(2, 2))
    add("sparse-bsr-blocks", pickle.dumps({"J": blocks}, 4), {"J": blocks}, root="")
    for code in ("?", "i4", "i8", "f4", "c16"):
        value = {"J": scipy.sparse.csr_matrix((dense != 0).astype(code)), "E": scipy.sparse.csc_matrix((3, 4), dtype=code)}
        add(f"sparse-dtype-{code.replace('?', 'b1')}", pickle.dumps(value, 2), value, root="")


class _Stub:
    """A class that is not installed; chumpy's say what array they stand for."""

    def __init__(self, *args):
        self.args = args

    def __setstate__(self, state):
        self.__dict__.update(state)


class _Ch(_Stub):
    def __dense__(self):
        return self.x


class _Select(_Stub):
    def __dense__(self):
        a = self.a.__dense__() if isinstance(self.a, _Stub) else self.a
        picked = a.ravel()[self.idxs]
        return picked.reshape(self.preferred_shape) if hasattr(self, "preferred_shape") else picked


class Python2Unpickler(pickle.Unpickler):
    """As `pickle.load(…, encoding='latin1')`, with stand-ins for classes that are not installed."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data), encoding="latin1")

    def find_class(self, module, name):
        if (module, name) == ("chumpy.ch", "Ch"):
            return _Ch
        if (module, name) == ("chumpy.reordering", "Select"):
            return _Select
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (_Stub,), {"__module__": module, "__qualname__": name})


def torch_tensors(add):
    """Tensors that were pickled as they are, without `torch.save`: each carries a file of its own."""
    import torch

    w = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    value = {"model": {"w": w, "t": w.t(), "half": w.half(), "p": torch.nn.Parameter(w), "s": w[1, 2]}, "epoch": 3}
    for protocol in range(6):
        add(f"torch-tensors-p{protocol}", pickle.dumps(value, protocol), value, root="model")
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    state = {k: torch.zeros_like(v) + i for i, (k, v) in enumerate(state.items())}
    for protocol in (2, 4):
        add(f"torch-state-p{protocol}", pickle.dumps(state, protocol), state, root="")


def python2(add):
    from opcodes import Global, Long, NewObject, OldInstance, Python2Pickler, Reduce, Unicode

    a = lambda *shape, code="<f8": array(code, shape, len(shape))

    def ch(value):
        state = {"x": value, "_dirty_vars": Reduce(Global("__builtin__", "set"), (["x"],)), "_itr": None, "_depends_on_deps": {}, "_status": "new"}
        return NewObject(Global("chumpy.ch", "Ch"), state)

    def select(source, idxs, **more):
        return NewObject(Global("chumpy.reordering", "Select"), {"a": source, "idxs": idxs, **more})

    def csc(dense, module="scipy.sparse.csc", kind="csc", shape="_shape"):
        matrix = getattr(scipy.sparse, kind + "_matrix")(dense)
        state = {"format": kind, shape: tuple(matrix.shape), "indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data, "maxprint": 50}
        return NewObject(Global(module, kind + "_matrix"), state)

    numbers = np.arange(12.0).reshape(3, 4)
    dense = np.where(numbers % 3 == 0, numbers + 0.5, 0)
    flat = lambda *shape: np.arange(np.prod(shape), dtype="<i8")[::2].copy()
    objects = {
        "arrays": {"w": a(3, 4), "b": a(3, code="<f4"), "i": a(2, code="<i4"), "e": a(0, 2), "s": a()},
        "bool": {"w": a(3, 4, code="|b1"), "u": a(3, code="|u1")},
        "fortran": {"w": np.asfortranarray(a(3, 4))},
        "big_endian": {"w": a(3, 4, code=">f4"), "i": a(3, code=">i2")},
        "all_bytes": {"w": np.arange(256, dtype="u1").view("<u4").reshape(8, 8)},
        "quotes": {"w": np.frombuffer(b"'\"\\\n\r\t\x00\x7f\x80\xff'\"", dtype="u1"), "n": np.frombuffer(b"''''", dtype="u1"), "m": np.frombuffer(b'"""\\', dtype="u1")},
        "unicode_keys": {Unicode("w"): a(2), Unicode("gewicht-ü☃"): a(3), "latin-\xe9": a(1)},
        "nested": {"model": {"a": a(2), "b": a(3)}, "iteration": 3},
        "list": [a(2), a(3), {"x": a(1)}],
        "bare": a(2, 3),
        "tied": (lambda x: {"a": x, "b": x})(a(2)),
        "numbers": {"w": a(1), "i": 5, "n": -1, "m": 300, "l": 70000, "neg": -70000, "long": Long(1 << 70), "zero": Long(0), "wide": 1 << 40, "f": 1.5, "t": True, "o": False, "none": None, "u": Unicode("ü\\\n"), "s": "\xe9'\"\n\\"},
        "tuples": {"w": a(1), "t0": (), "t1": (1,), "t2": (1, 2), "t3": (1, 2, 3), "t4": (1, 2, 3, 4)},
        "old_class": {"w": a(2), "config": OldInstance("my.config", "Config", {"lr": 0.1, "w": a(2)})},
        "new_class": {"w": a(2), "config": NewObject(Global("my.config", "NewConfig"), {"lr": 0.1})},
        "chumpy": {"v_template": ch(a(9, 3)), "weights": ch(a(9, 2)), "f": a(4, 3, code="<u4")},
        "chumpy_f4": {"shapedirs": ch(a(3, 2, 4, code="<f4")), "n": a(1)},
        "select": {"shapedirs": select(ch(a(4, 3)), flat(4, 3))},
        "select_shape": {"shapedirs": select(ch(a(4, 3)), flat(4, 3), preferred_shape=(3, 2))},
        "select_select": {"s": select(select(ch(a(4, 4)), flat(4, 4)), np.array([7, 0, 0, 3]))},
        "select_array": {"s": select(a(4, 4), np.array([15, 0, 2], dtype="<i8"), preferred_shape=(1, 3))},
        "csc": {"J_regressor": csc(dense), "w": a(1)},
        "csr": {"J": csc(dense, "scipy.sparse.csr", "csr")},
        "smpl": {"v_template": ch(a(9, 3)), "J_regressor": csc(dense), "f": a(4, 3, code="<u4"), "kintree_table": a(2, 3, code="<u4"), "bs_style": "lbs", "bs_type": "lrotmin", "J_regressor_prior": csc(dense), "posedirs": a(9, 3, 2), "shapedirs": select(ch(a(9, 3, 4)), flat(9, 3, 4), preferred_shape=(9, 3, 2)), "J": a(3, 3), "weights_prior": a(9, 2), "vert_sym_idxs": a(9, code="<i8")},
        "blobs": {"blobs": {"conv_w": a(2, 2, code="<f4")}, "cfg": "MODEL:\n  TYPE: x\n"},
        "many": {f"w{i}": a(i % 3 + 1, code="<f4") for i in range(150)},
    }  # fmt: skip
    for name, value in objects.items():
        for protocol in range(3):
            data = Python2Pickler(protocol).dump(value)
            truth = Truth(Python2Unpickler(data).load())
            add(f"python2-{name}-p{protocol}", data, truth=truth, values=name != "numbers")
    value = objects["arrays"]
    for protocol in range(3):
        for style, options in {"no-memo": {"memo": False}, "single-items": {"single_items": True}, "double-quotes": {"double_quotes": True}}.items():
            data = Python2Pickler(protocol, **options).dump(objects["quotes" if style == "double-quotes" else "arrays"])
            add(f"python2-{style}-p{protocol}", data, truth=Truth(Python2Unpickler(data).load()))


def cases():
    corpus = Corpus()
    folder = f"pickle-numpy{MAJOR}"

    def add(name, data, value=None, truth=None, **facts):
        # The truth is what Python reads back, not what was put in.
        truth = truth or Truth(pickle.loads(data, encoding="latin1"))
        corpus.good(f"{folder}/{name}.pkl", "pickle", data, truth=truth, **facts)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        basic(add)
        structures(add)
        if MAJOR == 2:
            sparse(add)
            torch_tensors(add)
            python2(add)
    return corpus


def add_all(corpus):
    other = os.environ.get("POSE4D_NUMPY1", "/opt/ref/venv/bin/python")
    printed = subprocess.run([other, __file__], check=True, stdout=subprocess.PIPE).stdout
    for name, (data, facts) in json.loads(printed).items():
        corpus.add(name, base64.b64decode(data), **facts)
    for name, data in (own := cases()).files.items():
        corpus.add(name, data, **own.facts[name])


if __name__ == "__main__":
    made = cases()
    pairs = {n: [base64.b64encode(d).decode(), made.facts[n]] for n, d in made.files.items()}
    json.dump(pairs, sys.stdout)
