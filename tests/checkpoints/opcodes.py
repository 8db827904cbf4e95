"""Pickles written opcode by opcode: as Python 2 wrote them, and as no pickler would."""

import struct


class Unicode(str):
    """Python 2's `unicode`; a plain `str` below is Python 2's 8-bit string."""


class Long(int):
    """Python 2's `long`."""


class Global:
    def __init__(self, module, name):
        self.module, self.name = module, name


class Reduce:
    """`function(*args)`, then `state` through BUILD."""

    def __init__(self, function, args, state=None):
        self.function, self.args, self.state = function, args, state


class NewObject:
    """A new-style object: NEWOBJ in protocol 2, `copy_reg._reconstructor` before."""

    def __init__(self, cls, state, args=()):
        self.cls, self.state, self.args = cls, state, args


class OldInstance:
    """An instance of a class without `object`: INST in protocol 0, OBJ in 1 and 2."""

    def __init__(self, module, name, state):
        self.cls, self.state = Global(module, name), state


class Raw:
    """Opcodes as they are."""

    def __init__(self, data):
        self.data = data


def python2_array(value):
    """What numpy's `__reduce__` gave under Python 2."""
    code = value.dtype.str
    order = code[0] if code[0] in "<>" else "|"
    dtype = Reduce(
        Global("numpy", "dtype"), (code[1:], 0, 1), (3, order, None, None, None, -1, -1, 0)
    )
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    data = value.tobytes("F" if fortran else "C").decode("latin-1")
    make = (Global("numpy", "ndarray"), (0,), "b")
    state = (1, tuple(int(d) for d in value.shape), dtype, bool(fortran), data)
    return Reduce(Global("numpy.core.multiarray", "_reconstruct"), make, state)


