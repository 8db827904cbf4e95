"""Reads files that our writers made, with every reader that this Python has, and compares bit for bit.

python readback.py list.json prints one JSON object: path → {"readers": […], "complaints": […]}.
The list is what `tests/vault_readback.rs` wrote beside the files: per path the format and
[name, dtype, shape, sha256] of every tensor, in order.
"""

import hashlib
import json
import pickle
import sys
import warnings

import numpy as np


def optional(name):
    try:
        return __import__(name)
    except ImportError:
        return None


torch, h5py = optional("torch"), optional("h5py")
safetensors = optional("safetensors")


class Bfloat16:
    """What h5py reads of a type that numpy does not have: its bits, and float32 made of them."""

    def __init__(self, dataset):
        self.shape = dataset.shape
        self.bits = np.zeros(dataset.shape, "<u2")
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, self.bits, mtype=dataset.id.get_type())
        wide = np.asarray(dataset[()], dtype="<f4").reshape(-1)
        same = self.bits.reshape(-1).astype("<u4") << 16 == wide.view("<u4")
        # HDF5 makes every NaN the same one when it widens.
        self.true = bool((same | np.isnan(wide)).all())

    def entry(self):
        digest = hashlib.sha256(self.bits.tobytes()).hexdigest()
        return ["bfloat16", list(self.shape), digest if self.true else "widened to other numbers"]


def array_entry(value):
    if isinstance(value, Bfloat16):
        return value.entry()
    value = np.asarray(value)
    little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
    dtype = value.dtype.newbyteorder("=").name
    return [dtype, list(value.shape), hashlib.sha256(little.tobytes()).hexdigest()]


def tensor_entry(value):
    plain = value.detach().contiguous()
    raw = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return [str(plain.dtype).removeprefix("torch."), list(plain.shape), hashlib.sha256(raw).hexdigest()]


def torch_weights_only(path):
    return torch.load(path, weights_only=True), tensor_entry, True


def torch_mapped(path):
    return torch.load(path, weights_only=True, mmap=True), tensor_entry, True


def torch_by_hand(path):
    with open(path, "rb") as file:
        return torch.load(file, weights_only=False), tensor_entry, True


def plain_pickle(path):
    with open(path, "rb") as file:
        return pickle.load(file), array_entry, True


def latin1_pickle(path):
    with open(path, "rb") as file:
        return pickle._Unpickler(file, encoding="latin1").load(), array_entry, True


def is_bfloat16(dataset):
    kind = dataset.id.get_type()
    return isinstance(kind, h5py.h5t.TypeFloatID) and kind.get_fields() == (15, 7, 8, 0, 7)


def hdf5(path):
    found = {}

    def walk(group, prefix):
        for key in group.keys():
            item = group[key]
            name = prefix + key
            if isinstance(item, h5py.Group):
                walk(item, name + ".")
            else:
                found[name] = Bfloat16(item) if is_bfloat16(item) else item[()]

    with h5py.File(path, "r") as file:
        walk(file, "")
    return found, array_entry, False


def safetensors_torch(path):
    import safetensors.torch

    return safetensors.torch.load_file(path), tensor_entry, False


def safetensors_mapped(path):
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, tensor_entry, False


def safetensors_numpy(path):
    import safetensors.numpy

    return safetensors.numpy.load_file(path), array_entry, False


READERS = {
    "torch": [torch_weights_only, torch_mapped, torch_by_hand] if torch else [],
    "pickle": [plain_pickle, latin1_pickle],
    "hdf5": [hdf5] if h5py else [],
    "safetensors": ([safetensors_torch, safetensors_mapped] if torch else []) + [safetensors_numpy]
    if safetensors
    else [],
}
# Types that numpy does not have, and the library's numpy half therefore refuses.
NOT_NUMPY = {"bfloat16", "float8_e4m3fn", "float8_e5m2"}


FLOATS = {"float16", "bfloat16", "float32", "float64"}


def compare_cast(path, facts):
    """Every real number of 16 bits and more is what PyTorch makes of the source's."""
    import safetensors.torch

    source = safetensors.torch.load_file(facts["cast_of"])
    wanted = getattr(torch, facts["cast_to"])
    found = torch.load(path, weights_only=True)
    for name, value in source.items():
        if str(value.dtype).removeprefix("torch.") in FLOATS:
            value = value.to(wanted)
        got = found[name]
        if got.dtype != value.dtype or got.shape != value.shape:
            yield f"{name!r} is {got.dtype} {tuple(got.shape)}"
            continue
        same = got.contiguous().reshape(-1).view(torch.uint8).equal(value.contiguous().reshape(-1).view(torch.uint8))
        if not same and not torch.equal(got.nan_to_num(7.0), value.nan_to_num(7.0)):
            yield f"{name!r} is cast to other numbers than PyTorch's"


def judge(path, facts):
    done, complaints = [], []
    for read in READERS[facts["format"]]:
        types = {entry[1] for entry in facts["tensors"]}
        if read is safetensors_numpy and types & NOT_NUMPY:
            continue
        done.append(read.__name__)
        try:
            found, describe, ordered = read(path)
        except Exception as error:
            complaints.append(f"{read.__name__}: {type(error).__name__}: {error}")
            continue
        names = [entry[0] for entry in facts["tensors"]]
        if (list(found) if ordered else sorted(found)) != (names if ordered else sorted(names)):
            complaints.append(f"{read.__name__}: other names: {list(found)[:5]}")
            continue
        for name, *wanted in facts["tensors"]:
            if (got := describe(found[name])) != wanted:
                complaints.append(f"{read.__name__}: {name!r} is {got} instead of {wanted}")
    if torch and "cast_of" in facts and facts["format"] == "torch":
        done.append("PyTorch's own cast")
        complaints.extend(compare_cast(path, facts))
    return {"readers": done, "complaints": complaints[:5]}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        listed = json.load(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        json.dump({path: judge(path, facts) for path, facts in listed.items()}, sys.stdout)


if __name__ == "__main__":
    main()
