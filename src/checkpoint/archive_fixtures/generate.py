"""Writes the fixtures of archives (Python's tarfile and gzip; hostile ones by hand).

python src/checkpoint/archive_fixtures/generate.py
"""
import gzip
import io
import os
import tarfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def npy(numbers):
    out = io.BytesIO()
    np.save(out, numbers)
    return out.getvalue()


LONG = "deep/" * 20 + "a_name_of_more_than_a_hundred_characters_" * 3 + ".npy"
MEMBERS = {
    "./logs/train/model_config.yaml": b"MODEL:\n  IMAGE_SIZE: 256\nexp: ${now:%Y}\n",
    "logs/weights.npy": npy(np.arange(6, dtype="<f4").reshape(2, 3)),
    LONG: npy(np.array([7], "<i8")),
    "README.txt": b"not a checkpoint",
    "empty.npy": b"",
}


def add(tar, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), 0
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def pack(name, form, mode="w"):
    path = os.path.join(HERE, name)
    with open(path, "wb") as out:
        inner = gzip.GzipFile("", "wb", 9, out, mtime=0) if mode == "gz" else out
        with tarfile.open(fileobj=inner, mode="w", format=form) as tar:
            add(tar, "logs", type=tarfile.DIRTYPE)
            for member, data in MEMBERS.items():
                add(tar, member, data)
            add(tar, "logs/hard.npy", type=tarfile.LNKTYPE, linkname="logs/weights.npy")
            add(tar, "logs/train/soft.npy", type=tarfile.SYMTYPE, linkname="../weights.npy")
        if mode == "gz":
            inner.close()


def hostile(name, *members):
    with tarfile.open(os.path.join(HERE, f"hostile_{name}.tar"), "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data, fields in members:
            add(tar, member, data, **fields)


def zipped(name, data):
    with open(os.path.join(HERE, name), "wb") as out:
        with gzip.GzipFile("", "wb", 9, out, mtime=0) as inner:
            inner.write(data)


WEIGHTS = MEMBERS["logs/weights.npy"]
pack("pax.tar", tarfile.PAX_FORMAT)
pack("gnu.tar", tarfile.GNU_FORMAT)
pack("gnu.tar.gz", tarfile.GNU_FORMAT, "gz")
zipped("weights.npy.gz", WEIGHTS)
hostile("dotdot", ("../weights.npy", WEIGHTS, {}))
hostile("dotdot_inside", ("a/../../weights.npy", WEIGHTS, {}))
hostile("absolute", ("/tmp/weights.npy", WEIGHTS, {}))
hostile("backslash", ("..\\weights.npy", WEIGHTS, {}))
hostile("drive", ("C:weights.npy", WEIGHTS, {}))
hostile("symlink", ("w.npy", b"", {"type": tarfile.SYMTYPE, "linkname": "../../etc/passwd"}))
hostile("symlink_absolute", ("w.npy", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}))
hostile("symlink_folder", ("d", b"", {"type": tarfile.SYMTYPE, "linkname": "."}),
        ("d/w.npy", WEIGHTS, {}))
hostile("hard_link", ("w.npy", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}))
hostile("hard_link_missing", ("w.npy", b"", {"type": tarfile.LNKTYPE, "linkname": "nowhere"}))
hostile("link_loop", ("a", b"", {"type": tarfile.SYMTYPE, "linkname": "b"}),
        ("b", b"", {"type": tarfile.SYMTYPE, "linkname": "a"}))
hostile("device", ("w.npy", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}))
hostile("pipe", ("w.npy", b"", {"type": tarfile.FIFOTYPE}))
hostile("twice", ("w.npy", WEIGHTS, {}), ("./w.npy", WEIGHTS, {}))
hostile("size_lie", ("w.npy", WEIGHTS, {"pax_headers": {"size": "512"}}))
hostile("sparse", ("w.npy", WEIGHTS, {"pax_headers": {"GNU.sparse.major": "1"}}))
hostile("control", ("w\n.npy", WEIGHTS, {}))
zipped("hostile_bomb.npy.gz", bytes(64 << 20))
