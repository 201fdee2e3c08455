"""Lanes: spec 37 sections 2, 3 and 10."""

from common import Reader, Refused, be, must, refused, same, unique
from crypto import counted_nonce, expand, extract, open_sealed, seal
from faults import apart, is_cut_or_padded
from hop import Receiver, Replay, Sender

KINDS = {"report": 1, "ping": 2, "challenge": 3, "response": 4, "close": 5, "data": 6, "acknowledgement": 7}
SIZES = {1: (40, 40), 2: (16, 16), 3: (16, 16), 4: (16, 16), 5: (16, 16), 6: (8, 1168), 7: (40, 40)}
SUITES = {1: "full", 2: "bind"}
DIRECTIONS = {"child": "child_to_parent", "parent": "parent_to_child"}


def keys(secret, lane, suite):
    known = extract(b"holomesh lane v1", secret)

    def part(what, size):
        return expand(known, b"holomesh lane v1 " + what + lane + be(suite, 1), size)

    out = {"media_key": part(b"media key", 32), "media_salt": part(b"media salt", 12)}
    return out | {"control_key": part(b"control key", 32), "control_salt": part(b"control salt", 12)}


class End:
    """One direction: what its packets say, and what its media carry."""

    def __init__(self, secret, lane, suite):
        self.keys, self.lane, self.next = keys(secret, lane, suite), lane, 0
        media = SUITES[suite], self.keys["media_key"], self.keys["media_salt"]
        self.sender, self.receiver, self.replay = Sender(*media), Receiver(*media), Replay()

    def read(self, packet):
        """Kind, number and payload. What fails is noise, whatever it is."""
        read = Reader(packet, "noise")
        first, kind, lane, number = read.uint(1), read.uint(1), read.take(8), read.uint(6)
        sealed = read.rest()
        if first != 0x8D or lane != self.lane or kind not in SIZES:
            raise Refused("noise", "no packet of this lane")
        low, high = SIZES[kind]
        if not low <= len(sealed) - 16 <= high:
            raise Refused("noise", "not a length of its kind")
        nonce = counted_nonce(self.keys["control_salt"], number)
        payload = open_sealed(self.keys["control_key"], nonce, packet[:16], sealed, "noise")
        try:
            self.replay.take(number)
        except Refused as refusal:
            raise Refused("noise", str(refusal)) from None
        return kind, number, payload

    def write(self, kind, number, payload):
        head = b"\x8d" + be(kind, 1) + self.lane + be(number, 6)
        return head + seal(self.keys["control_key"], counted_nonce(self.keys["control_salt"], number), head, payload)


def check_lanes(file):
    for number, case in enumerate(file["cases"]):
        check_lane(case, f"lane {number}")


def check_lane(case, what):
    exported, lane, suite = case.bytes("exported"), case.bytes("id"), case["suite"]
    same(len(exported), 88, f"{what}: length of the secrets")
    ends = {"child": End(exported[:44], lane, suite), "parent": End(exported[44:], lane, suite)}
    for name, end in ends.items():
        told = case[DIRECTIONS[name]]
        for key, value in end.keys.items():
            same(value, told.bytes(key), f"{what}: {key} of the {name}")
    story = Story(what)
    good = {}
    for number, sent in enumerate(case["sent"]):
        at, name, data = f"{what}: {number}", sent["from"], sent.bytes("bytes")
        end = ends[name]
        if sent["kind"] == "media":
            chunk = sent.bytes("chunk")
            same(end.sender.send(chunk), data, at)
            same(end.receiver.take(data), chunk, f"{at}: opened")
            story.media.append(data)
            continue
        kind, count, payload = end.read(data)
        same(kind, KINDS[sent["kind"]], f"{at}: kind")
        same(count, end.next, f"{at}: numbers go up by one")
        end.next += 1
        same(end.write(kind, count, payload), data, at)
        getattr(story, sent["kind"])(name, payload)
        good.setdefault(sent["kind"], data)
    story.end()
    fresh = {"child": End(exported[:44], lane, suite), "parent": End(exported[44:], lane, suite)}
    for name, wrong in unique(case["negative"], "negative").items():
        end = fresh[wrong["from"]]

        def take(end=end, wrong=wrong):
            if wrong["twice"]:
                end.read(wrong.bytes("bytes"))
            end.read(wrong.bytes("bytes"))

        refused(wrong["error"], take, f"{what}: {name}")
        packets = [sent.bytes("bytes") for sent in case["sent"]]
        one = [is_cut_or_padded(wrong.bytes("bytes"), good) or apart(wrong.bytes("bytes"), good) == 1 for good in packets]
        must(any(one), f"{what}: {name}: more is wrong with it than its name says")
        same(wrong["twice"], wrong.bytes("bytes") in packets, f"{what}: {name}: good packets are noise the second time")


class Story:
    """What the packets say of one another."""

    def __init__(self, what):
        self.what, self.media, self.tokens = what, [], {"child": set(), "parent": set()}
        self.stream = {"child": {}, "parent": {}}
        self.closed = False

    def challenge(self, name, payload):
        must(payload not in self.tokens[name], "a token twice")
        self.tokens[name].add(payload)

    def response(self, name, payload):
        other = "parent" if name == "child" else "child"
        must(payload in self.tokens[other], f"{self.what}: a response to no challenge")

    def ping(self, _, payload):
        same(payload, bytes(16), f"{self.what}: ping")

    def report(self, _, payload):
        read = Reader(payload)
        flags, zero = read.uint(1), read.uint(1)
        highest, count, long, size = read.uint(6), read.uint(6), read.uint(6), read.uint(8)
        arrival, delay = read.uint(8), read.uint(4)
        came = [self.media[0], self.media[2]]
        sizes = sum(len(datagram) for datagram in came)
        found = flags, zero, highest, count, long, size
        same(found, (0, 0, 2, len(came), sum(len(d) > 512 for d in came), sizes), f"{self.what}: report")
        same((arrival, delay), (70_000, 5_000), f"{self.what}: times of the report")

    def data(self, name, payload):
        offset = int.from_bytes(payload[:8], "big")
        for at, byte in enumerate(payload[8:]):
            must(self.stream[name].setdefault(offset + at, byte) == byte, "other bytes in the same place")

    def acknowledgement(self, name, payload):
        read = Reader(payload)
        following, window, zero = read.uint(8), read.uint(4), read.uint(4)
        pieces = [(read.uint(4), read.uint(4)) for _ in range(3)]
        same(zero, 0, f"{self.what}: zeros")
        same(following + window, 131_072, f"{self.what}: nothing was read, so there is room for the rest")
        if name == "parent":
            same((following, pieces), (13, [(0, 0)] * 3), f"{self.what}: all of the child's bytes came")
        else:
            # Of the parent's three pieces the second was lost.
            same((following, pieces), (1160, [(1160, 680), (0, 0), (0, 0)]), f"{self.what}: acknowledgement")

    def close(self, name, payload):
        same((name, payload), ("parent", be(1, 2) + bytes(14)), f"{self.what}: draining")
        self.closed = True

    def end(self):
        must(self.closed, f"{self.what}: it is not closed")
        said = {name: bytes(self.stream[name][at] for at in range(len(self.stream[name]))) for name in self.stream}
        same(said["child"], b"what have you", f"{self.what}: stream of the child")
        same(said["parent"], bytes(at & 255 for at in range(3000)), f"{self.what}: stream of the parent")


CHECKS = {"lane/control": check_lanes}
