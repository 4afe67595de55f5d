"""A blind attempt to open a wrapped secret: every 32 bytes of a memory that could be a key are tried as its key.

An attacker who kept a wrapped grant secret from before a withdrawal needs the bucket key that wrapped it. The attacker
does not know where in the memory it could be, so each window at a multiple of `ALIGNMENT` is tried with AES-256-GCM and
the right associated data.

Not tried: keys at other addresses, keys in pieces, and windows that do not look random (`looks_random`): of random keys
fewer than one in a thousand.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

KEY_BYTES: Final = 32
ALIGNMENT: Final = 8
_NONCE: Final = slice(1, 13)
_SEALED: Final = slice(13, None)
_WINDOWS: Final = 1 << 20
_LEAST_HIGH: Final = 5
_MOST_HIGH: Final = 27
_LEAST_DISTINCT: Final = 23


def looks_random(windows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which of the windows, uint8 (N, 32), could be a random key.

    5 to 27 bytes are above 127, and at least 23 bytes are different: of random windows 99.9 % are so.
    """
    high = (windows > 127).sum(axis=1)  # noqa: PLR2004  the highest bit
    could_be = (high >= _LEAST_HIGH) & (high <= _MOST_HIGH)
    ordered = np.sort(windows[could_be], axis=1)
    distinct = 1 + (np.diff(ordered, axis=1) != 0).sum(axis=1)
    could_be[could_be] = distinct >= _LEAST_DISTINCT
    return could_be


def candidates(memory: bytes) -> Iterator[bytes]:
    """Yield every aligned window of a piece of memory that could be a key; windows that overlap are all tried."""
    data = np.frombuffer(memory, np.uint8)
    if len(data) < KEY_BYTES:
        return
    windows = np.lib.stride_tricks.sliding_window_view(data, KEY_BYTES)[::ALIGNMENT]
    for start in range(0, len(windows), _WINDOWS):
        some = windows[start : start + _WINDOWS]
        for window in some[looks_random(some)]:
            yield window.tobytes()


def opens_with_a_key_in(memory: bytes, box: bytes, context: bytes) -> bool:
    """Return whether a window of the memory is the key of a wrapped secret.

    Args:
        memory: one piece of it; consecutive pieces overlap by 32 bytes at least.
        box: version byte, nonce (12 bytes), ciphertext and tag (`volens.store.keys.sealing`).
        context: the associated data.
    """
    nonce, sealed = box[_NONCE], box[_SEALED]
    for key in candidates(memory):
        try:
            AESGCM(key).decrypt(nonce, sealed, context)
        except InvalidTag:
            continue
        return True
    return False
