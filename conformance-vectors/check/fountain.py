"""Fountain symbols and units over windows: specs 60 and 62."""

from itertools import islice

from common import Reader, Refused, be, must, refused, same, unique
from raptorq import EXP, LOG, PARAMETERS, Code, has_no_zero, inverse, times

# RFC 6330 section 3.2: ids of encoding symbols have 24 bits.
LAST_ID = (1 << 24) - 1
_left_out = {}
# Leaves out most of the blocks that take long.
QUICK = False


def left_out(extended):
    """Rule 60.2.2: the repair symbols before the first in which all source symbols have a share."""
    if extended not in _left_out:
        code = Code(extended)
        if extended <= 60:
            plain = [0 not in factors for factors in code.factors(range(code.kp, code.kp + 8))]
            same(list(islice(has_no_zero(code), 8)), plain, f"two ways for {extended}")
        _left_out[extended] = next(z for z, good in enumerate(has_no_zero(code)) if good)
    return _left_out[extended]


def made(case):
    """The object that the cases are about, and its source symbols."""
    k, size = case["k"], case["object_len"]
    data = bytes((31 * n + n * n // 7 + k) & 255 for n in range(size))
    padded = data.ljust(k * 64, b"\0")
    same(size, 64 * k - k % 7, f"{k}: length of the object")
    return [padded[at : at + 64] for at in range(0, len(padded), 64)]


def check_left_out(file):
    pairs = [tuple(pair) for pair in file["extended"]]
    same([pair[0] for pair in pairs], [row[0] for row in PARAMETERS], "numbers that a block is extended to")
    for number, (extended, z) in enumerate(pairs):
        if QUICK and extended > 300 and number % 8:
            continue
        same(left_out(extended), z, f"left out of {extended}")


def check_symbols(file):
    same(file["symbol_size"], 64, "symbol size")
    for case in file["blocks"]:
        code, k = Code(case["k"]), case["k"]
        z, symbols = left_out(code.kp), made(case)
        same(z, case["left_out"], f"{k}: left out")
        intermediate = code.intermediate(symbols)
        for x in (0, k // 2, k - 1):
            same(code.symbol(intermediate, x), symbols[x], f"{k}: the code is systematic")
        oti = be(case["object_len"], 5) + b"\0" + be(64, 2) + be(1, 1) + be(1, 2) + be(1, 1)
        same(oti, case.bytes("oti"), f"{k}: object transmission information")
        for repair in case["repair"]:
            esi = repair["id"] + z
            same(esi, repair["encoding_symbol_id"], f"{k}: encoding symbol id")
            same(code.symbol(intermediate, code.internal(esi)), repair.bytes("bytes"), f"{k}: symbol {repair['id']}")
    for case in file["sets"]:
        code = Code(case["k"])
        made(case)
        z = left_out(code.kp)
        ids = [at if at < code.k else at + z for at in case.array("ids")]
        must(len(set(ids)) == len(ids), "an id twice in a set")
        same(code.decodes(ids), case["decodes"], f"{code.k}: does a set of {len(ids)} decode")
    counts = file["repair_counts"]
    ks, many = [sorted({count[at] for count in counts}) for at in (0, 1)]
    same([count[:2] for count in counts], [[k, p] for k in ks for p in many], "each K with each number of parents")
    for k, parents, repair in counts:
        least = -(-k // (parents - 1)) if parents > 1 else 0
        same(repair, least, f"repair symbols of {k} for {parents} parents")
        if parents > 1:
            must(k + least - -(-(k + least) // parents) >= k, "any parents but one carry enough")
    for name, case in unique(file["negative"], "negative").items():
        refused(case["error"], lambda: take_symbol(case), name)


def take_symbol(case):
    """Rules 60.1.3, 60.2.3 and 60.2.4."""
    size, length, data = file_size(case), case["object_len"], case["data_len"]
    symbol = case["symbol"]
    if not 1 <= length <= min(1 << 20, 1024 * size):
        raise Refused("object-length", "no object has this length")
    code = Code(-(-length // size))
    if symbol >= code.k and code.internal(symbol + left_out(code.kp)) > LAST_ID:
        raise Refused("symbol-id", "RFC 6330 has no symbol of this id")
    if data != size:
        raise Refused("symbol-size", "a symbol has the announced size")


def file_size(case):
    size = case["symbol_size"]
    must(size % 64 == 0 and 64 <= size <= 16_384, "a symbol size that can't be announced")
    return size


def factor(number, index, covered):
    return inverse((64 + 8 * (number % 24) + index) ^ (covered % 64))


def content(number, size):
    return bytes((17 * number + 5 * n + n * n) & 255 for n in range(size))


def unit(number, index, span, sizes):
    strips = [(at, be(size, 2) + content(at, size)) for at, size in sizes.items() if number - span <= at < number]
    out = bytearray(max(len(strip) for _, strip in strips))
    for at, strip in strips:
        by = factor(number, index, at)
        for place, byte in enumerate(strip):
            out[place] ^= times(by, byte)
    return bytes(out)


def read_body(number, data):
    """Rule 62.2: units by index, and the object."""
    read = Reader(data, "malformed")
    head = read.uint(1)
    first, count = head >> 4, head & 15
    units = {}
    if count:
        span, size = read.uint(1), read.uint(2)
        _need(first + count <= 8 and 1 <= span <= 16 and span <= number and 3 <= size <= 1502, "units")
        units = {first + at: read.take(size) for at in range(count)}
    else:
        _need(head == 0, "an index of no unit")
    body = read.rest()
    _need(len(body) <= 1500 and (body or count), "no object, and nothing else")
    return units, body


def _need(condition, why):
    if not condition:
        raise Refused("malformed", why)


def check_window(file):
    for case in file["factors"]:
        number, index, covered, value = case
        same(factor(number, index, covered), value, f"factor of {covered} in unit {index} of {number}")
    for at, stream in enumerate(file["streams"]):
        sizes = {}
        for chunk in stream["chunks"]:
            number, size = chunk["number"], chunk["object_len"]
            what = f"stream {at}, {number}"
            first, count, span = chunk["first"], chunk["units"], chunk["span"]
            units = [unit(number, first + n, span, sizes) for n in range(count)]
            head = bytes([first << 4 | count])
            if count:
                head += bytes([span]) + be(len(units[0]), 2)
            else:
                same((first, span), (0, 0), f"{what}: no units")
            body = head + b"".join(units) + content(number, size)
            same(body, chunk.bytes("body"), what)
            found, own = read_body(number, body)
            same((list(found.values()), own), (units, content(number, size)), f"{what}: read")
            if size:
                must(number not in sizes, f"{what}: an object twice")
                sizes[number] = size
    for name, case in unique(file["negative"], "negative").items():
        refused(case["error"], lambda: read_body(case["number"], case.bytes("body")), name)


must(LOG[EXP[7]] == 7, "the field's logarithms")
CHECKS = {
    "fountain/left_out": check_left_out,
    "fountain/symbols": check_symbols,
    "fountain/window": check_window,
}
