"""Hostile PyTorch files: tensors that reach outside, storages that are not there, zip archives that lie."""

import io
import pickle
import struct
import zipfile

import torch

from common import tensor, u32
from good_torch import save
from hostile_pickle import FORMS, global_, text
from zipcraft import Entry, archive, raw_deflate, zip64_extra

FLOATS = bytes(range(48))  # storage "0": 12 floats


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind="FloatStorage", key=text("0"), count=12, location=text("cpu"), module="torch", first=text("storage"), more=b""):
    return b"(" + first + global_(module, kind) + key + location + (number(count) if isinstance(count, int) else count) + more + b"tQ"


HOOKS = global_("collections", "OrderedDict") + b")R"


def rebuilt(stored=None, offset=0, size=(3, 4), stride=(4, 1), function="_rebuild_tensor_v2", more=b"\x89" + HOOKS):
    pack = lambda v: v if isinstance(v, bytes) else numbers(*v)
    at = number(offset) if isinstance(offset, int) else offset
    return global_("torch._utils", function) + b"(" + (stored or storage()) + at + pack(size) + pack(stride) + more + b"tR"


def state(*payloads):
    items = b"".join(text(f"w{i}") + p for i, p in enumerate(payloads))
    return b"\x80\x02}(" + items + b"u."


def members(pickled, storages=(("0", FLOATS),), **more):
    fixed = [("archive/data.pkl", pickled), ("archive/byteorder", b"little")]
    made = fixed + [(f"archive/data/{key}", data) for key, data in storages] + [("archive/version", b"3\n")]
    return [Entry(name, more.get(name.split("/", 1)[1], data)) for name, data in made]


def zipped(pickled, storages=(("0", FLOATS),)):
    return archive(members(pickled, storages))


GOOD = rebuilt()


