"""Payloads of descriptions: spec 68 sections 1 to 4."""

from chunks import CLASSES
from common import Reader, Refused, be, must, refused, same, unique
from crypto import sha256
from fountain import left_out
from raptorq import Code

ALTERNATING, LAYERS = 1, 2
DELIMITER = bytes.fromhex("1200")
# Rules 68.4.2 and 68.4.3.
LONGEST, PIECE = 1 << 20, 16_384


def path(count, index):
    """Rule 68.1.1."""
    return [index] if count == 2 else [index >> 1, index & 1]


def head(way, count, index):
    """Rule 68.2.1."""
    return bytes([16 * way + 4 * (count - 1) + index])


def read_payload(payload, count, index, frame):
    """Rules 68.2.2, 68.3.6 and 68.4.5; the way, and what that reads."""
    read = Reader(payload, "malformed")
    first = read.take(1)
    for way, body in (ALTERNATING, read_picture), (LAYERS, read_layers):
        if first == head(way, count, index):
            return way, body(read, count, frame)
    raise Refused("malformed", "another way, number or index")


def read_picture(read, _count, frame):
    back, marks = read.uint(1), read.uint(1)
    unit = read.rest()
    _need(unit, "no picture")
    _need(back <= frame, "before the first frame")
    _need(back or marks & 0x80, "a key frame that is not kept")
    return back, marks >> 7 == 1, marks & 0x7F, DELIMITER + unit


def read_layers(read, count, _frame):
    layers = []
    while read.at < len(read.data):
        place, marks, size = read.uint(1), read.uint(1), read.uint(3)
        layer, kind, needed = (place >> 6, place >> 4 & 3, place & 15), marks >> 4, marks & 15
        _need(kind < len(CLASSES), "no such class")
        _need(1 <= needed <= count and 1 <= size <= LONGEST, "shares or length")
        if layers:
            below = layers[-1][0]
            _need((below[0], below[2]) < (layer[0], layer[2]) and below[1] == layer[1], "layers out of order")
        layers.append((layer, CLASSES[kind], needed, size, read.take(-(-size // needed))))
    _need(1 <= len(layers) <= 4, "no layer, or more than four")
    return layers


def _need(condition, why):
    if not condition:
        raise Refused("malformed", why)


def content(layer, size):
    return bytes((31 * n + n * n // 7 + 5 * layer) & 255 for n in range(size))


def shares(data, needed, count):
    """Rules 68.4.3 and 68.4.4: a share for each description."""
    if needed == 1:
        return [data] * count
    out = [bytearray() for _ in range(count)]
    for start in range(0, len(data), needed * PIECE):
        block = data[start : start + needed * PIECE]
        piece = -(-len(block) // needed)
        size = -(-piece // 64) * 64
        symbols = [block[at * piece : (at + 1) * piece].ljust(size, b"\0") for at in range(needed)]
        code = Code(needed)
        intermediate = code.intermediate(symbols)
        skipped = left_out(code.kp)
        for index in range(count):
            symbol = code.symbol(intermediate, code.internal(index if index < needed else index + skipped))
            must(index >= needed or symbol == symbols[index], "the code is systematic")
            must(not any(symbol[piece:]), "what is not sent of a symbol is zeros")
            out[index] += symbol[:piece]
    return [bytes(share) for share in out]


def check_places(file):
    places = [(place[0], place[1], list(place[2])) for place in file.array("places")]
    same(places, [(count, index, path(count, index)) for count in (2, 4) for index in range(count)], "places")


def check_pictures(file):
    for name, case in unique(file["cases"], "cases").items():
        count, index, frame = case["count"], case["index"], case.int("frame")
        must(count in (2, 4) and 0 <= index < count, f"{name}: no such description")
        refers_to = case["refers_to"]
        back = 0 if refers_to is None else frame - case.int("refers_to")
        must(0 <= back <= 255 and (refers_to is None or back), f"{name}: how far back")
        marks = case["is_kept"] << 7 | case["level"]
        unit = case.bytes("unit")
        must(unit.startswith(DELIMITER), f"{name}: a unit begins with a delimiter")
        written = head(ALTERNATING, count, index) + bytes([back, marks]) + unit.removeprefix(DELIMITER)
        same(written, case.bytes("payload"), name)
        fields = back, case["is_kept"], case["level"], unit
        same(read_payload(written, count, index, frame), (ALTERNATING, fields), f"{name} read")


def check_frames(file):
    for name, case in unique(file["frames"], "frames").items():
        count = case["count"]
        must(count in (2, 4), f"{name}: no such number")
        payloads = [head(LAYERS, count, index) for index in range(count)]
        read = [[] for _ in payloads]
        for at, picture in enumerate(case["pictures"]):
            layer, kind, needed, size = tuple(picture.array("layer")), picture["class"], picture["needed"], picture["len"]
            place, marks = 64 * layer[0] + 16 * layer[1] + layer[2], 16 * CLASSES.index(kind) + needed
            entry = bytes([place, marks]) + be(size, 3)
            for index, share in enumerate(shares(content(at, size), needed, count)):
                payloads[index] += entry + share
                read[index].append((layer, kind, needed, size, share))
        same([len(payload) for payload in payloads], case.array("lens"), f"{name}: lengths")
        said = [payload.hex() if len(payload) <= 1000 else sha256(payload).hex() for payload in payloads]
        same(said, case.array("payloads"), name)
        for index, payload in enumerate(payloads):
            same(read_payload(payload, count, index, 0), (LAYERS, read[index]), f"{name} read")


def check_payloads(file):
    check_places(file)
    check_pictures(file)
    check_frames(file)
    for name, case in unique(file["negative"], "negative").items():
        at = case["count"], case["index"], case.int("frame")
        refused(case["error"], lambda: read_payload(case.bytes("payload"), *at), name)


CHECKS = {"descriptions/payload": check_payloads}
