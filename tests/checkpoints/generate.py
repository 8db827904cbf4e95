"""Writes what the vault is tested with: python generate.py [good] [hostile] [goldens]

Needs torch, numpy 2, scipy, h5py, safetensors, pyyaml, omegaconf and yacs; POSE4D_NUMPY1 names a
Python with numpy 1 and scipy. What is written is committed; this is run when cases are added.
`goldens` reads the folder named by POSE4D_GOLDENS and the project's own, and keeps what Python finds in its files, by
the hash of each file: the files themselves stay where they are.
"""

import gzip
import hashlib
import json
import os
import sys
from collections import Counter
from pathlib import Path

from common import Corpus

HERE = Path(__file__).parent


def good():
    import good_arrays
    import good_hdf5
    import good_pickle
    import good_torch

    corpus = Corpus()
    good_torch.add_all(corpus)
    good_pickle.add_all(corpus)
    good_arrays.add_all(corpus)
    good_hdf5.add_all(corpus)
    good_arrays.wrapped_cases(corpus)
    return corpus


def hostile():
    import hostile_arrays
    import hostile_hdf5
    import hostile_pickle
    import hostile_torch

    corpus = Corpus()
    for module in (hostile_pickle, hostile_torch, hostile_arrays, hostile_hdf5):
        module.add_all(corpus)
    return corpus


def goldens():
    import truth

    found = {}
    folders = [Path(os.environ["POSE4D_GOLDENS"]), HERE.parent / "fixtures" / "goldens"]
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix in (".ckpt", ".pt", ".pth", ".pkl", ".gz", ".npz", ".npy", ".yaml"):
            found[hashlib.sha256(path.read_bytes()).hexdigest()] = truth.facts(path)
    path = HERE / "goldens.json.gz"
    path.write_bytes(gzip.compress(json.dumps(found, separators=(",", ":")).encode(), 9, mtime=0))
    print(f"{path.name}: {len(found)} files, {path.stat().st_size} bytes")


def main():
    corpora = {"good": good, "hostile": hostile}
    for name in sys.argv[1:] or corpora:
        if name == "goldens":
            goldens()
            continue
        corpus = corpora[name]()
        path = HERE / f"{name}.tar.gz"
        corpus.write(path)
        print(f"{path.name}: {len(corpus.files)} cases, {path.stat().st_size} bytes")
        for folder, count in Counter(n.split("/")[0] for n in corpus.files).items():
            print(f"  {count:5} {folder}")


if __name__ == "__main__":
    main()