def tensors():
    """What a tensor may claim; each of these must be refused."""
    big = 1 << 62
    return {
        "offset-past-end": rebuilt(offset=12), "offset-by-one": rebuilt(offset=1), "offset-negative": rebuilt(offset=-1), "offset-max": rebuilt(offset=2**63 - 1),
        "offset-wraps": rebuilt(offset=2**62), "offset-beyond-64-bit": rebuilt(offset=2**65), "offset-text": rebuilt(offset=text("0")), "offset-none": rebuilt(offset=b"N"),
        "size-too-large": rebuilt(size=(4, 4)), "size-negative": rebuilt(size=(-3, 4)), "size-both-negative": rebuilt(size=(-3, -4)), "size-overflow": rebuilt(size=(big, 4)), "size-overflow-to-zero": rebuilt(size=(1 << 32, 1 << 32)),
        "size-overflow-empty": rebuilt(size=(0, 1 << 63)), "size-beyond-64-bit": rebuilt(size=(1 << 65,), stride=(1,)), "size-text": rebuilt(size=b"(" + text("3") + b"t", stride=(1,)), "size-none": rebuilt(size=b"N"), "size-number": rebuilt(size=number(3), stride=(1,)),
        "stride-too-large": rebuilt(stride=(5, 1)), "stride-negative": rebuilt(offset=11, stride=(-4, -1)), "stride-overflow": rebuilt(stride=(big, big)), "stride-wraps": rebuilt(stride=(1 << 61, 1)), "stride-missing": rebuilt(stride=(1,)), "stride-extra": rebuilt(stride=(4, 1, 1)),
        "stride-zero-bomb": rebuilt(size=(1 << 20, 1 << 20), stride=(0, 0)), "stride-zero-half-bomb": rebuilt(size=(1 << 36, 12), stride=(0, 1)), "stride-one-bomb": rebuilt(size=(6,) * 20, stride=(0,) * 20), "dims-65": rebuilt(size=(1,) * 65, stride=(1,) * 65), "dims-3000": rebuilt(size=(1,) * 3000, stride=(1,) * 3000),
        "storage-claims-more": rebuilt(storage(count=13)), "storage-claims-less": rebuilt(storage(count=11)), "storage-claims-much": rebuilt(storage(count=1 << 40), size=(1 << 40,), stride=(1,)), "storage-negative": rebuilt(storage(count=-12)), "storage-count-text": rebuilt(storage(count=text("12"))), "storage-count-overflow": rebuilt(storage(count=1 << 63)), "storage-count-wraps": rebuilt(storage(count=(1 << 62) + 12)),
        "storage-missing": rebuilt(storage(key=text("1"))), "storage-key-number": rebuilt(storage(key=number(0))), "storage-key-none": rebuilt(storage(key=b"N")), "storage-key-empty": rebuilt(storage(key=text(""))), "storage-key-escapes": rebuilt(storage(key=text("../../../etc/passwd"))), "storage-key-absolute": rebuilt(storage(key=text("/etc/passwd"))), "storage-key-other-member": rebuilt(storage(key=text("../data.pkl"))),
        "storage-type-double": rebuilt(storage("DoubleStorage")), "storage-type-unknown": rebuilt(storage("EvilStorage")), "storage-type-quantised": rebuilt(storage("QInt8Storage", count=48)), "storage-type-text": rebuilt(b"(" + text("storage") + text("FloatStorage") + text("0") + text("cpu") + number(12) + b"tQ"), "storage-type-function": rebuilt(storage("_rebuild_tensor_v2", module="torch._utils")),
        "storage-other-tag": rebuilt(storage(first=text("module"))), "storage-tag-number": rebuilt(storage(first=number(1))), "storage-of-three": rebuilt(b"(" + text("storage") + global_("torch", "FloatStorage") + text("0") + b"tQ"), "storage-of-none": rebuilt(b"NQ"), "storage-not-persistent": rebuilt(b"N"), "storage-text-id": rebuilt(b"Pstorage\n"), "storage-is-a-tensor": rebuilt(GOOD), "storage-of-itself": rebuilt(b"(" + storage() + b"tQ"),
        "same-storage-two-types": rebuilt(storage("DoubleStorage", count=12), size=(3, 2)), "arguments-missing": global_("torch._utils", "_rebuild_tensor_v2") + b"(" + storage() + b"tR", "arguments-none": global_("torch._utils", "_rebuild_tensor_v2") + b")R",
        "parameter-of-number": global_("torch._utils", "_rebuild_parameter") + b"(K\x01\x88" + HOOKS + b"tR", "parameter-of-nothing": global_("torch._utils", "_rebuild_parameter") + b")R", "sparse-out-of-range": global_("torch._utils", "_rebuild_sparse_tensor") + b"(" + global_("torch.serialization", "_get_layout") + text("torch.sparse_coo") + b"\x85R(" + GOOD + GOOD + numbers(2, 2) + b"ttR",
        "quantised-stride": global_("torch._utils", "_rebuild_qtensor") + b"(" + storage("QInt8Storage", count=48) + number(0) + numbers(1 << 40) + numbers(1) + b"(" + global_("torch", "per_tensor_affine") + b"G" + struct.pack(">d", 1.0) + number(0) + b"t\x89" + HOOKS + b"tR", "meta-huge": global_("torch._utils", "_rebuild_meta_tensor_no_storage") + b"(" + global_("torch", "float32") + numbers(1 << 50) + numbers(1) + b"\x89tR",
        "state-calls": GOOD + b"}" + text("x") + FORMS["reduce"]("os", "system") + b"sb", "hooks-call": rebuilt(more=b"\x89" + FORMS["reduce"]("posix", "system")), "requires-grad-calls": rebuilt(more=FORMS["reduce"]("builtins", "eval") + HOOKS), "size-calls": rebuilt(size=FORMS["reduce"]("builtins", "eval")), "key-calls": rebuilt(storage(key=FORMS["stack_global"]("nt", "system"))), "location-calls": rebuilt(storage(location=FORMS["inst"]("os", "popen"))), "type-v2-calls": global_("torch._tensor", "_rebuild_from_type_v2") + b"(" + global_("os", "system") + global_("torch", "Tensor") + b"(" + text("x") + b"tNtR",
    }  # fmt: skip


# PyTorch takes these, or they hold no bytes at all.
SURVIVES = {"meta-huge", "size-number", "storage-key-number"}


