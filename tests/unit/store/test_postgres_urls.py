"""URLs of PostgreSQL databases: what is accepted, and that a password is refused and not repeated."""

from pathlib import Path

import pytest
from command_line import run_captured

from volens.consent import InputError
from volens.store import role_sql, server_databases
from volens.store.postgres import DatabaseUrl

SECRET = "swordfish"  # noqa: S105  made up
HOW_TO_GIVE_IT = (
    "leave it out, and write it into ~/.pgpass or the file that PGPASSFILE names (mode 0600), or set PGPASSWORD"
)
WITH_PASSWORD = (
    f"postgresql://u:{SECRET}@h/d",
    f"postgresql+psycopg://u:{SECRET}@/d?host=a:5432&host=b:5433",
    *(
        f"postgresql://u@h/d?sslmode=require&{name}={SECRET}"
        for name in ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
    ),
)
COMMANDS = (
    ("init", "--database", "{bad}"),
    ("init", "--database", "postgresql://u@h/d", "--keyring-database", "{bad}"),
    ("store", "join", "--database", "{bad}"),
    ("store", "copy", "--to", "{bad}"),
)
BAD = (
    f"mysql://u:{SECRET}@h/d",
    f"sqlite:///{SECRET}",
    f"postgresql+asyncpg://u:{SECRET}@h/d",
    f"postgresql://u:{SECRET}@h",
    f"postgresql://u:{SECRET}@h/",
    f"postgresql://u:{SECRET}@h:port/d",
    "postgresql://u@h/d?schema=pg_catalog",
    "postgresql://u@h/d?schema=A-B",
    "postgresql://u@h/d?schema=a&schema=b",
    "postgresql://u@h/d?dbname=other",
    "postgresql://u@h/d?user=other",
    "postgresql://u@h/d%0Ae",
    "postgresql://u@h/d%22e",
    f"postgresql://u@h/{'d' * 64}",
    f"postgresql://u:{SECRET}@h/{'d' * 2000}",
    f"{SECRET}",
    "",
)


@pytest.mark.parametrize("text", BAD)
def test_a_bad_url_is_refused_with_its_form_and_without_its_password(text: str) -> None:
    with pytest.raises(InputError, match=r"postgresql\+psycopg://USER@HOST:PORT/DATABASE") as refused:
        DatabaseUrl.parse(text, schema="volens")

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("text", WITH_PASSWORD)
def test_a_url_with_a_password_is_refused_with_what_to_do_instead(text: str) -> None:
    with pytest.raises(InputError, match="has a password in it, which the list of processes shows") as refused:
        DatabaseUrl.parse(text, schema="volens")

    assert HOW_TO_GIVE_IT in str(refused.value)
    assert SECRET not in str(refused.value)


def test_every_command_with_a_url_refuses_a_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        arguments = [one.format(bad=f"postgresql://u:{SECRET}@h/d") for one in command]
        said = run_captured(capsys, *arguments, "--home", tmp_path / "home")
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
        assert HOW_TO_GIVE_IT in said.err
        assert SECRET not in said.err
        assert not (tmp_path / "home").exists()


def test_a_url_is_stored_with_its_schema_and_read_again() -> None:
    url = DatabaseUrl.parse("postgresql://u@/d?host=a:5432&host=b:5433&target_session_attrs=read-write", schema="v")

    assert DatabaseUrl.parse(str(url), schema="other") == url
    assert url.url.query["host"] == ("a:5432", "b:5433")


def test_an_empty_password_is_none() -> None:
    url = DatabaseUrl.parse("postgresql://u:@h/d", schema="v")

    assert str(url) == "postgresql+psycopg://u:@h/d?schema=v"
    assert DatabaseUrl.parse(str(url), schema="v") == url


def test_the_keyring_is_never_in_the_schema_of_the_data() -> None:
    databases = server_databases("postgresql://u@h/d?schema=site")
    assert databases.keyring.endswith("schema=site_keyring")

    with pytest.raises(InputError, match="one schema of one database; a dump of it would have both"):
        server_databases("postgresql://u@h/d?schema=site", "postgresql+psycopg://u@h/d?schema=site")


@pytest.mark.parametrize("role", ["", "Volens", "a b", "pg_read_all_data", "a;b", 'a"b', "a" * 52])
def test_a_role_has_a_plain_name(role: str) -> None:
    databases = server_databases("postgresql://u@h/d")

    with pytest.raises(InputError, match="a role is named by small letters, digits and underscores"):
        role_sql(databases, role)
    with pytest.raises(InputError, match="a role is named by small letters, digits and underscores"):
        role_sql(databases, "volens_app", role, ["lobby"])


def test_one_role_is_not_both_of_nodes_and_of_doors() -> None:
    with pytest.raises(InputError, match="the role volens_app cannot be both of nodes and of doors; name two"):
        role_sql(server_databases("postgresql://u@h/d"), "volens_app", "volens_app", ["lobby"])
