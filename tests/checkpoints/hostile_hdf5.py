"""Hostile HDF5 files: made by h5py with what it lets through, then patched where it does not."""

import struct
import zlib

import h5py
import numpy as np

from common import array, payload
from good_hdf5 import make

VALUE = array("<f4", (4, 6), "hostile")


def patched(data, at, code, value):
    return data[:at] + struct.pack(code, value) + data[at + struct.calcsize(code) :]


def every(data, mark):
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def external_cases(add):
    """What would open other files."""
    for libver in ("earliest", "latest"):
        add(f"external-link-{libver}", make(lambda f: f.update({"w": VALUE, "out": h5py.ExternalLink("/etc/passwd", "/x")}), libver))
        add(f"external-link-only-{libver}", make(lambda f: f.update({"out": h5py.ExternalLink("other.h5", "/w")}), libver))
        add(f"external-link-nested-{libver}", make(lambda f: f.update({"w": VALUE, "a/b/out": h5py.ExternalLink("../../secret.h5", "/")}), libver))
        add(f"external-link-to-itself-{libver}", make(lambda f: f.update({"w": VALUE, "me": h5py.ExternalLink("x.h5", "/")}), libver))
        add(f"external-storage-{libver}", make(lambda f: f.create_dataset("w", (16,), "u1", external=[("/etc/passwd", 0, 16)]), libver))
        add(f"external-storage-beside-{libver}", make(lambda f: (f.create_dataset("a", data=VALUE), f.create_dataset("w", (16,), "u1", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])), libver))

    def virtual(file):
        layout = h5py.VirtualLayout(shape=(4, 6), dtype="<f4")
        layout[:] = h5py.VirtualSource("/etc/other.h5", "w", shape=(4, 6))
        file.create_virtual_dataset("v", layout)
        file["w"] = VALUE

    add("virtual-dataset", make(virtual, "latest"))


