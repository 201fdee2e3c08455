"""X-Wing vectors and the link handshake: spec 35 sections 2 to 7."""

import hmac

from common import Reader, Refused, be, must, refused, same, unique
from crypto import XWing, check_x_wing_key, expand, extract, mac, open_sealed, seal, sha256, x_wing_encapsulate
from sign import PUBLIC, SIGNATURE, Identity, check_signed, key_id, read_public, verify

VERSION, SUITE = 1, 1
CLEAR = 2372
LENGTHS = {"answer": 7777, "finish": 6557, "verdict": 32}
GREASE = {n << 12 | 10 << 8 | n << 4 | 10 for n in range(16)}


def check_x_wing(file):
    for name, case in unique(file["cases"], "cases").items():
        pair = XWing(case.bytes("seed"))
        same(pair.public, case.bytes("public_key"), f"{name}: public key")
        same(pair.decapsulate(case.bytes("ciphertext")), case.bytes("shared_secret"), f"{name}: shared secret")
        if "encapsulation_seed" in case:
            made = x_wing_encapsulate(pair.public, case.bytes("encapsulation_seed"))
            same(made, (case.bytes("shared_secret"), case.bytes("ciphertext")), f"{name}: encapsulation")
    for name, case in unique(file["negative"], "negative").items():
        if "ciphertext" in case:
            pair = XWing(case.bytes("seed"))
            data = case.bytes("ciphertext")
            refused(case["error"], lambda: pair.decapsulate(data), name)
            good = any(data == other.bytes("ciphertext")[:1088] + bytes(32) for other in file["cases"])
        else:
            data, keys = case.bytes("public_key"), [other.bytes("public_key") for other in file["cases"]]
            refused(case["error"], lambda: check_x_wing_key(data), name)
            # 0xfff is the first coefficient that is not below 3,329 here; or the X25519 half is of small order.
            raised = [key[:1184] + bytes(32) for key in keys] + [b"\xff" + bytes([key[1] | 15]) + key[2:] for key in keys]
            good = data in raised
        must(good, f"{name}: more is wrong with it than its name says")


class Offer:
    def __init__(self, data):
        read = Reader(data, "malformed")
        self.bytes = data
        self.versions, self.suites = self._list(read), self._list(read)
        self.nonce, self.intent, self.ephemeral = read.take(32), read.take(32), read.take(1216)
        read.end()

    @staticmethod
    def _list(read):
        count = read.uint(1)
        if not 1 <= count <= 8:
            raise Refused("malformed", "a list of no length that is allowed")
        return [read.uint(2) for _ in range(count)]

    def accept(self):
        if VERSION not in self.versions or SUITE not in self.suites:
            raise Refused("incompatible", "nothing in common")
        return self


def exact(message, data):
    if len(data) != LENGTHS[message]:
        raise Refused("malformed", f"no {message} has {len(data)} bytes")
    return data


