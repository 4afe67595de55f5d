"""Zones and notices in the data file: what a site promises before people consent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select

from volens.consent import (
    Custody,
    InputError,
    Notice,
    Purpose,
    RefusedError,
    SecondFactor,
    TamperError,
    UnknownError,
    Zone,
)
from volens.consent.clocks import MAX_SUPERSEDING_DAYS
from volens.consent.notice import parse_language
from volens.consent.reason import Reason
from volens.consent.typed_text import to_nfc
from volens.consent.zone import AfterLease, DeskSignature, FpirTarget, LivenessLevel, Trigger, ZoneState
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

_CHANGING: Final = ("title", "state", "fpir", "trigger", "liveness", "lease_seconds", "after_lease")
_NAMES: Final = select(tables.zone.c.purpose).order_by(tables.zone.c.purpose)


def add_zone(tx: Transaction, zone: Zone) -> None:
    """Add a zone.

    Raises:
        RefusedError: a zone of this name exists; promises that people agreed to are never changed.
    """
    if tx.connection.scalar(select(tables.zone.c.purpose).where(tables.zone.c.purpose == zone.purpose)):
        if zone_of(tx.connection, zone.purpose).state is ZoneState.REMOVED:
            raise RefusedError(
                f"zone {zone.purpose!r} was removed, and its name stays taken, because receipts and certificates have "
                "it; choose another name"
            )
        raise RefusedError(
            f"zone {zone.purpose!r} exists, and promises that people agreed to are never changed; choose another name"
        )
    terms = asdict(zone)
    changes = {name: terms.pop(name) for name in _CHANGING}
    with tx.changing(Scope.ZONE, [zone.purpose]):
        tx.connection.execute(insert(tables.zone).values(**terms))
        is_usual = (
            zone.fpir is FpirTarget.ORDINARY
            and zone.trigger is Trigger.default(zone.custody, zone.second_factor)
            and zone.liveness is LivenessLevel.NONE
            and zone.lease_seconds == 0
        )
        if zone.title or not is_usual:
            first = {"purpose": zone.purpose, "number": 1, "changed_at": tx.now}
            tx.connection.execute(insert(tables.zone_change).values(**first, **changes))
        tx.log(
            "zone.added",
            {
                "zone": zone.purpose,
                "custody": zone.custody.value,
                "retention_days": zone.retention_days,
                "match_history_days": zone.match_history_days,
                "second_factor": zone.second_factor.value,
                "desk_signature": zone.desk_signature.value,
                "fpir": zone.fpir.value,
                "trigger": zone.trigger.value,
                "liveness": zone.liveness.value,
                "lease_seconds": zone.lease_seconds,
                "after_lease": zone.after_lease.value,
            },
        )


def zone_of(connection: Connection, purpose: Purpose) -> Zone:
    """Return a zone.

    Raises:
        InputError: there is no zone of this name.
        TamperError: its rows do not verify.
    """
    rows = seals_of(connection).cached(connection, Scope.ZONE, purpose)
    if rows is None:
        known = ", ".join(connection.scalars(_NAMES)) or "none yet"
        raise UnknownError(f"there is no zone {purpose!r} (known: {known}); add it with 'volens zone add'")
    shorter, changes = rows.records(tables.shorter_retention), rows.records(tables.zone_change)
    return _zone(rows.records(tables.zone)[0], shorter, changes)


def zones(connection: Connection) -> list[Zone]:
    """Return all zones but those that were removed, by name.

    Raises:
        TamperError: the rows of one do not verify.
    """
    known = [zone_of(connection, Purpose(name)) for name in connection.scalars(_NAMES).all()]
    return [zone for zone in known if zone.state is not ZoneState.REMOVED]


def inspect_zones(connection: Connection) -> list[tuple[Zone, TamperError | None]]:
    """Return all zones, also removed ones, by name, each with what is wrong with its rows; for what must go on."""
    found: list[tuple[Zone, TamperError | None]] = []
    shorter, changes = (
        [dict(row) for row in connection.execute(select(table)).mappings()]
        for table in (tables.shorter_retention, tables.zone_change)
    )
    for row in connection.execute(select(tables.zone).order_by(tables.zone.c.purpose)).mappings().all():
        try:
            found.append((zone_of(connection, Purpose(row["purpose"])), None))
        except TamperError as problem:
            own = ([one for one in rows if one["purpose"] == row["purpose"]] for rows in (shorter, changes))
            found.append((_zone(dict(row), *own), problem))
    return found


def shorten_retention(tx: Transaction, purpose: Purpose, retention_days: int) -> Zone:
    """Shorten a zone's retention; the caller then calls `shorten` for the consents in force.

    Raises:
        InputError: there is no such zone, or the number of days is not valid.
        RefusedError: the new retention is not shorter.
    """
    zone = zone_of(tx.connection, purpose)
    if retention_days < 1:
        raise InputError(f"got a retention of {retention_days} days; expected at least 1")
    if retention_days >= zone.retention_days:
        raise RefusedError(
            f"zone {purpose!r} has a retention of {zone.retention_days} days, which can only be shortened, because "
            "people did not agree to a longer one; give fewer days"
        )
    with tx.changing(Scope.ZONE, [purpose]):
        tx.connection.execute(
            insert(tables.shorter_retention).values(purpose=purpose, retention_days=retention_days, decided_at=tx.now)
        )
        tx.log("zone.retention_shortened", {"zone": purpose, "retention_days": retention_days})
    return replace(zone, retention_days=retention_days)


def add_notice(
    tx: Transaction, purpose: Purpose, language: str, text: bytes, supersedes_within_days: int | None = None
) -> Notice:
    """Publish the next version of a zone's notice in one language.

    With `supersedes_within_days`, people who agreed to an older version have so many days to agree to this one; the
    caller then calls `volens.store.people.deadlines.shorten` in the same transaction.

    Raises:
        InputError: there is no such zone, the text is not valid, or the days are not 0 to 366.
        RefusedError: this text is already published, or it does not say that the zone identifies everyone who passes.
    """
    zone = zone_of(tx.connection, purpose)
    zone.check_not_removed()
    if supersedes_within_days is not None and not 0 <= supersedes_within_days <= MAX_SUPERSEDING_DAYS:
        raise InputError(
            f"got {supersedes_within_days} days to agree to the new notice; expected 0 to {MAX_SUPERSEDING_DAYS}"
        )
    language = parse_language(language)
    newest = tx.connection.scalar(
        select(func.max(tables.notice.c.version)).where(
            tables.notice.c.purpose == purpose, tables.notice.c.language == language
        )
    )
    notice = Notice.publish(purpose, language=language, version=(newest or 0) + 1, text=text, now=tx.now)
    if newest is not None and to_nfc(notice_of(tx.connection, purpose, language).text) == to_nfc(notice.text):
        raise RefusedError(f"this text is already published as version {newest}; nothing was changed")
    if zone.trigger is Trigger.PASSING:
        notice.check_says_passing()
    values = {**asdict(notice), "supersedes_within_days": supersedes_within_days}
    asks_again = {} if supersedes_within_days is None else {"supersedes_within_days": supersedes_within_days}
    with tx.changing(Scope.ZONE, [purpose]):
        tx.connection.execute(insert(tables.notice).values(values))
        tx.log(
            "notice.published",
            {"zone": purpose, "language": language, "version": notice.version, "sha256": notice.sha256, **asks_again},
        )
    return notice


def notice_of(connection: Connection, purpose: Purpose, language: str | None) -> Notice:
    """Return the newest notice of a zone, in a language or in its only one. Rows and hash are checked.

    Raises:
        InputError: there is no notice, the language is not a BCP 47 tag, or there are several and none was named.
        TamperError: the text is not the one that was published.
    """
    zone_of(connection, purpose)
    newest = _newest_rows(connection, purpose)
    language = None if language is None else parse_language(language)
    if language is None and len(newest) == 1:
        language = next(iter(newest))
    if language is None or language not in newest:
        if not newest:
            raise InputError(
                f"zone {purpose!r} has no notice yet; publish it with 'volens notice publish'", reason=Reason.NO_NOTICE
            )
        known = ", ".join(sorted(newest))
        got = f"no notice in language {language!r}" if language is not None else "notices in several languages"
        raise InputError(
            f"zone {purpose!r} has {got} (published: {known}); choose one with --language, or publish it with 'volens "
            "notice publish'",
            reason=Reason.NOTICE_LANGUAGE,
        )
    return _checked_notice(purpose, newest[language])


def notices_of(connection: Connection, purpose: Purpose) -> list[Notice]:
    """Return the newest notice of a zone in each language, by language; possibly none. Rows and hashes are checked.

    Raises:
        InputError: there is no such zone.
        TamperError: a text is not the one that was published.
    """
    zone_of(connection, purpose)
    return [_checked_notice(purpose, row) for _, row in sorted(_newest_rows(connection, purpose).items())]


def _newest_rows(connection: Connection, purpose: Purpose) -> dict[str, Row[Any]]:
    rows = connection.execute(
        select(tables.notice).where(tables.notice.c.purpose == purpose).order_by(tables.notice.c.version)
    )
    return {row.language: row for row in rows}


def _checked_notice(purpose: Purpose, row: Row[Any]) -> Notice:
    notice = Notice(purpose, row.language, row.version, row.text, row.sha256, row.published_at)
    notice.check()
    return notice


def _zone(row: Mapping[str, Any], shorter: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]) -> Zone:
    custody, factor = Custody(row["custody"]), SecondFactor(row["second_factor"])
    unchanged: dict[str, Any] = {"title": "", "state": ZoneState.IN_USE, "fpir": FpirTarget.ORDINARY}
    unchanged |= {"trigger": Trigger.default(custody, factor), "liveness": LivenessLevel.NONE}
    unchanged |= {"lease_seconds": 0, "after_lease": AfterLease.CLOSED}
    newest = max(changes, key=lambda one: int(one["number"]), default=unchanged)
    return Zone(
        Purpose(row["purpose"]),
        custody,
        row["justification"],
        row["alternative"],
        min(one["retention_days"] for one in (row, *shorter)),
        row["created_at"],
        row["match_history_days"],
        factor,
        DeskSignature(row["desk_signature"]),
        newest["title"],
        ZoneState(newest["state"]),
        FpirTarget(newest["fpir"]),
        Trigger(newest["trigger"]),
        LivenessLevel(newest["liveness"]),
        newest["lease_seconds"],
        AfterLease(newest["after_lease"]),
    )