def tensor_cases(add):
    for name, payload in tensors().items():
        expect = "survives" if name in SURVIVES else "refused"
        kinds = {"kinds": ["Hostile"]} if "call" in name else {}
        add(f"tensor-{name}.pt", zipped(state(GOOD, payload)), expect=expect, **kinds)
    wrong = [("0", FLOATS[:-1]), ("0", FLOATS[:4]), ("0", b""), ("0", FLOATS + b"\0" * 4), ("00", FLOATS), ("0/0", FLOATS)]
    for index, pair in enumerate(wrong):
        longer = index == 3
        add(f"record-{index}.pt", zipped(state(GOOD), [pair]), expect="survives" if longer else "refused")
    for order in (b"", b"middle", b"LITTLE", b"b" * 2_000_000, b"\xff"):
        files = members(state(GOOD), byteorder=order)
        add(f"byteorder-{len(order)}-{order[:2].hex()}.pt", archive(files), expect="survives" if order == b"" else "refused")
    for version in (b"", b"-1", b"0", b"999", b"99999999999999999999999", b"three", b"9" * 5_000):
        # Nothing depends on the number; a reader may look at it or not.
        add(f"version-{len(version)}-{version[:3].hex()}.pt", archive(members(state(GOOD), version=version)), expect="survives")


