"""`volens erase resume` and `volens erase prove`, and any other command that finds an erasure unfinished."""

from pathlib import Path

import pytest
from interruptions import interrupted_after_stop
from said import Command

from volens import Site
from volens.store.files import write_private
from volens.store.people import sealed_name


def planted(home: Path) -> Path:
    """Put a copy of the sealed name where an erasure must find it."""
    with Site.open(home) as site, site.installation.store.read() as connection:
        (one,) = site.receipts_of("Ada Canary")
        name = sealed_name(connection, one)
    assert name is not None
    copy = home / "copy"
    write_private(copy, name)
    return copy


def test_resume_finishes_erasures_and_ends_with_5_while_it_cannot(ada: Path, home: Path, volens: Command) -> None:
    copy = planted(home)
    assert volens("withdraw", ada).code == 5
    stuck = volens("erase", "resume", "--json")
    assert (stuck.code, stuck.json["error"]["kind"]) == (5, "ErasureIncompleteError")
    assert "found beginning of sealed name in copy" in stuck.json["error"]["message"]
    assert volens("erase", "prove", ada).code == 5
    copy.unlink()

    done = volens("erase", "resume", "--json")

    assert done.code == 0
    (finished,) = done.json["finished"]
    assert finished["reason"] == "withdrawn"
    checked = volens("certificate", "verify", finished["certificate"], "--trust", home / "site.pub")
    assert checked.code == 0
    assert "sealed data that existed:\n  sealed name, salted SHA-256 " in checked.out
    assert "afterwards: not run, another process finished the erasure" in checked.out
    again = volens("erase", "resume")
    assert (again.code, again.out) == (0, "0 erasures finished, none is left\n")


@pytest.mark.parametrize(
    "command", [("status",), ("audit", "verify"), ("sweep",), ("doctor",), ("erase", "resume"), ("zone", "list")]
)
def test_any_command_that_opens_the_store_finishes_an_interrupted_erasure(
    ada: Path, home: Path, volens: Command, command: tuple[str, ...]
) -> None:
    with interrupted_after_stop():
        assert volens("withdraw", ada).code == 130
    assert not list(home.glob("certificates/*"))

    assert volens(*command).code == 0

    assert len(list(home.glob("certificates/*"))) == 1
    assert volens("erase", "prove", ada).code == 0


def test_a_service_finishes_interrupted_erasures_of_another_process_at_its_start(
    ada: Path, home: Path, volens: Command
) -> None:
    with interrupted_after_stop():
        assert volens("withdraw", ada).code == 130

    with Site.open(home) as site:
        assert [one.reason for one in site.resumed] == ["withdrawn"]
        assert site.unfinished is None
        assert site.status().unfinished_erasures == 0


def test_prove_lists_what_was_searched_and_finds_restored_data(ada: Path, home: Path, volens: Command) -> None:
    copy = planted(home)
    content = copy.read_bytes()
    copy.unlink()
    assert volens("erase", "prove", ada).code == 1
    certificate = volens("withdraw", ada, "--json").json["certificate"]

    for who in (ada, certificate):
        proved = volens("erase", "prove", who, "--json")
        assert proved.code == 0
        assert proved.json["found"] == []
        assert proved.json["size_bytes"] > 100_000
        assert proved.json["searched"]["sealed name"] == 1
    said = volens("erase", "prove", ada)
    assert "volens.db: " in said.out
    assert "nothing was found" in said.out
    # The name has died with the consent.
    unproved = volens("erase", "prove", "Ada Canary")
    assert (unproved.code, unproved.out) == (1, "")

    write_private(copy, content)
    found = volens("erase", "prove", ada, "--json")
    assert found.code == 5
    assert found.json["found"] == [{"what": "sealed name", "where": "copy"}]
    assert "FOUND sealed name in copy" in volens("erase", "prove", certificate).out


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
