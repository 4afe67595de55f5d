"""`volens witness`, and what the sweep, the doctor and a reader of tiles make of cosignatures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from receiver import Receiver, answer, receiver
from said import Command
from small_witness import SmallWitness

WITNESS = SmallWitness("witness.example/council")


@pytest.fixture
def here(ada: Path, volens: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A witness on loopback that the site asks, whose key is in council.vkey; the log is published at once."""
    assert ada.exists()
    monkeypatch.setenv("VOLENS_SERVE_PUBLIC_LOG_HOURS", "0")
    WITNESS.seen.clear()
    WITNESS.trust((home / "site.pub").read_text("utf-8").splitlines()[0])
    Path("council.vkey").write_text(WITNESS.vkey + "\n", "utf-8")
    with receiver(WITNESS.behave) as serving:
        add = ("witness", "add", "Works council", "--url", serving.url, "--key", "council.vkey")
        refused = volens(*add)
        assert (refused.code, "not https" in refused.err) == (2, True)
        said = volens(*add, "--allow-private")
        assert said.code == 0, said.err
        assert "its operator needs the log's key: volens/" in said.out
        yield serving


def test_a_witness_is_asked_listed_and_removed(here: Receiver, volens: Command) -> None:
    assert "nothing yet" in volens("witness", "list").out
    assert volens("witness", "collect").out.startswith("Works council cosigned the log of ")
    assert "every witness has cosigned" in volens("witness", "collect").out
    (listed,) = volens("witness", "list", "--json").json
    assert (listed["name"], listed["key"], listed["url"]) == ("Works council", WITNESS.vkey, here.url)
    assert listed["size"] > 1
    assert volens("witness", "remove", "Works council").code == 0
    assert (volens("witness", "list").out.strip(), "removed" in volens("witness", "list", "--all").out) == (
        "no witnesses",
        True,
    )
    gone = volens("witness", "remove", "Works council")
    assert (gone.code, "there is no witness of this name" in gone.err) == (2, True)


def test_a_witness_that_does_not_cosign_has_exit_code_6_and_the_sweep_goes_on(here: Receiver, volens: Command) -> None:
    here.behaviour = answer(404)
    refused = volens("witness", "collect")
    assert refused.code == 6
    assert "Works council did not cosign: it does not know this log (404)" in refused.err
    swept = volens("sweep")
    assert swept.code == 0, swept.err
    assert "witness Works council: it does not know this log (404)" in swept.out
    here.behaviour = WITNESS.behave
    assert volens("sweep", "--json").json["witnesses"].keys() == {"Works council"}
    assert volens("sweep", "--json").json["witnesses"] == {}
    (line,) = [one for one in volens("doctor", "--json").json if one["what"] == "witnesses"]
    assert line == {"what": "witnesses", "ok": True, "found": "1 witness, none late"}


def test_a_reader_of_a_certificate_asks_for_a_quorum(here: Receiver, volens: Command, home: Path, ada: Path) -> None:
    assert here.url
    path = Path(volens("withdraw", ada, "--json").json["certificate"])
    verify = ("--trust", home / "site.pub", "--witness", "council.vkey")
    early = volens("certificate", "verify", path, *verify)
    assert (early.code, "carries no checkpoint that witnesses have cosigned" in early.err) == (4, True)
    assert volens("witness", "collect").code == 0
    written = volens("certificate", "export", path, "--out", "newest.json")
    assert written.code == 0, written.err
    assert "with 1 cosignature of witnesses" in written.out
    said = volens("certificate", "verify", "newest.json", *verify)
    assert said.code == 0, said.err
    assert "cosigned by witness.example/council at 2099-" in said.out
    both = volens("certificate", "verify", "newest.json", path, *verify, "--json")
    assert both.code == 4
    assert [one["valid"] for one in both.json["certificates"]] == [True, False]
    assert both.json["certificates"][0]["cosigned_by"] == ["witness.example/council"]
    assert volens("certificate", "export", path, "--out", "newest.json").code == 2


def test_a_reader_of_tiles_asks_for_a_quorum(here: Receiver, volens: Command, home: Path) -> None:
    assert here.url
    other = Path("other.vkey")
    other.write_text(SmallWitness("witness.example/other", 2).vkey, "utf-8")
    verify = ("audit", "verify", "www", "--trust", home / "site.pub", "--witness", "council.vkey")
    assert volens("audit", "tiles", "www").code == 0
    early = volens(*verify)
    assert (early.code, "0 of 1 witnesses have cosigned this checkpoint; expected 1" in early.err) == (4, True)
    assert volens("witness", "collect").code == 0
    assert volens("audit", "tiles", "www").code == 0
    said = volens(*verify)
    assert said.code == 0, said.err
    assert "cosigned by witness.example/council at 2099-" in said.out
    assert volens(*verify, "--witness", other, "--quorum", "1", "--json").json["cosigned_by"] == [WITNESS.name]
    for arguments, code, words in (
        ((*verify, "--witness", other), 4, "1 of 2 witnesses have cosigned this checkpoint; expected 2"),
        ((*verify, "--quorum", "2"), 2, "got a quorum of 2 and 1 witnesses"),
        ((*verify[:5], "--quorum", "1"), 2, "got --quorum without --witness"),
        ((*verify[:5], "--witness", home / "site.pub"), 2, "expected one of a witness"),
        (("audit", "verify", "--witness", other), 2, "got --witness without a folder of tiles"),
    ):
        refused = volens(*arguments)
        assert (refused.code, refused.out) == (code, ""), words
        assert words in refused.err
