"""Moving a site from files to a server and back: everyone is there afterwards, and the old place serves nothing."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import command_line
import pytest
from connections import lock_timeout
from house import House, Person, no_models
from moves import move, shown
from pins import cheap_pins
from postgres_server import PostgresServer
from sqlalchemy import Column as Of
from sqlalchemy import Connection, Integer, LargeBinary, MetaData, Table, Text, create_engine, insert, text

from volens import Site
from volens.consent import InputError, ShownFactor, TamperError, UnavailableError
from volens.erase.proof import verify_certificate
from volens.service.cli import store_commands
from volens.store import SiteDatabases, read_databases, server_databases
from volens.store.database_place import DatabasePlace
from volens.store.moving import site_move
from volens.store.moving.row_digests import table_digests
from volens.store.programs.processes import Processes
from volens.store.signpost import DRAFT, SiteMovedError, set_revision


@dataclass
class Crowd:
    """A populated site, closed, and the URL of its database if that is on a server. Tests work on copies."""

    home: Path
    database: str | None
    stays: list[Person]
    left: Person
    paused: Person
    badge: Person
    phone: Person
    certificate: bytes

    @classmethod
    def build(cls, home: Path, database: str | None) -> Self:
        house = House.build(home, database=database)
        house.declare("badges", custody="badge")
        house.declare("phones", custody="subject_key")
        house.declare("vault", second_factor="pin")
        house.site.rights.recipients.add("lobby", "Door panels", contact="panels@example.org")
        house.site.programs.endpoints.add("lobby", "Door panels", url="https://panels.example/volens")
        stays = [house.admit() for _ in range(3)]
        left, paused = house.admit(), house.admit()
        badge, phone = house.admit("badges"), house.admit("phones")
        with cheap_pins():
            house.site.factors.set(house.admit("vault").receipt_id, ShownFactor.pin("719035"))
        house.site.link_external_id(stays[1].receipt_id, "P-1815")
        house.visit(*stays)
        certificate = house.withdraw(left).certificate_path.read_bytes()
        house.site.changes.restrict(paused.receipt_id)
        house.site.close()
        return cls(home, database, stays, left, paused, badge, phone, certificate)


@dataclass
class Scene:
    """A copy of the crowd, closed; where it is, and where it will be."""

    crowd: Crowd
    house: House
    old: SiteDatabases | None
    new: SiteDatabases | None

    @property
    def home(self) -> Path:
        return self.house.site.home

    def opened(self) -> House:
        self.house.site = Site.open(self.home, load_extractor=no_models, clock=self.house.clock)
        return self.house

    def check(self) -> None:
        """Check that everyone is recognised who was, and no one else."""
        house, crowd = self.opened(), self.crowd
        assert [house.sees(one) for one in crowd.stays] == [True] * len(crowd.stays)
        assert not house.sees(crowd.left)
        assert not house.sees(crowd.paused)
        assert house.verify(crowd.badge, carried=crowd.badge.carried).match is not None
        assert house.verify(crowd.phone, carried=crowd.phone.carried).match is not None
        assert house.site.log.verify().kinds["consent.ended"] == 1
        assert [one.recipient for one in house.site.programs.endpoints.list()] == ["Door panels"]


@pytest.fixture(scope="module")
def crowds(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Crowd]]:
    """The crowd of an engine, built when the first test asks for it."""
    found: dict[str, Crowd] = {}

    def crowd(engine: str) -> Crowd:
        if engine not in found:
            database = server.new_database() if engine == "server" else None
            found[engine] = Crowd.build(tmp_path_factory.mktemp(f"crowd-{engine}") / "home", database)
        return found[engine]

    yield crowd
    for one in found.values():
        if one.database is not None:
            server.drop(one.database)


@pytest.fixture
def scene(engine: str, crowds: Callable[[str], Crowd], server: PostgresServer, tmp_path: Path) -> Iterator[Scene]:
    crowd = crowds(engine)
    here = None if crowd.database is None else server.copy_of(crowd.database)
    there = server.new_database()
    house = House.copied(crowd.home, tmp_path / "home", here)
    house.site.close()
    yield Scene(crowd, house, read_databases(tmp_path / "home"), server_databases(there) if here is None else None)
    house.site.close()
    for one in (there, here):
        if one is not None:
            server.drop(one)


def test_after_a_move_everyone_is_there_and_the_old_place_refuses(scene: Scene, tmp_path: Path) -> None:
    moved = move(scene.home, scene.new)
    assert moved.scrubbed
    assert moved.root_key_replaced
    assert moved.copied is not None
    assert moved.copied.proved.references == 5
    assert moved.copied.proved.closed_references == 2
    assert moved.copied.proved.certificates == 1
    assert moved.copied.tables["receipt"].rows == 8

    scene.check()

    house, site = scene.house, scene.house.site
    assert read_databases(scene.home) == scene.new
    verify_certificate(scene.crowd.certificate, site.verifier_key)
    house.withdraw(scene.crowd.stays[0])
    assert [house.sees(one) for one in scene.crowd.stays] == [False, True, True]
    assert house.sees(house.admit())
    assert site.log.verify().kinds["site.moved"] == 1
    assert f"this site was moved to {moved.place}" in shown(scene.home, tmp_path / "aside", scene.old)
    # No row of a person is left in the files that were moved away.
    for path in (scene.home / "volens.db", scene.home / "keyring.db") if scene.old is None else ():
        assert scene.crowd.stays[1].receipt_id.encode() not in path.read_bytes()


def test_there_and_back_again_every_row_is_what_it_was(scene: Scene) -> None:
    first = move(scene.home, scene.new).copied
    scene.check()
    scene.house.site.close()
    second = move(scene.home, scene.old).copied
    scene.check()
    assert first is not None
    assert second is not None
    # Opening, looking and moving only write to the log, to the keys and about processes.
    same = {name for name, digest in first.tables.items() if second.tables[name] == digest}
    assert {"receipt", "live_consent", "biometric_reference", "badge", "consent_end", "certificate", "notice"} <= same
    assert scene.house.site.log.verify().kinds["site.moved"] == 2


@pytest.mark.of_files
def test_while_another_process_serves_nothing_is_moved(scene: Scene) -> None:
    house = scene.opened()
    Processes(house.store).report("0" * 16, house.clock(), 1, 1)
    with pytest.raises(UnavailableError, match="1 other processes serve this site"):
        move(scene.home, scene.new)
    assert house.sees(scene.crowd.stays[0])
    house.clock.move(seconds=16)
    with house.store.write(), lock_timeout(0.1), pytest.raises(UnavailableError, match="locked"):
        move(scene.home, scene.new)
    assert house.sees(scene.crowd.stays[0])


def test_a_process_that_has_the_old_place_open_matches_no_one_after_a_move(scene: Scene) -> None:
    before = scene.opened()
    assert before.sees(scene.crowd.stays[0])
    old = before.site
    move(scene.home, scene.new)
    with pytest.raises((UnavailableError, TamperError), match="was moved"):
        before.sees(scene.crowd.stays[0])
    with pytest.raises((UnavailableError, TamperError), match="was moved"):
        before.withdraw(scene.crowd.stays[0])
    old.close()
    scene.check()


@pytest.mark.of_files
@pytest.mark.parametrize("damage", ["a row is lost", "a row is changed", "a row is added"])
def test_a_copy_that_is_not_equal_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    statement = {
        "a row is lost": "DELETE FROM external_id",
        "a row is changed": "UPDATE certificate SET token = token || 'x'",
        "a row is added": "INSERT INTO site_default VALUES (0, 'zone', 'lobby', '2099-03-01T12:00:00Z')",
    }[damage]
    copy_rows = site_move.copy_rows

    def damaged(source: Connection, target: Connection, metadata: MetaData, progress: object) -> None:
        copy_rows(source, target, metadata, progress)  # type: ignore[arg-type]
        if "site" in metadata.tables:
            target.execute(text(statement))

    monkeypatch.setattr(site_move, "copy_rows", damaged)
    with pytest.raises(TamperError, match="is not equal to the original; nothing was changed"):
        move(scene.home, scene.new)
    assert read_databases(scene.home) is None
    assert [DatabasePlace.of(one, scene.home, scene.new).left() for one in ("data", "keyring")] == [None, None]
    scene.check()


@pytest.mark.of_files
def test_a_broken_seal_or_certificate_of_another_log_stops_a_move(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.home / "volens.db")) as file, file:
        file.execute("DELETE FROM row_seal WHERE scope_id = ?", [scene.crowd.stays[1].receipt_id])
    with pytest.raises(TamperError, match="have no seal"):
        move(scene.home, scene.new)
    assert read_databases(scene.home) is None


@pytest.mark.of_files
def test_a_place_that_is_in_use_is_never_written(scene: Scene, server: PostgresServer, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", database=(url := server.new_database()))
    other.site.close()
    with pytest.raises(InputError, match="already has tables of a site; nothing was changed"):
        move(scene.home, server_databases(url))
    engine = other.store.data
    with engine.write() as connection:
        set_revision(connection, DRAFT)
    with pytest.raises(InputError, match="already has tables"):  # a copy of another site
        move(scene.home, server_databases(url))
    with pytest.raises(InputError, match="the site is already in"):
        move(scene.home, None)
    with pytest.raises(UnavailableError, match="is an unfinished copy of a site and serves nothing"):
        Site.open(other.site.home, load_extractor=no_models, clock=other.clock)
    engine.close()
    scene.check()


@pytest.mark.of_files
def test_another_node_is_switched_by_the_same_command(scene: Scene, tmp_path: Path, server: PostgresServer) -> None:
    database = server.new_database()
    move(scene.home, scene.new)
    said = shown(scene.home, tmp_path / "aside", None)
    assert "nothing serves from here any more" in said
    move(scene.home, server_databases(database))
    node = tmp_path / "node"
    node.mkdir()
    for one in ("databases.json", "root.key", "site.pub"):
        shutil.copy(scene.home / one, node)
    assert scene.new is not None
    site_move.write_databases(node, scene.new)
    with pytest.raises(SiteMovedError):
        Site.open(node, load_extractor=no_models, clock=scene.house.clock)
    with pytest.raises(InputError, match=r"this site was moved to postgresql://.*; give that place"):
        move(node, None)
    assert move(node, server_databases(database)).copied is None
    with Site.open(node, load_extractor=no_models, clock=scene.house.clock) as site:
        assert House.of(site).sees(scene.crowd.stays[0])


@pytest.mark.of_files
def test_the_command_says_what_was_proved(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_commands, "utc_now", scene.house.clock)
    assert command_line.run(["store", "copy", "--home", str(scene.home)]) == 2
    assert scene.new is not None
    place = ["--to", scene.new.data, "--keyring-to", scene.new.keyring, "--home", str(scene.home)]
    assert command_line.run(["store", "copy", "--to-files", *place]) == 2
    capsys.readouterr()
    assert command_line.run(["store", "copy", "--json", *place]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tables"]["receipt"]["rows"] == 8
    assert (document["references"], document["certificates"], document["scrubbed"]) == (5, 1, True)
    assert "schema=volens" in document["place"]
    scene.check()


def test_no_two_rows_have_the_same_digest() -> None:
    metadata = MetaData()
    table = Table("t", metadata, Of("k", Integer, primary_key=True), Of("a", Text), Of("b", LargeBinary))

    def digest(*rows: tuple[int, str | None, bytes | None]) -> tuple[int, str]:
        engine = create_engine("sqlite://")
        with engine.begin() as connection:
            metadata.create_all(connection)
            for key, one, other in rows:
                connection.execute(insert(table).values(k=key, a=one, b=other))
            return table_digests(connection, metadata, lambda _more: None)["t"]

    made = [
        digest(),
        digest((1, "a", b"")),
        digest((1, "", b"a")),
        digest((1, None, b"a")),
        digest((1, "a", None)),
        digest((1, "at\0", b"")),
        digest((1, "a", b""), (2, "", b"")),
        digest((1, "", b""), (2, "a", b"")),
    ]
    assert len(set(made)) == len(made)
    assert digest((1, "a", b""), (2, "", b"")) == digest((2, "", b""), (1, "a", b""))
