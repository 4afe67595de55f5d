"""Errors about damaged rows say what to do where the databases are: files are restored, rows of a server put back."""

from pathlib import Path

import pytest
from house import House

from tests.unit.store.raw import DATA, KEYRING, tamper
from volens.consent import TamperError
from volens.consent.errors import DamagedDataError
from volens.service.http.problems import kind_of
from volens.store.keys import lost_secret
from volens.store.postgres import postgres_errors
from volens.store.recovery_advice import ON_FILES, ON_SERVER
from volens.store.sqlite import sqlite_errors

ADVICE = {"files": ON_FILES, "server": ON_SERVER}


@pytest.mark.parametrize("part", ["data", "keyring", "secret"])
def test_a_transaction_adds_what_to_do_with_its_engine(part: str) -> None:
    said = []
    for translated in (sqlite_errors.translated(Path("some.db")), postgres_errors.translated("some/volens")):
        with pytest.raises(DamagedDataError) as caught, translated:
            raise DamagedDataError("a row is missing", part)
        said.append(str(caught.value))

    assert said == [f"integrity: a row is missing; {one[part]}" for one in (ON_FILES, ON_SERVER)]


def test_outside_of_transactions_the_advice_holds_for_both_engines() -> None:
    assert str(lost_secret()).endswith("consent in force; restore the newest backup (docs/backup.md)")


def test_over_http_it_is_a_problem_of_the_same_type_as_other_tampering() -> None:
    assert kind_of(DamagedDataError("a row is missing")) == kind_of(TamperError("a seal does not hold")) == "tamper"


def test_what_is_said_on_a_server_names_no_file() -> None:
    for advice in ON_SERVER.values():
        assert advice.startswith("stop all nodes, and ")
        assert not [one for one in ("data file", "volens.db", "keyring.db") if one in advice]


def test_a_changed_row_is_reported_with_what_to_do_where_it_is(house: House, engine: str) -> None:
    tamper(house.site.home / DATA, "UPDATE zone SET alternative = alternative || '!'")

    with pytest.raises(TamperError, match="the rows of zone 'lobby'") as caught:
        house.site.notice("lobby")
    assert str(caught.value).endswith(f"; {ADVICE[engine]['data']}")


def test_a_missing_secret_is_reported_with_what_to_do_where_it_is(house: House, engine: str) -> None:
    person = house.admit()
    house.site.close()
    tamper(house.site.home / KEYRING, "DELETE FROM grant_secret WHERE receipt_id = ?", person.receipt_id)
    house.reopen()

    with pytest.raises(TamperError, match="has no secret for a consent in force") as caught:
        house.sees(person)
    assert str(caught.value).endswith(f"; {ADVICE[engine]['secret']}")
