"""A small FlatBuffers writer and TensorFlow Lite models made with it (schema v3)."""

import struct


class Builder:
    """Writes front to back: every offset points forward, children after their parents."""

    def __init__(self):
        self.data = bytearray()
        self.later = []

    def align(self, width, extra=0):
        self.data += b"\0" * (-(len(self.data) + extra) % width)

    def table(self, fields):
        """Fields in order of their ids: None, ('u8' | 'i32' | 'u32', n) or ('ref', writer)."""
        sizes = {"u8": 1, "i32": 4, "u32": 4, "ref": 4}
        offsets, at = [], 4
        for field in fields:
            if field is None:
                offsets.append(0)
                continue
            at += -at % sizes[field[0]]
            offsets.append(at)
            at += sizes[field[0]]
        vtable = struct.pack("<HH", 4 + 2 * len(fields), at) + b"".join(struct.pack("<H", o) for o in offsets)
        self.align(4, len(vtable))
        start_of_vtable = len(self.data)
        self.data += vtable
        start = len(self.data)
        self.data += struct.pack("<i", start - start_of_vtable) + b"\0" * (at - 4)
        for field, offset in zip(fields, offsets):
            if field is None:
                continue
            kind, value = field
            if kind == "ref":
                self.later.append((start + offset, value))
            else:
                code = {"u8": "<B", "i32": "<i", "u32": "<I"}[kind]
                struct.pack_into(code, self.data, start + offset, value)
        return start

    def vector(self, code, items, align=4):
        self.align(max(align, 4), 4)
        start = len(self.data)
        self.data += struct.pack("<I", len(items)) + struct.pack(f"<{len(items)}{code}", *items)
        return start

    def bytes(self, raw, align=16):
        self.align(align, 4)
        start = len(self.data)
        self.data += struct.pack("<I", len(raw)) + raw
        return start

    def string(self, text):
        self.align(4)
        start = len(self.data)
        raw = text if isinstance(text, bytes) else text.encode()
        self.data += struct.pack("<I", len(raw)) + raw + b"\0"
        return start

    def tables(self, writers):
        self.align(4)
        start = len(self.data)
        self.data += struct.pack("<I", len(writers)) + b"\0" * (4 * len(writers))
        self.later += [(start + 4 + 4 * i, writer) for i, writer in enumerate(writers)]
        return start

    def finish(self, root, identifier=b"TFL3"):
        self.data += b"\0\0\0\0" + identifier
        self.later.append((0, root))
        while self.later:
            at, write = self.later.pop()
            struct.pack_into("<I", self.data, at, write(self) - at)
        return bytes(self.data)


def ref(method, *args):
    return ("ref", lambda builder: getattr(builder, method)(*args))


def table(*fields):
    return lambda builder: builder.table(list(fields))


def tflite(tensors, activations=(), identifier=b"TFL3", version=3, buffer_of=lambda i: i + 1):
    """A model of one subgraph without operators: (name, type code, shape, bytes) per tensor."""
    made = [
        table(ref("vector", "i", list(shape)), ("u8", code), ("u32", buffer_of(i)), ref("string", name))
        for i, (name, code, shape, _) in enumerate(tensors)
    ]
    made += [table(ref("vector", "i", [1, 4]), ("u8", 0), ("u32", 0), ref("string", n)) for n in activations]
    graph = table(ref("tables", made), ref("vector", "i", []), ref("vector", "i", []), ref("tables", []), ref("string", "main"))
    buffers = [table()] + [table(ref("bytes", raw)) for _, _, _, raw in tensors]
    model = table(("u32", version), ref("tables", []), ref("tables", [graph]), ref("string", "made by hand"), ref("tables", buffers))
    return Builder().finish(model, identifier)
