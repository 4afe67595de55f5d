"""Unlocking a keyring with its root key, while other processes may replace that key."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from volens.consent import SiteId, TamperError, UnavailableError, VolensError
from volens.store.engine import StoreEngine
from volens.store.keys.root_key.holder import RootKeys
from volens.store.keys.unlocked_keys import UnlockedKeys
from volens.store.keys.wrapped_keys import read_wrapped_keys, unlock

RootKeySource = Callable[[], RootKeys]
"""Reads the root keys from their holder."""

_ATTEMPTS: Final = 3


def unlock_keyring(
    engine: StoreEngine, source: RootKeySource, *, is_locked: bool = False
) -> tuple[SiteId, UnlockedKeys]:
    """Return the site of a keyring and its unlocked keys.

    An erasure in another process may replace the root key between our reads of holder and keyring, so this reads both
    again; the last time under the write lock of the keyring, without which no process replaces the root key.
    `is_locked`: the caller has that lock.

    Raises:
        UnavailableError: the holder does not answer, or the keyring cannot be read.
        TamperError: no root key of the holder opens the keyring, or a key in it was changed.
    """
    problem: VolensError | None = None
    for attempt in range(_ATTEMPTS):
        is_last = is_locked or attempt == _ATTEMPTS - 1
        with ExitStack() as stack:
            # A holder that does not answer must not keep others from writing.
            if is_last and not is_locked and not isinstance(problem, UnavailableError):
                stack.enter_context(engine.write())
            try:
                found = stack.enter_context(source())
            except VolensError as error:
                problem = error
            else:
                with engine.read() as connection:
                    wrapped = read_wrapped_keys(connection, engine.name)
                for root_key in found.keys:
                    unlocked = unlock(wrapped, root_key)
                    if unlocked is not None:
                        return SiteId(wrapped.site_id), unlocked
                problem = found.problem
        if is_last:
            break
    raise problem or TamperError(
        f"integrity: {engine.name} does not open with this root key; use the root key that was made with it, or put "
        f"the newest {engine.name} back"
    )