def bomb_cases(add):
    huge = {
        "contiguous-1t": dict(shape=(1 << 38,), dtype="<f4"), "contiguous-4e": dict(shape=(1 << 30, 1 << 30), dtype="<f4"), "chunked-1t": dict(shape=(1 << 38,), dtype="<f4", chunks=(1024,)), "chunked-8e": dict(shape=(1 << 60,), dtype="u1", chunks=(1 << 20,)),
        "chunked-square": dict(shape=(1 << 29, 1 << 29), dtype="<f8", chunks=(64, 64)), "chunk-of-2g": dict(shape=(1 << 40,), dtype="u1", chunks=((1 << 31),)), "chunks-of-one": dict(shape=(1 << 40,), dtype="u1", chunks=(1,)), "fill-1t": dict(shape=(1 << 40,), dtype="u1", fillvalue=7),
    }  # fmt: skip
    for name, options in huge.items():
        for libver in ("earliest", "latest"):
            # No byte of it was ever written: the file is tiny.
            add(f"shape-{name}-{libver}", make(lambda f: (f.create_dataset("w", **options), f.create_dataset("a", data=VALUE)), libver))

    def one_chunk(file):
        dataset = file.create_dataset("w", (1 << 34,), "u1", chunks=(1 << 16,), compression="gzip")
        dataset[:100] = 1

    add("shape-one-chunk-of-many", make(one_chunk))
    zeros = zlib.compress(b"\0" * 80_000_000, 9)

    def deflate_bomb(file):
        dataset = file.create_dataset("w", (1000,), "<f4", chunks=(1000,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zeros)

    add("deflate-bomb", make(deflate_bomb))

    def deflate_bomb_true(file):
        dataset = file.create_dataset("w", (80_000_000,), "u1", chunks=(80_000_000,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zeros)

    add("deflate-bomb-as-claimed", make(deflate_bomb_true))

    def chunk(raw, shape=(8,), mask=0, **options):
        def fill(file):
            dataset = file.create_dataset("w", shape, "<f4", chunks=shape, **options)
            dataset.id.write_direct_chunk((0,), raw, filter_mask=mask)

        return fill

    body = payload(32, "chunk")
    for name, fill in {
        "deflate-short": chunk(zlib.compress(body[:20]), compression="gzip"), "deflate-long": chunk(zlib.compress(body * 2), compression="gzip"), "deflate-cut": chunk(zlib.compress(body)[:-8], compression="gzip"), "deflate-garbage": chunk(b"\xff" * 30, compression="gzip"), "deflate-empty": chunk(b"\x00", compression="gzip"),
        "deflate-adler": chunk(zlib.compress(body)[:-1] + b"\x00", compression="gzip"), "lzf-garbage": chunk(b"\xff" * 20, compression="lzf"), "lzf-before-start": chunk(b"\x20\x05" * 10, compression="lzf"), "lzf-short": chunk(b"\x00a", compression="lzf"), "lzf-bomb": chunk(b"\x00a" + b"\xe0\xff\x00" * 200_000, compression="lzf"), "fletcher-wrong": chunk(body + b"\0\0\0\0", fletcher32=True), "fletcher-short": chunk(b"ab", fletcher32=True), "raw-short": chunk(body[:20]), "raw-long": chunk(body + b"more"), "shuffle-short": chunk(body[:10], shuffle=True), "mask-lies": chunk(body[:9], mask=1, compression="gzip"),
    }.items():  # fmt: skip
        add(f"chunk-{name}", make(fill), expect="survives" if name in ("raw-long",) else "refused")

    def many_filters(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((8,))
        for _ in range(30):
            creation.set_deflate(1)
        space = h5py.h5s.create_simple((8,))
        dataset = h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, space, dcpl=creation)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array("<f4", (8,), "f"))

    add("filters-30", make(many_filters), expect="survives")

    def stacked_bombs(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((8,))
        raw = b"\0" * 60_000_000
        for _ in range(6):
            creation.set_deflate(9)
            raw = zlib.compress(raw, 9)
        space = h5py.h5s.create_simple((8,))
        dataset = h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, space, dcpl=creation)
        h5py.Dataset(dataset).id.write_direct_chunk((0,), raw)

    add("filters-stacked-bombs", make(stacked_bombs))
    for number, name in {32001: "blosc", 32004: "lz4", 32015: "zstd", 60000: "unknown", 307: "bzip2"}.items():

        def foreign(file):
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((8,))
            creation.set_deflate(1)
            space = h5py.h5s.create_simple((8,))
            dataset = h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32LE, space, dcpl=creation)
            h5py.Dataset(dataset).id.write_direct_chunk((0,), body)

        data = make(foreign)
        at = data.index(b"deflate\0") - 8
        assert struct.unpack_from("<H", data, at)[0] == 1
        add(f"filter-{name}", patched(data, at, "<H", number))


def group_cases(add):
    for libver in ("earliest", "latest"):

        def cyclic(file):
            file["a/w"] = VALUE
            file["a/again"] = file["a"]
            file["root"] = file["/"]

        add(f"cyclic-groups-{libver}", make(cyclic, libver))
        add(f"cyclic-root-{libver}", make(lambda f: f.update({"w": VALUE, "self": f["/"]}), libver))

        def doubling(file):
            group = file.create_group("g0")
            group["w"] = VALUE
            for level in range(1, 40):
                above = file.create_group(f"g{level}")
                above["a"] = file[f"g{level - 1}"]
                above["b"] = file[f"g{level - 1}"]

        add(f"doubling-groups-{libver}", make(doubling, libver))

        def deep(file):
            group = file
            for _ in range(600):
                group = group.create_group("g")
            group["w"] = VALUE

        add(f"deep-groups-{libver}", make(deep, libver))

        def soft(file):
            file["w"] = VALUE
            file["a"] = h5py.SoftLink("/b")
            file["b"] = h5py.SoftLink("/a")
            file["me"] = h5py.SoftLink("/me")
            file["up"] = h5py.SoftLink("../../../etc/passwd")

        add(f"soft-link-cycles-{libver}", make(soft, libver), expect="survives")

        def soft_doubling(file):
            file["g0/w"] = VALUE
            for level in range(1, 30):
                group = file.create_group(f"g{level}")
                group["a"] = h5py.SoftLink(f"/g{level - 1}")
                group["b"] = h5py.SoftLink(f"/g{level - 1}")

        add(f"soft-link-doubling-{libver}", make(soft_doubling, libver))
        add(f"soft-link-to-root-{libver}", make(lambda f: f.update({"w": VALUE, "g/up": h5py.SoftLink("/")}), libver))
        add(f"name-too-long-{libver}", make(lambda f: f.create_dataset("n" * 20_000, data=VALUE), libver))


