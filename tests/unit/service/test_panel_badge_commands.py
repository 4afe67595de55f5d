"""Badge numbers at the panel on the command line: set at enrollment or later, removed, and never printed."""

import io
from pathlib import Path

import pytest
from command_line import run_captured
from said import Command

from volens import Site
from volens.consent.panel_badge import PanelBadge

NUMBER = "118-1603"


def number_of(home: Path) -> PanelBadge | None:
    with Site.open(home) as site:
        (receipt_id,) = site.receipts_of("Ada Canary")
        return site.panel_badges.of(receipt_id)


def test_a_badge_number_is_set_from_a_file_or_stdin_and_removed(
    volens: Command, ada: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("number").write_text(f"{NUMBER}\n")
    done = volens("consent", "panel-badge", ada, "--badge-number", "number")
    assert (done.code, NUMBER in done.out + done.err) == (0, False)
    assert number_of(home) == PanelBadge(118, 1603)
    monkeypatch.setattr("sys.stdin", io.StringIO("4711\n"))
    assert volens("consent", "panel-badge", ada).code == 0
    assert number_of(home) == PanelBadge(None, 4711)
    assert volens("consent", "panel-badge", ada, "--remove", "--json").json["removed"] is True
    assert volens("consent", "panel-badge", ada, "--remove", "--json").json["removed"] is False
    assert number_of(home) is None


def test_a_badge_number_is_set_at_enrollment(volens: Command, ada: Path, home: Path, album: Path) -> None:
    photos = [album / f"ada-{number}.png" for number in (1, 2, 3)]
    Path("number").write_text("1" * 200)
    wrong = volens("enroll", ada, *photos, "--badge-number", "number")
    assert (wrong.code, len(wrong.err.splitlines())) == (2, 1)
    Path("number").write_text(NUMBER)
    assert volens("enroll", ada, *photos, "--badge-number", "number").code == 0
    assert number_of(home) == PanelBadge(118, 1603)


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        ("1" * 200, [], "got a badge number of 200 characters that no card format holds; expected NUMBER or"),
        ("", [], "got a badge number of 0 characters"),
        ("118;1603", [], "got a badge number of 8 characters"),
        (NUMBER, ["--remove"], "got both --badge-number and --remove; pass one of them"),
    ],
    ids=["200 digits", "nothing", "another separator", "set and remove"],
)
def test_a_wrong_badge_number_is_one_sentence_without_it(
    text: str, more: list[str], why: str, volens: Command, ada: Path, home: Path
) -> None:
    Path("number").write_text(text)
    done = volens("consent", "panel-badge", ada, "--badge-number", "number", *more)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert why in done.err
    assert not text or text not in done.err
    assert number_of(home) is None


def test_pairing_is_refused_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "used.key").write_text("0" * 32)
    pair = ("door", "pair", tmp_path / "none", "--as", "reader", "--key")
    taken = run_captured(capsys, *pair, tmp_path / "used.key")
    missing = run_captured(capsys, *pair, tmp_path / "new.key")
    slow = run_captured(capsys, *pair, tmp_path / "new.key", "--baud", 1234)
    assert (taken.code, "exists: this device is paired" in taken.err) == (2, True)
    assert (missing.code, "check the device and its permissions" in missing.err) == (6, True)
    assert (slow.code, "got baud=1234; expected one of 9600" in slow.err) == (2, True)
    assert [len(one.err.splitlines()) for one in (taken, missing, slow)] == [1, 1, 1]
    assert not (tmp_path / "new.key").exists()
