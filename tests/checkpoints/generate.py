"""Writes the corpora the vault is tested with: python generate.py [good] [hostile]

Needs the packages of scripts/campaigns/requirements.txt; POSE4D_NUMPY1 names a Python with
numpy 1 and scipy. The archives are committed; this is run when cases are added.
"""

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


def main():
    corpora = {"good": good, "hostile": hostile}
    for name in sys.argv[1:] or corpora:
        corpus = corpora[name]()
        path = HERE / f"{name}.tar.gz"
        corpus.write(path)
        print(f"{path.name}: {len(corpus.files)} cases, {path.stat().st_size} bytes")
        for folder, count in Counter(n.split("/")[0] for n in corpus.files).items():
            print(f"  {count:5} {folder}")


if __name__ == "__main__":
    main()
