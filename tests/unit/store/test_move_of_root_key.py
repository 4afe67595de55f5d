"""A root key that a service wrapped is found after a move: in the keyring's database of a server, or in the home."""

from pathlib import Path

from house import House, no_models
from moves import move
from postgres_server import PostgresServer
from transit import TOKEN, transit

from volens import Site
from volens.store import server_databases
from volens.store.keys.root_key.key_record import read_record


def test_a_key_that_vault_wrapped_opens_the_site_there_and_back_again(tmp_path: Path, server: PostgresServer) -> None:
    (tmp_path / "token").write_text(TOKEN)
    home, database = tmp_path / "home", server.new_database()
    with transit() as vault:
        house = House.build(home, root_key=vault.url(token_file=str(tmp_path / "token")))
        person = house.admit()
        house.site.close()
        for to in (server_databases(database), None):
            assert move(home, to).root_key_replaced
            record = read_record(home)
            assert record is not None
            assert (record.wrapped is None) is (to is not None)
            house.site = Site.open(home, load_extractor=no_models, clock=house.clock)
            assert house.sees(person)
            house.withdraw(house.admit())  # replaces the root key
            house.site.close()
    server.drop(database)
