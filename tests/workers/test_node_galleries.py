"""Galleries of several nodes: each opens them from the snapshot in its own home, and of the zones that it serves."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import DIMENSION, MODEL, House, no_models

from volens import Site
from volens.consent import InputError, Purpose, RefusedError, UnavailableError
from volens.index import Gallery, opened
from volens.store.schema.keyring_tables import gallery_snapshot

LOBBY = Purpose("lobby")


@pytest.fixture
def engine() -> str:
    return "server"


@pytest.fixture(autouse=True)
def opened_embeddings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Keep snapshots of small galleries; count the sealed embeddings that galleries are built from."""
    count: list[int] = []

    def watched(*arguments: object) -> object:
        count.append(len(arguments[1]))  # type: ignore[arg-type]
        return opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("volens.index.gallery.SNAPSHOT_FROM", 1)
    monkeypatch.setattr("volens.index.gallery.opened", watched)
    return count


@pytest.fixture
def second(house: House, tmp_path: Path) -> Iterator[House]:
    """Another node, with a home of its own."""
    home = Path(shutil.copytree(house.site.home, tmp_path / "second", ignore=shutil.ignore_patterns("galleries")))
    node = House.of(Site.open(home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes))
    yield node
    node.site.close()


def gallery(node: House, zone: str = LOBBY) -> Gallery:
    with node.store.read() as connection:
        return node.galleries.of(connection, Purpose(zone), MODEL, DIMENSION)


def files(node: House) -> list[Path]:
    return sorted((node.site.home / "galleries").glob("*"))


def rows(node: House) -> int:
    with node.store.keyring.read() as keys:
        return len(keys.execute(gallery_snapshot.select()).all())


def test_each_node_opens_its_gallery_from_its_own_snapshot(
    house: House, second: House, opened_embeddings: list[int]
) -> None:
    for _ in range(3):
        house.admit()
    for node in (house, second):
        gallery(node)
        node.galleries.close()
        assert len(files(node)) == 1
    assert files(house)[0].name != files(second)[0].name
    assert rows(house) == 2
    opened_embeddings.clear()
    for node in (house, second):
        node.reopen()
        assert len(gallery(node)) == 3
        node.galleries.close()
    assert sum(opened_embeddings) == 0
    assert rows(house) == 2


def test_a_withdrawal_ends_the_snapshots_of_all_nodes(house: House, second: House) -> None:
    ada, _ = house.admit(), house.admit()
    for node in (house, second):
        gallery(node)
        node.galleries.close()
    house.withdraw(ada)
    assert files(house) == []
    assert rows(house) == 0
    for key in house.site.home.glob("*.key"):  # nodes share the root key, which the erasure replaced
        shutil.copy(key, second.site.home / key.name)
    second.site.feed.follow()
    assert files(second) == []


def test_a_node_has_galleries_only_of_the_zones_that_it_serves(house: House) -> None:
    house.declare("lab")
    ada = house.admit()
    house.galleries.serve_only([LOBBY])
    house.galleries.load(MODEL, DIMENSION)
    assert [purpose for purpose, _ in house.galleries.built()] == [LOBBY]
    assert house.sees(ada)
    with pytest.raises(UnavailableError, match="this node does not serve zone 'lab'"):
        gallery(house, "lab")
    assert house.galleries.built().keys() == {(LOBBY, MODEL)}


def test_a_zone_that_is_unknown_or_has_no_gallery_cannot_be_served(house: House) -> None:
    house.declare("vault", custody="badge")
    with pytest.raises(InputError, match="no zone"):
        house.galleries.serve_only([Purpose("nowhere")])
    with pytest.raises(RefusedError, match="allows no identification"):
        house.galleries.serve_only([Purpose("vault")])
