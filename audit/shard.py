"""Shards of the audit log: small logs for one place and one month each, which end and are deleted.

What happens at every door all day (visits) would make the main log grow without end. It goes into shards. The main log
has two leaves for each shard: `SHARD_OPENED`, and `SHARD_CLOSED` with its final size and root. So the main log proves
that the shard existed and what was in it, also after the shard has been deleted.

=========  ==============================================================================
name       ``visits/lobby/2026-11/17``: place, month, and the number of its `SHARD_OPENED`
origin     ``volens/<site id>/visits/lobby/2026-11/17``: a log of its own for C2SP checkpoints
key        the one that signed the main log when the shard was opened, and no other
=========  ==============================================================================
"""

from datetime import datetime
from typing import Final

from volens.audit.verifier_key import VerifierKey
from volens.consent.errors import DamagedDataError

SHARD_OPENED: Final = "shard.opened"
SHARD_CLOSED: Final = "shard.closed"
SHARD_ANCHORED: Final = "shard.anchored"
"""States size and root of every open shard, so that the main log grows while shards do."""
SHARD_DELETED: Final = "shard.deleted"
"""Logged before shards are deleted whose term is over."""
SHARD_LOST: Final = "shard.lost"
"""Logged by a restore: leaves of a shard that were remembered are not in the restored data file."""

_DECEMBER: Final = 12


def period_of(at: datetime) -> tuple[str, datetime]:
    """Return the name and the end of the period of a shard that is opened at this time: the month in UTC."""
    first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    is_last = first.month == _DECEMBER
    end = first.replace(year=first.year + is_last, month=1 if is_last else first.month + 1)
    return f"{first.year:04}-{first.month:02}", end


def shard_name(place: str, period: str, opened: int) -> str:
    """Return the name of a shard; `opened` is the number of its leaf in the main log, so no two shards share a name."""
    return f"{place}/{period}/{opened}"


def shard_origin(log: str, name: str) -> str:
    """Return the origin of a shard's checkpoints; `log` is the origin of the main log."""
    return f"{log}/{name}"


def shard_key(key: VerifierKey, name: str, opened: int) -> VerifierKey:
    """Return the key of a shard that leaf `opened` of the main log has opened.

    Raises:
        TamperError: the name has no form of an origin.
    """
    epoch = next(one for one in key.epochs() if one.last_size is None or opened < one.last_size)
    try:
        return VerifierKey(shard_origin(key.name, name), epoch.public_key)
    except ValueError:
        raise DamagedDataError("a shard of the audit log has a malformed name") from None
