"""A site on a PostgreSQL server, from the command line: `init --database`, `store join`, `store roles`, two nodes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from declared_gates import open_gates_in
from postgres_server import PostgresServer
from said import Command

from volens import Site
from volens.service.sample_notice import publish_sample_notice

PROMISES = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
CONTROLLER = ("--controller", "Example Ltd", "--contact", "privacy@example.org")


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    database = server.new_database()
    yield database
    server.drop(database)


@pytest.fixture
def root(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'root.key'}"


@pytest.fixture
def two_nodes(volens: Command, home: Path, database: str, root: str) -> tuple[Path, Path]:
    """The homes of two nodes; one zone is open."""
    second = home.parent / "second"
    assert volens("init", "--database", database, "--root-key", root, *CONTROLLER).code == 0
    assert volens("zone", "add", "lobby", "--custody", "operator", *PROMISES).code == 0
    open_gates_in(home, "lobby")
    with Site.open(home) as site:
        publish_sample_notice(site, "lobby", more="We compare your face at the door.")
    said = volens("store", "join", "--home", second, "--database", database, "--root-key", root)
    assert said.code == 0, said.err
    assert "joined site" in said.out
    return home, second


def test_who_is_enrolled_at_one_node_is_known_at_the_other_until_they_withdraw_there(
    volens: Command, two_nodes: tuple[Path, Path], album: Path
) -> None:
    first, second = two_nodes
    who = ("--zone", "lobby", "--name", "Ada Canary", "--jurisdiction", "FR", "--yes-i-read-it")
    given = volens("consent", "give", "--home", first, *who, "--out", "ada.receipt.json", "--new-key", "ada.key")
    assert given.code == 0, given.err
    photos = [album / f"ada-{number}.png" for number in (1, 2, 3)]
    enrolled = volens("enroll", "--home", first, "ada.receipt.json", *photos)
    assert enrolled.code == 0, enrolled.err

    for node in two_nodes:
        assert volens("identify", "--home", node, "--zone", "lobby", album / "ada-door.png").code == 0
        assert volens("doctor", "--home", node).code == 0
    counts = [json.loads(volens("status", "--home", node, "--json").out) for node in two_nodes]
    assert counts[0] == counts[1]

    withdrawn = volens("withdraw", "--home", second, "ada.receipt.json")
    assert withdrawn.code == 0, withdrawn.err
    for node in two_nodes:
        assert volens("identify", "--home", node, "--zone", "lobby", album / "ada-door.png").code == 3
        assert volens("sweep", "--home", node).code == 0
        verified = volens("audit", "verify", "--home", node)
        assert verified.code == 0, verified.err


def test_no_file_of_a_node_has_rows_and_those_with_the_url_are_private(two_nodes: tuple[Path, Path]) -> None:
    for home in two_nodes:
        assert not list(home.glob("*.db*"))
        assert (home / "databases.json").stat().st_mode & 0o777 == 0o600


def test_a_second_site_is_not_made_in_the_same_schema(
    volens: Command, two_nodes: tuple[Path, Path], database: str, root: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    said = volens("init", "--home", other, "--database", database, "--root-key", f"{root}.other", *CONTROLLER)

    assert (said.code, said.err.count("\n")) == (6, 1)
    assert "already has tables; nothing was changed" in said.err
    assert not other.exists()
    assert not list(tmp_path.glob("root.key.other*"))
    assert volens("status", "--home", two_nodes[1]).code == 0


def test_a_site_that_cannot_be_made_leaves_no_schema(
    volens: Command, server: PostgresServer, database: str, root: str, tmp_path: Path
) -> None:
    server.run("CREATE SCHEMA volens; CREATE TABLE volens.more (one INT)", database)
    said = volens("init", "--home", tmp_path / "site", "--database", database, "--root-key", root, *CONTROLLER)

    assert said.code == 6
    assert server.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'volens%'", database) == [("volens",)]
    assert not (tmp_path / "root.key").exists()


def test_a_node_needs_the_root_key_of_the_site_and_a_site_to_join(
    volens: Command, server: PostgresServer, two_nodes: tuple[Path, Path], database: str, root: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong.key").write_bytes(b"k" * 32)
    (tmp_path / "wrong.key").chmod(0o600)
    third = tmp_path / "third"
    wrong = volens("store", "join", "--home", third, "--database", database, "--root-key", f"file:{tmp_path}/wrong.key")
    assert (wrong.code != 0, wrong.err.count("\n")) == (True, 1), wrong
    empty = server.new_database()
    nothing = volens("store", "join", "--home", third, "--database", empty, "--root-key", root)
    assert (nothing.code, "there is no site in" in nothing.err) == (6, True)
    missing = volens("store", "join", "--home", third, "--root-key", root)
    assert (missing.code, "got no --database" in missing.err) == (2, True)
    assert not third.exists()
    assert volens("status", "--home", two_nodes[0]).code == 0


def test_the_roles_are_printed_as_sql_and_refused_for_files(
    volens: Command, two_nodes: tuple[Path, Path], lobby_template: Path
) -> None:
    said = volens("store", "roles", "--home", two_nodes[1], "--json")
    assert json.loads(said.out)["sql"][1] == "BEGIN;"
    assert 'GRANT SELECT, INSERT ON volens.audit_event TO "volens_app";' in said.out.replace('\\"', '"')
    doors = volens("store", "roles", "--home", two_nodes[1], "--door", "north", "--zone", "lobby")
    assert "USING (purpose IN ('lobby'))" in doors.out
    assert volens("store", "roles", "--home", two_nodes[1], "--door", "north").code == 2
    assert volens("store", "roles", "--home", two_nodes[1], "--door", "a b", "--zone", "lobby").code == 2
    files = volens("store", "roles", "--home", lobby_template / "site")
    assert (files.code, "are files, which have no roles" in files.err) == (2, True)
