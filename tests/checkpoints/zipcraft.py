"""Zip archives written record by record, so that any of them can lie."""

import struct
import zlib


class Entry:
    """A member; what is not given is true."""

    def __init__(self, name, data=b"", method=0, stored=None, **lies):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.data = data
        if stored is None:
            stored = data if method == 0 else raw_deflate(data)
        self.stored = stored
        self.method = method
        self.lies = lies
        self.offset = 0

    def field(self, where, key, default):
        return self.lies.get(f"{where}_{key}", self.lies.get(key, default))

    def fields(self, where):
        get = lambda key, default: self.field(where, key, default)
        return (
            get("flags", 0), get("method", self.method), 0, 0x21, get("crc", zlib.crc32(self.data)),
            get("packed", len(self.stored)), get("size", len(self.data)),
        )  # fmt: skip

    def local(self):
        name = self.field("local", "name", self.name)
        extra = self.field("local", "extra", b"")
        version = self.field("local", "version", 20)
        head = struct.pack("<4sHHHHHIIIHH", self.field("local", "magic", b"PK\x03\x04"), version, *self.fields("local"), len(name), len(extra))
        return head + name + extra + self.stored + self.field("local", "after", b"")

    def central(self):
        name = self.field("central", "name", self.name)
        extra = self.field("central", "extra", b"")
        return struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", self.field("central", "made_by", 0x031E), 20, *self.fields("central"),
            self.field("central", "name_length", len(name)), self.field("central", "extra_length", len(extra)), 0, self.field("central", "disk", 0), 0, self.field("central", "mode", 0o100644) << 16,
            self.field("central", "offset", self.offset),
        ) + name + extra  # fmt: skip


def raw_deflate(data, level=9):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zip64_extra(*numbers):
    return struct.pack("<HH", 1, 8 * len(numbers)) + struct.pack(f"<{len(numbers)}Q", *numbers)


def archive(members, prefix=b"", comment=b"", between=b"", zip64=None, **end):
    """`end` may hold entries, entries_here, size, offset, disk, comment_length."""
    out = bytearray(prefix)
    for entry in members:
        if "local_offset" in entry.lies:
            entry.offset = entry.lies["local_offset"]
            continue
        entry.offset = len(out)
        out += entry.local()
    out += between
    start = len(out)
    for entry in members:
        out += entry.central()
    size = len(out) - start
    if zip64 is not None:
        at = len(out)
        record = dict(size=44, entries=len(members), directory=size, offset=start, locator=at, **{})
        record.update(zip64)
        out += struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", record["size"], 45, 45, 0, 0, record["entries"], record["entries"], record["directory"], record["offset"])
        out += struct.pack("<4sIQI", b"PK\x06\x07", 0, record["locator"], record.get("disks", 1))
    out += struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", end.get("disk", 0), 0, end.get("entries_here", end.get("entries", len(members))), end.get("entries", len(members)),
        end.get("size", size), end.get("offset", start), end.get("comment_length", len(comment)),
    )  # fmt: skip
    return bytes(out) + comment
