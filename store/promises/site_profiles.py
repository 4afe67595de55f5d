"""Jurisdiction profiles that a site added, as the TOML files that they were; sealed with the rows of the site.

Of each code the newest row counts; a row without a text says that the profile was removed. Older rows stay, so that it
is known which profile was in force when a person signed.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, func, insert, select

from volens.consent import Custody, InputError
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.law import JurisdictionProfile, ProfileCatalogue
from volens.consent.plain_text import plain_bytes
from volens.store.prepared_query import ReadSnapshot
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

_NEWEST: Final = select(func.max(tables.jurisdiction_profile.c.number))
_parsed = lru_cache(maxsize=32)(ProfileCatalogue.parse)


def profiles_of_site(connection: Connection | ReadSnapshot) -> ProfileCatalogue:
    """Return the shipped profiles with those of the site.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    rows = seals_of(connection).site(connection).records(tables.jurisdiction_profile)
    newest = {row["code"]: row["text"] for row in sorted(rows, key=lambda row: int(row["number"]))}
    return ProfileCatalogue(_parsed(text.encode()) for text in newest.values() if text is not None)


def add_profile(tx: Transaction, data: bytes) -> JurisdictionProfile:
    """Add a profile of the site, or replace its profile of the same code; people who sign from now on sign by it.

    Raises:
        InputError: the file is not a profile, or is the one that the site has already.
    """
    profile = ProfileCatalogue.parse(data)
    known = profiles_of_site(tx.connection)
    if known.is_own(profile.code) and known.get(profile.code) == profile:
        raise InputError(f"this site has this profile of {profile.code} already; nothing was changed")
    text = plain_bytes(data).decode("utf-8")
    details = {"jurisdiction": profile.code, "sha256": sha256(text.encode()).hexdigest()}
    _append(tx, "jurisdiction.profile_added", details, text)
    return profile


def remove_profile(tx: Transaction, code: str) -> JurisdictionProfile:
    """Remove a profile of the site, and return it. The shipped one of this code counts again, if there is one.

    Raises:
        InputError: the site added no profile of this code.
    """
    code, known = parse_jurisdiction(code), profiles_of_site(tx.connection)
    if not known.is_own(code):
        raise InputError(
            f"this site added no profile of {code}, and shipped ones stay; 'volens jurisdictions list' shows which are "
            "its own"
        )
    _append(tx, "jurisdiction.profile_removed", {"jurisdiction": code}, None)
    return known.get(code)


def refuse_unlawful(connection: Connection, jurisdiction: str, custody: Custody, zone: str) -> None:
    """Check that a profile covers a person, and that it allows the custody of the zone.

    Raises:
        RefusedError: no profile covers the jurisdiction, or its law forbids the custody.
    """
    profiles_of_site(connection).profile_of(jurisdiction).check_custody(custody, zone)


def _append(tx: Transaction, kind: str, details: dict[str, str], text: str | None) -> None:
    newest = tx.connection.scalar(_NEWEST)
    row = {"number": 0 if newest is None else newest + 1, "code": details["jurisdiction"], "text": text}
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        tx.connection.execute(insert(tables.jurisdiction_profile).values(**row, set_at=tx.now))
        tx.log(kind, details)
