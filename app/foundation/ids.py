"""Ids: a prefix that says the noun, then 26 characters of Crockford base 32.

New ids begin with the time in milliseconds and so sort by age. Derived ids are a hash of
what makes a thing the same, for things that may arrive or be started twice.
"""

import hashlib
import random
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Ten bits at a time halves the work of writing 130 bits in a five-bit alphabet.
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


def _encode(number: int) -> str:
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def new_id(prefix: str, at: datetime) -> str:
    """A fresh id that sorts by `at` (48 bits of milliseconds, then 80 random bits); no secret."""
    # Not from the system: its call lets go of the interpreter's lock, and a busy thread gets it back late.
    return f"{prefix}_{_encode(int(at.timestamp() * 1000) << 80 | random.getrandbits(80))}"


def derived_id(prefix: str, *parts: str) -> str:
    """The same parts always give the same id (128 bits of BLAKE2b); order counts."""
    digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{prefix}_{_encode(int.from_bytes(digest.digest()))}"
