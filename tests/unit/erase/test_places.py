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
from volens.erase.proof import NOT_PROMISED, NOT_PROMISED_ON_SERVER
from volens.store import Store
from volens.store.files import ReadAt
from volens.store.keys import destroy_secrets

VACUUMED = "deleted on the server, which was asked to vacuum its tables"
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


def test_a_certificate_states_how_the_engine_scrubs_and_what_was_not_searched(house: House, engine: str) -> None:
    person = house.admit()
    path = house.withdraw(person).certificate_path

    statement = verify_certificate(path.read_bytes(), house.store.verifier_key).statement

    on_files = engine == "files"
    data = "data file" if on_files else "database"
    one = "deleted and zeroed, write-ahead log cut" if on_files else VACUUMED
    both = "deleted and zeroed, write-ahead logs cut" if on_files else VACUUMED
    assert statement["method"] == (
        f"rows {both}, every key that wrapped the person's key destroyed, the gallery's row overwritten and zeroed"
    )
    assert statement["touched"][:2] == [
        {"what": data, "how": f"rows {one}"},
        {"what": "keyring", "how": f"grant secret {one}; keys above it replaced"},
    ]
    files = {one["name"] for one in statement["searched_in"]} & {"volens.db", "keyring.db"}
    assert files == ({"volens.db", "keyring.db"} if on_files else set())
    assert statement["not_promised"] == (NOT_PROMISED if on_files else NOT_PROMISED_ON_SERVER)


@pytest.mark.of_files
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
