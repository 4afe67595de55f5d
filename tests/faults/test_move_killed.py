"""A move is killed after each durable step: the old site serves, or the new one, never both; run again, it ends."""

import signal
from collections.abc import Iterator
from pathlib import Path

import dying
import moves
import pytest
from house import Clock, House, no_models
from postgres_server import PostgresServer

from volens import Site
from volens.consent import TamperError, UnavailableError
from volens.store import SiteDatabases, read_databases, server_databases

FROM_THE_OLD = {"made keyring", "made data"}
FROM_THE_NEW = {"released data", "switched"}


@pytest.fixture(params=["to a server", "to files"])
def moving(
    request: pytest.FixtureRequest, server: PostgresServer, tmp_path: Path
) -> Iterator[tuple[House, SiteDatabases | None]]:
    database = server.new_database()
    to_server = request.param == "to a server"
    house = House.build(tmp_path / "home", database=None if to_server else database)
    for _ in range(3):
        house.admit()
    house.withdraw(house.people[0])
    yield house, server_databases(database) if to_server else None
    house.site.close()
    server.drop(database)


def test_killed_after_each_step_one_place_serves_at_most(
    moving: tuple[House, SiteDatabases | None], tmp_path: Path
) -> None:
    house, to = moving
    home = house.site.home
    old = read_databases(home)
    # One move, killed and run again at each step in turn.
    for step in moves.STEPS:
        assert dying.run(moves.move_and_die, home, to, step) == -signal.SIGKILL, step
        said = [moves.shown(home, tmp_path / "aside", place) for place in (old, to)]
        serving = [one == "serves" for one in said]
        assert serving == [step in FROM_THE_OLD, step in FROM_THE_NEW], f"{step}: {said}"
        if step not in FROM_THE_OLD:
            assert "this site was moved to" in said[0], step
        assert read_databases(home) == (to if step == "switched" else old)
        # This process has had the old site open all the time.
        if step in FROM_THE_OLD:
            assert house.sees(house.people[1]), step
        else:
            with pytest.raises((UnavailableError, TamperError), match="was moved"):
                house.sees(house.people[1])
    house.site.close()
    house.site = Site.open(home, load_extractor=no_models, clock=Clock())
    assert [house.sees(one) for one in house.people] == [False, True, True]
    assert house.site.log.verify().kinds["site.moved"] == 1
    house.withdraw(house.people[1])
    assert [house.sees(one) for one in house.people] == [False, False, True]
