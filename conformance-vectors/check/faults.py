"""That what has to be refused has one fault, the one that it is there for, and would be taken without it."""

from functools import cache
from itertools import islice

from common import Refused, must
from sign import SIGNATURE, Identity, verify

# Who signs in the place of others in these files, and in which other domains.
STRANGER = bytes([9]) * 64
DOMAINS = ("holomesh capacity claim v4", "holomesh permit v1", "holomesh stream-announce v1")
DOMAINS += ("holomesh consent v1", "holomesh consent tombstone v1", "holomesh delivery evidence v1")


@cache
def identity(seed):
    return Identity(seed)


def is_signed(public, domain, data):
    """Whether the bytes end in a good signature over what is before it."""
    try:
        verify(public, domain, data[:-SIGNATURE], data[-SIGNATURE:])
        return True
    except Refused:
        return False


def apart(one, other):
    """In how many bytes they differ, at most three; three where they are not of one length."""
    if len(one) != len(other):
        return 3
    places = (at for at, (a, b) in enumerate(zip(one, other)) if a != b)
    return sum(1 for _ in islice(places, 3))


def is_cut_or_padded(data, good):
    """The beginning of what is good, one zero more, or nothing but ones."""
    return good.startswith(data) or data == good + b"\0" or data == b"\1" * len(data)


def one_fault(what, kind, data, goods, seed, domain):
    """A record of `kind` of error: signed as it is where only what it says is wrong, and good but for one byte, for its
    end, for who signed, or for the domain where only the signature is wrong."""
    if any(apart(data, good) == 1 or is_cut_or_padded(data, good) for good in goods):
        return
    by_its_maker = is_signed(identity(seed).public, domain, data)
    if by_its_maker and kind != "signature":
        return
    body = data[:-SIGNATURE]
    elsewhere = any(good[:-SIGNATURE] == body for good in goods) and (
        is_signed(identity(STRANGER).public, domain, data)
        or any(is_signed(identity(seed).public, other, data) for other in DOMAINS if other != domain)
    )
    must(elsewhere, f"{what}: more is wrong with it than its name says")
