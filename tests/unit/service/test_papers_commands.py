"""`volens papers`: files with their gaps, the list with what is stale, doctor, and verification without a site."""

from pathlib import Path

from said import Command


def test_a_paper_is_made_listed_verified_and_stale_after_a_change(ada: Path, volens: Command) -> None:
    assert ada.exists()
    made = volens("papers", "record", "--zone", "lobby", "--jurisdiction", "FR", "--out", "papers")
    assert made.code == 0
    assert "wrote papers/lobby-fr-record-en.csv" in made.out
    assert "volens declare site dpo TEXT" in made.out
    assert "not legal advice" in made.out

    verified = volens("papers", "verify", "papers/lobby-fr-record-en.json", "--trust", "site/site.pub")
    assert verified.code == 0
    assert "4 files beside it as signed" in verified.out
    assert "STALE" not in volens("papers", "list").out

    assert volens("declare", "site", "dpo", "Dana Doe").code == 0
    assert "STALE" in volens("papers", "list").out
    (found,) = [one for one in volens("doctor", "--json").json if one["what"] == "papers"]
    assert not found["ok"]
    assert "record of lobby (FR, en)" in found["found"]

    Path("papers/lobby-fr-record-en.md").write_text("changed", encoding="utf-8")
    changed = volens("papers", "verify", "papers/lobby-fr-record-en.json", "--trust", "site/site.pub")
    assert changed.code == 4
    assert "lobby-fr-record-en.md is not the file that was signed" in changed.err
    again = volens("papers", "record", "--zone", "lobby", "--jurisdiction", "FR", "--out", "papers")
    assert again.code == 2
    assert "exists already; nothing was changed" in again.err


def test_breach_counts_who_was_in_force_and_writes_a_signed_paper(ada: Path, volens: Command) -> None:
    assert ada.exists()
    said = volens("breach", "--from", "today", "--learnt-at", "2199-01-01", "--out", "papers")
    assert said.code == 2
    assert "in the future" in said.err
    said = volens("breach", "--from", "today", "--out", "papers", "--json").json
    assert said["people"] == 1
    assert said["notify_by"] is None
    assert said["openable_with_server_and_root_key"] == 1
    signed = said["paper"]["files"][0]
    assert volens("papers", "verify", signed, "--trust", "site/site.pub").code == 0
    assert "pass --learnt-at" in volens("breach", "--from", "today").out
