"""Chunk headers, inner seal, what is inside it, pictures: spec 20 sections 2 to 5, spec 64 section 2."""

from common import Reader, Refused, be, must, refused, same, unique, varint
from crypto import counted_nonce, expand, open_sealed, seal, sha256
from faults import apart
from fountain import read_body

CODECS = {0x01, 0x02, 0x03, 0x04, 0xFF}
OPAQUE = 0xFF
CLASSES = ("plain", "discardable", "switch-point", "key-frame")
HEADER = 52
SMALLEST, LARGEST = HEADER + 1 + 16, 65536


class Header:
    """The 52 bytes, taken apart."""

    def __init__(self, data):
        read = Reader(data, "truncated")
        self.stream, self.epoch, self.number = read.take(32), read.uint(8), read.uint(8)
        self.codec, self.spatial, self.temporal, last = (read.uint(1) for _ in range(4))
        read.end()
        self.bytes = data
        self.repair, self.start = bool(last & 0x80), bool(last & 0x40)
        self.kind, self.quality = CLASSES[last >> 4 & 3], last & 15
        if self.codec not in CODECS:
            raise Refused("value", "no such codec")
        if self.repair and self.start:
            raise Refused("value", "first and repair at once")
        if self.codec == OPAQUE and data[49:52] != bytes(3):
            raise Refused("malformed", "an opaque chunk on a layer or with marks")


def write_header(stream, epoch, number, codec, layer, marks):
    spatial, temporal, quality = layer
    must(quality <= 15, "quality layers end at 15")
    last = marks["repair"] << 7 | marks["start"] << 6 | CLASSES.index(marks["class"]) << 4 | quality
    return stream + be(epoch, 8) + be(number, 8) + bytes([codec, spatial, temporal, last])


def check_headers(file):
    for name, case in unique(file["cases"], "cases").items():
        data = case.bytes("bytes")
        written = write_header(
            case.bytes("stream_id"),
            case.int("epoch"),
            case.int("chunk_seq"),
            case["codec_id"],
            case.array("layer"),
            case["marks"],
        )
        same(written, data, name)
        Header(data)
    for name, case in unique(file["negative"], "negative").items():
        refused(case["error"], lambda: Header(case.bytes("bytes")), name)


def stream_secret(epoch_secret, stream, leaf):
    return expand(epoch_secret, b"holomesh av stream v2" + stream + be(leaf, 4))


def stream_keys(secret):
    return expand(secret, b"key"), expand(secret, b"salt", 12)


def open_chunk(key, salt, chunk):
    if not SMALLEST <= len(chunk) <= LARGEST:
        raise Refused("truncated" if len(chunk) < SMALLEST else "too-large", "no length of a chunk")
    header = Header(chunk[:HEADER])
    return open_sealed(key, counted_nonce(salt, header.number), header.bytes, chunk[HEADER:])


def read_content(data):
    """Inner plaintext: kind, object number, and what is behind."""
    read = Reader(data, "truncated")
    kind = read.uint(1)
    if kind == 0:
        return kind, read.varint(), read.rest()
    if kind == 1:
        number, size, repair, symbol = read.varint(), read.varint(), read.varint(), read.uint(3)
        if not 1 <= size < 1 << 32 or repair > 2048:
            raise Refused("malformed", "an object or its repair out of bounds")
        body = read.rest()
        if not body:
            raise Refused("malformed", "an empty symbol")
        return kind, number, (size, repair, symbol, body)
    if kind == 2:
        return kind, None, read.rest()
    if kind == 3:
        number, body = read.varint(), read.rest()
        if not body:
            raise Refused("malformed", "a number and nothing else")
        return kind, number, body
    raise Refused("malformed", "no such kind of content")


def write_content(kind, number, inner):
    if kind in (0, 3):
        return bytes([kind]) + varint(number) + inner
    if kind == 1:
        size, repair, symbol, body = inner
        return b"\1" + varint(number) + varint(size) + varint(repair) + be(symbol, 3) + body
    return b"\2" + inner


