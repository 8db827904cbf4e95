"""What all generators share: payloads, truth as Python sees it, and the archive the tests unpack."""

import collections
import gzip
import hashlib
import io
import json
import struct
import tarfile

import numpy as np

try:
    import torch
except ImportError:  # the numpy 1 environment
    torch = None

# One pool of random bytes for every payload: cases differ in where they start to read, so the
# archive stays small while no two neighbouring tensors hold the same bytes.
_POOL = np.random.RandomState(20240229).bytes(1 << 13)


def payload(size, salt):
    """`size` bytes that depend on `salt` (any string or number)."""
    start = int.from_bytes(hashlib.sha256(repr(salt).encode()).digest()[:2], "big") % 4096
    while start + size > len(_POOL):
        if start == 0:
            return (_POOL * (size // len(_POOL) + 1))[:size]
        start //= 2
    return _POOL[start : start + size]


def array(dtype, shape, salt):
    """A numpy array of random bits (bools are 0 or 1); big-endian dtypes are honoured."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    raw = payload(count * dtype.itemsize, (dtype.str, tuple(shape), salt))
    if dtype.kind == "b":
        raw = bytes(byte & 1 for byte in raw)
    return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()


def tensor(dtype, shape, salt):
    """A torch tensor of random bits."""
    width = torch.empty((), dtype=dtype).element_size()
    count = int(np.prod(shape, dtype=np.int64))
    raw = payload(count * width, (str(dtype), tuple(shape), salt))
    if dtype == torch.bool:
        raw = bytes(byte & 1 for byte in raw)
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape).clone()


def array_entry(value):
    """dtype name, shape and sha256 of the row-major little-endian bytes."""
    little = np.ascontiguousarray(value).reshape(value.shape)
    little = little.astype(little.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(little.tobytes()).hexdigest()
    return [value.dtype.newbyteorder("=").name, [int(d) for d in value.shape], digest]


def tensor_entry(value):
    plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
    raw = b""
    if plain.numel():
        raw = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
    name = str(plain.dtype).removeprefix("torch.")
    return [name, [int(d) for d in plain.shape], hashlib.sha256(raw).hexdigest()]


def class_name(value):
    cls = value if isinstance(value, type) else type(value)
    return f"{cls.__module__}.{cls.__qualname__}"


# Whose objects a reader may take for plain data or keep as opaque, as it likes.
_OWN = ("builtins", "argparse", "datetime", "functools", "numpy", "pathlib", "torch")
# A text longer than this need not be among the values.
_LONG = 3000


class Truth:
    """Everything in an object, by path, as Python sees it."""

    def __init__(self, value=None):
        self.tensors = []
        self.values = {}
        self.opaque = []
        self.walk(None, value)

    def walk(self, path, value):
        inner = lambda key: str(key) if path is None else f"{path}.{key}"
        name = "arr_0" if path is None else path
        if torch is not None and isinstance(value, torch.Tensor):
            self.tensors.append([name, *tensor_entry(value)])
        elif isinstance(value, np.generic) and value.dtype.kind in "biufc":
            self.tensors.append([name, *array_entry(np.asarray(value))])
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            self.tensors.append([name, *array_entry(value)])
        elif isinstance(value, np.ndarray) and value.dtype.kind in "SU":
            pass  # texts: neither tensors nor, as an array, plain values
        elif isinstance(value, np.ndarray):
            self.opaque.append("numpy.ndarray")
        elif hasattr(value, "toarray"):
            self.tensors.append([name, *array_entry(value.toarray())])
        elif hasattr(value, "__dense__"):
            self.walk(path, value.__dense__())
        elif type(value) in (dict, collections.OrderedDict, collections.defaultdict):
            for key, item in value.items():
                self.walk(inner(key), item)
        elif type(value) in (list, tuple):
            for index, item in enumerate(value):
                self.walk(inner(index), item)
        elif value is None or isinstance(value, (bool, int, float, str)):
            if path is not None and len(str(value)) <= _LONG:
                self.values[path] = value
        elif isinstance(value, (bytes, bytearray)):
            pass  # read, but not JSON
        elif not class_name(value).startswith(_OWN):
            self.opaque.append(class_name(value))


class Corpus:
    """Named files and what is known of each."""

    def __init__(self):
        self.files = {}
        self.facts = {}

    def add(self, name, data, **facts):
        if name in self.files:
            raise ValueError(f"two cases are called {name}")
        self.files[name] = bytes(data)
        self.facts[name] = facts

    def good(self, name, format, data, value=None, truth=None, root=None, values=True, ordered=True):
        """A file that opens; `truth` defaults to what is in `value`."""
        truth = truth or Truth(value)
        facts = {"format": format, "tensors": truth.tensors}
        if truth.opaque:
            facts["opaque"] = sorted(set(truth.opaque))
        if values and truth.values:
            facts["values"] = truth.values
        if root is not None:
            facts["root"] = root
        if not ordered:
            facts["unordered"] = True
        self.add(name, data, **facts)

    def write(self, path):
        """A gzipped tar: `cases.json` first, then the files in order of name."""
        index = json.dumps(self.facts, separators=(",", ":"), allow_nan=False).encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in [("cases.json", index), *sorted(self.files.items())]:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        with open(path, "wb") as out:
            out.write(gzip.compress(buffer.getvalue(), 9, mtime=0))


def tar(members, **options):
    """A tar of (name, bytes) pairs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def u32(value):
    return struct.pack("<I", value)
