"""Ids: a prefix that says the noun, then 26 characters of Crockford base 32.

New ids begin with the time in milliseconds and so sort by age. Derived ids are a hash of
what makes a thing the same, for things that may arrive or be started twice.
"""

import hashlib
import random
from datetime import datetime
from functools import lru_cache

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Ten bits at a time halves the work of writing 130 bits in a five-bit alphabet.
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
# Five bits of a byte as one character; the upper three count for nothing.
_LETTERS = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))


def _encode(number: int) -> str:
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def new_id(prefix: str, at: datetime) -> str:
    """A fresh id that sorts by `at` (48 bits of milliseconds, then 80 random bits); no secret."""
    # Not from the system: its call lets go of the interpreter's lock, and a busy thread gets it back late.
    return f"{prefix}_{_begin(int(at.timestamp() * 1000))}{random.randbytes(16).translate(_LETTERS).decode()}"


@lru_cache(maxsize=64)
def _begin(milliseconds: int) -> str:
    # Remembered, because a batch has one time.
    return _encode(milliseconds << 80)[:10]


def derived_id(prefix: str, *parts: str) -> str:
    """The same parts always give the same id (128 bits of BLAKE2b); order counts."""
    digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{prefix}_{_encode(int.from_bytes(digest.digest()))}"
