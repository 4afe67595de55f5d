"""A witness that is not ours, `aics-witness` (C2SP tlog-witness v1.1.0), cosigns the public log of a site."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aics_witness.cli import main
from aics_witness.config import load_config
from aics_witness.service import Witness, WitnessError, make_server
from aics_witness.store import WitnessStore, load_or_create_key
from house import House

from tests.webhooks.test_cosigning import ask, grow, problem, published
from volens.audit import Checkpoint, open_checkpoint
from volens.audit.cosignature import WitnessKey, add_checkpoint_request, require_quorum


@dataclass
class Another:
    """The witness, its verifier key, its store and its configuration."""

    url: str
    vkey: str
    store: WitnessStore
    witness: Witness
    config: Path

    def trust(self, house: House) -> None:
        """Add the site's newest key, as its operator would by hand."""
        key = house.site.verifier_key
        named = ("--config", str(self.config), "--origin", key.name, "--vkey", key.newest.line())
        assert main(["add-log", *named]) == 0
        self.witness.set_logs(load_config(self.config).logs)


@contextmanager
def serving(folder: Path) -> Iterator[Another]:
    config = folder / "witness.json"
    assert main(["init", "--config", str(config), "--name", "witness.example/another"]) == 0
    settings = load_config(config)
    key, _, _ = load_or_create_key(settings.key_path, create=False)
    store = WitnessStore(settings.db_path)
    witness = Witness(settings.name, key, store, settings.logs)
    server = make_server(witness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Another(server.url, witness.vkey_text, store, witness, config)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        store.close()


@pytest.fixture
def another(house: House, tmp_path: Path) -> Iterator[Another]:
    with serving(tmp_path / "witness") as one:
        house.site.log.witnesses.add("another", url=one.url, key=one.vkey, allow_private=True)
        yield one


def test_another_witness_cosigns_each_checkpoint_of_a_growing_log(house: House, another: Another) -> None:
    assert "does not know this log (404)" in problem(house)
    another.trust(house)
    for leaves in (0, 1, 300, 7):
        if leaves:
            grow(house, leaves)
        assert [asked.problem for asked in ask(house)] == [None]
        (found,) = require_quorum(published(house), [WitnessKey.parse(another.vkey)], 1)
        assert found.line in published(house)
    assert another.store.evidence() == [], "it saw nothing that was wrong"


def test_another_witness_follows_a_rotation_of_the_signing_key(house: House, another: Another) -> None:
    another.trust(house)
    assert ask(house)[0].problem is None
    house.site.keys.rotate(signing=True)
    assert "it knows the log, but not the key that signs it now (403)" in problem(house)
    another.trust(house)
    assert ask(house)[0].problem is None


def test_another_witness_refuses_a_fork_and_the_site_says_so(house: House, another: Another) -> None:
    """Someone with the site's key signed another log of more entries, before the site asked again."""
    another.trust(house)
    assert ask(house)[0].problem is None
    grow(house, 5)
    size = house.site.log.verify().size
    old = house.site.log.witnesses.all()[0].size
    assert old is not None
    forged = house.store.keyring.sign_checkpoint(Checkpoint(house.site.verifier_key.name, size, bytes([7]) * 32))
    body = add_checkpoint_request(old, house.site.log.consistency(old, size), forged)
    with pytest.raises(WitnessError) as refused:
        another.witness.add_checkpoint(body)
    assert refused.value.status == 422
    assert ask(house)[0].problem is None, "the true log continues what it cosigned"
    assert open_checkpoint(published(house), house.site.verifier_key).size == size
    assert len(another.store.evidence()) == 1, "the other witness keeps the forged one as evidence"


def test_another_witness_that_lost_nothing_knows_a_log_that_was_rolled_back(
    house: House, another: Another, tmp_path: Path
) -> None:
    another.trust(house)
    shutil.copytree(house.site.home, tmp_path / "copy")
    grow(house, 5)
    assert ask(house)[0].problem is None
    older = House.copied(tmp_path / "copy", tmp_path / "older")
    with older.site:
        assert "the data was rolled back, or another site uses the same key" in problem(older)
        older.bits.seed(5)  # other salts: a fork of the same length, and then a longer one
        grow(older, 5)
        assert "refuses the proof that the log only grew (422)" in problem(older)
        grow(older, 5)
        assert "refuses the proof that the log only grew (422)" in problem(older)
    # Of the same length it keeps both requests: before the 409 and after it.
    assert len(another.store.evidence()) == 3
