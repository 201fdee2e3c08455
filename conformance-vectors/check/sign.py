"""Identities and hybrid signatures: spec 10."""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common import Refused, refused, same, unique
from crypto import sha256

# Edwards 25519, RFC 8032 section 5.1.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def _add(one, other):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = 2 * t1 * t2 * D, 2 * z1 * z2
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


ZERO = (0, 1, 1, 0)


def _times(scalar, point):
    out = ZERO
    for bit in bin(scalar)[2:]:
        out = _add(out, out)
        if bit == "1":
            out = _add(out, point)
    return out


def _equal(one, other):
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (one[1] * other[2] - other[1] * one[2]) % P == 0


def point(data, strict=True):
    """A canonical encoding of a point, which if `strict` is not of small order; or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    found = (x, y, 1, x * y % P)
    return None if strict and _equal(_times(8, found), ZERO) else found


BASE = point(bytes.fromhex("58" + "66" * 31))


def ed25519_holds(public, message, signature):
    """The strict rule of 10.3.4."""
    key, r = point(public), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return _equal(_times(s, BASE), _add(r, _times(k, key)))


PUBLIC, SIGNATURE = 1984, 3373


def read_public(data):
    """A public identity of 1,984 bytes."""
    if len(data) != PUBLIC:
        raise Refused("size", "not the size of a public identity")
    if point(data[:32]) is None:
        raise Refused("malformed_key", "no Ed25519 key")
    return data


def key_id(public):
    return sha256(b"holomesh key-id v1", public)


def text(data):
    return base64.b32encode(data).decode().rstrip("=").lower()


class Identity:
    def __init__(self, seed):
        same(len(seed), 64, "length of a seed")
        self.ed25519 = Ed25519PrivateKey.from_private_bytes(seed[:32])
        self.ml_dsa = mldsa.MLDSA65PrivateKey.from_seed_bytes(seed[32:])
        self.public = self.ed25519.public_key().public_bytes_raw() + self.ml_dsa.public_key().public_bytes_raw()
        self.key_id = key_id(self.public)


def message(domain, payload):
    return domain.encode() + b"\0" + payload


_seen = {}


def verify(public, domain, payload, signature, kinds=("size", "ed25519", "ml_dsa_65")):
    """A hybrid signature; `kinds` are the classes of error for size, Ed25519 half and ML-DSA half."""
    if len(signature) != SIGNATURE:
        raise Refused(kinds[0], "not the size of a hybrid signature")
    key = sha256(public, sha256(message(domain, payload)), signature)
    if key not in _seen:
        _seen[key] = _verify(public, message(domain, payload), signature)
    if _seen[key]:
        raise Refused(kinds[_seen[key]], "the signature does not hold")


def _verify(public, data, signature):
    if not ed25519_holds(public[:32], data, signature[:64]):
        return 1
    return 0 if _ml_dsa_holds(public[32:], data + signature[:64], signature[64:]) else 2


def _ml_dsa_holds(key, data, signature):
    try:
        mldsa.MLDSA65PublicKey.from_public_bytes(key).verify(signature, data)
        return True
    except (InvalidSignature, ValueError):
        return False


ONE = ("signature", "signature", "signature")


def check_signed(identity, domain, payload, signature, what):
    """A signature that `identity` made: its Ed25519 half is deterministic, the other one is verified."""
    same(identity.ed25519.sign(message(domain, payload)), signature[:64], f"{what}: Ed25519 half")
    verify(identity.public, domain, payload, signature)


def _low(number):
    return number.to_bytes(32, "little")


def check_key_ids(file):
    for name, case in unique(file["cases"], "cases").items():
        identity = Identity(case.bytes("seed"))
        same(identity.public, read_public(case.bytes("public")), f"{name}: public identity")
        same(identity.key_id, case.bytes("key_id"), f"{name}: key id")
        same(text(identity.key_id), case["text"], f"{name}: text")
    for name, case in unique(file["negative"], "negative").items():
        data, goods = case.bytes("public"), [good.bytes("public") for good in file["cases"]]
        refused(case["error"], lambda: read_public(data), name)
        if case["error"] == "size":
            whole = any(good.startswith(data) or data == good + b"\0" for good in goods)
        else:
            whole = any(good[32:] == data[32:] for good in goods) and data[:32] == WRONG_KEYS[name]
        same(whole, True, f"{name}: is what its name says")


WRONG_KEYS = {
    "order-1": _low(1),
    "order-1-with-sign": _low(1 | 1 << 255),
    "order-2": _low(P - 1),
    "order-4": _low(0),
    "y-is-p": _low(P),
    "y-is-p-plus-3": _low(P + 3),
    "not-on-the-curve": _low(2),
}


def check_hybrid(file):
    identity = Identity(file.bytes("seed"))
    same(identity.public, file.bytes("public"), "public identity")
    same(file["ml_dsa_signing"], "deterministic, empty context", "how ML-DSA signs")
    for name, case in unique(file["cases"], "cases").items():
        check_signed(identity, case["domain"], case.bytes("payload"), case.bytes("signature"), name)
    good = file["cases"][1].bytes("signature")
    for name, case in unique(file["negative"], "negative").items():
        public = case.bytes("public") if "public" in case else identity.public

        def take(case=case, public=public):
            verify(public, case["domain"], case.bytes("payload"), case.bytes("signature"))

        refused(case["error"], take, name)
        data = case.bytes("signature")
        if name not in WRONG:
            altered = sum(a != b for a, b in zip(data, good)), len(data) - len(good), case["payload"], case["domain"]
            same(altered, (1, 0, b"payload".hex(), file["cases"][1]["domain"]), f"{name}: one byte is altered")
            continue
        same(WRONG[name](identity, good, case), True, f"{name}: is what its name says")


def _is_of(identity, domain, payload, signature):
    """Whether both halves are a signature over that."""
    return _verify(identity.public, message(domain, payload), signature) == 0


def _small_order(identity, _, case):
    """The equation holds without the cofactor, and R is of small order; the ML-DSA half is good."""
    key, signature = case.bytes("public")[:32], case.bytes("signature")
    data = message(case["domain"], case.bytes("payload"))
    s = int.from_bytes(signature[32:64], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + data).digest(), "little") % L
    r, a = point(signature[:32], strict=False), point(key)
    holds = _equal(_times(s, BASE), _add(r, _times(k, a))) and _equal(_times(8, r), ZERO)
    same(case.bytes("public")[32:], identity.public[32:], "ML-DSA half of the public identity")
    return holds and _ml_dsa_holds(identity.public[32:], data + signature[:64], signature[64:])


def _of_elsewhere(identity, good, case, half):
    """A half of the signature over another payload."""
    data = case.bytes("signature")
    elsewhere = message(case["domain"], b"elsewhere")
    first = identity.ed25519.sign(elsewhere)
    if half == 0:
        return data == first + good[64:]
    return data[:64] == good[:64] and _ml_dsa_holds(identity.public[32:], elsewhere + first, data[64:])


def _signature_is(make):
    return lambda identity, good, case: case["payload"] == b"payload".hex() and case.bytes("signature") == make(good)


def _plus_l(good):
    return good[:32] + (int.from_bytes(good[32:64], "little") + L).to_bytes(32, "little") + good[64:]


WRONG = {
    "empty": _signature_is(lambda good: b""),
    "ed25519-only": _signature_is(lambda good: good[:64]),
    "cut": _signature_is(lambda good: good[:-1]),
    "longer": _signature_is(lambda good: good + b"\0"),
    "s-plus-group-order": _signature_is(_plus_l),
    "r-of-order-1": _signature_is(lambda good: b"\1" + bytes(31) + good[32:]),
    "zero-ml-dsa": _signature_is(lambda good: good[:64] + bytes(3309)),
    "of-another-signer": lambda _, good, case: _is_of(
        Identity(bytes((0xC0 + n) & 255 for n in range(64))), case["domain"], b"payload", case.bytes("signature")
    ),
    "ed25519-half-of-another": lambda identity, good, case: _of_elsewhere(identity, good, case, 0),
    "ml-dsa-half-of-another": lambda identity, good, case: _of_elsewhere(identity, good, case, 1),
    "altered-payload": lambda _, good, case: (case["payload"], case.bytes("signature")) == (b"paylobd".hex(), good),
    "other-version": lambda _, good, case: (case["domain"], case["payload"], case.bytes("signature"))
    == ("holomesh test vector v2", b"payload".hex(), good),
    "moved-domain-end": lambda identity, _, case: (case["domain"], case["payload"]) == ("abc", b"d".hex())
    and _is_of(identity, "ab", b"cd", case.bytes("signature")),
    "r-of-small-order-in-a-valid-equation": _small_order,
}

CHECKS = {"identity/key_id": check_key_ids, "identity/hybrid_signature": check_hybrid}
