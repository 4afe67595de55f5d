"""The places that an erasure searches and scrubs: files of the home, places of the databases, and the certificate."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from house import House

from volens import verify_certificate
from volens.consent import ErasureIncompleteError
from volens.erase import Hit, Needles, places
from volens.erase.journal import _merged
from volens.store import Store
from volens.store.files import ReadAt
from volens.store.keys import destroy_secrets

SECRET = b"a secret of sixteen bytes or more"


@dataclass(frozen=True)
class Relation:
    """A place that is not a file, as a database with a server has."""

    name: str
    content: bytes

    def size_bytes(self) -> int:
        return len(self.content)

    @contextmanager
    def reading(self) -> Generator[ReadAt]:
        def read(buffer: memoryview, position: int) -> int:
            piece = self.content[position : position + len(buffer)]
            buffer[: len(piece)] = piece
            return len(piece)

        yield read


def test_a_place_of_a_database_that_is_not_a_file_is_searched(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    relation = Relation("relation biometric_reference", b"x" * 100 + SECRET)
    of_files = house.store.places()
    monkeypatch.setattr(Store, "places", lambda *_: [*of_files, relation])

    searched = places.search_places(Needles.of([("secret", SECRET)]), house.site.installation)

    assert searched.hits == [Hit("secret", relation.name)]
    assert searched.places[-1] == {"name": relation.name, "size_bytes": 100 + len(SECRET)}


def test_each_file_of_a_database_is_searched_once(house: House) -> None:
    searched = places.search_places(Needles.of([("secret", SECRET)]), house.site.installation)

    names = [place["name"] for place in searched.places]
    assert {place.name for place in house.store.places()} <= set(names)
    assert len(names) == len(set(names))


def test_a_certificate_states_how_the_engine_scrubs(house: House) -> None:
    person = house.admit()
    path = house.withdraw(person).certificate_path

    statement = verify_certificate(path.read_bytes(), house.store.verifier_key).statement

    assert statement["method"] == (
        "rows deleted and zeroed, write-ahead logs cut, every key that wrapped the person's key destroyed, "
        "the gallery's row overwritten and zeroed"
    )
    assert [one["how"] for one in statement["touched"][:2]] == [
        "rows deleted and zeroed, write-ahead log cut",
        "grant secret deleted and zeroed, write-ahead log cut; keys above it replaced",
    ]


def test_an_erasure_names_the_database_that_another_process_reads(impatient: House) -> None:
    house = impatient
    person = house.admit()
    with house.store.keyring.read() as connection:
        connection.exec_driver_sql("SELECT * FROM grant_secret").all()
        destroy_secrets(house.store.keyring, [person.receipt_id], house.bits.randbytes, house.store.now())
        with pytest.raises(
            ErasureIncompleteError, match=r"another process is reading keyring\.db, .* cannot be cut; run 'volens erase"
        ):
            places.scrub(house.store)
    places.scrub(house.store)


def test_facts_are_merged_object_by_object() -> None:
    facts = {"zone": "lobby", "times": {"stopped": "1"}, "files": [1, 2]}

    merged = _merged(facts, {"times": {"shredded": "2"}, "files": [3], "new": {"a": 1}})

    assert merged == {
        "zone": "lobby",
        "times": {"stopped": "1", "shredded": "2"},
        "files": [3],
        "new": {"a": 1},
    }
    assert facts["times"] == {"stopped": "1"}
