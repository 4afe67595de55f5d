"""A real server that is set back by its own means: a base backup, and point-in-time recovery from its archive.

Data and keyring are on it, so both are set back together, and destroyed keys are there again: no one who was erased may
be recognised, at the node that erased, at one that only followed, and at one that runs meanwhile.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dump_programs import WHOLE, run_program
from faulty_server import FaultyServer, faulty_server
from house import Clock, House, Person, no_models

from volens import Site
from volens.consent import RefusedError, TamperError
from volens.erase import Restored, RestoreOrder
from volens.erase.proof import verify_certificate
from volens.store import join_home, server_databases
from volens.store.log.home_evidence import CHECKPOINT_FILE

BEFORE = "before the withdrawal"
HOMES = ("first", "second")
SET_BACK = "this process has seen a log of .* database and keyring were set back"


@dataclass
class Cluster:
    """Two nodes of a site. A base backup was made, then Bob was enrolled, then a restore point was made.

    Since then Ada withdrew at the first node, which replaced the root key, and Eve was enrolled. The second node only
    followed. Both are closed, and the server is stopped: its archive is complete.

    Attributes:
        folder: of the homes and the root key; `root keys` has the root key then, and now.
        certificate: of Ada's erasure.
    """

    server: FaultyServer
    folder: Path
    database: str
    backup: Path
    archive: Path
    clock: Clock
    people: list[Person]
    certificate: str

    def home(self, name: str) -> Path:
        return self.folder / name

    def open(self, name: str) -> House:
        return House.of(Site.open(self.home(name), load_extractor=no_models, clock=self.clock), self.people)

    def refused(self, name: str) -> str:
        with pytest.raises(TamperError) as refused:
            self.open(name)
        return str(refused.value)

    def use_root_key(self, of: str) -> None:
        """Put the root key of then, which a copy has or a key service still unwraps, or the one of now in its place."""
        shutil.copy(self.folder / "root keys" / of, self.folder / "root.key")

    def restore(self, name: str, order: RestoreOrder) -> Restored:
        return Site.restore(
            self.home(name), order, clock=self.clock, random=os.urandom, progress=lambda _done, _total: None
        )

    def check_matches(self, name: str, *matched: bool) -> None:
        """Open a node, and check who matches, that the log holds, and that Ada's certificate verifies."""
        house = self.open(name)
        assert [house.sees(person) for person in self.people] == list(matched)
        house.site.log.verify()
        assert house.site.evidence.check_kept() is not None
        data = (self.home("first") / "certificates" / self.certificate).read_bytes()
        assert verify_certificate(data, house.site.verifier_key).reason == "withdrawn"
        house.site.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    root_keys = folder / "root keys"
    root_keys.mkdir()
    with faulty_server() as server:
        archive, database = server.archive(), server.new_database()
        house = House.build(folder / "first", database=database, root_key=f"file:{folder / 'root.key'}")
        ada = house.admit()
        backup = server.base_backup()
        bob = house.admit()
        server.run(f"SELECT pg_create_restore_point('{BEFORE}')")
        shutil.copy(folder / "root.key", root_keys / "then")
        join_home(
            folder / "second",
            server_databases(database),
            clock=house.clock,
            random=os.urandom,
            root_key_url=f"file:{folder / 'root.key'}",
        )
        second = Site.open(folder / "second", load_extractor=no_models, clock=house.clock)
        house.clock.move(hours=2)
        erased = house.withdraw(ada)
        eve = house.invite()
        second.feed.follow()  # so it has seen another head than the first node
        second.close()
        house.enroll(eve)
        house.site.close()
        shutil.copy(folder / "root.key", root_keys / "now")
        run_program("pg_dump", database, "-Fc", "-n", "volens_keyring", "-f", folder / "keyring now")
        server.stop("fast")
        house.clock.move(hours=1)
        name = erased.certificate_path.name
        yield Cluster(server, folder, database, backup, archive, house.clock, [ada, bob, eve], name)


@pytest.fixture
def cluster(made: Cluster, tmp_path: Path) -> Iterator[Cluster]:
    """The cluster; each test begins with the homes and the root key of now."""
    for name in HOMES:
        shutil.copytree(made.home(name), tmp_path / name)
    made.use_root_key("now")
    yield made
    for name in HOMES:
        shutil.rmtree(made.home(name))
        shutil.copytree(tmp_path / name, made.home(name))


