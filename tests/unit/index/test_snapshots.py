"""Snapshots of galleries: a store opens without opening every embedding, and nothing comes back by them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from house import DIMENSION, MODEL, House, Person, no_models

from tests.unit.store.raw import DATA, KEYRING, peek, tamper
from volens import Site
from volens.consent import Purpose, ReferenceId
from volens.index import FlatEngine, Galleries, Gallery, packed, unpacked
from volens.store.backup import has_snapshot

LOBBY = Purpose("lobby")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep snapshots of small galleries too, in several parts."""
    monkeypatch.setattr("volens.index.gallery.SNAPSHOT_FROM", 1)
    monkeypatch.setattr("volens.index.snapshot_format.PART_ROWS", 3)


@pytest.fixture
def nothing_opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the sealed embeddings that galleries are built from."""
    count: list[int] = []
    from volens.index import opened  # noqa: PLC0415  the one that is watched

    def watched(*arguments: object) -> object:
        count.append(len(arguments[1]))  # type: ignore[arg-type]
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("volens.index.gallery.opened", watched)
    return count


def gallery(house: House, galleries: Galleries | None = None) -> Gallery:
    with house.store.read() as connection:
        return (galleries or house.galleries).of(connection, LOBBY, MODEL, DIMENSION)


def snapshots(home: Path) -> list[Path]:
    return sorted((home / "galleries").glob("*")) if (home / "galleries").is_dir() else []


def ids(people: list[Person]) -> set[ReferenceId]:
    return {one.reference_id for one in people if one.reference_id is not None}


def built(house: House, count: int = 7) -> list[Person]:
    """Admit people, and keep a snapshot of their gallery."""
    people = [house.admit() for _ in range(count)]
    house.galleries.close()
    gallery(house)
    house.galleries.close()
    assert len(snapshots(house.site.home)) == 1
    return people


def test_a_gallery_is_opened_from_its_snapshot(house: House, nothing_opened: list[int]) -> None:
    people = built(house)
    before = {tuple(pair) for pair in zip(*_rows(gallery(house)), strict=True)}
    nothing_opened.clear()

    house.reopen()

    after = gallery(house)
    assert sum(nothing_opened) == 0
    assert {tuple(pair) for pair in zip(*_rows(after), strict=True)} == before
    assert all(house.sees(person) for person in people)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in snapshots(house.site.home))


def test_only_references_newer_than_the_snapshot_are_opened(house: House, nothing_opened: list[int]) -> None:
    people = built(house)
    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock) as site:
        people += [House.of(site, seed=9).admit() for _ in range(2)]
        nothing_opened.clear()
        other = Galleries(site.installation.store)

        assert gallery(House.of(site), other).engine.held() == ids(people)

    assert sum(nothing_opened) == 2


def test_an_erasure_deletes_every_snapshot_and_its_key(house: House) -> None:
    leaver, stayer = built(house, 2)
    (kept,) = snapshots(house.site.home)
    copy = shutil.copy(kept, house.site.home.parent / "copy")
    row = peek(house.site.home / KEYRING, "SELECT * FROM gallery_snapshot")

    house.withdraw(leaver)

    assert snapshots(house.site.home) == []
    assert peek(house.site.home / KEYRING, "SELECT * FROM gallery_snapshot") == []
    wrapped = row[0][-1]
    assert all(wrapped not in path.read_bytes() for path in house.site.home.iterdir() if path.is_file())
    shutil.copy(copy, kept)  # put back by hand, it is a file without a key
    house.reopen()
    assert gallery(house).engine.held() == ids([stayer])


def test_a_new_snapshot_does_not_contain_the_erased_person(house: House, nothing_opened: list[int]) -> None:
    leaver, *stayers = built(house)
    house.withdraw(leaver)
    nothing_opened.clear()

    house.reopen()

    assert len(snapshots(house.site.home)) == 1
    assert gallery(house).engine.held() == ids(stayers)
    assert sum(nothing_opened) == 0


def test_after_a_kill_before_the_key_is_destroyed_the_person_is_not_proposed(house: House) -> None:
    leaver, *stayers = built(house)
    house.site.close()
    home = Path(shutil.copytree(house.site.home, house.site.home.parent / "killed"))
    house.reopen()
    house.withdraw(leaver)
    assert not has_snapshot(house.store, LOBBY, MODEL)
    house.site.close()
    shutil.copy(house.site.home / DATA, home / DATA)  # the log has the erasure, the keyring is from before it

    with Site.open(home, load_extractor=no_models, clock=house.clock) as site:
        assert gallery(House.of(site)).engine.held() == ids(stayers)


@pytest.mark.parametrize("place", [0, 8, 9, 40, 200, -1])
def test_a_changed_snapshot_is_rejected(house: House, place: int, nothing_opened: list[int]) -> None:
    people = built(house)
    (kept,) = snapshots(house.site.home)
    data = bytearray(kept.read_bytes())
    data[place] ^= 0x40
    kept.write_bytes(data)
    nothing_opened.clear()

    fresh = gallery(house, Galleries(house.store))

    assert fresh.engine.held() == ids(people)
    assert sum(nothing_opened) == len(people)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _missing(path: Path) -> None:
    path.unlink()


def _swapped(path: Path) -> None:
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8])
    path.write_bytes(data[size : 2 * size] + data[:size] + data[2 * size :])


@pytest.mark.parametrize("spoil", [_cut, _missing, _swapped])
def test_an_incomplete_snapshot_is_rejected(
    house: House, spoil: Callable[[Path], None], nothing_opened: list[int]
) -> None:
    people = built(house)
    spoil(snapshots(house.site.home)[0])
    nothing_opened.clear()

    assert gallery(house, Galleries(house.store)).engine.held() == ids(people)

    assert sum(nothing_opened) == len(people)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gallery_snapshot SET log_size = log_size + 1000",
        "UPDATE gallery_snapshot SET log_size = 1",
        "UPDATE gallery_snapshot SET log_root = zeroblob(32)",
        "UPDATE gallery_snapshot SET epoch = 7",
        "UPDATE gallery_snapshot SET parts = parts - 1",
        "UPDATE gallery_snapshot SET wrapped = zeroblob(61)",
    ],
)
def test_a_snapshot_is_bound_to_log_and_key(house: House, statement: str, nothing_opened: list[int]) -> None:
    people = built(house)
    tamper(house.site.home / KEYRING, statement)
    nothing_opened.clear()

    assert gallery(house, Galleries(house.store)).engine.held() == ids(people)

    assert sum(nothing_opened) == len(people)


def test_a_snapshot_is_bound_to_its_zone(house: House, nothing_opened: list[int]) -> None:
    house.declare("lab")
    built(house)
    tamper(house.site.home / KEYRING, "UPDATE gallery_snapshot SET purpose = 'lab'")
    nothing_opened.clear()
    with house.store.read() as connection:
        assert len(Galleries(house.store).of(connection, Purpose("lab"), MODEL, DIMENSION)) == 0


def test_after_a_rotation_there_is_a_snapshot_of_the_new_key_only(house: House) -> None:
    people = built(house)
    (before,) = snapshots(house.site.home)

    house.site.keys.rotate(root=False)

    assert peek(house.site.home / KEYRING, "SELECT name FROM gallery_snapshot") == []
    house.reopen()
    assert all(house.sees(person) for person in people)
    house.reopen()
    assert peek(house.site.home / KEYRING, "SELECT epoch FROM gallery_snapshot") == [(2,)]
    assert before not in snapshots(house.site.home)


def test_a_gallery_older_than_the_log_is_not_saved(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another process erased a person while this one wrote: the key is never stored."""
    people = [house.admit() for _ in range(2)]
    gallery(house)
    for path in snapshots(house.site.home):
        path.unlink()
    tamper(house.site.home / KEYRING, "DELETE FROM gallery_snapshot")
    second = Site.open(house.site.home, load_extractor=no_models, clock=house.clock)
    from volens.index import packed as pack  # noqa: PLC0415  the one that is interrupted

    def meanwhile(engine: FlatEngine) -> list[bytearray]:
        parts = pack(engine)
        monkeypatch.setattr("volens.index.gallery.packed", pack)
        second.withdraw(code=people[0].code)
        return parts

    with second:
        monkeypatch.setattr("volens.index.gallery.packed", meanwhile)
        house.galleries.close()
        assert peek(house.site.home / KEYRING, "SELECT * FROM gallery_snapshot") == []
        assert snapshots(house.site.home) == []


