"""Declared facts in the data file: what the controller says of itself and of each zone (`volens.consent.declarations`).

Each declaration is a row that is sealed with the site or the zone. The log has the name of the fact and not its value,
which may name a person: the log is kept for longer than the data protection officer stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, func, insert, select

from volens.consent import InputError, Purpose, RefusedError
from volens.consent.declarations import SiteFact, ZoneFact, parse_declaration
from volens.consent.errors import DamagedDataError
from volens.store.promises.stated_jurisdictions import refuse_to_leave_out
from volens.store.promises.zones_and_notices import zone_of
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

_Fact = TypeVar("_Fact", SiteFact, ZoneFact)


def site_facts(connection: Connection) -> dict[SiteFact, str]:
    """Return what was declared about the controller.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    rows = seals_of(connection).site(connection).records(tables.site_declaration)
    return {SiteFact(name): value for name, value in _newest(rows).items()}


def zone_facts(connection: Connection, purpose: Purpose) -> dict[ZoneFact, str]:
    """Return what was declared about a zone.

    Raises:
        TamperError: the rows of the zone do not verify, or there is no such zone.
    """
    rows = seals_of(connection).cached(connection, Scope.ZONE, purpose)
    if rows is None:
        raise DamagedDataError(f"zone {purpose!r} has no rows")
    return {ZoneFact(name): value for name, value in _newest(rows.records(tables.zone_declaration)).items()}


def declare_site_facts(tx: Transaction, given: Mapping[SiteFact, str]) -> dict[SiteFact, str]:
    """Declare facts about the controller; an empty text takes one back. Return all that are declared now.

    Raises:
        InputError: none is given, or a value is not valid; nothing was stored.
        RefusedError: all of them are declared so already, or `refuse_to_leave_out`.
    """
    changed = _changed(given, site_facts(tx.connection))
    if codes := changed.get(SiteFact.JURISDICTIONS):
        refuse_to_leave_out(tx.connection, codes)
    newest = tx.connection.scalar(select(func.max(tables.site_declaration.c.number)))
    first = 0 if newest is None else newest + 1
    rows = [
        {"number": number, "fact": fact.value, "value": value, "declared_at": tx.now}
        for number, (fact, value) in enumerate(changed.items(), first)
    ]
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        tx.connection.execute(insert(tables.site_declaration), rows)
        tx.log("site.declared", {"facts": ", ".join(changed)})
    return site_facts(tx.connection)


def declare_zone_facts(tx: Transaction, purpose: Purpose, given: Mapping[ZoneFact, str]) -> dict[ZoneFact, str]:
    """Declare facts about a zone; an empty text takes one back. Return all that are declared now.

    Raises:
        UnknownError: there is no such zone.
        InputError: none is given, or a value is not valid; nothing was stored.
        RefusedError: all of them are declared so already, or the zone was removed.
    """
    zone_of(tx.connection, purpose).check_not_removed()
    changed = _changed(given, zone_facts(tx.connection, purpose))
    its = tables.zone_declaration.c
    newest = tx.connection.scalar(select(func.max(its.number)).where(its.purpose == purpose)) or 0
    rows = [
        {"purpose": purpose, "number": number, "fact": fact.value, "value": value, "declared_at": tx.now}
        for number, (fact, value) in enumerate(changed.items(), newest + 1)
    ]
    with tx.changing(Scope.ZONE, [purpose]):
        tx.connection.execute(insert(tables.zone_declaration), rows)
        tx.log("zone.declared", {"zone": purpose, "facts": ", ".join(changed)})
    return zone_facts(tx.connection, purpose)


def _changed(given: Mapping[_Fact, str], before: Mapping[_Fact, str]) -> dict[_Fact, str]:
    if not given:
        raise InputError("got no fact to declare; give at least one")
    parsed = {fact: parse_declaration(fact, text) if text.strip() else "" for fact, text in given.items()}
    changed = {fact: value for fact, value in parsed.items() if value != before.get(fact, "")}
    if not changed:
        raise RefusedError("these facts are declared so already; nothing was changed")
    return changed


def _newest(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the newest value of each fact; those that were taken back are left out."""
    newest = {row["fact"]: row["value"] for row in sorted(rows, key=lambda row: int(row["number"]))}
    return {fact: value for fact, value in newest.items() if value}
