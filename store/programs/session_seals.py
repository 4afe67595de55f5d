"""Sealed sessions of browsers: what a cookie holds, encrypted and authenticated under a key of the site.

The site keeps no row for a session, so that nothing shows who opened which page. A session ends with its time; each
request checks anew what it is about, such as whether the invitation still stands.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, final

import rfc8785

from volens.consent import TamperError, format_time, parse_time
from volens.consent.errors import InputError
from volens.consent.json_reader import read_json
from volens.store.keys import sealing
from volens.store.store import Store

MAX_COOKIE_CHARACTERS: Final = 3800
"""Browsers keep cookies of 4096 bytes, with name and attributes (RFC 6265 section 6.1)."""
_USE: Final = "sessions of browsers"
_EXPIRES: Final = "expires_at"


@final
class SessionSeals:
    """Seals and opens the sessions of one site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def seal(self, kind: str, facts: Mapping[str, str], lifetime: timedelta) -> tuple[str, datetime]:
        """Return the sealed text of a session, base64url, and when it ends.

        Raises:
            ValueError: it does not fit into a cookie; a bug of the caller.
        """
        expires_at = self._store.now() + lifetime
        content = rfc8785.dumps({**facts, _EXPIRES: format_time(expires_at)})
        with self._store.keyring.derived_key(_USE) as key:
            box = sealing.seal(content, key, sealing.context("session", kind), self._store.random)
        text = base64.urlsafe_b64encode(box).decode("ascii")
        if len(text) > MAX_COOKIE_CHARACTERS:
            raise ValueError(f"got a session of {len(text)} characters; expected at most {MAX_COOKIE_CHARACTERS}")
        return text, expires_at

    def open(self, kind: str, text: str) -> dict[str, str] | None:
        """Return what a session of this kind holds; None if it is not ours, was changed, or has ended."""
        if len(text) > MAX_COOKIE_CHARACTERS:
            return None
        try:
            box = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        content = bytearray(max(0, len(box) - sealing.OVERHEAD_BYTES))
        try:
            with self._store.keyring.derived_key(_USE) as key:
                sealing.open_into(box, key, sealing.context("session", kind), content)
            facts: dict[str, str] = read_json(content.decode("utf-8"))
            ended = parse_time(facts.pop(_EXPIRES)) <= self._store.now()
        except (TamperError, InputError, ValueError, LookupError):
            return None
        finally:
            content[:] = bytes(len(content))
        return None if ended else facts
