"""Two releases serve one site for the length of a rollout: this one is the old one, the next one is in a process."""

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from house import House, no_models
from next_release import NextRelease, make_next_release, running
from postgres_server import PostgresServer
from sqlalchemy import make_url

from tests.unit.store.raw import peek
from volens import Site
from volens.consent import UnavailableError
from volens.store import DATA_FILE, join_home, role_sql, server_databases
from volens.store.postgres.postgres_engine import CHECK_EVERY_S
from volens.store.site_databases import read_databases, write_databases


@dataclass
class Operator:
    """Who upgrades the site. On a server, only this home names the role that owns the tables."""

    home: Path
    server: PostgresServer | None = None
    role: str = ""

    def step(self, new: NextRelease, step: str) -> object:
        return new.ask("step", step=step, home=str(self.home))

    def check_rules(self, house: House, new: NextRelease) -> None:
        """Check with both releases that the database refuses what is forbidden; the nodes' role may not try it."""
        with Site.open(self.home, load_extractor=no_models, clock=house.clock, random=os.urandom) as site:
            site.check_rules()
        assert new.ask("check", home=str(self.home)) is None

    def grant(self, new: NextRelease) -> None:
        """Run what `volens store roles` of the new release prints, for nodes and for doors of a zone."""
        if self.server is not None:
            for of in ([self.role], [self.role, f"door_{self.role}", ["lobby"]]):
                self._run(new.ask("roles", home=str(self.home), of=of))

    def wait(self) -> None:
        """Wait until a node on a server compares the schema again."""
        if self.server is not None:
            time.sleep(CHECK_EVERY_S)

    def let_nodes_own_nothing(self, house: House) -> None:
        """Let the nodes use another role, as its home does from now on."""
        databases = read_databases(self.home)
        assert databases is not None
        self._run("\n".join(role_sql(databases, self.role)))
        url = make_url(databases.data).difference_update_query(["schema"]).set(username=self.role)
        write_databases(house.site.home, server_databases(url.render_as_string(hide_password=False)))
        house.reopen()

    def remove_roles(self) -> None:
        for role in (self.role, f"door_{self.role}"):
            self._run(f"DROP OWNED BY {role}")
            self._run(f"DROP ROLE {role}")

    def _run(self, statements: str) -> None:
        databases = read_databases(self.home)
        assert self.server is not None
        assert databases is not None
        self.server.run(statements, databases.data)


@pytest.fixture
def operator(engine: str, house: House, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Operator]:
    if engine == "files":
        yield Operator(house.site.home)
        return
    home, databases = tmp_path / "owner", read_databases(house.site.home)
    assert databases is not None
    root_key = f"file:{house.site.home / 'root.key'}"
    join_home(home, databases, clock=house.clock, random=os.urandom, root_key_url=root_key)
    operator = Operator(home, request.getfixturevalue("server"), f"app_{secrets.token_hex(4)}")
    operator.let_nodes_own_nothing(house)
    yield operator
    house.site.close()
    operator.remove_roles()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_next_release(tmp_path_factory.mktemp("next"))


def test_old_and_new_nodes_serve_together_until_the_old_ones_have_ended(
    house: House, operator: Operator, release: Path
) -> None:
    data = house.site.home / DATA_FILE
    first = house.admit()
    house.site.feed.follow()
    old_id = str(house.store.process_id)
    with running(release, house.site.home) as new:
        # The new release does not break the old one by itself.
        refused = new.ask("open")
        assert refused["error"] == "UnavailableError"
        assert old_id in refused["text"]
        assert "volens upgrade expand" in refused["text"]

        # 1. Expand: the old process goes on, and can be started again.
        assert operator.step(new, "expand") == ["next_expand", True]
        operator.wait()
        assert house.sees(first)
        second = house.admit()
        house.site.feed.leave()
        house.reopen()
        house.site.feed.follow()
        old_id = str(house.store.process_id)

        # 2. Both identify, enroll and withdraw.
        operator.grant(new)
        assert new.ask("open") == "next_expand"
        new.ask("follow")
        third = new.admit()
        house.site.feed.follow()
        assert all(new.sees(one) and house.sees(one) for one in (first, second, third))
        assert new.withdraw(first) == house.withdraw(third).reason
        house.site.feed.follow()
        new.ask("follow")
        assert not any(new.sees(one) or house.sees(one) for one in (first, third))
        assert all(one.sees(second) for one in (new, house))
        assert sorted(peek(data, "SELECT revision, host FROM process")) == [("baseline", None), ("next", "new")]
        operator.check_rules(house, new)
        house.site.log.verify_entries()
        house.site.log.verify_rows()

        # 3. Contract: not before the old one has ended.
        refused = operator.step(new, "contract")
        assert refused["error"] == "UnavailableError"
        assert old_id in refused["text"]
        house.site.feed.leave()
        assert operator.step(new, "contract") == ["next", False]
        operator.wait()
        with pytest.raises(UnavailableError, match="upgraded to the schema 'next' of a newer Volens"):
            house.sees(second)
        with pytest.raises(UnavailableError, match="written by a newer Volens"):
            house.reopen()
        assert new.sees(second)
        assert new.ask("check", home=str(operator.home)) is None
