"""Consent, tombstones, tiers by age, audit log; retention priorities and manifests: specs 80 and 82."""

from common import Reader, Refused, be, must, refused, same, unique
from crypto import sha256
from faults import apart, one_fault
from records import need, split
from sign import ONE, PUBLIC, SIGNATURE, Identity, check_signed, read_public, verify

DAY = 86_400_000
TIERS = ("hard-delete", "envelope-only", "min-viable", "drop-high-quality", "drop-repair", "full")
BANDS = {"temporary": (4, 8, 11, 14), "standard": (26, 51, 70, 90), "persistent": (365, 730, 1095, 1460)}
REASONS = {
    "admitted": 1,
    "age": 2,
    "revoked": 3,
    "frozen: its consent can't be read": 4,
    "thawed: its consent can be read again": 5,
    "its consent could not be read for seven days": 6,
    "consent changed": 7,
    "its keys were found destroyed": 8,
}
REASONS |= {f"disk pressure, level {level} of 4": 16 + level for level in range(1, 5)}
FLOORS = {1: "drop-repair", 2: "drop-high-quality", 3: "min-viable", 4: "envelope-only"}
CONSENT, TOMBSTONE = "holomesh consent v1", "holomesh consent tombstone v1"
GRANT = "holomesh reading grant v1"


def content_id(subject, source):
    return sha256(b"holomesh content v1", subject, source)


def read_consent(data):
    body, signature = split(data, 0, 2069 + SIGNATURE)
    read = Reader(body)
    need(read.uint(1) == 1, "version")
    public = read_public_in(read)
    read.take(32 + 8 + 8)
    name = read.prefixed(32)
    read.end()
    allowed = b"abcdefghijklmnopqrstuvwxyz0123456789-"
    need(name and all(byte in allowed for byte in name), "no name of a class")
    verify(public, CONSENT, body, signature, ONE)


def read_tombstone(data):
    body, signature = split(data, 0, 2025 + SIGNATURE)
    read = Reader(body)
    need(read.uint(1) == 1, "version")
    public = read_public_in(read)
    read.take(32 + 8)
    read.end()
    verify(public, TOMBSTONE, body, signature, ONE)


def read_grant(data):
    body, signature = split(data, 0, 2057 + SIGNATURE)
    read = Reader(body)
    need(read.uint(1) == 1, "version")
    public = read_public_in(read)
    read.take(32 + 32 + 8)
    read.end()
    verify(public, GRANT, body, signature, ONE)


def check_grants(file):
    identity, source = Identity(file.bytes("seed")), file.bytes("source")
    same(content_id(identity.key_id, source), file.bytes("content"), "content id")
    for name, case in unique(file["cases"], "cases").items():
        body = b"\1" + identity.public + source + case.bytes("reader") + be(case.int("until_ms"), 8)
        data = case.bytes("bytes")
        same(data[:-SIGNATURE], body, f"{name}: what is signed")
        check_signed(identity, GRANT, body, data[-SIGNATURE:], name)
        read_grant(data)
    goods = [case.bytes("bytes") for case in file["cases"]]
    for name, case in unique(file["negative"], "negative").items():
        refused(case["error"], lambda: read_grant(case.bytes("bytes")), name)
        one_fault(name, case["error"], case.bytes("bytes"), goods, file.bytes("seed"), GRANT)


def read_public_in(read):
    try:
        return read_public(read.take(PUBLIC))
    except Refused as refusal:
        raise Refused("encoding", str(refusal)) from None


def check_records(file):
    identity, source = Identity(file.bytes("seed")), file.bytes("source")
    same(content_id(identity.key_id, source), file.bytes("content"), "content id")
    for name, case in unique(file["consents"], "consents").items():
        text = case["class"].encode()
        body = b"\1" + identity.public + source + be(case.int("serial"), 8) + be(case.int("from_ms"), 8)
        body += be(len(text), 4) + text
        data = case.bytes("bytes")
        same(data[:-SIGNATURE], body, f"{name}: what is signed")
        check_signed(identity, CONSENT, body, data[-SIGNATURE:], name)
        read_consent(data)
    grave = file["tombstone"]
    body = b"\1" + identity.public + source + be(grave.int("revoked_at_ms"), 8)
    same(grave.bytes("bytes")[:-SIGNATURE], body, "tombstone: what is signed")
    check_signed(identity, TOMBSTONE, body, grave.bytes("bytes")[-SIGNATURE:], "tombstone")
    read_tombstone(grave.bytes("bytes"))
    goods = {"consent": [case.bytes("bytes") for case in file["consents"]], "tombstone": [grave.bytes("bytes")]}
    reads = {"consent": read_consent, "tombstone": read_tombstone}
    for name, case in unique(file["negative"], "negative").items():
        must(name.startswith(case["kind"]), f"{name}: a record of another kind")
        refused(case["error"], lambda: reads[case["kind"]](case.bytes("bytes")), name)
        domain = CONSENT if case["kind"] == "consent" else TOMBSTONE
        one_fault(name, case["error"], case.bytes("bytes"), goods[case["kind"]], file.bytes("seed"), domain)


def tier_by_age(bands, since, now):
    age = max(0, now - since) // DAY
    for tier, end in zip(("full", "drop-repair", "drop-high-quality", "min-viable"), bands):
        if age < end:
            return tier
    return "envelope-only"


def check_tiers(file):
    for number, case in enumerate(file["cases"]):
        since, now, bands = case.int("admitted_ms"), case.int("now_ms"), BANDS[case["class"]]
        if case["revoked"]:
            tier = "hard-delete"
        elif since > now + 300_000:
            tier = "refused"
        else:
            tier = tier_by_age(bands, since, now)
        same(tier, case["tier"], f"case {number}")
    for name, case in unique(file["decisions"], "decisions").items():
        same(decide(case), told(case), name)


