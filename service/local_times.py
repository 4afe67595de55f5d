"""Times that people read and type, in the time zone of the site; and the time zone of this machine."""

import os
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from volens.consent import InputError, parse_time
from volens.consent.typed_text import same_text
from volens.store.promises.site_defaults import UTC_NAME, parse_time_zone

MAX_TIME_TEXT: Final = 40
"""No text of a time is longer."""

_LOCALTIME: Final = Path("/etc/localtime")
_DATABASE: Final = "zoneinfo/"
_TODAY: Final = "today"


def parse_until(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that a person typed as the end of a term, aware UTC.

    ``18:00`` is today; ``2026-12-24`` the end of that day; ``2026-12-24T18:00`` or ``2026-12-24 18:00`` a moment; all
    in the time zone of the site. ``2026-12-24T17:00:00Z`` is UTC. Of an hour that comes twice, when summer time ends,
    the first is meant: a term is rather too short than too long.

    Raises:
        InputError: it is none of these, or it is past.
    """
    moment = parse_moment(text, now, zone)
    if moment <= now:
        raise InputError(f"{text.strip()[:40]} is past in the time zone {zone.key}; give a later time, or the date too")
    return moment


def parse_moment(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that a person typed, as `parse_until`; it may be past.

    ``today`` is the end of this day.

    Raises:
        InputError: it is no such text.
    """
    return _moment(text.strip(), now.astimezone(zone), zone)


def parse_since(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that a person typed as the beginning of a list, as `parse_moment`; of a day, its beginning.

    Raises:
        InputError: it is no such text.
    """
    return _moment(text.strip(), now.astimezone(zone), zone, days=0)


def local_text(at: datetime, zone: ZoneInfo) -> str:
    """Return a time for people, in the time zone of the site: ``2026-12-24 18:00 CET``. JSON has UTC instead."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def system_time_zone() -> str:
    """Return the IANA name of this machine's time zone: from TZ, or what /etc/localtime links to; else UTC."""
    linked = str(_LOCALTIME.readlink()) if _LOCALTIME.is_symlink() else ""
    for name in (os.environ.get("TZ", "").removeprefix(":"), linked.partition(_DATABASE)[2]):
        try:
            if name:
                return parse_time_zone(name).key
        except InputError:
            continue
    return UTC_NAME


def _moment(text: str, local_now: datetime, zone: ZoneInfo, days: int = 1) -> datetime:
    """Return a moment; of a day the beginning of the day that is `days` later."""
    if same_text(text, _TODAY):
        text = local_now.date().isoformat()
    try:
        if len(text) <= len("18:00"):
            return datetime.combine(local_now.date(), time.fromisoformat(text), zone).astimezone(UTC)
        if len(text) == len("2026-12-24"):
            return datetime.combine(date.fromisoformat(text) + timedelta(days=days), time(), zone).astimezone(UTC)
        local = datetime.fromisoformat(text)
        if local.tzinfo is None:
            return local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return parse_time(text)
    except InputError:
        raise InputError(
            "expected a time such as 18:00, today, 2026-12-24, 2026-12-24T18:00 or 2026-12-24T17:00:00Z"
        ) from None
