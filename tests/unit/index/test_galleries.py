"""Galleries follow the store: also what other processes did, never back to what was erased, never across zones."""

import sqlite3
from collections.abc import Iterator

import numpy as np
import pytest
from declared_gates import open_gates
from house import DIMENSION, MODEL, House, Person, no_models
from sqlalchemy import Connection

from tests.unit.store.raw import DATA, tamper
from volens import Site
from volens.consent import ConsentedEmbedding, ModelId, Purpose, ReferenceId, TamperError, UnitVector
from volens.index import FlatEngine, Galleries, Gallery, Projection, Shortlist
from volens.service.sample_notice import publish_sample_notice
from volens.store.people import add_reference

LOBBY, LAB = Purpose("lobby"), Purpose("lab")
OTHER_MODEL = ModelId("other@11111111")


def declare_lab(house: House) -> None:
    house.site.add_zone("lab", custody="operator", justification="a", alternative="b", retention_days=9)
    open_gates(house.site, "lab")


def of(house: House, galleries: Galleries | None = None, purpose: Purpose = LOBBY, model: ModelId = MODEL) -> Gallery:
    with house.store.read() as connection:
        return (galleries or house.galleries).of(connection, purpose, model, DIMENSION)


def ids(people: list[Person]) -> set[ReferenceId]:
    return {person.reference_id for person in people if person.reference_id is not None}


@pytest.fixture
def second(house: House) -> Iterator[House]:
    """Another process on the same home."""
    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes) as site:  # type: ignore[arg-type]
        yield House.of(site)


def test_a_gallery_holds_the_references_of_its_zone_and_model_and_no_others(house: House) -> None:
    declare_lab(house)
    publish_sample_notice(house.site, "lab", more="x")
    lobby, lab = [house.admit(), house.admit()], [house.admit("lab")]
    embedding = ConsentedEmbedding(house.grant(lobby[0]), UnitVector(lobby[0].face), OTHER_MODEL)
    with house.store.keyring.grant_secret(lobby[0].receipt_id) as secret, house.store.write() as tx:
        other = add_reference(tx, embedding, secret, licence="none", photo_count=3)

    assert of(house).engine.held() == ids(lobby)
    assert of(house, purpose=LAB).engine.held() == ids(lab)
    assert of(house, model=OTHER_MODEL).engine.held() == {other}
    assert of(house, purpose=LAB, model=OTHER_MODEL).engine.held() == set()
    assert of(house) is of(house)
    assert len(house.galleries.built()) == 4


def test_galleries_of_two_models_and_two_sites_are_keyed_differently(house: House, second: House) -> None:
    declare_lab(house)
    vector = house.face()

    def sketch(gallery: Gallery) -> bytes:
        return gallery.projection.sketch(vector).tobytes()

    assert sketch(of(house)) == sketch(of(second)) == sketch(of(house, purpose=LAB))
    assert sketch(of(house)) != sketch(of(house, model=OTHER_MODEL))


def test_a_gallery_follows_the_changes_of_another_process(house: House, second: House) -> None:
    first = house.admit()
    assert of(second).engine.held() == ids([first])
    assert second.sees(first)

    more = [house.admit(), house.admit()]
    assert of(second).engine.held() == ids([first, *more])
    assert second.sees(more[1])

    house.withdraw(first)
    assert of(second).engine.held() == ids(more)
    assert not second.sees(first)
    assert len(of(second)) == 2

    again = second.admit()
    assert house.sees(again)


def reads_references(house: House) -> bool:
    """Bring the gallery up to date; return whether SQLite was given a query about references for it."""
    statements: list[str] = []
    with house.store.read() as connection:
        database = connection.connection.driver_connection
        assert isinstance(database, sqlite3.Connection)
        database.set_trace_callback(statements.append)
        house.galleries.of(connection, LOBBY, MODEL, DIMENSION)
        database.set_trace_callback(None)
    return any("biometric_reference" in statement for statement in statements)


def test_a_gallery_reads_the_store_only_after_a_change(house: House) -> None:
    house.admit()
    assert [reads_references(house) for _ in range(3)] == [True, False, False]

    house.invite()  # a consent alone changes nothing in a gallery
    assert [reads_references(house) for _ in range(3)] == [False, False, False]
    assert of(house).generation == house.store.generation()

    house.admit()
    assert [reads_references(house) for _ in range(3)] == [True, False, False]


