"""Signed records: capacity claims, evidence, permits, cards, consent, tombstones, manifests. Specs 53, 55, 56, 57, 80, 82."""

import ipaddress
import struct

from common import Reader, Refused, be, must, refused, same, unique
from faults import one_fault
from sign import ONE, PUBLIC, SIGNATURE, Identity, check_signed, key_id, read_public, verify


def split(data, smallest, largest, kinds=("malformed", "malformed")):
    """Canonical bytes and signature; kinds are the classes of error for too short and too long."""
    if len(data) > largest:
        raise Refused(kinds[1], "longer than any")
    if len(data) <= SIGNATURE or len(data) - SIGNATURE < smallest:
        raise Refused(kinds[0], "shorter than any")
    return data[:-SIGNATURE], data[-SIGNATURE:]


def need(condition, why, kind="malformed"):
    if not condition:
        raise Refused(kind, why)


def take_all(file, read, what, domain):
    goods = [case.bytes("bytes") for case in file["cases"]]
    for name, case in unique(file["negative"], "negative").items():
        data = case.bytes("bytes")
        refused(case["error"], lambda: read(data), f"{what} {name}")
        one_fault(f"{what} {name}", case["error"], data, goods, file.bytes("seed"), domain)


# Spec 55.
def read_claim(public, data):
    body, signature = split(data, 0, 5412)
    read = Reader(body)
    need(read.uint(1) == 4, "version")
    need(read.take(32) == key_id(public), "the advertiser is not the signer")
    tag = read.uint(1)
    need(tag < 2, "neither any stream nor one")
    claim = {"stream": read.take(32) if tag else None, "epoch": read.uint(8), "counter": read.uint(8)}
    claim |= {"uplink": read.uint(4), "streams": read.uint(2), "subscribers": read.uint(2)}
    claim["layers"] = list(read.take(3))
    claim["issued"], claim["until"] = read.uint(8), read.uint(8)
    need(claim["issued"] < claim["until"] <= claim["issued"] + 60_000, "good for no time, or for too long")
    count = read.uint(1)
    need(count <= 64, "too many commitments")
    parts = claim["parts"] = [(read.prefixed(16), read.uint(4), read.uint(2)) for _ in range(count)]
    claim["load"] = read.uint(2), read.uint(2), read.uint(4)
    count = read.uint(1)
    need(count <= 8, "too many peers on the way")
    above = [read.take(32) for _ in range(count)]
    read.end()
    need(len({key_id(public), *above}) == count + 1, "a peer on the way twice, or the advertiser")
    need(all(a[0] < b[0] for a, b in zip(parts, parts[1:])), "commitments out of order, or twice")
    need(sum(part[1] for part in parts) <= claim["uplink"], "commitments above the uplink")
    verify(public, "holomesh capacity claim v4", body, signature, ONE)
    return claim


def write_claim(advertiser, case):
    out = b"\4" + advertiser
    out += b"\0" if case["stream"] is None else b"\1" + case.bytes("stream")
    out += be(case.int("epoch"), 8) + be(case.int("counter"), 8) + be(case["uplink_kbit"], 4)
    out += be(case["max_streams"], 2) + be(case["max_subscribers"], 2) + bytes(case.array("layers"))
    out += be(case.int("issued_at_ms"), 8) + be(case.int("valid_until_ms"), 8) + be(len(case["commitments"]), 1)
    for part in case["commitments"]:
        path = part.bytes("path")
        out += be(len(path), 4) + path + be(part["budget_kbit"], 4) + be(part["max_subscribers"], 2)
    out += be(case["streams_now"], 2) + be(case["subscribers_now"], 2) + be(case["used_kbit"], 4)
    above = [bytes.fromhex(peer) for peer in case.array("way")]
    return out + be(len(above), 1) + b"".join(above)


