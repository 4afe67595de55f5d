"""Nodes of one site on a server: each can replace the root key, and the others follow, whoever holds it."""

import random
from pathlib import Path

import numpy as np
import pytest
from house import House, no_models
from postgres_server import PostgresServer

from tests.unit.store.root_key.conftest import Held
from volens import Site, verify_certificate
from volens.consent import TamperError
from volens.store import join_home, server_databases
from volens.store.keys.root_key import RECORD_FILE


def second_node(house: House, home: Path, database: str, root_key: str) -> House:
    """Join the site with another home, as another machine would."""
    bits = random.Random(7)
    join_home(home, server_databases(database), clock=house.clock, random=bits.randbytes, root_key_url=root_key)
    site = Site.open(home, load_extractor=no_models, clock=house.clock, random=bits.randbytes)
    return House(site, house.clock, np.random.default_rng(7), bits)


def test_an_erasure_on_one_node_replaces_the_root_key_of_all(
    held: Held, server: PostgresServer, tmp_path: Path
) -> None:
    database = server.new_database()
    first = House.build(tmp_path / "home", root_key=held.url, database=database)
    second = second_node(first, tmp_path / "other", database, held.url)
    ada, ben = first.admit(), first.admit()
    assert second.sees(ada)
    assert second.sees(ben)

    erased = first.withdraw(ada)

    keys = verify_certificate(erased.certificate_path.read_bytes(), first.store.verifier_key).statement["keys"]
    assert (keys["store_key_destroyed"], keys["root_key_destroyed"]) == (1, True)
    second.site.feed.follow()
    assert not second.sees(ada)
    assert second.sees(ben), "with the new keys"
    carol = second.admit()
    second.withdraw(ben)
    first.site.feed.follow()
    assert first.sees(carol)
    assert not first.sees(ben)
    first.reopen()
    assert first.sees(carol)
    for house in (first, second):
        house.site.close()
    server.drop(database)


def test_no_home_of_a_node_has_the_wrapped_root_key(
    server: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("vault").url()
    database = server.new_database()
    first = House.build(tmp_path / "home", root_key=url, database=database)
    second = second_node(first, tmp_path / "other", database, url)
    for house in (first, second):
        assert "wrapped" not in (house.site.home / RECORD_FILE).read_text()
        house.site.close()
    (stored,) = server.run("SELECT content FROM volens_keyring.shared_document", database)
    assert '"wrapped"' in stored[0]
    server.drop(database)


def test_a_node_with_another_root_key_does_not_join(server: PostgresServer, tmp_path: Path) -> None:
    database = server.new_database()
    first = House.build(tmp_path / "home", root_key=f"file:{tmp_path / 'root.key'}", database=database)
    first.site.close()
    House.build(tmp_path / "stranger", seed=5, root_key=f"file:{tmp_path / 'other.key'}").site.close()
    with pytest.raises(TamperError, match="does not open with this root key"):
        second_node(first, tmp_path / "node", database, f"file:{tmp_path / 'other.key'}")
    assert not (tmp_path / "node").exists()
    server.drop(database)
