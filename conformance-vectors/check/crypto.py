"""Hashes, HKDF, AEAD and X-Wing. ML-KEM's deterministic encapsulation is written out: libraries draw the randomness."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common import Refused, be, xor


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def extract(salt, secret):
    return mac(salt, secret)


def expand(secret, info, size=32):
    out, block, count = b"", b"", 1
    while len(out) < size:
        block = mac(secret, block, info, bytes([count]))
        out, count = out + block, count + 1
    return out[:size]


def seal(key, nonce, aad, plain):
    return AESGCM(key).encrypt(nonce, plain, aad)


def open_sealed(key, nonce, aad, sealed, kind="authentication"):
    if len(sealed) < 16:
        raise Refused(kind, "shorter than a tag")
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Refused(kind, "the tag does not fit") from None


def counted_nonce(salt, number):
    return xor(salt, bytes(4) + be(number, 8))


# ML-KEM-768, FIPS 203: K-PKE.Encrypt and what it needs.
Q, N, K = 3329, 256, 3


def _bitrev7(number):
    return int(f"{number:07b}"[::-1], 2)


ZETAS = [pow(17, _bitrev7(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _bitrev7(i) + 1, Q) for i in range(128)]


def _ntt(f):
    f, i, size = list(f), 1, 128
    while size >= 2:
        for start in range(0, N, 2 * size):
            zeta, i = ZETAS[i], i + 1
            for j in range(start, start + size):
                t = zeta * f[j + size] % Q
                f[j + size], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        size //= 2
    return f


def _ntt_inverse(f):
    f, i, size = list(f), 127, 2
    while size <= 128:
        for start in range(0, N, 2 * size):
            zeta, i = ZETAS[i], i - 1
            for j in range(start, start + size):
                t = f[j]
                f[j], f[j + size] = (t + f[j + size]) % Q, zeta * (f[j + size] - t) % Q
        size *= 2
    return [value * 3303 % Q for value in f]


def _multiply(f, g):
    out = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        out += [(a0 * b0 + a1 * b1 * GAMMAS[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def _add(*polynomials):
    return [sum(values) % Q for values in zip(*polynomials)]


def _sample_ntt(seed):
    stream, out, at = hashlib.shake_128(seed).digest(2048), [], 0
    while len(out) < N:
        b0, b1, b2 = stream[at : at + 3]
        at += 3
        out += [d for d in (b0 + 256 * (b1 % 16), b1 // 16 + 16 * b2) if d < Q]
    return out[:N]


def _bits(data):
    return [byte >> i & 1 for byte in data for i in range(8)]


def _noise(seed, number):
    bits = _bits(hashlib.shake_256(seed + bytes([number])).digest(128))
    return [(sum(bits[4 * i : 4 * i + 2]) - sum(bits[4 * i + 2 : 4 * i + 4])) % Q for i in range(N)]


def _pack(values, width):
    number = sum(value << (width * i) for i, value in enumerate(values))
    return number.to_bytes(N * width // 8, "little")


def _unpack(data, width):
    number = int.from_bytes(data, "little")
    return [number >> (width * i) & ((1 << width) - 1) for i in range(N)]


def _compress(values, width):
    return [((value << width) + Q // 2) // Q % (1 << width) for value in values]


def kem_key_is_sound(key):
    return len(key) == 1184 and all(v < Q for i in range(K) for v in _unpack(key[384 * i : 384 * i + 384], 12))


def kem_encapsulate(key, message):
    """FIPS 203 algorithm 17: shared secret and ciphertext."""
    if not kem_key_is_sound(key):
        raise Refused("malformed", "an ML-KEM key with a coefficient out of range")
    both = hashlib.sha3_512(message + hashlib.sha3_256(key).digest()).digest()
    secret, coins = both[:32], both[32:]
    t = [_unpack(key[384 * i : 384 * i + 384], 12) for i in range(K)]
    rho = key[1152:]
    y = [_ntt(_noise(coins, i)) for i in range(K)]
    u = []
    for i in range(K):
        column = [_multiply(_sample_ntt(rho + bytes([i, j])), y[j]) for j in range(K)]
        u.append(_add(_ntt_inverse(_add(*column)), _noise(coins, K + i)))
    mu = [bit * ((Q + 1) // 2) for bit in _bits(message)]
    v = _add(_ntt_inverse(_add(*(_multiply(t[i], y[i]) for i in range(K)))), _noise(coins, 2 * K), mu)
    return secret, b"".join(_pack(_compress(p, 10), 10) for p in u) + _pack(_compress(v, 4), 4)


# X-Wing, spec 35 section 2.
def _x25519(secret, public):
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused("malformed", "a point of small order") from None


def x25519_public(secret):
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(*raw)


def _combine(kem, x25519, ephemeral, public):
    return hashlib.sha3_256(kem + x25519 + ephemeral + public + bytes.fromhex("5c2e2f2f5e5c")).digest()


class XWing:
    """A key pair made from a seed of 32 bytes."""

    def __init__(self, seed):
        stretched = hashlib.shake_256(seed).digest(96)
        self.kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(stretched[:64])
        self.x25519 = stretched[64:]
        self.x25519_public = x25519_public(self.x25519)
        self.public = self.kem.public_key().public_bytes_raw() + self.x25519_public

    def decapsulate(self, ciphertext):
        if len(ciphertext) != 1120:
            raise Refused("malformed", "not the length of a ciphertext")
        ephemeral = ciphertext[1088:]
        x25519 = _x25519(self.x25519, ephemeral)
        return _combine(self.kem.decapsulate(ciphertext[:1088]), x25519, ephemeral, self.x25519_public)


def check_x_wing_key(public):
    if len(public) != 1216 or not kem_key_is_sound(public[:1184]):
        raise Refused("malformed", "no X-Wing key")
    _x25519(bytes(range(32)), public[1184:])


def x_wing_encapsulate(public, seed):
    """Shared secret and ciphertext; the seed is ML-KEM's message and the ephemeral X25519 secret."""
    check_x_wing_key(public)
    kem, ciphertext = kem_encapsulate(public[:1184], seed[:32])
    ephemeral = x25519_public(seed[32:])
    return _combine(kem, _x25519(seed[32:], public[1184:]), ephemeral, public[1184:]), ciphertext + ephemeral