def check_claims(file):
    identity = Identity(file.bytes("seed"))
    same(identity.public, file.bytes("advertiser"), "advertiser")
    same(file["domain"], "holomesh capacity claim v4", "domain")
    claims = {}
    for name, case in unique(file["cases"], "cases").items():
        body, data = write_claim(identity.key_id, case), case.bytes("bytes")
        same(body, case.bytes("canonical"), f"{name}: canonical bytes")
        same(data[:-SIGNATURE], body, f"{name}: what is signed")
        check_signed(identity, file["domain"], body, data[-SIGNATURE:], name)
        claims[name] = read_claim(identity.public, data)
    for number, case in enumerate(file["room"]):
        same(has_room(claims[case["case"]], case), case["room"], f"room {number}")
    good = claims["one-stream"]
    for case in file["times"]:
        now = case.int("now_ms")
        same(good["issued"] - 5000 <= now < good["until"], case["good"], f"good at {now}")
    take_all(file, lambda data: read_claim(identity.public, data), "claim", file["domain"])


def has_room(claim, case):
    budget, subscribers, path = claim["uplink"], claim["subscribers"], case.bytes("path")
    others, present = case.int("streams"), case.int("subscribers")
    used, rate = case.int("used_kbit"), case.int("rate_kbit")
    if claim["parts"]:
        exact = [part for part in claim["parts"] if part[0] == path]
        if not exact:
            return False
        _, budget, subscribers = exact[0]
    fits = used + rate <= budget
    return others < claim["streams"] and present < subscribers and fits


def check_legacy(file):
    """Spec 55 section 6."""
    head = b"CIRISALM-CAPv2".ljust(16, b"\0")

    def rate(kbit):
        return struct.pack(">f", kbit / 1000)

    for name, case in unique(file["wide"], "wide").items():
        out = head + case.bytes("stream") + be(case["epoch"], 8) + rate(case["uplink_kbit"])
        out += be(case["max_streams"], 2) + be(case["max_subscribers"], 2) + be(case["measured_at_ms"], 8)
        out += bytes(case.array("layers")) + be(len(case["commitments"]), 4)
        for part in case["commitments"]:
            path = part.bytes("path")
            out += be(len(path), 2) + path + rate(part["budget_kbit"]) + be(part["max_subscribers"], 2)
        same(out, case.bytes("bytes"), name)
    for name, case in unique(file["narrow"], "narrow").items():
        text = case["name"].encode()
        out = head + be(len(text), 4) + text + be(case["uplink_mbit"], 4) + be(case["epoch"], 8)
        same(out, case.bytes("bytes"), name)


# Spec 57 section 4.
def read_evidence(public, data):
    need(len(data) == 3510, "no size of evidence")
    body, signature = split(data, 137, 3510)
    read = Reader(body, "malformed")
    need(read.uint(1) == 1, "version")
    observer, accused = read.take(32), read.take(32)
    need(observer == key_id(public), "the observer is not the signer")
    need(accused != observer, "accuses itself")
    read.take(32 + 8 + 8)
    expected, delivered, since, until = read.uint(4), read.uint(4), read.uint(8), read.uint(8)
    read.end()
    need(expected >= 6 and 2 * delivered < expected, "says nothing")
    need(1 <= until - since <= 10_000, "about no time, or too long")
    verify(public, "holomesh delivery evidence v1", body, signature, ONE)


def check_evidence(file):
    identity = Identity(file.bytes("seed"))
    same(identity.public, file.bytes("observer"), "observer")
    same(file["domain"], "holomesh delivery evidence v1", "domain")
    for name, case in unique(file["cases"], "cases").items():
        body = b"\1" + identity.key_id + case.bytes("accused") + case.bytes("stream") + be(case.int("epoch"), 8)
        body += be(case.int("claim_counter"), 8) + be(case["expected"], 4) + be(case["delivered"], 4)
        body += be(case.int("from_ms"), 8) + be(case.int("until_ms"), 8)
        data = case.bytes("bytes")
        same(body, case.bytes("canonical"), f"{name}: canonical bytes")
        same(data[:-SIGNATURE], body, f"{name}: what is signed")
        check_signed(identity, file["domain"], body, data[-SIGNATURE:], name)
        read_evidence(identity.public, data)
    until = file["cases"][0].int("until_ms")
    for case in file["times"]:
        now = case.int("now_ms")
        same(until - 5000 <= now <= until + 60_000, case["taken"], f"taken at {now}")
    take_all(file, lambda data: read_evidence(identity.public, data), "evidence", file["domain"])


