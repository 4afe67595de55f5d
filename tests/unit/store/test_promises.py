"""Zones and notices: promises that people agreed to never change, and a changed text is detected."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from house import House
from sqlalchemy.exc import IntegrityError

from tests.unit.store.raw import DATA, peek, tamper
from volens.consent import InputError, Notice, Purpose, RefusedError, SubjectKey, TamperError
from volens.store import Transaction
from volens.store.promises import add_notice, add_zone, notice_of, zone_of, zones

LOBBY, LAB = Purpose("lobby"), Purpose("lab")


@pytest.fixture
def tx(house: House) -> Iterator[Transaction]:
    with house.store.write() as tx:
        yield tx


def test_a_zone_is_stored_as_declared(house: House) -> None:
    declared = house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=7)

    with house.store.read() as connection:
        assert zone_of(connection, LAB) == declared
        assert [zone.purpose for zone in zones(connection)] == ["lab", "lobby"]


def test_a_zone_is_never_replaced_even_by_itself(house: House) -> None:
    with house.store.read() as connection:
        before = zone_of(connection, LOBBY)
    with pytest.raises(RefusedError, match="zone 'lobby' exists, and promises that people agreed to are never changed"):
        house.site.add_zone("lobby", custody="operator", justification="a", alternative="b", retention_days=1)
    with pytest.raises(RefusedError, match="zone 'lobby' exists"), house.store.write() as tx:
        add_zone(tx, before)

    with house.store.read() as connection:
        assert zones(connection) == [before]
    assert house.site.log.verify().kinds["zone.added"] == 1


def test_the_error_for_an_unknown_zone_lists_the_known_zones(house: House) -> None:
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=7)
    with (
        house.store.read() as connection,
        pytest.raises(InputError, match=r"there is no zone 'attic' \(known: lab, lobby\); add it"),
    ):
        zone_of(connection, Purpose("attic"))


def test_the_error_for_an_unknown_zone_says_if_there_are_none(tmp_path: Path) -> None:
    house = House.build(tmp_path / "empty", zones=())
    with house.store.read() as connection, pytest.raises(InputError, match=r"\(known: none yet\)"):
        zone_of(connection, LOBBY)
    house.site.close()


def publish(house: House, language: str, text: bytes) -> Notice:
    """Publish a text as it is: what a notice must say is checked above (`volens.consent.notice_check`)."""
    with house.store.write() as tx:
        return add_notice(tx, LOBBY, language, text)


def test_versions_of_a_notice_count_from_one_in_each_language(house: House) -> None:
    texts = [("en", b"two"), ("fr", b"un"), ("en", b"three"), ("fr", b"deux"), ("fr-CA", b"un")]
    versions = [publish(house, language, text).version for language, text in texts]

    assert versions == [2, 1, 3, 2, 1]
    with house.store.read() as connection:
        assert notice_of(connection, LOBBY, "en").text == "three"
        assert notice_of(connection, LOBBY, "fr").text == "deux"
        assert notice_of(connection, LOBBY, "fr-CA").text == "un"
    kept = peek(house.site.home / DATA, "SELECT text FROM notice WHERE language = 'en' ORDER BY version")
    assert kept[1:] == [("two",), ("three",)]


def test_a_notice_is_stored_byte_for_byte(house: House) -> None:
    text = "  Zażółć\r\n\tgęślą — jaźń \n\n".encode()
    house.clock.move(seconds=7)

    published = publish(house, "pl", text)

    notice = house.site.notice("lobby", "pl")
    assert notice == published
    assert notice.text.encode() == text
    assert notice.sha256 == sha256(text).hexdigest()
    assert notice.published_at == house.store.now()


def test_a_language_must_be_named_only_if_there_are_several(house: House) -> None:
    assert house.site.notice("lobby").language == "en"
    publish(house, "fr", b"un")

    with pytest.raises(
        InputError, match=r"notices in several languages \(published: en, fr\); choose one with --language"
    ):
        house.site.notice("lobby")
    with pytest.raises(InputError, match=r"no notice in language 'de' \(published: en, fr\)"):
        house.site.notice("lobby", "de")
    assert house.site.notice("lobby", "fr").text == "un"


def test_the_error_for_a_zone_without_a_notice_says_so(house: House) -> None:
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=7)
    with pytest.raises(InputError, match=r"zone 'lab' has no notice yet; publish it"):
        house.site.notice("lab")


def test_the_same_text_is_not_published_twice_in_a_row(house: House) -> None:
    first = house.site.notice("lobby").text
    publish(house, "en", b"new")
    with pytest.raises(RefusedError, match="this text is already published as version 2; nothing was changed"):
        publish(house, "en", b"new")
    # but one may go back to an older text
    assert publish(house, "en", first.encode()).version == 3


def test_a_notice_for_an_unknown_zone_is_not_published(house: House) -> None:
    with pytest.raises(InputError, match="there is no zone 'lab'"):
        house.site.publish_notice("lab", language="en", text=b"new")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE notice SET text = text || ' And sell it.'",
        "UPDATE notice SET text = 'x'",
    ],
)
def test_a_changed_notice_text_is_neither_shown_nor_signed(house: House, statement: str) -> None:
    notice = house.site.notice("lobby")
    tamper(house.site.home / DATA, statement)

    words = r"integrity: notice 1 \(en\) of zone 'lobby' is not the published text; "
    with pytest.raises(TamperError, match=words):
        house.site.notice("lobby")
    with pytest.raises(TamperError, match=words):
        house.site.give_consent(notice, name="Ann", jurisdiction="FR", key=SubjectKey.from_seed(bytes(32)))
    with pytest.raises(TamperError, match=words):
        publish(house, "en", b"new")


def test_promises_are_logged(house: House) -> None:
    house.clock.move(hours=1)
    publish(house, "fr", b"un")
    log = peek(house.site.home / DATA, "SELECT details FROM audit_opening ORDER BY seq DESC LIMIT 1")

    assert log == [(f'{{"language":"fr","sha256":"{sha256(b"un").hexdigest()}","version":1,"zone":"lobby"}}',)]


@pytest.mark.of_files
def test_the_database_refuses_a_second_version_of_the_same_number(house: House, tx: Transaction) -> None:
    add_notice(tx, LOBBY, "en", b"two")
    row = "SELECT purpose, language, version, 'other', sha256, published_at, NULL FROM notice"
    with pytest.raises(IntegrityError, match="notice is not replaced"):
        tx.connection.exec_driver_sql(f"INSERT INTO notice {row}")
    assert house.store.now() - tx.now == timedelta(0)
