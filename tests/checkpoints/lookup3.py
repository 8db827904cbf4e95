"""Bob Jenkins' lookup3 hash (`hashlittle`), HDF5's checksum of its own structures."""

MASK = 0xFFFFFFFF


def rotate(value, by):
    return ((value << by) | (value >> (32 - by))) & MASK


def lookup3(data, start=0):
    a = b = c = (0xDEADBEEF + len(data) + start) & MASK
    word = lambda at: int.from_bytes(data[at : at + 4], "little")
    at, left = 0, len(data)
    while left > 12:
        a, b, c = (a + word(at)) & MASK, (b + word(at + 4)) & MASK, (c + word(at + 8)) & MASK
        a = ((a - c) & MASK) ^ rotate(c, 4); c = (c + b) & MASK
        b = ((b - a) & MASK) ^ rotate(a, 6); a = (a + c) & MASK
        c = ((c - b) & MASK) ^ rotate(b, 8); b = (b + a) & MASK
        a = ((a - c) & MASK) ^ rotate(c, 16); c = (c + b) & MASK
        b = ((b - a) & MASK) ^ rotate(a, 19); a = (a + c) & MASK
        c = ((c - b) & MASK) ^ rotate(b, 4); b = (b + a) & MASK
        at, left = at + 12, left - 12
    if left == 0:
        return c
    rest = data[at:] + b"\0" * (12 - left)
    a = (a + int.from_bytes(rest[:4], "little")) & MASK
    b = (b + int.from_bytes(rest[4:8], "little")) & MASK
    c = (c + int.from_bytes(rest[8:], "little")) & MASK
    c = ((c ^ b) - rotate(b, 14)) & MASK
    a = ((a ^ c) - rotate(c, 11)) & MASK
    b = ((b ^ a) - rotate(a, 25)) & MASK
    c = ((c ^ b) - rotate(b, 16)) & MASK
    a = ((a ^ c) - rotate(c, 4)) & MASK
    b = ((b ^ a) - rotate(a, 14)) & MASK
    c = ((c ^ b) - rotate(b, 24)) & MASK
    return c