def zip_cases(add):
    good = lambda: members(state(GOOD))

    def changed(index=2, **lies):
        entries = good()
        entries[index].lies.update(lies)
        return entries

    refused = {
        "names-differ": archive(changed(local_name=b"archive/data/1")), "names-differ-in-length": archive(changed(local_name=b"archive/data/00")), "pickle-name-differs": archive(changed(0, local_name=b"archive/other.pk")),
        "local-magic": archive(changed(local_magic=b"PK\x07\x08")), "encrypted": archive(changed(flags=1)), "encrypted-pickle": archive(changed(0, flags=1)), "strongly-encrypted": archive(changed(flags=0x41)), "crc-wrong": archive(changed(crc=0xDEADBEEF)), "crc-wrong-pickle": archive(changed(0, crc=0xDEADBEEF)),
        "packed-larger": archive(changed(packed=49)), "packed-smaller": archive(changed(packed=47)), "size-larger": archive(changed(size=49)), "size-smaller": archive(changed(size=47)), "size-4g": archive(changed(size=0xFFFFFFFE)), "packed-4g": archive(changed(packed=0xFFFFFFFE)), "both-4g": archive(changed(packed=0xFFFFFFFE, size=0xFFFFFFFE)),
        "offset-past-end": archive(changed(central_offset=0x7FFFFFFF)), "offset-into-data": archive(changed(central_offset=7)), "offset-to-directory": archive(changed(central_offset=len(archive(good())) - 60)), "methods-differ": archive(changed(local_method=8)),
        "deflated-claim": archive(changed(method=8)), "symlink": archive(changed(central_mode=0o120777)), "symlink-pickle": archive(changed(0, central_mode=0o120777)), "device": archive(changed(central_mode=0o060666)),
        "name-too-long": archive(changed(central_name_length=60000)), "extra-too-long": archive(changed(central_extra_length=60000)), "disk": archive(changed(central_disk=3)), "end-disk": archive(good(), disk=2),
        "fewer-entries": archive(good(), entries=1), "more-entries": archive(good(), entries=9), "65535-entries": archive(good(), entries=0xFFFF), "directory-past-end": archive(good(), offset=0x7FFFFFFF), "directory-size-larger": archive(good(), size=0x7FFFFFFF), "directory-size-zero": archive(good(), size=0),
        "no-entries": archive([]), "no-pickle": archive(good()[1:]), "two-pickles": archive(good()[:1] + good()), "two-pickles-in-two-folders": archive([Entry("other/data.pkl", state(GOOD))] + good()), "two-storages": archive(good() + [Entry("archive/data/0", bytes(48))]), "same-entry-twice": archive(good() + good()),
        "cut-directory": archive(good())[:-40], "cut-in-middle": archive(good())[:300], "only-local": b"".join(e.local() for e in good()),
    }  # fmt: skip
    for method in (1, 6, 9, 12, 14, 93, 95, 98, 99, 0xFFFF):
        refused[f"method-{method}"] = archive(changed(method=method))
    for index, name in enumerate(["../data/0", "/etc/passwd", "archive/../../x", "archive/data/../0", "C:\\x", "\\\\host\\share", "..\\x", "archive/.."]):
        refused[f"path-escape-{index}"] = archive(good() + [Entry(name, b"x")])
        refused[f"path-escape-first-{index}"] = archive([Entry(name, b"x")] + good())
    for index, name in enumerate([b"archive\\data\\0", b"archive/da\0ta", b"archive//data/0", b"./archive/data/0", b"~/x", b"archive/\xff\xfe", b"archive/..x", b""]):
        add(f"zip-odd-name-{index}.pt", archive(good() + [Entry(name, b"x")]), expect="survives")
    # Two entries share bytes: each looks right alone.
    entries = members(state(GOOD, rebuilt(storage(key=text("1")))), [("0", FLOATS), ("1", FLOATS)])
    entries[3].lies.update(local_offset=sum(len(e.local()) for e in entries[:2]), central_name=b"archive/data/1")
    refused["overlap-whole"] = archive(entries)
    kernel = Entry("archive/data/9", b"\0" * 200_000, method=8)
    inner = [Entry("archive/data.pkl", state(GOOD)), kernel]
    offset = len(inner[0].local())
    names = [Entry(f"archive/data/{i}", kernel.data, method=8, stored=kernel.stored, local_offset=offset) for i in range(200)]
    refused["overlap-bomb"] = archive(inner + names + good()[2:])
    quoted, body = [], b""
    for i in range(40):  # each stored entry quotes the local headers that follow it
        entry = Entry(f"q{i:02}", body or b"x" * 5000)
        body = entry.local()
        quoted.append(entry)
    quoted.reverse()
    at = 0
    for entry in quoted:
        entry.lies["local_offset"] = at
        at += 30 + len(entry.name)
    refused["overlap-quoted"] = archive(quoted + good(), prefix=quoted[0].local())
    # Bombs.
    zeros = 80_000_000
    bomb = raw_deflate(b"\0" * zeros)
    size = zeros // 4
    huge = rebuilt(storage(count=size), size=(size,), stride=(1,))
    refused["bomb-storage"] = archive([Entry("archive/data.pkl", state(huge)), Entry("archive/data/0", b"\0" * zeros, method=8, stored=bomb), Entry("archive/version", b"3")])
    refused["bomb-pickle"] = archive([Entry("archive/data.pkl", b"\x80\x02" + b"\0" * zeros, method=8, stored=bomb), *good()[1:]])
    nested = raw_deflate(b"N" * 30_000_000)
    refused["bomb-pickle-of-none"] = archive([Entry("archive/data.pkl", b"N" * 30_000_000, method=8, stored=nested), *good()[1:]])
    refused["bomb-byteorder"] = archive([*good()[:1], Entry("archive/byteorder", b"\0" * zeros, method=8, stored=bomb), *good()[2:]])
    refused["bomb-says-small"] = archive([good()[0], Entry("archive/data/0", FLOATS, method=8, stored=bomb), good()[3]])
    refused["deflate-says-large"] = archive([good()[0], Entry("archive/data/0", FLOATS, method=8, size=1 << 30), good()[3]])
    refused["deflate-cut"] = archive([good()[0], Entry("archive/data/0", FLOATS, method=8, stored=raw_deflate(FLOATS)[:-5]), good()[3]])
    refused["deflate-garbage"] = archive([good()[0], Entry("archive/data/0", FLOATS, method=8, stored=b"\xff" * 50), good()[3]])
    refused["deflate-more-after"] = archive([good()[0], Entry("archive/data/0", FLOATS, method=8, stored=raw_deflate(FLOATS + b"more")), good()[3]])
    # Zip64 lies.
    for name, extra, lies in [
        ("size-max", zip64_extra(2**64 - 1, 48), dict(size=0xFFFFFFFF)), ("size-8e", zip64_extra(2**63, 2**63), dict(size=0xFFFFFFFF, packed=0xFFFFFFFF)),
        ("packed-max", zip64_extra(48, 2**64 - 1), dict(size=0xFFFFFFFF, packed=0xFFFFFFFF)), ("offset-max", zip64_extra(2**64 - 1), dict(central_offset=0xFFFFFFFF)),
        ("offset-1t", zip64_extra(1 << 40), dict(central_offset=0xFFFFFFFF)), ("missing", b"", dict(size=0xFFFFFFFF)), ("short", struct.pack("<HHI", 1, 4, 48), dict(size=0xFFFFFFFF)),
        ("length-lies", struct.pack("<HHQ", 1, 60000, 48), dict(size=0xFFFFFFFF)),
    ]:  # fmt: skip
        refused[f"zip64-{name}"] = archive(changed(central_extra=extra, **lies))
    for name, lies in {"entries-max": dict(entries=2**64 - 1), "entries-1g": dict(entries=1 << 30), "offset-max": dict(offset=2**64 - 1), "directory-max": dict(directory=2**64 - 1), "locator-past-end": dict(locator=1 << 40), "locator-max": dict(locator=2**64 - 1), "locator-zero": dict(locator=0), "record-size-max": dict(size=2**64 - 1), "disks": dict(disks=7)}.items():
        survives = name == "record-size-max"
        (add if survives else lambda n, d, expect="": refused.__setitem__(n[4:-3], d))(f"zip-zip64-end-{name}.pt", archive(good(), zip64=lies, entries=0xFFFF, offset=0xFFFFFFFF, size=0xFFFFFFFF), expect="survives")
    # Two directories: one program sees a harmless archive, another the other one.
    evil = archive(members(b"\x80\x02" + FORMS["reduce"]("os", "system") + b"."))
    refused["second-directory-in-comment"] = archive(good(), comment=evil)
    refused["end-record-in-comment"] = archive(good(), comment=struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0))
    add("zip-archive-before-archive.pt", archive(good(), prefix=evil), expect="survives")
    for name, data in refused.items():
        add(f"zip-{name}.pt", data)
    directory = Entry("archive/data/", b"")
    add("zip-folder-entry.pt", archive(good() + [directory]), expect="survives")
    add("zip-comment-too-long.pt", archive(good(), comment_length=500), expect="survives")
    add("zip-prefix-program.pt", archive(good(), prefix=b"#!/bin/sh\nexit\n"), expect="survives")
    add("zip-suffix.pt", archive(good()) + b"more" * 100, expect="survives")
    add("zip-gap.pt", archive(good(), between=b"\0" * 100), expect="survives")