def test_only_new_references_are_opened(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [house.admit() for _ in range(3)]
    of(house)
    added: list[int] = []
    original = FlatEngine.add_many

    def watched(self: FlatEngine, reference_ids: np.ndarray, sketches: np.ndarray) -> None:
        added.extend(reference_ids.tolist())
        original(self, reference_ids, sketches)

    monkeypatch.setattr(FlatEngine, "add_many", watched)
    fourth = house.admit()
    house.withdraw(people[0])
    of(house)

    assert added == [fourth.reference_id]
    assert of(house).engine.held() == ids([*people[1:], fourth])


@pytest.mark.parametrize("count", [1, 4, 5, 6, 11])
def test_a_gallery_is_built_in_batches(house: House, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("volens.index.gallery._BATCH", 5)
    people = [house.admit() for _ in range(count)]

    assert of(house).engine.held() == ids(people)
    assert all(house.sees(person) for person in people)


def snapshot(connection: Connection) -> None:
    """Read something, from which moment on SQLite shows this state."""
    connection.exec_driver_sql("SELECT count(*) FROM audit_event").scalar()


@pytest.mark.parametrize("built", [True, False])
def test_an_erased_id_never_comes_back_from_an_older_snapshot(house: House, built: bool) -> None:  # noqa: FBT001
    leaver, stayer = house.admit(), house.admit()
    if built:
        of(house)
        house.invite()  # so that the gallery is behind the snapshot
    with house.store.read() as old:
        snapshot(old)
        assert house.galleries.erase(ids([leaver])) == (1 if built else 0)

        gallery = house.galleries.of(old, LOBBY, MODEL, DIMENSION)

    assert gallery.engine.held() == ids([stayer])
    assert of(house, model=MODEL).engine.held() == ids([stayer])


def test_enrollments_in_another_process_are_read_by_id(
    house: House, second: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [house.admit() for _ in range(3)]
    gallery = of(house)
    monkeypatch.setattr(FlatEngine, "held", refused)
    people += [second.admit() for _ in range(2)]
    second.invite()

    assert len(of(house)) == 5

    monkeypatch.undo()
    assert gallery.engine.held() == ids(people)


def test_ids_are_compared_only_after_an_erasure_in_another_process(
    house: House, second: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    stayer, here, elsewhere = (house.admit() for _ in range(3))
    gallery = of(house)
    house.withdraw(here)
    monkeypatch.setattr(FlatEngine, "held", refused)
    assert len(of(house)) == 2
    monkeypatch.undo()
    second.withdraw(elsewhere)
    newcomer = second.admit()

    of(house)

    assert gallery.engine.held() == ids([stayer, newcomer])


def refused(_engine: FlatEngine) -> set[ReferenceId]:
    raise AssertionError("every id was compared")


def test_a_gallery_never_goes_back_to_an_older_snapshot(house: House) -> None:
    first = house.admit()
    with house.store.read() as old:
        snapshot(old)
        second = house.admit()
        assert of(house).engine.held() == ids([first, second])
        generation = of(house).generation
        gallery = house.galleries.of(old, LOBBY, MODEL, DIMENSION)

    assert gallery.engine.held() == ids([first, second])
    assert gallery.generation == generation


def test_erasing_removes_from_every_gallery_and_counts(house: House) -> None:
    people = [house.admit() for _ in range(3)]
    declare_lab(house)
    of(house)
    of(house, purpose=LAB)

    assert house.galleries.erase(ids(people[:2])) == 2
    assert house.galleries.erase(ids(people[:2])) == 0
    assert house.galleries.erase([]) == 0
    assert of(house).engine.held() == ids(people[2:])


def test_a_gallery_is_not_built_if_a_reference_does_not_open(house: House) -> None:
    house.admit()
    broken = house.admit()
    tamper(
        house.site.home / DATA,
        "UPDATE biometric_reference SET sealed_embedding = zeroblob(541) WHERE reference_id = ?",
        broken.reference_id,
    )

    for _ in range(2):  # nor at the second attempt
        with pytest.raises(TamperError, match="integrity: a sealed value"):
            of(house)


def test_a_gallery_wipes_the_sketches_it_makes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[np.ndarray] = []
    gallery = of(house)
    rotate, scan = Projection.rotated, FlatEngine.within

    def watched_rotate(self: Projection, vector: np.ndarray) -> np.ndarray:
        made.append(rotate(self, vector))
        return made[-1]

    def watched_scan(self: FlatEngine, sketches: np.ndarray, distance: int) -> list[Shortlist]:
        found = scan(self, sketches, distance)
        made.extend((sketches, *(one.sketches for one in found)))
        return found

    monkeypatch.setattr(Projection, "rotated", watched_rotate)
    monkeypatch.setattr(FlatEngine, "within", watched_scan)
    vector = house.face()
    sketch = gallery.projection.sketch(vector)
    gallery.add_many(np.array([5]), sketch[None])
    sketch.fill(0)
    (proposals,) = gallery.propose([vector], 0, 0.5)

    assert proposals.ids.tolist() == [5]
    assert proposals.estimates[0] == pytest.approx(1.0, abs=0.05)
    assert [bool(one.any()) for one in made] == [False] * 4
    assert gallery.engine.remove(ReferenceId(5))
    assert not gallery.engine.remove(ReferenceId(5))
