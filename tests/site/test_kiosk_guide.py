"""docs/kiosk.md, command by command, as its reader types them."""

import re
import shlex
from pathlib import Path

import pytest
from command_line import run
from page import console_lines

from volens.service.qr_reading import qr_texts


def test_every_command_of_the_page_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = tmp_path / "kiosk-walk"
    walk.mkdir()
    monkeypatch.setenv("VOLENS_HOME", str(walk / "site"))
    monkeypatch.chdir(tmp_path)
    lines = console_lines("kiosk.md")
    assert len(lines) == 6
    for line in lines:
        dollar, program, *arguments = shlex.split(line, comments=True)
        assert (dollar, program) == ("$", "volens")
        expected = re.search(r"# exit code (\d)", line)
        capsys.readouterr()
        assert run(arguments) == (int(expected[1]) if expected else 0), f"{line}: {capsys.readouterr().err}"
    shown = capsys.readouterr().out
    link = (walk / "kiosk.link").read_text().strip()
    address, _, token = link.partition("#")
    assert address == "https://doors.example.com/kiosk/lobby"
    assert re.fullmatch(r"volens_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", token)
    assert qr_texts(walk / "kiosk.png") == [link]
    assert ("lobby tablet" in shown, token in shown) == (True, False)
    assert [one.stat().st_mode & 0o777 for one in (walk / "kiosk.png", walk / "kiosk.link")] == [0o600, 0o600]