class Python2Pickler:
    """Protocols 0 to 2 as Python 2's cPickle wrote them, and a few of its choices as options."""

    def __init__(self, protocol, memo=True, single_items=False, double_quotes=False):
        self.protocol, self.memo = protocol, memo
        self.single_items, self.double_quotes = single_items, double_quotes
        self.count, self.seen, self.out, self.keep = 0, {}, [], []

    def dump(self, value):
        if self.protocol >= 2:
            self.out.append(b"\x80" + bytes([self.protocol]))
        self.save(value)
        return b"".join(self.out) + b"."

    def remember(self, key):
        if not self.memo:
            return
        self.count += 1
        self.seen[key] = self.count
        if self.protocol == 0:
            self.out.append(b"p%d\n" % self.count)
        else:
            self.out.append(b"q" + bytes([self.count]) if self.count < 256 else b"r" + struct.pack("<I", self.count))

    def recall(self, key):
        number = self.seen.get(key)
        if number is None:
            return False
        if self.protocol == 0:
            self.out.append(b"g%d\n" % number)
        else:
            self.out.append(b"h" + bytes([number]) if number < 256 else b"j" + struct.pack("<I", number))
        return True

    def save(self, value):
        import numpy as np

        if isinstance(value, np.ndarray):
            value = python2_array(value)
        binary, out = self.protocol >= 1, self.out.append
        if value is None:
            out(b"N")
        elif value is True or value is False:
            out((b"\x88" if value else b"\x89") if self.protocol >= 2 else b"I%02d\n" % value)
        elif isinstance(value, Long):
            self.save_long(int(value))
        elif isinstance(value, int):
            self.save_int(value)
        elif isinstance(value, float):
            out(b"G" + struct.pack(">d", value) if binary else b"F" + repr(value).encode() + b"\n")
        elif isinstance(value, str):
            self.save_text(value)
        elif isinstance(value, Raw):
            out(value.data)
        elif isinstance(value, Global):
            key = ("global", value.module, value.name)
            if not self.recall(key):
                out(f"c{value.module}\n{value.name}\n".encode())
                self.remember(key)
        elif isinstance(value, tuple):
            self.save_tuple(value)
        else:
            self.keep.append(value)  # so that no other object gets its id
            if not self.recall(id(value)):
                self.save_object(value)

    def save_int(self, value):
        if self.protocol == 0:
            self.out.append(b"I%d\n" % value)
        elif 0 <= value < 256:
            self.out.append(b"K" + bytes([value]))
        elif 0 <= value < 65536:
            self.out.append(b"M" + struct.pack("<H", value))
        elif -(1 << 31) <= value < 1 << 31:
            self.out.append(b"J" + struct.pack("<i", value))
        else:
            self.out.append(b"I%d\n" % value)

    def save_long(self, value):
        if self.protocol < 2:
            self.out.append(b"L%dL\n" % value)
        else:
            data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True) if value else b""
            self.out.append(b"\x8a" + bytes([len(data)]) + data)

    def save_text(self, value):
        key = ("text", type(value), str(value))
        if self.recall(key):
            return
        if isinstance(value, Unicode):
            if self.protocol == 0:
                escaped = value.replace("\\", "\\u005c").replace("\n", "\\u000a")
                self.out.append(b"V" + escaped.encode("raw-unicode-escape") + b"\n")
            else:
                data = value.encode("utf-8")
                self.out.append(b"X" + struct.pack("<I", len(data)) + data)
        else:
            data = value.encode("latin-1")
            if self.protocol == 0:
                text = repr(data)[1:].encode("ascii")
                if self.double_quotes and b'"' not in text and b"\\'" not in text:
                    text = b'"' + text[1:-1] + b'"'
                self.out.append(b"S" + text + b"\n")
            elif len(data) < 256:
                self.out.append(b"U" + bytes([len(data)]) + data)
            else:
                self.out.append(b"T" + struct.pack("<i", len(data)) + data)
        self.remember(key)

    def save_tuple(self, value):
        if not value:
            self.out.append(b")" if self.protocol else b"(t")
            return
        short = self.protocol >= 2 and len(value) < 4
        if not short:
            self.out.append(b"(")
        for item in value:
            self.save(item)
        self.out.append(bytes([0x84 + len(value)]) if short else b"t")
        self.remember(("tuple", id(value)))
        self.keep.append(value)

    def save_object(self, value):
        if isinstance(value, dict):
            self.out.append(b"}" if self.protocol else b"(d")
            self.remember(id(value))
            self.save_items([part for pair in value.items() for part in pair], 2, b"s", b"u")
        elif isinstance(value, list):
            self.out.append(b"]" if self.protocol else b"(l")
            self.remember(id(value))
            self.save_items(value, 1, b"a", b"e")
        elif isinstance(value, Reduce):
            self.save(value.function)
            self.save(value.args)
            self.out.append(b"R")
            self.remember(id(value))
            if value.state is not None:
                self.save(value.state)
                self.out.append(b"b")
        elif isinstance(value, NewObject):
            if self.protocol >= 2:
                self.save(value.cls)
                self.save(tuple(value.args))
                self.out.append(b"\x81")
            else:
                self.save(Global("copy_reg", "_reconstructor"))
                self.save((value.cls, Global("__builtin__", "object"), None))
                self.out.append(b"R")
            self.remember(id(value))
            self.save(value.state)
            self.out.append(b"b")
        elif isinstance(value, OldInstance):
            self.out.append(b"(")
            if self.protocol == 0:
                self.out.append(f"i{value.cls.module}\n{value.cls.name}\n".encode())
            else:
                self.save(value.cls)
                self.out.append(b"o")
            self.remember(id(value))
            self.save(value.state)
            self.out.append(b"b")
        else:
            raise TypeError(type(value))

    def save_items(self, parts, step, one, many):
        if self.protocol == 0 or self.single_items or len(parts) == step:
            for index in range(0, len(parts), step):
                for part in parts[index : index + step]:
                    self.save(part)
                self.out.append(one)
        elif parts:
            self.out.append(b"(")
            for part in parts:
                self.save(part)
            self.out.append(many)