def test_a_full_disk_costs_the_snapshot_and_not_the_decision(house: House) -> None:
    people = [house.admit() for _ in range(3)]
    (house.site.home / "galleries").write_text("in the way")

    house.reopen()

    assert all(house.sees(person) for person in people)
    assert peek(house.site.home / KEYRING, "SELECT * FROM gallery_snapshot") == []


def test_the_next_erasure_deletes_the_files_of_a_killed_process(house: House) -> None:
    leaver, _stayer = built(house, 2)
    draft = house.site.home / "galleries" / ".0123.draft.tmp"
    draft.write_bytes(b"sealed, without a key")

    house.withdraw(leaver)

    assert list((house.site.home / "galleries").iterdir()) == []


def test_a_small_gallery_is_not_worth_a_snapshot(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volens.index.gallery.SNAPSHOT_FROM", 10)
    for _ in range(9):
        house.admit()
    house.reopen()
    gallery(house)
    house.reopen()
    assert snapshots(house.site.home) == []


def test_packing_and_unpacking_are_inverse() -> None:
    engine = FlatEngine(128)
    sketches = np.random.default_rng(1).integers(0, 256, (8, 16), dtype=np.uint8)
    engine.add_many(np.arange(1, 9), sketches)

    parts = packed(engine)

    assert [len(part) for part in parts] == [3 * 24, 3 * 24, 2 * 24]
    again = FlatEngine(128)
    for part in parts:
        again.add_many(*unpacked(part, 16))
    assert np.array_equal(np.concatenate(again.copy()[1:]), sketches)


def _rows(held: Gallery) -> tuple[list[int], list[bytes]]:
    found, sketches = held.engine.copy()
    return found.tolist(), [sketch.tobytes() for sketch in sketches]
