"""Signed key packages: spec 40 section 3, and of RFC 9420 what a key package is (section 10) and how it is signed."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common import Reader, Refused, must, refused, same, unique, varint
from crypto import check_x_wing_key, sha256
from faults import apart, is_cut_or_padded
from sign import PUBLIC, SIGNATURE, Identity, check_signed, key_id, read_public, text, verify

SUITE, MLS10, SOURCE_KEY_PACKAGE, BASIC = 0x004D, 1, 1, 1
LARGEST = 21_746


def vector(read):
    """A vector of RFC 9420 section 2.1.2."""
    return read.take(read.varint())


def whole(data):
    return Reader(data, "malformed")


def read_leaf(read):
    """LeafNode of a key package, its bytes to be signed and the parts that are checked."""
    start = read.at
    encryption, signature_key = vector(read), vector(read)
    same(read.uint(2), BASIC, "credential")
    identity = vector(read)
    capabilities = [vector(read) for _ in range(5)]
    same(read.uint(1), SOURCE_KEY_PACKAGE, "source of the leaf")
    lifetime = read.uint(8), read.uint(8)
    extensions = vector(read)
    signed = read.data[start : read.at]
    signature = vector(read)
    return {
        "encryption": encryption,
        "key": signature_key,
        "identity": identity,
        "capabilities": capabilities,
        "lifetime": lifetime,
        "extensions": extensions,
        "signed": signed,
        "signature": signature,
    }


def with_label(label, data):
    """SignContent of RFC 9420 section 5.1.2."""
    full = b"MLS 1.0 " + label
    return varint(len(full)) + full + varint(len(data)) + data


def check_signature(key, label, data, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, with_label(label, data))
    except InvalidSignature:
        must(False, f"the signature of {label!r} does not hold")


def check_package(data, member):
    read = whole(data)
    same((read.uint(2), read.uint(2)), (MLS10, SUITE), "version and suite")
    init = vector(read)
    leaf = read_leaf(read)
    extensions = vector(read)
    signed = data[: read.at]
    signature = vector(read)
    read.end()
    same(leaf["identity"], member, "the credential is the key id")
    for key in (init, leaf["encryption"]):
        check_x_wing_key(key)
    must(init != leaf["encryption"], "init key and leaf key are different")
    check_signature(leaf["key"], b"LeafNodeTBS", leaf["signed"], leaf["signature"])
    check_signature(leaf["key"], b"KeyPackageTBS", signed, signature)
    return {"init_key": init, "signature_key": leaf["key"], "encryption_key": leaf["encryption"]} | {
        "not_before": leaf["lifetime"][0],
        "not_after": leaf["lifetime"][1],
        "extensions": leaf["extensions"] + extensions,
    }


def read_signed(data):
    """MLS key package and public identity."""
    if len(data) > LARGEST:
        raise Refused("limit", "longer than any")
    if data[:1] != b"\1":
        raise Refused("malformed", "version")
    read = Reader(data, "identity")
    read.uint(1)
    package = read.prefixed(16_384)
    public, signature = read.take(PUBLIC), read.take(SIGNATURE)
    read.end()
    try:
        read_public(public)
    except Refused as refusal:
        raise Refused("identity", str(refusal)) from None
    verify(public, "holomesh key package v1", data[:-SIGNATURE], signature, ("identity",) * 3)
    return package, public


def check_key_package(file):
    data, identity = file.bytes("bytes"), Identity(file.bytes("seed"))
    package, public = read_signed(data)
    same(public, identity.public, "identity")
    check_signed(identity, "holomesh key package v1", data[:-SIGNATURE], data[-SIGNATURE:], "key package")
    same(package, file.bytes("mls_key_package"), "MLS key package")
    same(text(key_id(public)), file["key_id"], "key id")
    same(sha256(data), file.bytes("digest"), "digest")
    found = check_package(package, key_id(public))
    for name in ("not_before", "not_after"):
        same(found[name], file[name], name)
    for name, case in unique(file["negative"], "negative").items():
        wrong = case.bytes("bytes")
        refused(case["error"], lambda: read_signed(wrong), name)
        one = apart(wrong, data) == 1 or is_cut_or_padded(wrong, data)
        must(one, f"{name}: more is wrong with it than its name says")


CHECKS = {"keys/key_package": check_key_package}
