"""Composes the processing record of a zone from its rows, its recipients, the declarations and the profiles."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from volens.consent import Purpose
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.processing_record import NamedRecipient, ProcessingRecord
from volens.consent.receipt import Controller
from volens.store.promises.declared_facts import site_facts, zone_facts
from volens.store.promises.recipients import verified_recipients
from volens.store.promises.site_profiles import profiles_of_site
from volens.store.promises.zones_and_notices import zone_of


def processing_record(
    connection: Connection, controller: Controller, purpose: Purpose, jurisdiction: str
) -> ProcessingRecord:
    """Return what holds now for people of one jurisdiction in one zone.

    The controller is that of the site (`Store.site.controller`), the jurisdiction the ISO 3166 code of the law that
    protects the person.

    Raises:
        InputError: there is no such zone, or the jurisdiction is not a code.
        RefusedError: no profile covers the jurisdiction.
        TamperError: the rows of the zone or of the site do not verify.
    """
    zone = zone_of(connection, purpose)
    code = parse_jurisdiction(jurisdiction)
    return ProcessingRecord(
        controller=controller,
        zone=zone,
        jurisdiction=code,
        profile=profiles_of_site(connection).profile_of(code),
        recipients=tuple(NamedRecipient(one.name, one.contact) for one in verified_recipients(connection, purpose)),
        site_facts=site_facts(connection),
        zone_facts=zone_facts(connection, purpose),
    )


def records_by_jurisdiction(
    connection: Connection, controller: Controller, purpose: Purpose, jurisdictions: Sequence[str]
) -> list[ProcessingRecord]:
    """Return the record of a zone for each of some jurisdictions, at least one; its rows are read once.

    Raises:
        InputError, RefusedError, TamperError: see `processing_record`.
    """
    first = processing_record(connection, controller, purpose, jurisdictions[0])
    catalogue, codes = profiles_of_site(connection), list(map(parse_jurisdiction, jurisdictions[1:]))
    return [first, *(replace(first, jurisdiction=code, profile=catalogue.profile_of(code)) for code in codes)]