def test_a_base_backup_with_the_whole_archive_is_the_site_of_the_last_commit(cluster: Cluster) -> None:
    cluster.server.set_back(cluster.backup, cluster.archive)
    cluster.check_matches("first", False, True, True)
    cluster.check_matches("second", False, True, True)


def test_a_base_backup_alone_does_not_open_with_the_root_key_of_now(cluster: Cluster) -> None:
    cluster.server.set_back(cluster.backup)
    for name in HOMES:
        sentence = cluster.refused(name)
        assert "does not open with this root key" in sentence
        assert "keyring.db" not in sentence


def test_a_server_set_back_with_all_its_keys_brings_no_one_back(cluster: Cluster) -> None:
    cluster.server.set_back(cluster.backup, cluster.archive, BEFORE)
    cluster.use_root_key("then")

    for name in HOMES:
        sentence = cluster.refused(name)
        assert sentence.startswith(f"integrity: the checkpoint in {cluster.home(name) / CHECKPOINT_FILE}")
        assert "database and keyring are older copies, and withdrawals since then would be undone" in sentence
    # A restore that proves nothing changes nothing.
    with pytest.raises(RefusedError, match="withdrawals may be among the rest"):
        cluster.restore("first", RestoreOrder(None, in_place=True))
    certificates, checkpoint = cluster.home("first") / "certificates", cluster.home("first") / CHECKPOINT_FILE
    kept = checkpoint.read_bytes()
    for source in (f"the checkpoint in {checkpoint}", f"the certificate {certificates}"):
        sentence = cluster.refused("first")
        assert sentence.startswith(f"integrity: {source}")
        assert sentence.endswith(
            "recover both on the server to the last commit; if that cannot be done, run 'volens restore --in-place "
            f"--replay {certificates}'"
        )
        checkpoint.unlink(missing_ok=True)
    checkpoint.write_bytes(kept)

    order = RestoreOrder(None, in_place=True, certificates=certificates, nodes=[cluster.home("second")])
    restored = cluster.restore("first", order)

    assert (restored.replayed, restored.enroll_again) == (1, 0)
    assert restored.lost_entries > 0
    for name in HOMES:
        cluster.check_matches(name, False, True, False)


def test_the_keyring_of_now_on_a_server_set_back_repeats_the_erasure(cluster: Cluster) -> None:
    cluster.server.set_back(cluster.backup, cluster.archive, BEFORE)
    run_program("pg_restore", cluster.database, *WHOLE, cluster.folder / "keyring now")

    for name in HOMES:
        sentence = cluster.refused(name)
        assert "this is an older database, and withdrawals since then would be undone" in sentence
        assert sentence.endswith("run 'volens restore --in-place'")

    restored = cluster.restore("second", RestoreOrder(None, in_place=True))

    # Nothing is lost of the log, so every checkpoint that was given out still holds.
    assert (restored.replayed, restored.enroll_again, restored.lost_entries) == (1, 1, 0)
    for name in HOMES:
        cluster.check_matches(name, False, True, False)


def test_a_node_that_runs_while_its_server_is_set_back_decides_and_writes_nothing(cluster: Cluster) -> None:
    ada, bob, _eve = cluster.people
    cluster.server.set_back(cluster.backup, cluster.archive)
    node = cluster.open("second")
    node.site.feed.follow()
    assert [node.sees(person) for person in (ada, bob)] == [False, True]
    checkpoint = (cluster.home("second") / CHECKPOINT_FILE).read_bytes()

    cluster.server.set_back(cluster.backup, cluster.archive, BEFORE)
    cluster.use_root_key("then")

    for person in (ada, bob):
        with pytest.raises(TamperError, match="nothing is matched"):
            node.sees(person)
        with pytest.raises(TamperError, match="of a bucket key that the keyring does not have"):
            node.verify(person)  # an erasure made newer keys, and a process never goes back to older ones
    with pytest.raises(TamperError, match=SET_BACK):
        node.site.feed.follow()
    with pytest.raises(TamperError, match=SET_BACK):
        node.withdraw(bob)
    assert (cluster.home("second") / CHECKPOINT_FILE).read_bytes() == checkpoint
    node.site.close()