def structure_cases(add):
    """Old-style files (version 0 superblock, symbol tables, B-trees): no checksum says that they were patched."""

    def fill(file):
        file["a/w"] = VALUE
        file.create_dataset("c", data=VALUE, chunks=(2, 2))
        file.attrs["x"] = 1

    data = make(fill)
    size = len(data)
    root = struct.unpack_from("<Q", data, 64)[0]
    tree, heap = struct.unpack_from("<QQ", data, 80)
    assert data[tree : tree + 4] == b"TREE" and data[heap : heap + 4] == b"HEAP"
    table = struct.unpack_from("<Q", data, tree + 24 + 8)[0]
    assert data[table : table + 4] == b"SNOD"
    patches = {
        "superblock-version": (8, "<B", 9), "superblock-offsets-3": (13, "<B", 3), "superblock-offsets-0": (13, "<B", 0), "superblock-offsets-255": (13, "<B", 255), "superblock-lengths-16": (14, "<B", 16), "superblock-base": (24, "<Q", 1 << 40), "superblock-base-max": (24, "<Q", 2**64 - 9), "superblock-end-larger": (40, "<Q", size + 100_000), "root-header-past-end": (64, "<Q", 1 << 40), "root-header-max": (64, "<Q", 2**64 - 2), "root-header-zero": (64, "<Q", 0),
        "heap-past-end": (heap + 24, "<Q", 1 << 40), "heap-size-max": (heap + 8, "<Q", 2**64 - 1), "heap-size-larger": (heap + 8, "<Q", size), "heap-magic": (heap, "<I", 0), "tree-magic": (tree, "<I", 0), "tree-kind": (tree + 4, "<B", 7), "tree-level-255": (tree + 5, "<B", 255), "tree-entries-65535": (tree + 6, "<H", 65535), "tree-child-past-end": (tree + 32, "<Q", 1 << 40), "tree-child-itself": (tree + 32, "<Q", tree), "table-magic": (table, "<I", 0), "table-entries-65535": (table + 6, "<H", 65535), "table-name-past-end": (table + 8, "<Q", 1 << 40), "table-header-past-end": (table + 16, "<Q", 1 << 40), "table-header-is-root": (table + 16, "<Q", root), "table-header-itself": (table + 16, "<Q", table),
        "root-messages-65535": (root + 2, "<H", 65535), "root-header-size-max": (root + 8, "<I", 0xFFFFFFFF), "root-header-size-zero": (root + 8, "<I", 0), "root-version": (root, "<B", 77),
    }  # fmt: skip
    lenient = {"superblock-end-larger", "root-messages-65535", "heap-size-larger", "tree-entries-65535", "root-header-size-zero", "tree-level-255"}
    for name, (at, code, value) in patches.items():
        add(f"old-{name}", patched(data, at, code, value), expect="survives" if name in lenient else "refused")
    both = patched(patched(data, tree + 5, "<B", 1), tree + 32, "<Q", tree)
    add("old-tree-loop", both)
    chunk_trees = [at for at in every(data, b"TREE") if data[at + 4] == 1]
    key = 8 + 8 * 3  # size, mask, two offsets and the element's
    for at in chunk_trees[:1]:
        add("old-chunk-tree-child-past-end", patched(data, at + 24 + key, "<Q", 1 << 40))
        add("old-chunk-tree-loop", patched(patched(data, at + 5, "<B", 1), at + 24 + key, "<Q", at))
        add("old-chunk-tree-entries", patched(data, at + 6, "<H", 65535))
        add("old-chunk-size-max", patched(data, at + 24, "<I", 0xFFFFFFFF))
        add("old-chunk-size-small", patched(data, at + 24, "<I", 3))
        # As h5py does, which leaves such a chunk unread.
        add("old-chunk-offset-past-shape", patched(data, at + 24 + 8, "<Q", 1 << 40), expect="survives")
        add("old-chunk-offset-odd", patched(data, at + 24 + 8, "<Q", 1))
        add("old-chunk-tree-magic", patched(data, at, "<I", 0))
    # Messages in object headers, found by what they must say.
    space = struct.pack("<BBBBI", 1, 2, 1, 0, 0) + struct.pack("<QQ", 4, 6)
    for index, at in enumerate(every(data, space)[:1]):
        for name, offset, code, value in [("rank-33", 1, "<B", 33), ("rank-255", 1, "<B", 255), ("rank-0", 1, "<B", 0), ("version", 0, "<B", 9), ("dim-max", 8, "<Q", 2**64 - 1), ("dim-8e", 8, "<Q", 1 << 63), ("dim-1t", 8, "<Q", 1 << 40), ("dim-larger", 8, "<Q", 5), ("dim-wraps", 16, "<Q", 1 << 62)]:
            # A rank of 0 makes a scalar of it: odd, but inside its storage.
            add(f"old-space-{name}-{index}", patched(data, at + offset, code, value), expect="survives" if name == "rank-0" else "refused")
    kind = bytes([0x11, 0x20, 0x1F, 0x00]) + struct.pack("<I", 4)
    for at in every(data, kind)[:1]:
        for name, offset, code, value in [("size-0", 4, "<I", 0), ("size-max", 4, "<I", 0xFFFFFFFF), ("size-3", 4, "<I", 3), ("class", 0, "<B", 0x1F), ("version", 0, "<B", 0x91), ("precision", 10, "<H", 7), ("exponent", 12, "<B", 99)]:
            # A type that is not read is kept by its name, beside what is.
            unknown = name in ("class", "precision", "exponent", "size-3", "size-max")
            add(f"old-type-{name}", patched(data, at + offset, code, value), expect="survives" if unknown else "refused")
    for cut in (9, 40, 95, 100, 200, 500, 800, 1000, size // 2, size - 100):
        add(f"old-cut-{cut}", data[:cut])
    pieces = every(data, b"TREE") + every(data, b"HEAP") + every(data, b"SNOD")
    for at in pieces:
        add(f"old-wiped-{at}", data[:at] + b"\xff" * 24 + data[at + 24 :])
    global_heap = make(lambda f: (f.create_dataset("s", data="text"), f.create_dataset("w", data=VALUE)))
    at = global_heap.index(b"GCOL")
    for name, offset, code, value in [("size-max", 8, "<Q", 2**64 - 1), ("object-size-max", 24, "<Q", 2**64 - 1), ("object-size-0", 24, "<Q", 0)]:
        # Only texts live there, which are no tensors.
        add(f"old-global-heap-{name}", patched(global_heap, at + offset, code, value), expect="survives")


def new_structure_cases(add):
    """Version 2 and later: every structure carries a checksum, recomputed here where it should not help."""

    def fill(file):
        file["a/w"] = VALUE
        file.create_dataset("c", data=VALUE, chunks=(2, 2), maxshape=(None, None))
        file.create_dataset("f", data=VALUE, chunks=(2, 2))
        file.create_dataset("e", data=VALUE, chunks=(2, 2), maxshape=(None, 6))
        for i in range(20):
            file[f"g/many{i}"] = np.float32(i)

    data = make(fill, "latest")
    size = len(data)
    for mark in (b"OHDR", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN", b"EAHD", b"EAIB", b"FAHD", b"FADB", b"OCHK", b"EADB"):
        for index, at in enumerate(every(data, mark)[:2]):
            name = mark.decode().lower()
            add(f"new-{name}-{index}-flipped", data[: at + 6] + bytes([data[at + 6] ^ 0xFF]) + data[at + 7 :])
            add(f"new-{name}-{index}-magic", data[:at] + b"XXXX" + data[at + 4 :])
            add(f"new-{name}-{index}-version", data[: at + 4] + b"\x77" + data[at + 5 :])
            add(f"new-{name}-{index}-wiped", data[: at + 4] + b"\xff" * 20 + data[at + 24 :])
    for cut in (9, 30, 47, 48, 100, 300, 1000, size // 2, size - 50):
        add(f"new-cut-{cut}", data[:cut])
    from lookup3 import lookup3

    def resigned(start, length, at, code, value):
        """Patched between `start` and its checksum, which is made right again."""
        made = patched(data, at, code, value)
        return patched(made, start + length, "<I", lookup3(made[start : start + length]))

    assert lookup3(data[:44]) == struct.unpack_from("<I", data, 44)[0]
    for name, at, code, value in [("offsets-3", 9, "<B", 3), ("lengths-255", 10, "<B", 255), ("base", 12, "<Q", 1 << 40), ("end-smaller", 28, "<Q", 100), ("root-past-end", 36, "<Q", 1 << 40), ("root-max", 36, "<Q", 2**64 - 1), ("root-itself", 36, "<Q", 0), ("version", 8, "<B", 9), ("extension", 20, "<Q", 1 << 40)]:
        lenient = name in ("end-smaller", "extension")
        add(f"new-superblock-{name}", resigned(0, 44, at, code, value), expect="survives" if lenient else "refused")
    root = struct.unpack_from("<Q", data, 36)[0]
    assert data[root : root + 4] == b"OHDR"
    flags = data[root + 5]
    place = root + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[place : place + width], "little")
    whole = place + width + length - root
    assert lookup3(data[root : root + whole]) == struct.unpack_from("<I", data, root + whole)[0]
    message = place + width
    for name, at, code, value in [("message-size-max", message + 1, "<H", 65535), ("message-kind", message, "<B", 0xEE), ("message-flags", message + 3, "<B", 0xFF)]:
        add(f"new-root-{name}", resigned(root, whole, at, code, value), expect="refused" if name == "message-size-max" else "survives")
    add("new-root-header-size", patched(data, place, {1: "<B", 2: "<H", 4: "<I"}[width], (1 << (8 * width)) - 1))
    links = make(lambda f: f.update({"w": VALUE, "g/x": VALUE}), "latest")
    target = links.index(b"\x01g") + 2  # a hard link's address follows its name
    group = struct.unpack_from("<Q", links, target)[0]
    assert links[group : group + 4] == b"OHDR"
    own = struct.unpack_from("<Q", links, 36)[0]
    for name, value in {"loop-to-root": own, "past-end": 1 << 40, "max": 2**64 - 1, "into-data": own + 3}.items():
        made = patched(links, target, "<Q", value)
        start = own
        flags = made[start + 5]
        place = start + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        whole = place + width + int.from_bytes(made[place : place + width], "little") - start
        made = patched(made, start + whole, "<I", lookup3(made[start : start + whole]))
        add(f"new-link-{name}", made)


def add_all(corpus):
    def add(name, data, expect="refused", **facts):
        corpus.add(f"hdf5/{name}.h5", data, expect=expect, **facts)

    external_cases(add)
    bomb_cases(add)
    group_cases(add)
    structure_cases(add)
    new_structure_cases(add)
