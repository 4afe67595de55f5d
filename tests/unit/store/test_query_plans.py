"""Query plans: what people and doors do every day must not read a whole table that grows with the number of people.

Every statement that the site runs is traced. Afterwards the database explains it: the plan names the tables that the
statement reads as a whole, and the byte code of the triggers that it fires has a loop over such a table.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from house import MODEL, House, Person
from pins import cheap_pins
from sqlalchemy import event
from sqlalchemy.pool import Pool

from volens.consent import ShownFactor, SubjectKey
from volens.consent.panel_badge import PanelBadge
from volens.erase.proof import CertificateFilter
from volens.index import claim_of_code

FEW: Final = "a few rows, however many people there are"
NEWEST: Final = "a range at the end: only what was added since"
OUTDATED: Final = "a range at the beginning: only what is past its date"
DAILY: Final = "on purpose, once a day"

EVERY_DAY: Final[dict[str, str]] = {
    **dict.fromkeys(("keyring", "keyring_memory", "site_key", "sqlite_sequence", "site_default", "process"), FEW),
    **dict.fromkeys(("site_declaration", "made_paper", "witness"), FEW),
    **dict.fromkeys(("zone", "zone_change", "notice", "shorter_retention", "gallery_snapshot", "sqlite_master"), FEW),
    **dict.fromkeys(("webhook_endpoint", "recipient by purpose=?", "api_credential"), FEW),
    **dict.fromkeys(("lease by purpose=?", "lease by purpose=? AND rowid<?"), FEW + ": of each door, of the last hour"),
    **dict.fromkeys(("operator_key", "operators_required", "collection_stop", "jurisdiction_profile", "cohort"), FEW),
    **dict.fromkeys(("log_shard", "remembered_shard"), "one row for each zone and month of the kept visits"),
    "access_request": "one row for each request that the site ever got",
    "audit_event by rowid>?": NEWEST,
    "consent_end by log_size>?": NEWEST,
    "receipt by jurisdiction>?": "the next jurisdiction in use, one row of an index for each",
    "row_seal by generation>? AND generation<?": NEWEST,
    "biometric_reference by purpose=? AND model_id=? AND rowid>?": NEWEST + "; all, if a gallery lost more than it saw",
    "biometric_reference by purpose=? AND model_id=? AND rowid<?": "a count, by which a gallery notices what it lost",
    "restriction by purpose=?": "one row for each person who paused the processing",
    "invitation by purpose=?": "the invitations of a zone, of which each is kept for 120 days at most",
    **dict.fromkeys(("row_seal by scope=?", "sealed_scope by scope=?"), "the invitations, after a refusal"),
    "bucket": "one row for 256 people; an erasure wraps all of them again",
    "live_consent by receipt_id>?": "a page of the list, which has a limit",
    "consent_end": "a page of the certificates, the newest first, which has a limit",
    "consent_end by log_size<?": "the next page of the same list",
    "certificate by certificate_id>? AND certificate_id<?": "the ids that begin with digits; two at most",
    **dict.fromkeys(("count of receipt", "count of live_consent"), "how many people an access answer searched"),
}
"""What may be read as a whole, or by a range, and why."""

DAILY_TOO: Final[dict[str, str]] = {
    "live_consent": DAILY + ": clocks run out by themselves",
    "grant_secret": DAILY + ": secrets without a consent are destroyed",
    "erasure": DAILY + ": those that are not finished",
    "biometric_reference by purpose=?": DAILY + ": a count",
    **dict.fromkeys(("kept_answer", "webhook_message"), DAILY + ": a few rows, which are deleted soon"),
    "name_disclosure by shown_on<?": OUTDATED,
    "shard_opening by ends_at<?": OUTDATED,
    **dict.fromkeys(("invitation by expires_at<?", "invitation by ended_at<?"), OUTDATED),
    "passage by matched_at<?": OUTDATED,
    "consent_end by evidence_until<?": OUTDATED,
    "consent_end by ended_at<?": OUTDATED,
    "audit_opening by rowid>? AND rowid<?": OUTDATED,
    "ended_consent": DAILY + ": its digest is over all rows",
    **dict.fromkeys(("proposed_order", "staff_passkey", "zone_declaration", "job", "door_report"), FEW),
    **dict.fromkeys(("newer by purpose=? AND number>?", "newer by rowid>?"), FEW + ": newer declarations of a fact"),
}
"""What the sweep may read besides."""


@contextmanager
def statements(house: House) -> Iterator[dict[Path, set[str]]]:
    """Collect the statements that the site runs in the block, by database; those of its opening are left out."""
    found: dict[Path, set[str]] = {}

    def trace(connection: sqlite3.Connection, _record: object) -> None:
        ((_, _, file),) = connection.execute("PRAGMA database_list").fetchall()
        connection.set_trace_callback(found.setdefault(Path(file), set()).add)

    event.listen(Pool, "connect", trace)
    try:
        house.reopen()
        for one in found.values():
            one.clear()
        yield found
    finally:
        event.remove(Pool, "connect", trace)


def read_whole(found: dict[Path, set[str]]) -> dict[str, str]:
    """Return the tables that the statements read as a whole, each with a statement that does."""
    tables: dict[str, str] = {}
    for file, texts in found.items():
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")  # the byte code has blobs
            for text in texts:
                if re.match("SELECT|INSERT|UPDATE|DELETE|WITH", text) and not stops_at_first_row(text):
                    tables |= dict.fromkeys(by_plan(connection, text) | by_triggers(connection, text), text)
    return tables


def stops_at_first_row(text: str) -> bool:
    return text.endswith(("LIMIT 1", "LIMIT 1 OFFSET 0")) and "WHERE" not in text


SHARED: Final = {"purpose", "model_id", "scope"}
"""Columns of which all people of a zone have the same value: a search by them reads all of them."""

KEYS: Final = {
    *(f"{table} by purpose=?" for table in ("zone", "zone_change", "notice", "shorter_retention", "zone_calibration")),
    "zone_declaration by purpose=?",
    "gallery_snapshot by purpose=? AND model_id=?",
}
"""Searches by such a column in tables that have a row for each zone."""


def by_plan(connection: sqlite3.Connection, text: str) -> set[str]:
    """Return the tables that a statement reads from one end to the other, or by nothing that tells people apart."""
    found = set[str]()
    if (count := re.fullmatch(r"SELECT count\(\*\) AS count_1 \nFROM (\w+)", text)) is not None:
        return {f"count of {count[1]}"}
    for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}"):
        if (scan := re.fullmatch(r"SCAN (\w+)( USING .*)?", step)) is not None:
            found.add(scan[1])
        elif (search := re.fullmatch(r"SEARCH (\w+) USING .*\((.*)\).*", step)) is not None:
            sought = {term.removesuffix("=?") for term in search[2].split(" AND ") if term.endswith("=?")}
            if sought <= SHARED:
                found.add(f"{search[1]} by {search[2]}")
    return found - KEYS


def by_triggers(connection: sqlite3.Connection, text: str) -> set[str]:
    """Return the tables that a trigger which the statement fires reads in a loop from one end."""
    roots = {1: "sqlite_schema", **dict(connection.execute("SELECT rootpage, tbl_name FROM sqlite_schema"))}
    found, programs = set[str](), 0
    cursors, begun, before = dict[int, str](), set[int](), ""
    for address, operation, cursor, page, *_ in connection.execute(f"EXPLAIN {text}"):
        if address == 0:
            programs, cursors, begun = programs + 1, {}, set()
        if operation in {"OpenRead", "OpenWrite"}:
            cursors[cursor] = roots[page]
        elif operation in {"Rewind", "Last"}:
            begun.add(cursor)
        # After a jump the end of the loop is not reached: min() and max() stop at the first row.
        elif operation in {"Next", "Prev"} and programs > 1 and before != "Goto" and cursor in begun & cursors.keys():
            found.add(cursors[cursor])
        before = operation
    return found


def test_no_everyday_act_reads_a_whole_table_of_people(house: House, tmp_path: Path) -> None:
    house.declare("vault", second_factor="pin")
    leaver, loser, other = house.admit(), house.admit(), house.admit()
    key = SubjectKey.from_seed(bytes(32))
    with cheap_pins(), statements(house) as found:
        site = house.site
        notice = site.notice("lobby")
        person = Person(site.give_consent(notice, name="Ada", jurisdiction="FR", key=key, valid_days=30), house.face())
        house.count_scores(house.enroll(person), own=[0.8], others=[0.1])
        assert house.sees(person)
        house.visit(person, other)
        site.link_external_id(person.receipt_id, "4711")
        site.changes.correct_name(person.receipt_id, "Ada Example")
        site.changes.reissue_code(person.receipt_id)
        site.changes.restrict(person.receipt_id)
        assert not house.sees(person)
        site.changes.lift_restriction(person.receipt_id)
        # Invitations.
        made = site.invitations.invite("lobby", name="Eve", jurisdiction="FR", external_id="4712")
        assert site.invitations.open(made.token.reveal()).name == "Eve"
        site.invitations.refuse(site.invitations.resend(made.invitation_id).token.reveal())
        # A second factor.
        guard = house.admit("vault")
        site.factors.set(guard.receipt_id, ShownFactor.pin("719035"))
        assert house.look_at(guard.face, "vault", factor=ShownFactor.pin("719035")).match is not None
        assert house.look_at(guard.face, "vault", factor=ShownFactor.pin("428163")).match is None
        assert house.verify(guard, factor=ShownFactor.pin("719035")).match is not None
        site.factors.remove(guard.receipt_id)
        # A badge number at the panel.
        site.panel_badges.set(guard.receipt_id, PanelBadge(118, 1603))
        site.panel_badges.of(guard.receipt_id)
        site.panel_badges.remove(guard.receipt_id)
        site.panel_badges.set(person.receipt_id, PanelBadge(118, 1603))
        # The desk.
        site.people.page(limit=2)
        site.people.page(site.people.ends_within(30), limit=2)
        site.people.show(person.receipt_id)
        request = site.rights.open("access", site.receipts_of(person.receipt_id))
        site.rights.answer(request.request_id, tmp_path / "answer.zip")
        site.rights.open_access(code=leaver.code)
        site.rights.requests()
        # Renewal and withdrawal.
        house.clock.move(days=20)
        site.changes.renew(person.receipt_id, notice, key=key)
        site.withdraw(code=leaver.code)
        house.withdraw(loser)
        assert not house.sees(leaver)
        newest, _ = site.erasures.issued(CertificateFilter(), limit=2)
        assert len(site.erasures.issued(CertificateFilter(), after=newest.position, limit=2)) == 2
        assert site.erasures.issued(CertificateFilter(receipt_ids=[newest.receipt_id])) == [newest]
        assert site.erasures.ids_beginning_with(newest.certificate_id[:8]) == [newest.certificate_id]
    whole = read_whole(found)
    assert {one: text for one, text in whole.items() if one not in EVERY_DAY} == {}
    assert EVERY_DAY.keys() <= whole.keys()


def test_a_code_at_a_door_reads_only_the_commitments_as_a_whole(house: House) -> None:
    for zone in ("subject_key", "badge"):
        house.declare(zone, zone)
    holders = [house.admit("subject_key"), house.admit("badge")]
    with statements(house) as found:
        for holder in holders:
            zone_of_holder = house.site.zones.get(holder.take_home.receipt.claims.purpose)
            assert holder.carried is not None
            assert claim_of_code(house.store, zone_of_holder, holder.carried, MODEL) is not None
    whole = read_whole(found)
    # A secret names no receipt: each commitment is hashed, 7 ms for 10,000 people.
    assert {one: text for one, text in whole.items() if one not in {*EVERY_DAY, "subject_secret"}} == {}
    assert "subject_secret" in whole


def test_the_daily_sweep_reads_whole_tables_only_where_it_must(house: House) -> None:
    house.admit()
    with statements(house) as found:
        house.site.sweep()
        house.clock.move(days=91)
        house.admit()
        assert len(house.site.sweep().expired) == 1
    whole = read_whole(found)
    assert {one: text for one, text in whole.items() if one not in EVERY_DAY | DAILY_TOO} == {}
    assert DAILY_TOO.keys() <= whole.keys()