KEY_FRAME, DISCARDABLE, END, REGULAR, PICTURE = 1, 2, 4, 8, 16


def read_object(data, object_number, frame_us):
    """Flags without those that say how it is written, pts, duration, picture, payload."""
    read = Reader(data, "truncated")
    flags = read.uint(1)
    if flags & 0xE0:
        raise Refused("malformed", "unknown flags")
    pts = duration = picture = None
    if not flags & REGULAR:
        pts, duration = read.varint(), read.varint()
    if flags & PICTURE:
        picture = read_picture(read)
    if flags & REGULAR:
        if not frame_us:
            raise Refused("malformed", "regular, and no frame duration was announced")
        pts, duration = (picture[0] if picture else object_number) * frame_us, frame_us
        if pts >= 1 << 62:
            raise Refused("malformed", "a time above 62 bits")
    return flags & ~(REGULAR | PICTURE), pts, duration, picture, read.rest()


def read_picture(read):
    """Picture number, own place in the list, list of (layer, class, chunks); both None above the lowest object."""
    number, counts = read.varint(), read.uint(1)
    if counts == 0:
        return number, None, None
    count, own = counts >> 4, counts & 15
    if own >= count:
        raise Refused("malformed", "number of no object in the list")
    parts = []
    for _ in range(count):
        place, chunks = read.uint(1), read.varint()
        if not 1 <= chunks <= 3072:
            raise Refused("malformed", "chunks out of bounds")
        layer = [place >> 6, place >> 2 & 3, place >> 4 & 3]
        parts.append((layer, CLASSES[place & 3], chunks))
    for at in (0, own):
        if parts[at][0][0] or parts[at][0][2]:
            raise Refused("malformed", "not the lowest object of a picture")
    return number, own, parts


def write_object(flags, pts, duration, picture, payload, object_number, frame_us):
    counted = picture[0] if picture else object_number
    regular = bool(frame_us) and duration == frame_us and pts == counted * frame_us
    out = bytes([flags | REGULAR * regular | PICTURE * (picture is not None)])
    if not regular:
        out += varint(pts) + varint(duration)
    if picture:
        number, own, parts = picture
        out += varint(number) + bytes([len(parts or []) << 4 | (own or 0)])
        for layer, kind, chunks in parts or []:
            place = layer[0] << 6 | layer[2] << 4 | layer[1] << 2 | CLASSES.index(kind)
            out += bytes([place]) + varint(chunks)
    return out + payload


def check_inner(file):
    stream, epoch = file.bytes("stream_id"), file.int("epoch")
    key, salt = stream_keys(stream_secret(file.bytes("epoch_secret"), stream, file["sender_leaf"]))
    same(file["id"], "chunk/inner_seal", "id")
    for number, case in enumerate(file["cases"]):
        same(case["id"], f"chunk-{number}", "id of a case")
        same(case.int("chunk_seq"), number, "numbers go up by one")
        head = write_header(stream, epoch, number, case["codec_id"], case.array("layer"), case["marks"])
        plain, chunk = case.bytes("plaintext"), case.bytes("chunk")
        same(head + seal(key, counted_nonce(salt, number), head, plain), chunk, f"chunk {number}")
        same(open_chunk(key, salt, chunk), plain, f"chunk {number} opened")
        kind, object_number, inner = read_content(plain)
        same(write_content(kind, object_number, inner), plain, f"chunk {number} written")
        if kind == 3:
            # What it carries is framed by spec 62 section 2.
            units, body = read_body(object_number, inner)
            must(units and body, f"chunk {number}: no unit or no object")
    negative = unique(file["negative"], "negative")
    # All of them come from one chunk, of which one lacks nothing but its last byte.
    head = negative["cut-tag"].bytes("chunk")[:HEADER]
    good = head + seal(key, counted_nonce(salt, 0), head, file["cases"][0].bytes("plaintext"))
    same(open_chunk(key, salt, good), file["cases"][0].bytes("plaintext"), "what is altered")
    for name, case in negative.items():
        data = case.bytes("chunk")
        refused(case["error"], lambda: open_chunk(key, salt, data), name)
        must(apart(data, good) == 1 or good.startswith(data), f"{name}: more is wrong with it than its name says")

    plain = file["object"]
    fields = plain["flags"], plain["pts_us"], plain["duration_us"], None, plain.bytes("payload")
    same(write_object(*fields, 0, 0), plain.bytes("bytes"), "object")
    same(read_object(plain.bytes("bytes"), 0, 0), fields, "object read")
    same(read_content(file["cases"][0].bytes("plaintext"))[2], plain.bytes("bytes"), "the object is in the first chunk")
    for case in file["regular"]:
        at = case["object_seq"], case["frame_duration_us"]
        same(write_object(*fields, *at), case.bytes("bytes"), "the same object where frames have a duration")
        same(read_object(case.bytes("bytes"), *at), fields, "the same object read")
    check_pictures(file["pictures"])


