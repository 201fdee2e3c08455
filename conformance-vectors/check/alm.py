"""Stripes: spec 50 section 1."""

from common import Refused, must, refused, same, unique


def stripes(count, mask):
    if not 1 <= count <= 16 or mask >> count:
        raise Refused("value", "no set of stripes")
    return {stripe for stripe in range(count) if mask >> stripe & 1}


def check_striping(file):
    for name, case in unique(file["cases"], "cases").items():
        count, held = case["count"], stripes(case["count"], case["mask"])
        same(name, f"{count}-{case['mask']:x}", "id of a case")
        numbers = case.array("numbers")
        must(len(set(numbers)) == len(numbers), f"{name}: a number twice")
        same([n for n in numbers if n % count in held], case.array("carried"), f"{name}: chunks")
    for name, case in unique(file["negative"], "negative").items():
        refused(case["error"], lambda: stripes(case["count"], case["mask"]), name)


CHECKS = {"alm/striping": check_striping}
