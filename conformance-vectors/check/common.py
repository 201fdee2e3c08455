"""What every part of the checker needs: vectors that know what was read of them, byte readers, and refusals."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
U64 = (1 << 64) - 1


class Refused(Exception):
    """The bytes break a rule; `kind` is the class of error that the vectors name."""

    def __init__(self, kind, why=""):
        super().__init__(f"{kind}: {why}" if why else kind)
        self.kind = kind


class Wrong(Exception):
    """A vector is not what the specification says."""


def must(condition, what):
    if not condition:
        raise Wrong(what)


def same(found, expected, what):
    if found != expected:
        raise Wrong(f"{what}: the vector has {_short(expected)}, derived was {_short(found)}")


def _short(value):
    text = value.hex() if isinstance(value, (bytes, bytearray)) else repr(value)
    return text if len(text) <= 80 else f"{text[:76]}… ({len(text)})"


def refused(kind, do, what):
    """`do` has to be refused for the class `kind`, or for whatever reason if that is None."""
    try:
        do()
    except Refused as refusal:
        if kind is not None:
            same(refusal.kind, kind, f"{what}: refused ({refusal}), but for the class of error")
        return
    raise Wrong(f"{what}: taken, and has to be refused")


class Map(dict):
    """A JSON object that remembers which of its fields were looked at."""

    def __init__(self, pairs):
        super().__init__(pairs)
        must(len(self) == len(pairs), "a field is there twice")
        self.read = set()

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.read.add(key)
        return super().get(key, default)

    def bytes(self, key):
        return unhex(self[key])

    def int(self, key):
        """A number, or one written as text because JSON's numbers end at 2^53."""
        value = self[key]
        if isinstance(value, str):
            must(value == str(int(value)) and value.isascii(), f"{key}: {value!r} is not a plain number")
            return int(value)
        must(isinstance(value, int) and not isinstance(value, bool), f"{key} is not a number")
        return value

    def array(self, key):
        """A list of numbers, all of it looked at."""
        return list(self[key])


def unhex(text):
    must(isinstance(text, str) and text == text.lower() and " " not in text, "hex is lower case without spaces")
    return bytes.fromhex(text)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file, object_pairs_hook=Map)


# Prose for people: nothing can be derived from it.
PROSE = {"note", "source"}


def unread(value, at=""):
    """Fields that no check looked at."""
    if isinstance(value, Map):
        for key, inner in value.items():
            if key not in value.read and key not in PROSE:
                yield f"{at}/{key}"
            else:
                yield from unread(inner, f"{at}/{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from unread(inner, f"{at}/{number}")


class Reader:
    """Bytes from front to back; what is missing is refused as `kind`."""

    def __init__(self, data, kind="encoding"):
        self.data, self.at, self.kind = data, 0, kind

    def take(self, size):
        if len(self.data) - self.at < size:
            raise Refused(self.kind, "bytes are missing")
        self.at += size
        return self.data[self.at - size : self.at]

    def uint(self, size):
        return int.from_bytes(self.take(size), "big")

    def prefixed(self, limit, width=4):
        size = self.uint(width)
        if size > limit:
            raise Refused(self.kind, f"{size} bytes are stated and {limit} allowed")
        return self.take(size)

    def varint(self):
        first = self.uint(1)
        size = 1 << (first >> 6)
        value = ((first & 0x3F) << (8 * (size - 1))) | self.uint(size - 1)
        if size > 1 and value < 1 << (8 * (size // 2) - 2):
            raise Refused("malformed", "a number in a longer form than it needs")
        return value

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self):
        if self.at != len(self.data):
            raise Refused(self.kind, "bytes are left over")


def be(value, size):
    return value.to_bytes(size, "big")


def varint(value):
    for size, mark in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * size - 2):
            return be(value | mark << (8 * size - 2), size)
    raise Wrong("a number above 62 bits")


def xor(one, other):
    must(len(one) == len(other), "lengths differ")
    return bytes(a ^ b for a, b in zip(one, other))


def unique(cases, what):
    names = [case["id"] for case in cases]
    must(len(set(names)) == len(names), f"{what}: an id is there twice")
    return {case["id"]: case for case in cases}
