"""Who feeds whom: spec 58 sections 2 and 3."""

from common import U64, Refused, must, refused, same, unique


def scatter(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & U64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & U64
    return x ^ x >> 31


def tie(stream, epoch, peer):
    state = 0
    for word in [*words(stream), epoch, *words(peer)]:
        state = scatter(((state ^ word) + 0x9E3779B97F4A7C15) & U64)
    return state


def words(id_):
    return [int.from_bytes(id_[at : at + 8], "big") for at in range(0, 32, 8)]


class Peer:
    def __init__(self, offer, shape):
        self.key = offer.bytes("peer")
        self.is_publisher = self.key == shape.publisher
        trust, reach = min(1000, offer["trust"]), min(1000, offer["reach"])
        self.slots = min(offer["uplink"] // -(-shape.rate // shape.parents), offer["max_subscribers"])
        if not self.is_publisher and (trust == 0 or reach < 500):
            self.slots = 0
        room = min(1000, 1000 * self.slots // (16 * shape.parents))
        self.score = 50 * room + 30 * trust + 20 * reach
        self.tie = tie(shape.stream, shape.epoch, self.key)


class Shape:
    def __init__(self, case):
        self.publisher, self.stream, self.epoch = case.bytes("publisher"), case.bytes("stream"), case.int("epoch")
        self.rate, self.parents = case["rate"], case["parents"]
        if not self.rate or not 1 <= self.parents <= 16:
            raise Refused("input", "a shape that can't be")


def arrange(case):
    """The served by rank with parents and depth, and the unserved."""
    offers, shape = case["offers"], Shape(case["shape"])
    peers = [Peer(offer, shape) for offer in offers]
    if len({peer.key for peer in peers}) < len(peers) or not any(peer.is_publisher for peer in peers):
        raise Refused("input", "a peer twice, or no publisher")
    source = next(peer for peer in peers if peer.is_publisher)
    others = sorted((p for p in peers if p is not source), key=lambda p: (-p.slots, -p.score, p.tie, p.key))
    served = how_many(source, others, shape.parents)
    ranked = sorted(others[:served], key=lambda p: (-p.slots.bit_length(), -p.score, p.tie, p.key))
    trees = [fill(source, ranked, share) for share in shares(source, ranked, shape.parents)]
    out = []
    for peer in ranked:
        above = [tree[peer.key] for tree in trees]
        out.append((peer.key, [parent for parent, _ in above], max(depth for _, depth in above)))
    return out, [peer.key for peer in others[served:]]


def how_many(source, others, parents):
    if source.slots < parents:
        return 0
    total, best = source.slots, 0
    for count, peer in enumerate(others, 1):
        total += peer.slots
        if parents * count <= total:
            best = count
    return best


def shares(source, ranked, parents):
    """Slots by peer in each stripe."""
    out = [{source.key: source.slots // parents + (stripe < source.slots % parents)} for stripe in range(parents)]
    for peer in ranked:
        if peer.slots:
            least = min(range(parents), key=lambda stripe: (sum(out[stripe].values()), stripe))
            out[least][peer.key] = peer.slots
    while True:
        sums = [sum(share.values()) for share in out]
        few = min(range(parents), key=lambda stripe: (sums[stripe], stripe))
        many = max(range(parents), key=lambda stripe: (sums[stripe], stripe))
        if sums[few] >= len(ranked):
            return out
        moved = min(sums[many] - len(ranked), len(ranked) - sums[few])
        for peer in ranked:
            part = min(moved, out[many].get(peer.key, 0))
            if part:
                moved -= part
                out[many][peer.key] -= part
                out[few][peer.key] = out[few].get(peer.key, 0) + part


def fill(source, ranked, share):
    """Parent and depth of each, in one stripe."""
    placed = {source.key: (None, 0)}
    free = [[0, 0, source.key, share[source.key]]]
    order = [peer for peer in ranked if share.get(peer.key)] + [peer for peer in ranked if not share.get(peer.key)]
    for number, peer in enumerate(order, 1):
        parent = min((entry for entry in free if entry[3]), key=lambda entry: entry[:2])
        parent[3] -= 1
        placed[peer.key] = parent[2], parent[0] + 1
        free.append([parent[0] + 1, number, peer.key, share.get(peer.key, 0)])
    return placed


def check_topology(file):
    for name, case in unique(file["cases"], "cases").items():
        served, unserved = arrange(case)
        told = [(peer.bytes("peer"), [bytes.fromhex(p) for p in peer["parents"]], peer["depth"]) for peer in case["served"]]
        same([peer[0] for peer in served], [peer[0] for peer in told], f"{name}: who is served, by rank")
        for found, peer in zip(served, told):
            same(found, peer, f"{name}: place of {peer[0].hex()[:8]}")
        same(max((peer[2] for peer in served), default=0), case["max_depth"], f"{name}: depth")
        same(unserved, [bytes.fromhex(peer) for peer in case["unserved"]], f"{name}: who is not served")
    for name, case in unique(file["negative"], "negative").items():
        for offer in case["offers"]:
            must(offer["trust"] == 1000 and offer["reach"] == 1000, f"{name}: nothing else is wrong with a peer")
            must(len(offer.bytes("peer")) == 32 and offer["uplink"] and offer["max_subscribers"], f"{name}: a peer")
        refused(case["error"], lambda: arrange(case), name)


CHECKS = {"alm/topology": check_topology}