def inside_cases(add):
    """Malicious names in every pickle that a file of PyTorch holds."""
    for gadget in ("os.system", "builtins.eval", "torch.hub.load", "pickle.loads"):
        module, name = gadget.rsplit(".", 1)
        for form in ("reduce", "stack_global", "inst", "newobj"):
            payload = FORMS[form](module, name)
            facts = dict(kinds=["Hostile"], says=[gadget])
            add(f"inside-{form}-{gadget}.pt", zipped(state(GOOD, payload)), **facts)
            add(f"inside-popped-{form}-{gadget}.pt", zipped(b"\x80\x02" + payload + b"0" + state(GOOD)[2:]), **facts)
            if form in ("reduce", "inst"):
                buffer = io.BytesIO()
                torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
                for target in ("data.pkl", "constants.pkl"):
                    out = io.BytesIO()
                    with zipfile.ZipFile(io.BytesIO(buffer.getvalue())) as old, zipfile.ZipFile(out, "w") as new:
                        for info in old.infolist():
                            body = old.read(info)
                            if info.filename.endswith("/" + target):
                                body = b"\x80\x02" + payload + b"0" + body[2:]
                            new.writestr(zipfile.ZipInfo(info.filename), body)
                    # A scripted module's constants are not weights, and need not be opened.
                    add(f"torchscript-{target}-{form}-{gadget}.pt", out.getvalue(), **(facts if target == "data.pkl" else {"expect": "survives"}))
    add("pickle-is-protocol-0.pt", zipped(b"(lp0\n."), expect="survives")
    add("pickle-is-empty.pt", zipped(b""))
    add("pickle-is-text.pt", zipped(b"hello"))
    add("pickle-holds-nothing.pt", zipped(b"\x80\x02}."), expect="survives")