def told(case):
    due = case["due_ms"]
    return case["after"], case["reason"], case["is_frozen"], None if due is None else int(due)


def decide(case):
    """Tier after, reason, whether it is frozen, when to look again: spec 80 section 5."""
    since, day, held = case.int("from_ms"), case["day"], case["held"]
    now = since + day * DAY
    frozen, pressure, to = case["frozen_since_day"], case["pressure_level"], case["pressure_to"]
    readable = case["class"] in BANDS
    same(pressure > 0, case["trigger"] == "pressure", "a level goes with pressure")
    same(pressure > 0, to is not None, "a tier goes with pressure")
    if case["trigger"] == "revoked":
        return "hard-delete", "revoked", not readable, None
    must(case["trigger"] in ("time", "pressure"), "no such trigger")
    if not readable:
        if frozen is None:
            return held, "frozen: its consent can't be read", True, now + 3_600_000
        reason = "its consent could not be read for seven days"
        over = day - frozen >= 7
        return ("envelope-only" if over else held), reason, True, None if over else now + 3_600_000
    bands = BANDS[case["class"]]
    by_age = lower(held, tier_by_age(bands, since, now))
    after, reason = by_age, "age"
    if pressure:
        wanted = max(to, FLOORS[pressure], key=TIERS.index)
        after = lower(by_age, wanted)
        if TIERS.index(wanted) <= TIERS.index(tier_by_age(bands, since, now)):
            reason = f"disk pressure, level {pressure} of 4"
    elif frozen is not None:
        reason = "thawed: its consent can be read again"
    return after, reason, False, end_of(after, bands, since)


def lower(one, other):
    return min(one, other, key=TIERS.index)


def end_of(tier, bands, since):
    names = ("full", "drop-repair", "drop-high-quality", "min-viable")
    return since + bands[names.index(tier)] * DAY if tier in names else None


def read_entry(data):
    read = Reader(data)
    version, _, _ = read.uint(1), read.uint(8), read.take(32)
    before, after, reason = read.uint(1), read.uint(1), read.uint(1)
    read.end()
    need(version == 1, "version")
    need(before < 6 and after < 6 and reason in REASONS.values(), "no such tier or reason")


def check_audit(file):
    for name, case in unique(file["cases"], "cases").items():
        body = b"\1" + be(case.int("at_ms"), 8) + case.bytes("content")
        body += bytes([TIERS.index(case["before"]), TIERS.index(case["after"]), REASONS[case["reason"]]])
        same(body, case.bytes("bytes"), f"entry {name}")
        read_entry(body)
    for name, case in unique(file["negative"], "negative").items():
        refused(case["error"], lambda: read_entry(case.bytes("bytes")), name)
        must(is_one_off(case.bytes("bytes"), file["cases"]), f"{name}: more than one thing is wrong")


def is_one_off(entry, cases):
    """The first case's time and content, and of tiers and reason one that is not possible, or the size."""
    first = cases[0].bytes("bytes")
    if len(entry) != len(first):
        return first[1:41].startswith(entry[1:41]) and len(entry) in (len(first) - 1, len(first) + 1)
    possible = [entry[0] == 1, entry[41] < 6, entry[42] < 6, entry[43] in REASONS.values()]
    return entry[1:41] == first[1:41] and possible.count(False) == 1


def check_retention(file):
    """Spec 82 section 2."""
    for number, case in enumerate(file["cases"]):
        sources, symbol = case["sources"], case["symbol"]
        if symbol < sources:
            low = 32 * symbol // sources
        else:
            repair = symbol - sources
            low = 32 + min(31, 32 * repair // (repair + 1))
        same(min(3, sum(case.array("layer"))) << 6 | low, case["priority"], f"case {number}")


def read_manifest(data):
    body, signature = split(data, 0, 2093 + 8192 + SIGNATURE)
    read = Reader(body)
    need(read.uint(1) == 1, "version")
    read.take(32)
    public = read_public_in(read)
    read.take(8)
    read.prefixed(8192)
    read.take(4 * 8 + 4 * 8)
    read.end()
    verify(public, "holomesh manifest v1", body, signature, ONE)


def check_manifest(file):
    identity = Identity(file.bytes("seed"))
    same(content_id(identity.key_id, file.bytes("source")), file.bytes("content"), "content id")
    announcement = file.bytes("announcement")
    body = b"\1" + file.bytes("content") + identity.public + be(file.int("made_at_ms"), 8)
    body += be(len(announcement), 4) + announcement
    numbers = file.array("first") + file.array("last") + file.array("symbols")
    same(len(numbers), 8, "two positions and four counts")
    body += b"".join(be(number, 8) for number in numbers)
    data = file.bytes("bytes")
    same(data[:-SIGNATURE], body, "what is signed")
    check_signed(identity, "holomesh manifest v1", body, data[-SIGNATURE:], "manifest")
    read_manifest(data)
    for name, case in unique(file["negative"], "negative").items():
        refused(case["error"], lambda: read_manifest(case.bytes("bytes")), name)
        must(apart(case.bytes("bytes"), data) == 1, f"{name}: more than one byte is altered")


CHECKS = {
    "consent/records": check_records,
    "consent/tiers": check_tiers,
    "consent/audit": check_audit,
    "consent/grants": check_grants,
    "store/retention": check_retention,
    "store/manifest": check_manifest,
}
