"""PINs hashed at next to no cost, and comparisons of second factors that are watched."""

import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from volens.store.people import second_factors

VERIFIER_BYTES = 33


@contextmanager
def cheap_pins() -> Iterator[None]:
    """Lower the cost of the PIN hash (scrypt with n = 2) for tests that do not measure it."""
    with patch.object(second_factors, "SCRYPT", {"n": 2, "r": 8, "p": 1}):
        yield


@contextmanager
def comparisons(happened: Callable[[], None]) -> Iterator[None]:
    """Call back before each comparison of a verifier in constant time (`hmac.compare_digest`), in any thread.

    A verifier has a version and a hash: 33 bytes. Seals of rows and of the keyring's memory have 32.
    """
    compare_digest = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        if len(one) == VERIFIER_BYTES:
            happened()
        return compare_digest(one, other)

    with patch.object(hmac, "compare_digest", watched):
        yield
