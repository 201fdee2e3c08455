"""Alters the vectors in one place after the other, and counts what notices: `python3 conformance-vectors/check/flips.py`.

Every flip has to be noticed by the index's digests. Beyond that the checker has to notice it by what the file says, but in
prose, in names of cases, in the bytes of what has to be refused, which are still refused after most changes, and in what goes into
rules with steps, where most changes change nothing.
"""

import argparse
import copy
import hashlib
import json
import random
import sys
from pathlib import Path

import jsonschema

import common
from checker import check


def leaves(value, path=()):
    """Paths of everything that is no list and no object."""
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, (*path, at))
    else:
        yield path


def at(value, path):
    for step in path:
        value = value[step]
    return value


def altered(value, draw):
    """The value with one nibble, digit or letter changed."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + draw.choice((-1, 1)) if value else 1
    if not value:
        return "00"
    place = draw.randrange(len(value))
    old = value[place]
    if old in "0123456789abcdef":
        new = draw.choice([char for char in ("0123456789" if value.isdecimal() else "0123456789abcdef") if char != old])
    else:
        new = chr(ord(old) ^ 1)
    return value[:place] + new + value[place + 1 :]


ANYWHERE = {"note", "source", "negative", "id", "arrives"}
# What goes into rules with steps.
STEPS = {
    "alm/estimator.json": {"now", "link", "delivered", "over", "app_limited", "congested", "committed", "rates"},
    "alm/planner.json": {"candidates", "request"},
    "alm/striping.json": {"numbers"},
    "alm/topology.json": {"offers", "shape"},
    "chunk/hop_header.json": {"first", "step"},
    "chunk/inner_seal.json": {"frame_duration_us", "object_seq"},
    "claim/claim.json": {"room", "times"},
    "codec/object.json": {"frame_duration_us", "object_seq"},
    "consent/tiers.json": {"admitted_ms", "now_ms", "class", "day", "held", "frozen_since_day", "pressure_level", "pressure_to"},
    "delivery/evidence.json": {"times"},
    "descriptions/payload.json": {"frame"},
    "fountain/symbols.json": {"ids"},
    "gossip/gossip.json": {"times", "now_ms"},
    "permit/permit.json": {"checks"},
    "store/retention.json": {"layer", "symbol", "sources"},
}


def is_weak(name, path):
    """Whether a change there may leave a vector that holds all the same."""
    return bool((ANYWHERE | STEPS.get(name, set())) & set(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vectors", type=Path, default=common.ROOT)
    parser.add_argument("--spec", type=Path, default=common.ROOT.parent / "docs" / "spec")
    parser.add_argument("--verbose", action="store_true", help="list every flip")
    options = parser.parse_args()
    draw, folder = random.Random(options.seed), options.vectors
    schema = jsonschema.Draft202012Validator(json.loads((folder / "schema.json").read_text("utf-8")))
    index = json.loads((folder / "index.json").read_text("utf-8"))["files"]
    files = {name: json.loads((folder / name).read_text("utf-8")) for name in sorted(index)}
    for name in files:
        check(common.load(folder / name), name.removesuffix(".json"), schema, options.spec)
    places = {name: list(leaves(file)) for name, file in files.items()}
    sizes = {name: [1 + len(str(at(files[name], path))) for path in paths] for name, paths in places.items()}
    counts, missed = {"meaning": 0, "digest": 0}, []
    for number in range(options.count):
        # In turn where bytes are, and where values are.
        if number % 2:
            name = draw.choice(sorted(files))
            path = draw.choice(places[name])
        else:
            name = draw.choices(sorted(files), [sum(sizes[name]) for name in sorted(files)])[0]
            path = draw.choices(places[name], sizes[name])[0]
        file = copy.deepcopy(files[name])
        holder, old = at(file, path[:-1]), at(file, path)
        holder[path[-1]] = altered(old, draw)
        text = json.dumps(file, indent=2, ensure_ascii=False) + "\n"
        fault = None
        try:
            check(json.loads(text, object_pairs_hook=common.Map), name.removesuffix(".json"), schema, options.spec)
        except Exception as noticed:
            fault = noticed
        differs = hashlib.sha256(text.encode()).hexdigest() != index[name]["sha256"]
        by = "meaning" if fault else "digest" if differs else None
        where = f"{name}: {'/'.join(map(str, path))}"
        if options.verbose:
            print(f"{by or 'NOTHING':<8} {where}: {str(fault or '')[:100]}")
        if by is None or (by == "digest" and not is_weak(name, path)):
            missed.append(f"{where}: {old!r:.60} -> {holder[path[-1]]!r:.60}")
        else:
            counts[by] += 1
    for line in missed:
        print(f"  unnoticed: {line}")
    print(
        f"flips: {options.count} places, {counts['meaning']} noticed by what the file says, {counts['digest']} by the digest "
        f"alone, {len(missed)} that should have been noticed and were not"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