class Handshake:
    """Both sides at once: what each knows at each step, from the bytes and the two seeds."""

    def __init__(self, initiator, responder):
        self.i, self.r = Identity(initiator.bytes("identity_seed")), Identity(responder.bytes("identity_seed"))
        self.mine, self.theirs = initiator.bytes("seed"), responder.bytes("seed")
        self.i_pair, self.r_pair = XWing(own(self.mine, "key")), XWing(own(self.theirs, "key"))

    def offer(self, data):
        offer = Offer(data).accept()
        blind = own(self.mine, "blind")
        same(offer.nonce, own(self.mine, "nonce"), "nonce of the initiator")
        same(offer.intent, intent(blind, self.i.key_id, self.r.key_id), "intent")
        same(offer.ephemeral, self.i_pair.public, "ephemeral key of the initiator")
        for entries, known in ((offer.versions, VERSION), (offer.suites, SUITE)):
            must(known in entries and all(e == known or e in GREASE for e in entries), "entries of the offer")

    def answer(self, offer, answer):
        secret, ciphertext = x_wing_encapsulate(offer.ephemeral, own(self.theirs, "encapsulation", 64))
        clear = be(VERSION, 2) + be(SUITE, 2) + own(self.theirs, "nonce") + ciphertext + self.r_pair.public
        same(clear, answer[:CLEAR], "clear part of the answer")
        self.take_answer(offer, answer)
        seen = self.seen
        check_signed(self.r, "holomesh link responder v1", seen["t2"], seen["signature_r"], "signature of the responder")
        same(seen["identity_r"], self.r.public, "identity in the answer")
        inner = seen["identity_r"] + seen["signature_r"] + seen["confirmation_r"]
        same(clear + seal(seen["seal_key"], bytes(12), seen["t1"], inner), answer, "answer")

    def take_answer(self, offer, answer):
        """What the initiator does with an answer; the offer is the one that it sent."""
        exact("answer", answer)
        if answer[:4] != be(VERSION, 2) + be(SUITE, 2):
            raise Refused("incompatible", "not what was offered")
        s1 = extract(b"holomesh link v1", self.i_pair.decapsulate(answer[36:1156]))
        t1 = sha256(b"holomesh link transcript v1", be(len(offer.bytes), 2), offer.bytes, answer[:CLEAR])
        key = expand(s1, b"holomesh link v1 responder seal" + t1)
        read = Reader(open_sealed(key, bytes(12), t1, answer[CLEAR:]))
        identity, signature, confirmation = read.take(PUBLIC), read.take(SIGNATURE), read.take(32)
        read_public(identity)
        if identity == self.i.public:
            raise Refused("own-identity", "a reflection")
        if key_id(identity) != self.r.key_id:
            raise Refused("wrong-peer", "not the one that was wanted")
        t2 = sha256(t1, b"responder", identity)
        verify(identity, "holomesh link responder v1", t2, signature, ("authentication",) * 3)
        t3 = sha256(t2, signature)
        early = expand(s1, b"holomesh link v1 responder early confirmation" + t1)
        if not hmac.compare_digest(mac(early, t3, b"accepted"), confirmation):
            raise Refused("authentication", "no confirmation")
        self.seen = dict(t1=t1, t2=t2, t3=t3, s1=s1, seal_key=key, identity_r=identity)
        self.seen.update(signature_r=signature, confirmation_r=confirmation)

    def finish(self, finish):
        seen, seed = self.seen, own(self.mine, "encapsulation", 64)
        secret, ciphertext = x_wing_encapsulate(self.r_pair.public, seed)
        same(ciphertext, finish[:1120], "ciphertext of the finish")
        self.take_finish(finish)
        check_signed(self.i, "holomesh link initiator v1", seen["t5"], seen["signature_i"], "signature of the initiator")
        same(seen["identity_i"], self.i.public, "identity in the finish")
        inner = seen["blind"] + seen["identity_i"] + seen["signature_i"] + seen["confirmation_i"]
        same(ciphertext + seal(seen["finish_key"], bytes(12), seen["t4"], inner), finish, "finish")

    def take_finish(self, finish):
        exact("finish", finish)
        seen = self.seen
        secret = self.r_pair.decapsulate(finish[:1120])
        s2 = extract(expand(seen["s1"], b"holomesh link v1 next" + seen["t3"]), secret)
        t4 = sha256(seen["t3"], finish[:1120])
        key = expand(s2, b"holomesh link v1 initiator seal" + t4)
        read = Reader(open_sealed(key, bytes(12), t4, finish[1120:]))
        blind, identity = read.take(32), read.take(PUBLIC)
        signature, confirmation = read.take(SIGNATURE), read.take(32)
        read_public(identity)
        if identity == self.r.public:
            raise Refused("own-identity", "a reflection")
        if intent(blind, key_id(identity), self.r.key_id) != intent(own(self.mine, "blind"), self.i.key_id, self.r.key_id):
            raise Refused("authentication", "not who made the offer")
        t5 = sha256(t4, b"initiator", identity, blind)
        verify(identity, "holomesh link initiator v1", t5, signature, ("authentication",) * 3)
        t6 = sha256(t5, signature)
        if not hmac.compare_digest(mac(expand(s2, b"holomesh link v1 initiator confirmation" + t4), t6, b"accepted"), confirmation):
            raise Refused("authentication", "no confirmation")
        seen.update(s2=s2, t4=t4, t5=t5, t6=t6, finish_key=key, blind=blind)
        seen.update(identity_i=identity, signature_i=signature, confirmation_i=confirmation)

    def verdict(self, word):
        key = expand(self.seen["s2"], b"holomesh link v1 responder confirmation" + self.seen["t4"])
        return mac(key, self.seen["t6"], word)

    def take_verdict(self, data):
        exact("verdict", data)
        if data == self.verdict(b"refused"):
            raise Refused("refused", "the owner does not want it")
        if data != self.verdict(b"accepted"):
            raise Refused("authentication", "neither of the two verdicts")

    def export(self, label, context, size):
        must(len(label) <= 255 and size <= 8160, "limits of the exporter")
        exporter = expand(self.master(), b"holomesh link v1 exporter")
        info = b"holomesh link v1 export" + be(len(label), 1) + label + sha256(context)
        return expand(exporter, info, size)

    def master(self):
        return expand(self.seen["s2"], b"holomesh link v1 master" + self.seen["t6"])


