"""`volens consent restrict` and `resume`: a door no longer matches, nothing is erased, and only the person resumes."""

import json
from pathlib import Path

from said import Command


def sees_ada(volens: Command, album: Path) -> bool:
    return volens("identify", "--zone", "lobby", album / "ada-door.png", "--json").code == 0


def test_a_paused_person_does_not_match_until_they_resume(volens: Command, enrolled: Path, album: Path) -> None:
    assert sees_ada(volens, album)
    said = volens("consent", "restrict", enrolled)
    assert (said.code, said.out.count("\n")) == (0, 1)
    assert "paused since" in said.out
    assert not sees_ada(volens, album)
    assert "paused" in volens("verify", enrolled, album / "ada-door.png").err

    (row,) = volens("people", "list", "--json").json
    assert row["state"] == "restricted"
    assert "you have paused your consent" in volens("decisions", "explain", enrolled).out
    assert volens("consent", "resume", enrolled).code == 0
    assert sees_ada(volens, album)
    assert "was not paused" in volens("consent", "resume", enrolled).out


def test_the_code_works_as_text_and_as_a_picture(volens: Command, enrolled: Path, album: Path) -> None:
    code = json.loads(enrolled.read_bytes())["withdrawal_code"]
    assert volens("consent", "restrict", "--code", code).code == 0
    assert not sees_ada(volens, album)
    assert volens("consent", "resume", "ada.receipt.qr.png").code == 0
    assert sees_ada(volens, album)


def test_the_desk_resumes_only_after_an_identity_check(volens: Command, enrolled: Path, album: Path) -> None:
    assert enrolled.is_file()
    assert volens("consent", "restrict", "Ada Canary").code == 0
    refused = volens("consent", "resume", "Ada Canary")
    assert refused.code != 0
    assert "--identity-checked" in refused.err
    assert not sees_ada(volens, album)
    assert volens("consent", "resume", "Ada Canary", "--identity-checked").code == 0
    assert sees_ada(volens, album)


def test_a_paused_consent_is_withdrawn_as_any_other(volens: Command, enrolled: Path) -> None:
    assert volens("consent", "restrict", enrolled).code == 0
    assert volens("withdraw", enrolled).code == 0
    for change in ("restrict", "resume"):
        said = volens("consent", change, enrolled)
        assert said.code != 0
        assert said.err.count("\n") == 1


def test_wrong_arguments_get_one_sentence(volens: Command, enrolled: Path) -> None:
    for arguments in ((), (enrolled, "--code", "x"), ("nobody",), ("--code", "short")):
        said = volens("consent", "restrict", *arguments)
        assert said.code != 0
        assert said.err.strip().count("\n") == 0