def legacy_cases(add):
    """Before PyTorch 1.6: five pickles after one another, then the storages."""
    w = tensor(torch.float32, (3, 4), "legacy")
    data = save({"w": w, "v": w[1:]}, 2, legacy=True)
    parts, stream = [], io.BytesIO(data)
    for _ in range(3):
        start = stream.tell()
        pickle.load(stream)
        parts.append(data[start : stream.tell()])
    start = stream.tell()
    unpickler = pickle.Unpickler(stream)
    unpickler.persistent_load = lambda _: w.storage()
    unpickler.load()
    parts.append(data[start : stream.tell()])
    start = stream.tell()
    keys = pickle.load(stream)
    parts.append(data[start : stream.tell()])
    tail = data[stream.tell() :]
    magic, protocol, info, body, listed = parts
    join = lambda **new: b"".join([new.get("magic", magic), new.get("protocol", protocol), new.get("info", info), new.get("body", body), new.get("listed", listed), new.get("tail", tail)])
    key = keys[0]
    count = struct.pack("<q", 12)
    assert tail == count + w.numpy().tobytes() and join() == data
    dumps = lambda value: pickle.dumps(value, 2)
    legacy = lambda kind="FloatStorage", first=text("storage"), k=text(key), n=number(12), view=b"N": b"(" + first + global_("torch", kind) + k + text("cpu") + n + view + b"tQ"
    one = lambda **claims: b"\x80\x02}" + text("w") + rebuilt(claims.pop("stored", legacy()), **claims) + b"s."
    broken = {
        "protocol-number": join(protocol=dumps(1002)), "protocol-text": join(protocol=dumps("x")), "info-not-dict": join(info=dumps(5)), "info-wrong": join(info=dumps({"protocol_version": 1, "little_endian": True, "type_sizes": {}})),
        "keys-missing": join(listed=dumps([])), "keys-other": join(listed=dumps(["12345"])), "keys-extra": join(listed=dumps([key, "7"])), "keys-twice": join(listed=dumps([key, key])), "keys-not-list": join(listed=dumps({"a": 1})), "keys-numbers": join(listed=dumps([1])), "keys-many": join(listed=dumps([str(i) for i in range(20000)])),
        "count-larger": join(tail=struct.pack("<q", 13) + tail[8:]), "count-smaller": join(tail=struct.pack("<q", 3) + tail[8:]), "count-negative": join(tail=struct.pack("<q", -12) + tail[8:]), "count-max": join(tail=struct.pack("<q", 2**63 - 1) + tail[8:]), "count-wraps": join(tail=struct.pack("<q", (1 << 62) + 12) + tail[8:]),
        "data-cut": join(tail=tail[:-1]), "data-missing": join(tail=b""), "count-cut": join(tail=tail[:5]), "cut-in-body": data[:300], "cut-in-magic": data[:8], "body-missing": magic + protocol + info,
        "offset-past-end": join(body=one(offset=1)), "offset-negative": join(body=one(offset=-1)), "size-overflow": join(body=one(size=(1 << 32, 1 << 32))), "stride-bomb": join(body=one(size=(1 << 30, 12), stride=(0, 1))), "stride-negative": join(body=one(offset=11, stride=(-4, -1))),
        "storage-claims-more": join(body=one(stored=legacy(n=number(1 << 40)))), "storage-claims-less": join(body=one(stored=legacy(n=number(2)))), "storage-type": join(body=one(stored=legacy("DoubleStorage"))), "storage-unknown": join(body=one(stored=legacy("EvilStorage"))), "storage-key": join(body=one(stored=legacy(k=text("other")))), "storage-tag": join(body=one(stored=legacy(first=text("disk")))),
        "module-tag": join(body=b"\x80\x02}(" + text("w") + rebuilt(legacy()) + text("m") + b"(" + text("module") + global_("os", "system") + text("source") + text("code") + b"tQu."),
        "view-past-end": join(body=one(stored=legacy(view=b"(" + text("v1") + number(10) + number(5) + b"t"))), "view-negative": join(body=one(stored=legacy(view=b"(" + text("v1") + number(-5) + number(12) + b"t"))), "view-text": join(body=one(stored=legacy(view=text("v1")))), "view-overflow": join(body=one(stored=legacy(view=b"(" + text("v1") + number(2**62) + number(2**62) + b"t"))),
    }  # fmt: skip
    for name, made in broken.items():
        # Where only what no reader needs is wrong, a reader may go on.
        lenient = name in ("info-wrong", "info-not-dict")
        add(f"legacy-{name}.pt", made, expect="survives" if lenient else "refused")
    for gadget in ("os.system", "builtins.exec"):
        module, name = gadget.rsplit(".", 1)
        for where in ("protocol", "info", "body", "listed"):
            original = dict(protocol=protocol, info=info, body=body, listed=listed)[where]
            for form in ("reduce", "inst"):
                payload = original[:2] + FORMS[form](module, name) + b"0" + original[2:]
                add(f"legacy-calls-in-{where}-{form}-{gadget}.pt", join(**{where: payload}), kinds=["Hostile"], says=[gadget])


def add_all(corpus):
    def add(name, data, expect="refused", **facts):
        corpus.add(f"torch/{name}", data, expect=expect, **facts)

    tensor_cases(add)
    zip_cases(add)
    inside_cases(add)
    legacy_cases(add)
