"""What Python reads in files of weights: python truth.py file… prints one JSON object, by path.

For files of our own making only: PyTorch and pickle are allowed to run what is in them.
"""

import gzip
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np

from common import Truth


def load(path, data):
    if data[:2] == b"\x1f\x8b":
        return load(path.with_suffix(""), gzip.decompress(data))
    if path.suffix in (".yaml", ".yml"):
        import yaml

        return yaml.safe_load(data)
    if data[:6] == b"\x93NUMPY":
        return np.load(io.BytesIO(data), allow_pickle=False)
    if data[:4] == b"\x89HDF":
        import h5py

        from good_hdf5 import read

        with h5py.File(io.BytesIO(data), "r") as file:
            return read(file)
    if path.suffix == ".safetensors":
        import safetensors.torch

        return safetensors.torch.load(data)
    if path.suffix == ".npz":
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    if path.suffix in (".pkl", ".pickle"):
        from good_pickle import Python2Unpickler

        return Python2Unpickler(data).load()
    import torch

    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)


def facts(path):
    path = Path(path)
    truth = Truth(load(path, path.read_bytes()))
    return {"tensors": truth.tensors, "values": truth.values, "opaque": sorted(set(truth.opaque))}


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        json.dump({path: facts(path) for path in sys.argv[1:]}, sys.stdout)
