import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import pytest
from house import House, Person

from volens.audit import Checkpoint, root
from volens.erase.proof import Erased
from volens.store.log import log_size, node_reader
from volens.store.people import sealed_references


@pytest.fixture(autouse=True, scope="session")
def _stop_the_fork_server() -> Iterator[None]:
    yield
    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()


@dataclass
class Past:
    """A site that was backed up while Ada was enrolled; since then she withdrew, and Eve was enrolled.

    Attributes:
        root_key: a copy of the root key that was made with the full backup. Ada's withdrawal replaced that key.
    """

    house: House
    backup: Path
    full_backup: Path
    root_key: Path
    ada: Person
    bob: Person
    eve: Person
    sealed: bytes
    certificate: Erased
    head: Checkpoint

    @property
    def home(self) -> Path:
        return self.house.site.home

    def people(self) -> list[Person]:
        return [self.ada, self.bob, self.eve]


def head_of(house: House) -> Checkpoint:
    with house.store.read() as connection:
        size = log_size(connection)
        return Checkpoint(house.store.origin, size, root(size, node_reader(connection)))


@pytest.fixture
def past(house: House, tmp_path: Path) -> Past:
    ada, bob = house.admit(), house.admit()
    with house.store.read() as connection:
        (reference,) = sealed_references(connection, [ada.receipt_id])
    house.site.backup(tmp_path / "backup")
    house.site.backup(tmp_path / "full", with_keyring=True)
    root_key = tmp_path / "root key of the backup"
    shutil.copy(house.site.home / "root.key", root_key)
    house.clock.move(hours=2)
    erased = house.withdraw(ada)
    eve = house.admit()
    head = head_of(house)
    house.site.close()
    return Past(
        house,
        tmp_path / "backup",
        tmp_path / "full",
        root_key,
        ada,
        bob,
        eve,
        reference.sealed_embedding[13:],
        erased,
        head,
    )
