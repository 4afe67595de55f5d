"""docs/custody.md, command by command, as its reader types them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from command_line import load_models_by, run
from page import console_lines

from volens.face import Extractor

ROOT = Path(__file__).parents[2]


def test_every_command_of_the_page_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    extractor = Extractor.load_default()
    load_models_by(monkeypatch, lambda: extractor)
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "walk" / "site"))
    monkeypatch.chdir(tmp_path)
    lines = console_lines("custody.md")
    assert len(lines) == 30
    said: dict[str, str] = {}

    for line in lines:
        dollar, program, *arguments = shlex.split(line, comments=True)
        assert (dollar, program) == ("$", "volens")
        expected = re.search(r"# exit code (\d)", line)
        capsys.readouterr()
        assert run(arguments) == (int(expected[1]) if expected else 0), f"{line}: {capsys.readouterr().err}"
        said[line] = capsys.readouterr().out

    verified = [out for line, out in said.items() if " verify " in line and "#" not in line and "audit" not in line]
    assert len(verified) == 4
    assert all(out.startswith("match: score 0.") for out in verified)
    # Only the owner can read the person's files, and the size of the badge is that of the page.
    walk = tmp_path / "walk"
    for name in ("ada.secret.txt", "ada.secret.qr.png", "ada.badge", "ada.qr-1.png", "ada.qr-2.png"):
        assert (walk / name).stat().st_mode & 0o077 == 0
    assert (walk / "ada.badge").stat().st_size == 680
    assert not (walk / "ada.qr-3.png").exists()
    # A byte scan of the home, after the end, for the values that the person still holds.
    badge = (walk / "ada.badge").read_bytes()
    secret = (walk / "ada.secret.txt").read_text().strip().partition(":")[2].encode()
    for path in (walk / "site").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(badge[at : at + 16] in data for at in range(139, len(badge) - 16))
            assert secret not in data