def own(seed, name, size=None):
    return expand(seed, b"holomesh link seed v1 " + name.encode(), size or 32)


def intent(blind, initiator, responder):
    return sha256(b"holomesh link intent v1", blind, initiator, responder)


def check_handshake(file):
    shake = Handshake(file["initiator"], file["responder"])
    same(shake.i.key_id, file["initiator"].bytes("key_id"), "key id of the initiator")
    same(shake.r.key_id, file["responder"].bytes("key_id"), "key id of the responder")
    messages = {name: file.bytes(name) for name in ("offer", "answer", "finish")}
    messages["verdict"] = file.bytes("accepted")
    offer = Offer(messages["offer"])
    shake.offer(messages["offer"])
    shake.answer(offer, messages["answer"])
    shake.finish(messages["finish"])
    same(shake.verdict(b"accepted"), messages["verdict"], "verdict")
    same(shake.verdict(b"refused"), file.bytes("refused"), "the other verdict")
    shake.take_verdict(messages["verdict"])
    check_link(file["link"], shake)

    good_offer = messages["offer"]
    takes = {
        "offer": lambda data: Offer(data).accept(),
        "answer": lambda data: Handshake.take_answer(shake, offer, data),
        "finish": shake.take_finish,
        "verdict": shake.take_verdict,
    }
    for name, case in unique(file["negative"], "negative").items():
        data = messages[case["message"]]
        must(name.startswith(case["message"]), f"{name}: a message by another name")
        if "keep" in case:
            data = data[: case["keep"]]
        elif "flip" in case:
            at = case["flip"]
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        else:
            must(case.bytes("bytes") != data, f"{name}: it is the good message")
            good, data = data, case.bytes("bytes")
            if name == "offer-lengthened":
                same(data, good + b"\0", name)
            elif name == "offer-empty-list":
                same(data, b"\0" + good[5:], name)
            elif name == "answer-to-a-stripped-offer":
                seen = shake.seen
                shake.take_answer(Offer(b"\1" + good_offer[3:]), data)
                shake.seen = seen
        refused(case["error"], lambda: takes[case["message"]](data), name)


def check_link(link, shake):
    master = shake.master()
    for side in ("initiator", "responder"):
        same(expand(master, b"holomesh link v1 %s key" % side.encode()), link.bytes(f"{side}_key"), f"{side}: key")
        salt = expand(master, b"holomesh link v1 %s salt" % side.encode(), 12)
        same(salt, link.bytes(f"{side}_salt"), f"{side}: salt")
    for exported in link["exported"]:
        label, value = exported["label"].encode(), exported.bytes("value")
        same(shake.export(label, exported.bytes("context"), len(value)), value, f"exported for {label!r}")


CHECKS = {"keys/x_wing": check_x_wing, "keys/handshake": check_handshake}
