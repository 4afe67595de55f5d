"""Many people at once, from a table or a folder: a report about each, nobody twice, and no consent made up."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from said import Command

from volens.consent import TakeHome


@pytest.fixture
def folder(ada: Path, give: Command, album: Path) -> Path:
    """Ada with photos, Bob with photos of two people, Cleo without a receipt, and Dora whose consent has ended."""
    assert ada.is_file()
    for name in ("bob", "dora"):
        assert give("--yes-i-read-it", name=name.title(), out=name).code == 0
    shown = {"ada": ("ada-1", "ada-2", "ada-3"), "bob": ("ada-1", "group-0-1", "group-1-1"), "cleo": ("group-0-1",)}
    for name in ("ada", "bob", "cleo", "dora"):
        (own := Path("people") / name).mkdir(parents=True)
        for photo in shown.get(name, ("group-0-1", "group-0-2", "group-0-3")):
            shutil.copy(album / f"{photo}.png", own)
        if name != "cleo":
            shutil.copy(f"{name}.receipt.json", own)
            shutil.copy(f"{name}.receipt.qr.png", own)
    return Path("people")


def test_each_person_of_a_folder_is_enrolled_or_refused_with_a_reason(volens: Command, folder: Path) -> None:
    assert volens("withdraw", "dora.receipt.json").code == 0
    first = volens("enroll", "--folder-of-people", folder, "--report", "report.csv", "--json")
    assert first.code == 1
    assert first.json["counts"] == {"enrolled": 1, "already enrolled": 0, "refused": 3}
    with Path("report.csv").open(newline="") as file:
        rows = {row["person"]: row for row in csv.DictReader(file)}
    assert [row["outcome"] for row in rows.values()] == ["enrolled", "refused", "refused", "refused"]
    assert rows["ada"]["photo_count"] == "3"
    assert "does not seem to show the same person" in rows["bob"]["reason"]
    assert "expected one receipt" in rows["cleo"]["reason"]
    assert "no consent is in force" in rows["dora"]["reason"]

    again = volens("enroll", "--folder-of-people", folder, "--json")
    assert again.json["counts"] == {"enrolled": 0, "already enrolled": 1, "refused": 3}
    assert volens("status", "--json").json["zones"][0]["references"].popitem()[1] == 1


def test_a_table_enrolls_and_links_its_rows_and_a_second_run_does_nothing(
    volens: Command, folder: Path, album: Path
) -> None:
    rows = f"\ufeffreceipt;photos;external_id\r\nada.receipt.json;{folder}/ada;4711\r\n;x.png;\r\n"
    Path("people.csv").write_bytes(rows.encode())
    for outcome in ("enrolled", "already enrolled"):
        done = volens("import", "people.csv", "--json", "--report", f"{outcome}.json")
        assert done.code == 1
        assert [one["outcome"] for one in done.json["people"]] == [outcome, "refused"]
        assert done.json["people"][1]["person"] == "row 3"
        assert json.loads(Path(f"{outcome}.json").read_bytes()) == done.json["people"]
    (face,) = volens("identify", "--zone", "lobby", album / "ada-door.png", "--json").json["faces"]
    assert face["subject_id"] == TakeHome.parse(Path("ada.receipt.json").read_bytes()).receipt.claims.subject_id
    linked = volens("consent", "link", "bob.receipt.json", "4711")
    assert "has this external id already" in linked.err


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"name,photos\nAda,x.png\n", "expected receipt, photos"),
        (b"", "expected receipt, photos"),
        (b"receipt,photos\n", "without a row"),
        (b"receipt,photos\n\xff,x\n", "UTF-8"),
    ],
)
def test_a_table_of_another_form_is_refused_whole(volens: Command, lobby: Path, table: bytes, said: str) -> None:
    (lobby / "people.csv").write_bytes(table)
    refused = volens("import", "people.csv")
    assert (refused.code, said in refused.err) == (2, True)


def test_nothing_is_enrolled_without_a_receipt_or_a_folder(volens: Command, lobby: Path) -> None:
    assert volens("enroll").code == 2
    assert volens("enroll", "--folder-of-people", lobby / "nowhere").code == 2
    assert volens("enroll", "x.json", "--folder-of-people", lobby).code == 2
