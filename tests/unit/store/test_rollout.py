"""Rollout: our release runs on a schema that a later one expanded, if that one has the keyring, and on no other."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from house import House

from tests.unit.store.raw import KEYRING, peek, tamper
from volens.consent import RefusedError, TamperError, UnavailableError
from volens.store import DATA_FILE
from volens.store.rollout import Revisions, Rollout, Step
from volens.store.schema.data_tables import REVISIONS
from volens.store.sqlite.catalogue import digest_of

pytestmark = pytest.mark.of_files  # a server has tests of its own: test_expanded_schema.py

NEXT = "next_expand"
ADDITIONS = (
    "ALTER TABLE process ADD COLUMN host TEXT",
    "CREATE TABLE node_note (note TEXT) STRICT",
    "CREATE TRIGGER node_note_is_kept BEFORE DELETE ON node_note BEGIN SELECT RAISE(ABORT, 'kept'); END",
    "UPDATE alembic_version SET version_num = 'next_expand'",
)
DROP = "DROP TRIGGER process_is_not_changed"
LATER = Revisions((*REVISIONS, NEXT, "next"), {NEXT: {"sqlite": "ab" * 32}})


def change(house: House, *statements: str) -> bytes:
    """Change the schema as a later release or another program would; return the digest of the catalogue."""
    with closing(sqlite3.connect(house.site.home / DATA_FILE, isolation_level=None)) as connection:
        for one in statements:
            connection.execute(one)
        return digest_of(connection)


def announce(house: House, digest: bytes, extends: str = REVISIONS[-1]) -> None:
    Rollout(house.store.keyring, house.site.now).announce(NEXT, extends, digest)


def use(house: House) -> None:
    assert house.sees(house.admit())


def test_our_release_runs_on_an_announced_expansion_and_opens_it(house: House) -> None:
    use(house)
    announce(house, change(house, *ADDITIONS))
    use(house)
    house.site.check_rules()
    house.reopen()
    assert house.store.data.revision == NEXT
    use(house)
    house.site.feed.follow()
    assert peek(house.site.home / DATA_FILE, "SELECT host FROM process") == [(None,)]


def test_an_expansion_that_was_not_announced_stops_our_release(house: House) -> None:
    change(house, *ADDITIONS)
    with pytest.raises(UnavailableError, match="upgraded to the schema 'next_expand' of a newer Volens"):
        use(house)
    with pytest.raises(UnavailableError, match="written by a newer Volens"):
        house.reopen()


Attack = Callable[[House], None]


def drop_a_rule(house: House) -> None:
    announce(house, change(house, *ADDITIONS))
    use(house)
    change(house, DROP)


def add_a_rule(house: House) -> None:
    announce(house, change(house, *ADDITIONS))
    use(house)
    change(house, "CREATE TRIGGER copies AFTER DELETE ON live_consent BEGIN INSERT INTO node_note VALUES ('x'); END")


def replace_the_table_of_the_revision(house: House) -> None:
    announce(house, change(house, *ADDITIONS))
    use(house)
    change(house, "DROP TABLE alembic_version", "CREATE VIEW alembic_version AS SELECT 'next_expand' AS version_num")


def announce_one_without_a_rule(house: House) -> None:
    """As a release with an error would."""
    announce(house, change(house, DROP, *ADDITIONS))


@pytest.mark.parametrize(
    "attack", [drop_a_rule, add_a_rule, replace_the_table_of_the_revision, announce_one_without_a_rule]
)
def test_an_expanded_catalogue_must_be_as_announced_and_have_our_rules(house: House, attack: Attack) -> None:
    attack(house)
    with pytest.raises(TamperError):
        use(house)


def test_an_announcement_without_the_key_does_not_count(house: House) -> None:
    digest = change(house, *ADDITIONS)
    forged = "INSERT INTO announced_schema (mac, revision, extends, catalogue_sha256) VALUES (?, ?, ?, ?)"
    tamper(house.site.home / KEYRING, forged, bytes(32), NEXT, REVISIONS[-1], digest)
    with pytest.raises(UnavailableError, match="newer Volens"):
        use(house)


def test_an_expansion_of_another_revision_does_not_count(house: House) -> None:
    announce(house, change(house, *ADDITIONS), extends="another")
    with pytest.raises(UnavailableError, match="newer Volens"):
        use(house)


def test_a_later_release_goes_step_by_step_and_never_past_an_old_process(house: House) -> None:
    def target(current: str, step: Step | None = None) -> str | None:
        with house.store.read() as connection:
            return Rollout(house.store.keyring, house.site.now, step, LATER).target(current, connection)

    old = REVISIONS[-1]
    assert [target(old), target(old, Step.EXPAND), target(NEXT), target("next"), target("other")] == [
        "next",
        NEXT,
        NEXT,
        "next",
        None,
    ]
    house.site.feed.follow()
    for current, step in ((old, None), (old, Step.CONTRACT), (NEXT, Step.CONTRACT)):
        with pytest.raises(UnavailableError, match=str(house.store.process_id)):
            target(current, step)
    assert [target(old, Step.EXPAND), target(NEXT), target(NEXT, Step.EXPAND)] == [NEXT] * 3
    house.clock.move(seconds=16)
    assert target(NEXT, Step.CONTRACT) == "next"


def test_a_release_without_an_expansion_is_not_served_beside(house: House) -> None:
    later = Revisions((*REVISIONS, "next"), {})
    rollout = Rollout(house.store.keyring, house.site.now, Step.EXPAND, later)
    with house.store.read() as connection, pytest.raises(RefusedError, match="cannot serve beside the one before"):
        rollout.target(REVISIONS[-1], connection)
    pinned = Rollout(house.store.keyring, house.site.now, None, LATER).expected("sqlite", NEXT)
    assert pinned is not None
    assert (pinned.sha256s, pinned.extends_ours) == ({bytes.fromhex("ab" * 32)}, False)
    assert Rollout(house.store.keyring, house.site.now, None, LATER).expected("sqlite", "next") is None
