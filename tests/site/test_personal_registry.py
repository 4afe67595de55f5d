"""A table that is added to the registry of personal tables: its rules and searches follow from one declaration."""

import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from house import House, Person
from sqlalchemy import Table, insert

from tests.unit.store.raw import DATA, drop_triggers, peek, remove_foreign_keys, rolled_back
from volens import Site
from volens.consent import ErasureIncompleteError, TamperError
from volens.erase.proof import verify_certificate
from volens.rights import answer_access
from volens.store.schema import PERSONAL, bytes_of, integer, metadata, owner, personal_table
from volens.store.sqlite import check_refusals

SEALED, HASHED = bytes(range(100, 140)), bytes(range(60, 92))


@pytest.fixture
def shoe_size() -> Iterator[Table]:
    table = personal_table(
        "shoe_size",
        *owner(one_row=True),
        integer("width", ">= 1"),
        bytes_of("sealed_size", len(SEALED)),
        bytes_of("size_hash", len(HASHED)),
        counted_as="shoe sizes",
        changeable=("width",),
        sealed={"sealed_size": "sealed shoe size"},
        found_by={"size_hash": "hash of the shoe size"},
        withheld=frozenset({"sealed_size", "size_hash"}),
    )
    yield table
    PERSONAL.pop()
    metadata.remove(table)


@pytest.fixture
def shop(shoe_size: Table, tmp_path: Path) -> Iterator[House]:
    """A site made with the table, and one person with a row in it."""
    shop = House.build(tmp_path / "home")
    person = shop.admit()
    row = {"receipt_id": person.receipt_id, "subject_id": person.subject_id, "purpose": "lobby", "width": 7}
    with shop.store.write() as tx:
        tx.connection.execute(insert(shoe_size), row | {"sealed_size": SEALED, "size_hash": HASHED})
    yield shop
    shop.site.close()


def run(shop: House, statement: str, *, foreign_keys: bool = False) -> None:
    with closing(sqlite3.connect(shop.site.home / DATA)) as connection:
        connection.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        connection.execute(statement)
        connection.commit()


def rows_of(shop: House) -> int:
    ((count,),) = peek(shop.site.home / DATA, "SELECT count(*) FROM shoe_size")
    return int(count)


def statement_of(shop: House, person: Person) -> dict[str, object]:
    data = shop.withdraw(person).certificate_path.read_bytes()
    return dict(verify_certificate(data, shop.site.verifier_key).statement)


def test_a_row_needs_a_live_consent_by_trigger_and_by_foreign_key(shop: House) -> None:
    stranger = "INSERT INTO shoe_size SELECT 'r', subject_id, purpose, width, sealed_size, size_hash FROM shoe_size"
    with pytest.raises(sqlite3.IntegrityError, match="needs live consent"):
        run(shop, stranger)

    drop_triggers(shop.site.home / DATA, "shoe_size_needs_live_consent")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        run(shop, stranger, foreign_keys=True)


def test_only_mutable_columns_of_a_row_can_be_changed(shop: House) -> None:
    run(shop, "UPDATE shoe_size SET width = 8")
    with pytest.raises(sqlite3.IntegrityError, match="shoe_size is not changed"):
        run(shop, "UPDATE shoe_size SET size_hash = zeroblob(32)")


RULES = [
    ("shoe_size_is_not_changed", "a changed shoe_size row"),
    ("shoe_size_needs_live_consent", "a shoe_size row without consent"),
    ("live_consent_deletes_personal_rows", "a shoe_size row that outlives its consent"),
]


@pytest.mark.parametrize("trigger", [trigger for trigger, _ in RULES])
def test_a_site_without_the_rules_of_the_table_does_not_open(shop: House, trigger: str) -> None:
    shop.reopen()
    shop.site.close()
    drop_triggers(shop.site.home / DATA, trigger)

    with pytest.raises(TamperError, match=f"lacks the trigger '{trigger}'"):
        Site.open(shop.site.home, clock=shop.clock)


@pytest.mark.parametrize(("trigger", "what"), RULES)
def test_the_self_check_tries_what_the_rules_of_the_table_forbid(shop: House, trigger: str, what: str) -> None:
    shop.site.check_rules()
    shop.site.close()
    remove_foreign_keys(shop.site.home / DATA, "shoe_size")  # a foreign key states the same rule
    drop_triggers(shop.site.home / DATA, trigger)

    with rolled_back(shop.site.home / DATA) as connection, pytest.raises(TamperError, match=f"accepts {what}"):
        check_refusals(connection)


def test_the_access_answer_has_a_section_for_it_without_sealed_bytes(shop: House) -> None:
    (person,) = shop.people
    data = answer_access(shop.store, [person.receipt_id]).data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        record = json.loads(archive.read("consent-1/record.jsonld"))

    assert record["volens:held"]["shoe_size"] == [{"width": 7}]


def test_an_erasure_deletes_counts_and_searches_for_it(shop: House) -> None:
    (person,) = shop.people
    statement = statement_of(shop, person)

    assert rows_of(shop) == 0
    destroyed, existed, searched = (statement[name] for name in ("destroyed", "existed", "searched"))
    assert isinstance(destroyed, dict)
    assert isinstance(existed, list)
    assert isinstance(searched, list)
    assert destroyed["shoe sizes"] == 1
    assert "sealed shoe size" in {one["what"] for one in existed}
    assert "hash of the shoe size" not in {one["what"] for one in existed}
    assert {"sealed shoe size", "hash of the shoe size"} <= {one["what"] for one in searched}


@pytest.mark.parametrize(("value", "what"), [(SEALED, "sealed shoe size"), (HASHED, "hash of the shoe size")])
def test_a_copy_of_its_bytes_in_any_file_keeps_the_erasure_open(shop: House, value: bytes, what: str) -> None:
    (person,) = shop.people
    copy = shop.site.home / "copy"
    copy.write_bytes(b"before" + value + b"after")

    with pytest.raises(ErasureIncompleteError, match=f"found {what} in copy"):
        shop.withdraw(person)


def test_a_row_that_is_left_over_keeps_the_erasure_open(shop: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (person,) = shop.people
    monkeypatch.setattr("volens.store.sqlite.database.CatalogueCheck.check", lambda *_: None)
    remove_foreign_keys(shop.site.home / DATA, "shoe_size")
    drop_triggers(shop.site.home / DATA, "live_consent_deletes_personal_rows")

    with pytest.raises(ErasureIncompleteError, match="still has rows of the erased consent"):
        shop.withdraw(person)
    assert rows_of(shop) == 1


def test_the_digest_of_an_external_id_is_searched_for_and_not_fingerprinted(house: House) -> None:
    person = house.admit()
    house.site.link_external_id(person.receipt_id, "4711")
    ((digest,),) = peek(house.site.home / DATA, "SELECT digest FROM external_id")
    copy = house.site.home / "copy"
    copy.write_bytes(digest)

    with pytest.raises(ErasureIncompleteError, match="found digest of the external id in copy"):
        house.withdraw(person)

    copy.unlink()
    statement = statement_of(house, person)
    assert digest[:12].hex() not in json.dumps(statement)
