"""Dumps by the server's own programs: an older one brings no one back, and one command brings the site up to date."""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from dump_programs import WHOLE, run_program
from house import House, Person, no_models
from postgres_server import PostgresServer

import volens.erase.replay
from volens import Site
from volens.consent import InputError, TamperError, UnavailableError
from volens.erase import Restored, RestoreOrder
from volens.erase.proof import verify_certificate


@dataclass
class Dumped:
    """A site on a server that was dumped while Ada and Bob were enrolled; Ada withdrew since, and Eve was enrolled."""

    house: House
    database: str
    folder: Path
    backup: Path
    ada: Person
    bob: Person
    eve: Person

    @property
    def home(self) -> Path:
        return self.house.site.home

    def dump(self, name: str, schema: str) -> None:
        run_program("pg_dump", self.database, "-Fc", "-n", schema, "-f", self.folder / name)

    def restore(self, name: str) -> None:
        run_program("pg_restore", self.database, *WHOLE, self.folder / name)

    def open(self) -> Site:
        return Site.open(self.home, load_extractor=no_models, clock=self.house.clock)

    def bring_up_to_date(self, order: RestoreOrder) -> Restored:
        return Site.restore(
            self.home, order, clock=self.house.clock, random=os.urandom, progress=lambda _done, _total: None
        )

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
    house.site.backup(tmp_path / "backup")
    past = Dumped(house, database, tmp_path, tmp_path / "backup", ada, bob, ada)
    past.dump("data before", "volens")
    house.clock.move(hours=2)
    house.withdraw(ada)
    past.eve = house.admit()
    house.site.close()
    yield past
    server.drop(database)


def advised(sentence: str) -> RestoreOrder:
    """Return the restore that an error names."""
    (command,) = re.findall(r"run '(volens restore [^']*)'", sentence)
    words = shlex.split(command)[2:]
    assert words.pop(0) == "--in-place"
    certificates = Path(words[words.index("--replay") + 1]) if "--replay" in words else None
    return RestoreOrder(None, in_place=True, certificates=certificates)


def interrupt(*_arguments: object) -> None:
    raise KeyboardInterrupt


def check_only_bob_is_left(dumped: Dumped) -> None:
    """Check who matches, that the log holds, and that Ada's certificate verifies."""
    for _ in range(2):
        site = dumped.open()
        house = House.of(site, [dumped.ada, dumped.bob, dumped.eve])
        assert [house.sees(one) for one in house.people] == [False, True, False]
        site.log.verify()
        assert site.evidence.check_kept() is not None
        for path in (site.home / "certificates").glob("*.json"):
            assert verify_certificate(path.read_bytes(), site.verifier_key).reason == "withdrawn"
        house.invite()
        site.close()


def test_an_older_dump_of_the_data_is_brought_up_to_date_in_place(
    dumped: Dumped, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(dumped.open()) as site:
        site.feed.follow()
        with pytest.raises(UnavailableError, match="1 processes serve this site; end them on all nodes, wait 15 s"):
            dumped.bring_up_to_date(RestoreOrder(None, in_place=True))

    dumped.restore("data before")  # from before that process, too
    sentence = dumped.refused()
    assert "the keyring remembers" in sentence
    assert "this is an older database, and withdrawals since then would be undone" in sentence
    with pytest.raises(InputError, match=r"restore them there by its own means, then run .* without a folder"):
        dumped.bring_up_to_date(RestoreOrder(dumped.backup, in_place=True))
    with pytest.raises(InputError, match=r"there is no home .* of a node; check the path"):
        dumped.bring_up_to_date(RestoreOrder(None, in_place=True, nodes=[dumped.folder / "none"]))
    assert dumped.refused() == sentence

    # Interrupted before the first erasure, the site is closed until the same command has finished.
    with monkeypatch.context() as patched:
        patched.setattr(volens.erase.replay, "erase_consents", interrupt)
        with pytest.raises(KeyboardInterrupt):
            dumped.bring_up_to_date(advised(sentence))
    assert dumped.refused() == ("integrity: a restore of this site was not finished; run 'volens restore --in-place'")

    restored = dumped.bring_up_to_date(advised(sentence))

    assert (restored.replayed, restored.enroll_again, restored.lost_entries, restored.made_at) == (1, 1, 0, None)
    check_only_bob_is_left(dumped)