# Spec 56.
ROLES = {1: "relay", 2: "member"}


def read_permit(issuer, data):
    """`issuer` is the public identity whose signature counts."""
    body, signature = split(data, 0, 5557, ("truncated", "too-large"))
    read = Reader(body)
    need(read.uint(1) == 1, "version")
    session, issued_by, holder, role = read.take(32), read.take(32), read.take(32), read.uint(1)
    need(issued_by == key_id(issuer), "the issuer is not the signer")
    need(role in ROLES, "no such role")
    serial, begin, end, listed = read.uint(8), read.uint(8), read.uint(8), read.uint(1)
    need(begin <= end, "ends before it begins")
    need(listed < 2, "neither all streams nor some")
    if listed:
        count = read.uint(1)
        need(1 <= count <= 64, "no number of streams that can be listed")
        streams = [read.take(32) for _ in range(count)]
        need(all(a < b for a, b in zip(streams, streams[1:])), "streams out of order, or twice")
    read.uint(8)
    subscribers = read.uint(4)
    read.end()
    need(role == 1 or subscribers == 0, "a member with subscribers")
    verify(issuer, "holomesh permit v1", body, signature, ONE)
    return {"session": session, "holder": holder, "role": ROLES[role], "begin": begin, "end": end, "serial": serial}


def holds(permit, session, holder, role, now):
    if session != permit["session"]:
        return "other-session"
    if holder != permit["holder"]:
        return "other-holder"
    if role != permit["role"]:
        return "other-role"
    if now < permit["begin"] - 120_000:
        return "not-yet"
    return "expired" if now > permit["end"] + 300_000 else "good"


def check_permits(file):
    identity = Identity(file.bytes("seed"))
    same(identity.public, file.bytes("issuer"), "issuer")
    first = None
    for name, case in unique(file["cases"], "cases").items():
        role = {role: number for number, role in ROLES.items()}[case["role"]]
        body = b"\1" + case.bytes("session") + identity.key_id + case.bytes("holder") + be(role, 1)
        body += be(case.int("serial"), 8) + be(case.int("not_before_ms"), 8) + be(case.int("not_after_ms"), 8)
        streams = case["streams"]
        if streams is None:
            body += b"\0"
        else:
            body += b"\1" + be(len(streams), 1) + b"".join(bytes.fromhex(stream) for stream in streams)
        body += be(case.int("max_bytes_per_second"), 8) + be(case["max_subscribers"], 4)
        data = case.bytes("bytes")
        same(data[:-SIGNATURE], body, f"{name}: what is signed")
        check_signed(identity, "holomesh permit v1", body, data[-SIGNATURE:], name)
        first = first or read_permit(identity.public, data)
        read_permit(identity.public, data)
    for number, case in enumerate(file["checks"]):
        at = case.bytes("session"), case.bytes("holder"), case["role"], case.int("now_ms")
        same(holds(first, *at), case["outcome"], f"check {number}")
    take_all(file, lambda data: read_permit(identity.public, data), "permit", "holomesh permit v1")


# Spec 53 section 2.
KINDS = {1: "relay", 2: "watcher"}


