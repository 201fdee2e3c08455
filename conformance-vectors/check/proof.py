"""Proofs of authorship: spec 25 sections 2 to 5."""

from common import Reader, Refused, be, must, refused, same, unique, varint, xor
from crypto import sha256
from faults import STRANGER, apart, identity
from sign import SIGNATURE, Identity, check_signed, ed25519_holds, message, verify

LARGEST, PIECE = 69_015, 1_088
DOMAINS = ("holomesh interim proof v1", "holomesh proof v1")


def leaf(stream, number, data):
    return sha256(b"\0", stream, be(number, 8), data)


def root(hashes):
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256()
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1", root(hashes[:half]), root(hashes[half:]))


def check_tree(file):
    stream = file.bytes("stream_id")
    for name, case in unique(file["cases"], "cases").items():
        first, objects = case["first"], [bytes.fromhex(data) for data in case["objects"]]
        same(objects, [content(first + at) for at in range(len(objects))], f"{name}: objects")
        same(name, f"objects-{len(objects)}", "id of a case")
        same(first, 10, f"{name}: number of the first object")
        leaves = [leaf(stream, first + at, data) for at, data in enumerate(objects)]
        same(leaves, [bytes.fromhex(hash) for hash in case["leaves"]], f"{name}: leaves")
        same(root(leaves), case.bytes("root"), f"{name}: root")
    for name, case in unique(file["negative"], "negative").items():
        same(case["error"], "roots-differ", name)
        leaves = [leaf(stream, 10 + at, content(10 + at)) for at in range(3)]
        roots = [root(leaves), root(leaves + leaves[-1:])]
        same(roots, [bytes.fromhex(hash) for hash in case["roots"]], f"{name}: roots")
        must(roots[0] != roots[1], f"{name}: the roots are the same")


def content(number):
    """The objects of these vectors."""
    return bytes((number + at) & 255 for at in range(3 * (number % 50)))


def read_proof(data, public):
    if len(data) > LARGEST:
        raise Refused("too-large", "longer than any proof")
    read = Reader(data)
    version, grade, flags = read.uint(1), read.uint(1), read.uint(1)
    _need(version == 1 and grade < 2 and flags < 2, "version, grade or flags")
    _need(grade == 1 or flags == 0, "an interim proof is not the last")
    proof = {"grade": grade, "last": bool(flags), "stream": read.take(32), "epoch": read.uint(8)}
    proof |= {"index": read.uint(8), "previous": read.take(32)}
    _need(proof["index"] or proof["previous"] == bytes(32), "the first one follows none")
    head, count = data[: read.at], read.uint(1)
    _need(count in (1, 2), "one section or two")
    proof["sections"] = [read_section(read) for _ in range(count)]
    if count == 2:
        later, earlier = proof["sections"]
        _need(earlier["first"] + earlier["count"] == later["first"], "sections that are apart")
    proof["signature"] = read.take(SIGNATURE if grade else 64)
    read.end()
    statement = head + be(count, 1)
    for section in proof["sections"]:
        section["root"] = root(section["nodes"])
        statement += be(section["first"], 8) + be(section["count"], 2) + be(section["r"], 1) + section["root"]
        if section["r"]:
            statement += sha256(*section["parities"])
    proof["statement"] = statement
    domain = DOMAINS[grade]
    if grade:
        verify(public, domain, statement, proof["signature"], ("signature",) * 3)
    elif not ed25519_holds(public[:32], message(domain, statement), proof["signature"]):
        raise Refused("signature", "the signature does not hold")
    return proof


def _need(condition, why):
    if not condition:
        raise Refused("malformed", why)


def read_section(read):
    first, count, r = read.uint(8), read.uint(2), read.uint(1)
    if count > 4096:
        raise Refused("too-large", "more objects than a section may have")
    _need(1 <= count and r <= 5, "objects or runs of a section")
    _need(first + count <= 1 << 62, "object numbers above 62 bits")
    runs = -(-count // (1 << r))
    if runs > 512:
        raise Refused("too-large", "more runs than a section may have")
    nodes = [read.take(32) for _ in range(runs)]
    parities = [read.take(32) for _ in range(runs)] if r else []
    return {"first": first, "count": count, "r": r, "nodes": nodes, "parities": parities}


def check_section(section, stream, what):
    """Nodes and parities out of the objects."""
    numbers = range(section["first"], section["first"] + section["count"])
    leaves = [leaf(stream, number, content(number)) for number in numbers]
    runs = [leaves[at : at + (1 << section["r"])] for at in range(0, len(leaves), 1 << section["r"])]
    same(section["nodes"], [root(run) for run in runs], f"{what}: nodes")
    same(section["root"], root(leaves), f"{what}: the root over runs is that over leaves")
    if section["r"]:
        same(section["parities"], [parity(run) for run in runs], f"{what}: parities")


def parity(run):
    out = bytes(32)
    for hash in run:
        out = xor(out, hash)
    return out


def pieces(index, data):
    count = -(-len(data) // PIECE)
    size = -(-len(data) // count)
    return [varint(index) + bytes([at, count]) + data[at * size : (at + 1) * size] for at in range(count)]


def check_proofs(file):
    signer, stream = Identity(file.bytes("seed")), file.bytes("stream_id")
    same(signer.public, file.bytes("publisher"), "publisher")
    same(file["objects"], "number n has 3·(n mod 50) bytes: n, n+1, n+2, … modulo 256", "objects")
    previous = bytes(32)
    for number, case in enumerate(file["cases"]):
        what = f"chain-{number}"
        same(case["id"], what, "id of a case")
        proof = read_proof(case.bytes("bytes"), signer.public)
        fields = {"stream": stream, "index": number, "previous": previous, "epoch": case.int("epoch")}
        fields |= {"grade": case["grade"], "last": case["last"], "statement": case.bytes("statement")}
        for name, value in fields.items():
            same(proof[name], value, f"{what}: {name}")
        same(previous, case.bytes("previous"), f"{what}: the one before")
        same(number, case["index"], f"{what}: index")
        for section, told in zip(proof["sections"], case["sections"], strict=True):
            check_section(section, stream, what)
            found = section["first"], section["count"], section["root"]
            same(found, (told["first"], told["count"], told.bytes("root")), f"{what}: section")
        if proof["grade"]:
            check_signed(signer, DOMAINS[1], proof["statement"], proof["signature"], what)
        else:
            made = signer.ed25519.sign(message(DOMAINS[0], proof["statement"]))
            same(made, proof["signature"], f"{what}: signature")
        previous = sha256(b"holomesh proof chain v1", proof["statement"])
        same(previous, case.bytes("chain_hash"), f"{what}: chain hash")
        cut = [bytes.fromhex(piece) for piece in case["parts"]]
        same(pieces(number, case.bytes("bytes")), cut, f"{what}: pieces")
    goods = [case.bytes("bytes") for case in file["cases"]]
    for name, case in unique(file["negative"], "negative").items():
        data = case.bytes("bytes")
        refused(case["error"], lambda: read_proof(data, signer.public), name)
        must(is_one_off(data, goods), f"{name}: more is wrong with it than its name says")


def is_one_off(data, goods):
    """One or two bytes are altered, the end is another, or a stranger signed it."""
    if any(apart(data, good) <= 2 or data == good[:-1] or data == good + b"\0" for good in goods):
        return True
    body = goods[0][:-64]
    statement = body[:95] + root([body[at : at + 32] for at in range(95, len(body), 32)])
    stranger = identity(STRANGER).ed25519.sign(message(DOMAINS[0], statement))
    return data == body + stranger


CHECKS = {"proof/tree": check_tree, "proof/proof": check_proofs}
