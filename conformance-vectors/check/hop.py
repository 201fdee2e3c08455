"""Hop headers, hop seals and what a receiver makes of datagrams: spec 30 sections 9 to 11."""

from chunks import HEADER, LARGEST, OPAQUE, Header, write_header

from common import Refused, be, must, same, unique
from crypto import counted_nonce, open_sealed, seal
from faults import apart

WINDOW, QUARTER = 65536, 16384
REACH, REORDER, KEPT = 16384, 4096, 4032
TAG = {"full": 16, "bind": 16, "transport-sealed": 0}


class Replay:
    """The last 4,032 numbers."""

    def __init__(self):
        self.highest, self.taken = -1, set()

    def take(self, number):
        if number in self.taken or number <= self.highest - KEPT:
            raise Refused("replayed", "a number for the second time, or too far behind")
        self.highest = max(self.highest, number)
        self.taken = {n for n in self.taken | {number} if n > self.highest - KEPT}


def window_start(number, quarter):
    return (number // QUARTER - quarter) * QUARTER


def protect(suite, key, salt, link, prefix, chunk):
    """Body and tag."""
    head, body, nonce = chunk[:HEADER], chunk[HEADER:], counted_nonce(salt, link)
    if suite == "full":
        return seal(key, nonce, prefix + head, body)
    if suite == "bind":
        return body + seal(key, nonce, bound(prefix, head, body), b"")
    return body


def bound(prefix, head, body):
    data = head[:48] + body[-16:] + head[48:] + be(len(body), 4) + prefix
    return data if len(prefix) == 8 else data + bytes(96 - len(data))


def unprotect(suite, key, salt, link, prefix, head, sealed):
    nonce = counted_nonce(salt, link)
    if suite == "full":
        return open_sealed(key, nonce, prefix + head, sealed, "not-authentic")
    if suite == "bind":
        body = sealed[:-16]
        open_sealed(key, nonce, bound(prefix, head, body), sealed[-16:], "not-authentic")
        return body
    return sealed


class Sender:
    """Rule 9.5, with one alias after the other."""

    def __init__(self, suite, key, salt):
        self.suite, self.key, self.salt = suite, key, salt
        self.link, self.bindings, self.aliases = 0, {}, 0

    def send(self, chunk):
        header, link = Header(chunk[:HEADER]), self.link
        self.link += 1
        prefix, compact = self._prefix(header, link)
        sealed = protect(self.suite, self.key, self.salt, link, prefix, chunk)
        return prefix + sealed if compact else prefix[:8] + chunk[:HEADER] + sealed

    def _prefix(self, header, link):
        known = self.bindings.get(header.stream)
        quarter = min(1, header.number // QUARTER)
        fresh = (header.epoch, header.codec, window_start(header.number, quarter))
        if known is None or not self._fits(known, header):
            if known and (header.epoch, fresh[2]) < (known["is"][0], known["is"][2]):
                return be(0x8000, 2) + be(link, 6), False
            known = {"is": fresh, "alias": self.aliases, "sent": 0, "said": link}
            self.aliases += 1
            self.bindings[header.stream] = known
        count = known["sent"]
        known["sent"] += 1
        due = count < 3 or count % 256 == 0 or (count >= 8 and count & (count - 1) == 0)
        if due or link - known["said"] >= 8192:
            known["said"] = link
            quarter = (header.number - known["is"][2]) // QUARTER
            return be(0xC000 | quarter << 12 | known["alias"], 2) + be(link, 6), False
        layered = bool(header.spatial or header.temporal)
        first = layered << 14 | (header.epoch & 15) << 10 | known["alias"]
        prefix = be(first, 2) + header.bytes[51:52] + be(header.number & 0xFFFF, 2) + be(link & 0xFFFFFF, 3)
        return prefix + header.bytes[49:51] * layered, True

    @staticmethod
    def _fits(known, header):
        epoch, codec, start = known["is"]
        return (epoch, codec) == (header.epoch, header.codec) and start <= header.number < start + WINDOW


class Receiver:
    def __init__(self, suite, key, salt):
        self.suite, self.key, self.salt = suite, key, salt
        self.replay, self.bindings = Replay(), {}

    def take(self, datagram):
        if datagram and datagram[0] & 0x8C == 0x8C:
            raise Refused("malformed", "a packet of the carrier")
        link, prefix, header, sealed, binding = (self._whole if datagram[:1] and datagram[0] & 0x80 else self._compact)(
            datagram
        )
        if len(sealed) < 17 + TAG[self.suite]:
            raise Refused("truncated", "shorter than a chunk's body")
        if HEADER + len(sealed) - TAG[self.suite] > LARGEST:
            raise Refused("too-large", "longer than a chunk")
        body = unprotect(self.suite, self.key, self.salt, link, prefix, header.bytes, sealed)
        self.replay.take(link)
        if binding:
            self._bind(*binding, link)
        return header.bytes + body

    def _whole(self, datagram):
        if len(datagram) < 8 + HEADER:
            raise Refused("truncated", "shorter than a whole header")
        flags, link = int.from_bytes(datagram[:2], "big"), int.from_bytes(datagram[2:8], "big")
        if flags & 0x0C00 or (not flags & 0x4000 and flags & 0x33FF):
            raise Refused("malformed", "spare bits, or a place without a binding")
        header = Header(datagram[8 : 8 + HEADER])
        binding = None
        if flags & 0x4000:
            start = window_start(header.number, flags >> 12 & 3)
            if start < 0:
                raise Refused("malformed", "a window before the first number")
            binding = flags & 0x3FF, (header.stream, header.epoch, header.codec, start)
        return link, datagram[:8], header, datagram[8 + HEADER :], binding

    def _compact(self, datagram):
        if len(datagram) < 8:
            raise Refused("truncated", "shorter than a compact header")
        first = int.from_bytes(datagram[:2], "big")
        layered = bool(first & 0x4000)
        size = 10 if layered else 8
        if len(datagram) < size:
            raise Refused("truncated", "shorter than a compact header")
        layer = datagram[8:10] if layered else bytes(2)
        if layered and layer == bytes(2):
            raise Refused("malformed", "the base layer, said in two bytes more")
        low = int.from_bytes(datagram[5:8], "big")
        start = self.replay.highest + 1 - (1 << 23)
        link = start + ((low - start) & 0xFFFFFF)
        bound = self.bindings.get(first & 0x3FF)
        if bound is None or not self._reaches(bound, link) or bound["is"][1] & 15 != first >> 10 & 15:
            raise Refused("unbound", "a compact header that stands for nothing")
        stream, epoch, codec, window = bound["is"]
        if codec == OPAQUE and (layered or datagram[2]):
            raise Refused("unbound", "an opaque chunk with a layer or marks")
        number = window + ((int.from_bytes(datagram[3:5], "big") - window) & 0xFFFF)
        header = Header(stream + be(epoch, 8) + be(number, 8) + bytes([codec]) + layer + datagram[2:3])
        return link, datagram[:size], header, datagram[size:], None

    @staticmethod
    def _reaches(bound, link):
        return 0 <= link < 1 << 48 and bound["first"] - (REORDER - 1) <= link <= bound["last"] + REACH

    def _bind(self, alias, what, link):
        bound = self.bindings.get(alias)
        if bound and bound["is"] == what:
            bound["first"], bound["last"] = min(bound["first"], link), max(bound["last"], link)
            return
        if bound and self._reaches(bound, link):
            raise Refused("alias-in-use", "the alias stands for something else")
        self.bindings[alias] = {"is": what, "first": link, "last": link}


def outcome(receiver, datagram):
    try:
        return "taken", receiver.take(datagram)
    except Refused as refusal:
        return refusal.kind, None


def check_sequences(file):
    key, salt = file.bytes("key"), file.bytes("salt")
    for name, sequence in unique(file["sequences"], "sequences").items():
        suite = sequence["suite"]
        must(suite in TAG, f"{name}: no suite {suite}")
        sender, receiver = Sender(suite, key, salt), Receiver(suite, key, salt)
        for number, sent in enumerate(sequence["sent"]):
            same(sender.send(sent.bytes("chunk")), sent.bytes("datagram"), f"{name}: datagram {number}")
        for number, arrives in enumerate(sequence["arrives"]):
            datagram = arrives.bytes("datagram")
            became, chunk = outcome(receiver, datagram)
            if sequence["sent"]:
                sent = [other.bytes("datagram") for other in sequence["sent"]]
                one = any(apart(datagram, other) <= 2 or other.startswith(datagram) for other in sent)
                must(one, f"{name}: arrival {number} is no datagram that was sent, nor nearly one")
            same(became, arrives["outcome"], f"{name}: what becomes of arrival {number}")
            same(chunk, arrives.bytes("chunk") if "chunk" in arrives else None, f"{name}: arrival {number}")


def check_headers(file):
    check_sequences(file)
    for name, case in unique(file["schedule"], "schedule").items():
        sender, whole = Sender("transport-sealed", None, bytes(12)), []
        for place in range(case["count"]):
            marks = {"class": "plain", "start": False, "repair": False}
            head = write_header(bytes(32), 7, case.int("first") + case["step"] * place, 1, (0, 0, 0), marks)
            if sender.send(head + bytes(24))[0] & 0x80:
                whole.append(place)
        same(whole, case.array("whole"), f"{name}: chunks under whole headers")


CHECKS = {"chunk/hop_header": check_headers, "chunk/hop_seal": check_sequences}
