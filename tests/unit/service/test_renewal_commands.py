"""`volens consent renew` and the other commands that change what is held under a consent in force."""

from pathlib import Path

from said import Command

from volens.consent import TakeHome

RENEW = ("consent", "renew", "ada.receipt.json", "--key", "ada.key", "--yes-i-read-it", "--json")


def test_a_renewed_consent_gets_new_files_and_the_old_code_ends_nothing_new(
    volens: Command, enrolled: Path, album: Path
) -> None:
    renewed = volens(*RENEW, "--out", "ada-2.receipt.json")
    assert renewed.code == 0
    assert renewed.json["references"] == 1
    assert Path(renewed.json["certificate"]).is_file()
    assert sorted(renewed.json["files"]) == ["ada-2.receipt.json", "ada-2.receipt.qr.png"]
    (face,) = volens("identify", "--zone", "lobby", album / "ada-door.png", "--json").json["faces"]
    assert (face["decision"], face["subject_id"]) == ("match", renewed.json["subject_id"])

    code = TakeHome.parse(enrolled.read_bytes()).code
    assert code is not None
    assert volens("withdraw", "--code", code.reveal(), "--json").json["reason"] == "renewed"
    (face,) = volens("identify", "--zone", "lobby", album / "ada-door.png", "--json").json["faces"]
    assert face["decision"] == "match"
    assert volens("withdraw", "ada-2.receipt.json").code == 0


def test_a_renewal_that_cannot_hand_its_files_over_leaves_everything_as_it_was(volens: Command, enrolled: Path) -> None:
    (enrolled.parent / "ada-2.receipt.qr.png").write_text("in the way")
    assert volens(*RENEW, "--out", "ada-2.receipt.json").code == 2
    assert not (enrolled.parent / "ada-2.receipt.json").exists()
    assert volens(*RENEW[:3], "--key", "other.key", "--out", "b.json").code == 2
    assert volens("withdraw", "ada.receipt.json", "--json").json["reason"] == "withdrawn"
    gone = volens(*RENEW, "--out", "ada-3.receipt.json")
    assert "no consent in force" in gone.json["error"]["message"]


def test_a_name_is_corrected_by_receipt_and_found_by_the_new_name_only(volens: Command, enrolled: Path) -> None:
    assert volens("consent", "correct", enrolled, "--name", "Ada Newname").code == 0
    assert volens("consent", "correct", "Ada Newname", "--name", "Ada Newer", "--json").code == 0
    assert volens("consent", "correct", "Ada Canary", "--name", "Ada").code != 0


def test_a_lost_receipt_is_issued_again_after_an_identity_check(volens: Command, enrolled: Path) -> None:
    old = TakeHome.parse(enrolled.read_bytes()).code
    unchecked = volens("consent", "reissue-code", "Ada Canary", "--out", "again.receipt.json")
    assert "--identity-checked" in unchecked.err
    assert not Path("again.receipt.json").exists()
    issued = volens("consent", "reissue-code", "Ada Canary", "--out", "again.receipt.json", "--identity-checked")
    assert issued.code == 0
    assert old is not None
    assert volens("withdraw", "--code", old.reveal()).code != 0
    new = TakeHome.parse(Path("again.receipt.json").read_bytes()).code
    assert new is not None
    assert volens("withdraw", "--code", new.reveal()).code == 0