def check_pictures(file):
    for name, case in unique(file["cases"], "pictures").items():
        at = case["object_seq"], case["frame_duration_us"]
        parts = case["parts"]
        if parts is not None:
            parts = [(part.array("layer"), part["class"], part["chunks"]) for part in parts]
        picture = case.int("picture"), case["own"], parts
        fields = case["flags"], case["pts_us"], case["duration_us"], picture, case.bytes("payload")
        same(write_object(*fields, *at), case.bytes("bytes"), name)
        same(read_object(case.bytes("bytes"), *at), fields, f"{name} read")
    for name, case in unique(file["negative"], "negative pictures").items():
        refused(case["error"], lambda: read_object(case.bytes("bytes"), 1, 40000), name)


def check_schedule(file):
    """MLS exporter (RFC 9420 section 8.5) and from it the keys of streams."""
    label = file["label"].encode()
    known = None
    for name, case in unique(file["cases"], "cases").items():
        secret = mls_exporter(case.bytes("exporter_secret"), label, b"")
        same(secret, case.bytes("epoch_secret"), f"{name}: epoch secret")
        for stream in case["streams"]:
            made = stream_secret(secret, stream.bytes("stream_id"), stream["sender_leaf"])
            same(made, stream.bytes("stream_secret"), f"{name}: stream secret")
            same(stream_keys(made), (stream.bytes("key"), stream.bytes("salt")), f"{name}: key and salt")
        known = known or case
    check_wrong_keys(file, known)


def check_wrong_keys(file, case):
    """Keys that a mistake gives: each is what its own inputs make, and opens nothing of the first stream."""
    first = case["streams"][0]
    key, salt = first.bytes("key"), first.bytes("salt")
    chunk = seal(key, counted_nonce(salt, 0), b"", b"content")
    for name, wrong in unique(file["negative"], "negative").items():
        secret = wrong.bytes("epoch_secret")
        if wrong["label"] is not None:
            made = mls_exporter(case.bytes("exporter_secret"), wrong["label"].encode(), b"")
            same(made, secret, f"{name}: epoch secret")
        else:
            same(secret, case.bytes("exporter_secret"), f"{name}: epoch secret")
        made = stream_secret(secret, wrong.bytes("stream_id"), wrong["sender_leaf"])
        same(made, wrong.bytes("stream_secret"), f"{name}: stream secret")
        keys = wrong.bytes("key"), wrong.bytes("salt")
        same(stream_keys(made), keys, f"{name}: key and salt")
        refused(wrong["error"], lambda: open_sealed(keys[0], counted_nonce(keys[1], 0), b"", chunk), name)


def mls_label(label, context, size):
    full = b"MLS 1.0 " + label
    return be(size, 2) + varint(len(full)) + full + varint(len(context)) + context


def mls_exporter(exporter_secret, label, context, size=32):
    secret = expand(exporter_secret, mls_label(label, b"", 32))
    return expand(secret, mls_label(b"exported", sha256(context), size), size)


CHECKS = {
    "chunk/header": check_headers,
    "chunk/inner_seal": check_inner,
    "keys/key_schedule": check_schedule,
}