def read_card(data, session, host, now):
    """Each refusal says too whether the peer that sent the card is to blame."""
    if len(data) > 11_148:
        raise Refused("too-large", "longer than any card")
    body, signature = split(data, 0, 11_148)
    read = Reader(body)
    need(read.uint(1) == 1, "version")
    of, public, kind, issued = read.take(32), read.take(PUBLIC), read.uint(1), read.uint(8)
    need(kind in KINDS, "neither relay nor watcher")
    read_public(public)
    read.take(32)
    count = read.uint(1)
    need(count <= 8, "too many addresses")
    addresses = []
    for _ in range(count):
        family = read.uint(1)
        need(family in (4, 6), "neither IPv4 nor IPv6")
        address, port = read.take(4 if family == 4 else 16), read.uint(2)
        need(port and any(address), "an address that nobody can be at")
        addresses.append((address, port))
    need(len(set(addresses)) == count, "an address twice")
    direct = read.uint(1)
    need(direct < 2, "neither taken nor not")
    need(not direct or read.uint(2), "direct links without a port")
    size = read.uint(4)
    need(SIGNATURE < size <= 5557, "no length of a permit", "encoding")
    permit_bytes = read.take(size)
    read.end()
    need(permit_bytes[65:97] == key_id(public), "another's permit")
    if of != session:
        raise Refused("other-session", "a card of another session")
    verify(public, "holomesh peer card v1", body, signature, ONE)
    checked = card_permit(permit_bytes, host)
    role = "relay" if KINDS[kind] == "relay" else "member"
    outcome = holds(checked, session, key_id(public), role, now)
    if outcome != "good":
        raise Blameless("permit", outcome) if outcome in ("not-yet", "expired") else Refused("permit", outcome)
    if now < issued - 5000:
        raise Blameless("not-yet", "from the future")
    return {"issued": issued, "permit": checked}


class Blameless(Refused):
    """Nobody is to blame for it: clocks differ."""


def card_permit(data, host):
    try:
        return read_permit(host, data)
    except Refused as refusal:
        raise Refused("permit", str(refusal)) from None


def check_cards(file):
    session, public_host = file.bytes("session"), read_public(file.bytes("host"))
    identity = Identity(file.bytes("seed"))
    same(file["domain"], "holomesh peer card v1", "domain")
    now = file.int("now_ms")
    cards = {}
    for name, case in unique(file["cases"], "cases").items():
        kind = {kind: number for number, kind in KINDS.items()}[case["kind"]]
        body = b"\1" + case.bytes("session") + identity.public + be(kind, 1) + be(case.int("issued_at_ms"), 8)
        body += case.bytes("endpoint") + be(len(case["addresses"]), 1)
        body += b"".join(address_bytes(address) for address in case["addresses"])
        port = case["direct_port"]
        body += b"\0" if port is None else b"\1" + be(port, 2)
        permit = case.bytes("permit")
        body += be(len(permit), 4) + permit
        data = case.bytes("bytes")
        same(body, case.bytes("canonical"), f"{name}: canonical bytes")
        same(data[:-SIGNATURE], body, f"{name}: what is signed")
        check_signed(identity, file["domain"], body, data[-SIGNATURE:], name)
        cards[name] = read_card(data, session, public_host, now)
    good = cards["relay"]
    for case in file["times"]:
        at = case.int("now_ms")
        is_good = good["issued"] - 5000 <= at <= good["permit"]["end"] + 300_000
        same(is_good and at >= good["permit"]["begin"] - 120_000, case["good"], f"good at {at}")
    for name, case in unique(file["negative"], "negative").items():

        def take(case=case):
            try:
                read_card(case.bytes("bytes"), session, public_host, now)
            except Refused as refusal:
                same(not isinstance(refusal, Blameless), case["blames_peer"], "who is to blame")
                raise

        refused(case["error"], take, f"card {name}")
        goods = [good.bytes("bytes") for good in file["cases"]]
        one_fault(f"card {name}", case["error"], case.bytes("bytes"), goods, file.bytes("seed"), file["domain"])


def address_bytes(written):
    host, port = written.rsplit(":", 1)
    packed = ipaddress.ip_address(host.strip("[]")).packed
    must(str(int(port)) == port, "a port is a number")
    return be(4 if len(packed) == 4 else 6, 1) + packed + be(int(port), 2)


CHECKS = {
    "claim/claim": check_claims,
    "claim/legacy": check_legacy,
    "delivery/evidence": check_evidence,
    "permit/permit": check_permits,
    "gossip/gossip": check_cards,
}
