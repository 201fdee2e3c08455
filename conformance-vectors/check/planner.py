"""Whom a joiner asks, where distance decides: spec 58 section 4."""

from common import Refused, refused, same, unique
from sign import Identity

CAUSES = ("myself", "other_stream", "other_epoch", "duplicate", "untrusted", "stale", "layers_missing", "looped")
CAUSES += ("unreachable", "no_room")
_keys = {}


def key(person):
    if person not in _keys:
        _keys[person] = Identity(bytes([person]) * 64).key_id
    return _keys[person]


class Candidate:
    def __init__(self, told, request):
        self.key, self.counter, self.path = key(told["person"]), told.int("counter"), told["path"]
        parts = [(part.bytes("path"), part["budget_kbit"], part["max_subscribers"]) for part in told["commitments"]]
        self.claim = told["stream"], told.int("epoch"), self.counter, told["uplink_kbit"], told["max_streams"]
        self.claim += told["max_subscribers"], tuple(told.array("layers")), tuple(parts)
        self.issued, self.until = told.int("issued_at_ms"), told.int("valid_until_ms")
        self.claim += self.issued, self.until
        self.rtt, self.network, self.source = told["rtt_ms"], told["network"], told["discovered_by"]
        self.trust, self.reach = told["trust"], told["reach"]
        self.above = None if self.path is None else [key(person) for person in self.path]
        used, streams, subscribers = told["used"], told["streams_now"], told["subscribers_now"]
        self.stripes = self.room(request, used, streams, subscribers)
        hops = 4 if self.above is None else len(self.above)
        self.distance = (self.rtt is None, (0 if self.rtt is None else self.rtt // 20) + hops)

    def room(self, request, used, streams, subscribers):
        """Stripes that it could still send."""
        _, _, _, uplink, max_streams, most, _, parts = self.claim[:8]
        uplink *= 1000
        if max_streams == 0 or (subscribers == 0 and streams >= max_streams):
            return 0
        if parts:
            whole = [part for part in parts if part[0] == b""]
            budget, heads = (whole[0][1] * 1000, whole[0][2]) if whole else (0, 0)
            uplink, most = min(uplink, budget), min(most, heads)
        if subscribers >= most:
            return 0
        return max(0, uplink - used) // -(-request.rate // request.parents)


class Request:
    def __init__(self, told):
        self.me, self.stream, self.epoch = key(told["me"]), told["stream"], told.int("epoch")
        self.rate, self.layers, self.now = told["rate"], told.array("layers"), told.int("now_ms")
        self.parents, self.spares = told["parents"], told["spares"]
        if not self.rate or not 1 <= self.parents <= 16:
            raise Refused("input", "a request that can't be")


class NoParents(Refused):
    def __init__(self, counts):
        super().__init__("no-parents")
        self.counts = counts


def plan(case):
    told, request = case["candidates"], Request(case["request"])
    fit, counts = sift([Candidate(one, request) for one in told], request)
    many = next(
        (
            n
            for n in range(request.parents, 0, -1)
            if sum(c.stripes >= -(-request.parents // n) for c in fit) >= n
        ),
        0,
    )
    if not many:
        counts["no_room"] += len(fit)
        raise NoParents(counts)
    pool = sorted((c for c in fit if c.stripes >= -(-request.parents // many)), key=lambda c: c.distance)
    picked = []
    for _ in range(min(len(pool), many + request.spares)):
        weighed = sorted((distance(c, picked), c.key) for c in pool)
        same(len(weighed) > 1 and weighed[0][0] == weighed[1][0], False, "the lot would decide")
        chosen = next(c for c in pool if c.key == weighed[0][1])
        pool.remove(chosen)
        picked.append(chosen)
    return picked[:many], picked[many:], pool


def distance(candidate, picked):
    unmeasured, steps = candidate.distance
    for other in picked:
        steps += 5 * (candidate.network == other.network) + 2 * (candidate.source == other.source)
        related = candidate.key in (other.above or ()) or other.key in (candidate.above or ())
        steps += 5 * related
    return unmeasured, steps


def sift(candidates, request):
    """Those that are fit, and how many fell to which cause."""
    counts, newest, conflicts = dict.fromkeys(CAUSES, 0), {}, set()
    for candidate in candidates:
        stream, epoch = candidate.claim[:2]
        cause = None
        if candidate.key == request.me:
            cause = "myself"
        elif stream is not None and stream != request.stream:
            cause = "other_stream"
        elif epoch != request.epoch:
            cause = "other_epoch"
        elif candidate.key in newest:
            cause = "duplicate"
            held = newest[candidate.key]
            if candidate.counter > held.counter:
                newest[candidate.key] = candidate
                conflicts.discard(candidate.key)
            elif candidate.counter == held.counter and candidate.claim != held.claim:
                conflicts.add(candidate.key)
        else:
            newest[candidate.key] = candidate
        if cause:
            counts[cause] += 1
    fit = []
    for candidate in newest.values():
        cause = unfit(candidate, request, candidate.key in conflicts)
        if cause:
            counts[cause] += 1
        else:
            fit.append(candidate)
    return fit, counts


def unfit(candidate, request, conflict):
    if candidate.trust == 0 or conflict:
        return "untrusted"
    if request.now >= candidate.until or candidate.issued > request.now + 120_000:
        return "stale"
    if any(has < wanted for has, wanted in zip(candidate.claim[6], request.layers)):
        return "layers_missing"
    if request.me in (candidate.above or ()):
        return "looped"
    if candidate.reach < 500:
        return "unreachable"
    return None if candidate.stripes else "no_room"


def check_planner(file):
    for name, case in unique(file["cases"], "cases").items():
        found = [[c.key for c in part] for part in plan(case)]
        for part, keys in zip(("parents", "spares", "rest"), found):
            same(keys, [bytes.fromhex(told) for told in case[part]], f"{name}: {part}")
    for name, case in unique(file["negative"], "negative").items():

        def take(case=case):
            try:
                plan(case)
            except NoParents as none:
                same(none.counts, {cause: case["refusals"][cause] for cause in CAUSES}, "causes")
                raise

        refused(case["error"], take, name)


CHECKS = {"alm/planner": check_planner}
