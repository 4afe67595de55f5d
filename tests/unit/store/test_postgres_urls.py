"""URLs of PostgreSQL databases: what is accepted, and that no message, text or repr shows a password."""

import pytest

from volens.consent import InputError
from volens.store import role_sql, server_databases
from volens.store.postgres import DatabaseUrl
from volens.store.site_databases import SiteDatabases

SECRET = "swordfish"  # noqa: S105  made up
BAD = (
    f"mysql://u:{SECRET}@h/d",
    f"sqlite:///{SECRET}",
    f"postgresql+asyncpg://u:{SECRET}@h/d",
    f"postgresql://u:{SECRET}@h",
    f"postgresql://u:{SECRET}@h/",
    f"postgresql://u:{SECRET}@h:port/d",
    f"postgresql://u:{SECRET}@h/d?schema=pg_catalog",
    f"postgresql://u:{SECRET}@h/d?schema=A-B",
    f"postgresql://u:{SECRET}@h/d?schema=a&schema=b",
    f"postgresql://u@h/d?password={SECRET}",
    f"postgresql://u:{SECRET}@h/d?dbname=other",
    f"postgresql://u:{SECRET}@h/d%0Ae",
    f"postgresql://u:{SECRET}@h/d%22e",
    f"postgresql://u:{SECRET}@h/{'d' * 64}",
    f"postgresql://u:{SECRET}@h/{'d' * 2000}",
    f"{SECRET}",
    "",
)


@pytest.mark.parametrize("text", BAD)
def test_a_bad_url_is_refused_with_its_form_and_without_its_password(text: str) -> None:
    with pytest.raises(InputError, match=r"postgresql\+psycopg://USER@HOST:PORT/DATABASE") as refused:
        DatabaseUrl.parse(text, schema="volens")

    assert SECRET not in str(refused.value)


def test_no_text_of_a_url_has_its_password() -> None:
    url = DatabaseUrl.parse(f"postgresql://u:{SECRET}@h/d?sslpassword={SECRET}&sslmode=require", schema="v")

    assert [SECRET in text for text in (str(url), repr(url), f"{url}", f"{url!r}", f"{[url]}")] == [False] * 5
    assert str(url) == "postgresql+psycopg://u:***@h/d"
    assert url.reveal().count(SECRET) == 2
    assert SECRET not in repr(SiteDatabases(url.reveal(), url.reveal()))


def test_a_url_is_stored_with_its_schema_and_read_again() -> None:
    url = DatabaseUrl.parse("postgresql://u@/d?host=a:5432&host=b:5433&target_session_attrs=read-write", schema="v")

    assert DatabaseUrl.parse(url.reveal(), schema="other") == url
    assert url.url.query["host"] == ("a:5432", "b:5433")


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
