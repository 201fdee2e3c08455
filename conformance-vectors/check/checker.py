"""One file of vectors: its shape, its section of the specification, and every value in it."""

import re

import jsonschema

import alm
import chunks
import codec
import common
import consent
import descriptions
import estimator
import fountain
import hop
import lane
import link
import mls
import planner
import proof
import records
import sign
import topology

PARTS = (alm, chunks, codec, consent, descriptions, estimator, fountain, hop, lane, link, mls, planner, proof, records, sign, topology)
CHECKS = {name: check for part in PARTS for name, check in part.CHECKS.items()}


def check(file, name, schema, spec):
    """Raises what is wrong with a file; without `spec` its section is not looked up."""
    error = jsonschema.exceptions.best_match(schema.iter_errors(file))
    common.must(error is None, f"against the schema: {error and f'{error.json_path}: {error.message[:200]}'}")
    common.same(file["id"], name, "id")
    found = sections(file["spec"])
    if spec:
        look_up(found, spec)
    common.must(name in CHECKS, "the checker does not know this file")
    CHECKS[name](file)
    left = list(common.unread(file))
    common.must(not left, f"nothing checks {len(left)} fields, the first is {left[:1]}")


def sections(reference):
    """Pages and sections of `30-links.md sections 9 and 11`."""
    found = re.findall(r"(\d\d-[a-z]+\.md) sections? (\d+(?:(?:, | and | to )\d+\b(?!-))*)", reference)
    common.must(found, f"{reference!r} names no section")
    rebuilt = ", ".join(f"{page} section{'' if part.isdigit() else 's'} {part}" for page, part in found)
    common.same(rebuilt, reference, "the section of the specification")
    return found


def look_up(found, spec):
    for page, part in found:
        text = (spec / page).read_text("utf-8")
        for number in re.findall(r"\d+", part):
            common.must(re.search(rf"^## {number}\. ", text, re.MULTILINE), f"{page} has no section {number}")
