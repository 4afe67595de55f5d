"""docs/second-factor.md, command by command, as its reader types them."""

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
    lines = console_lines("second-factor.md")
    assert len(lines) == 37

    for line in lines:
        dollar, program, *arguments = shlex.split(line, comments=True)
        assert dollar == "$"
        if program == "echo":
            text, into, name = arguments
            assert into == ">"
            Path(name).write_text(f"{text}\n")
            continue
        assert program == "volens"
        expected = re.search(r"# exit code (\d)", line)
        capsys.readouterr()
        assert run(arguments) == (int(expected[1]) if expected else 0), f"{line}: {capsys.readouterr().err}"

    # No typed PIN or badge number is in the files of the site.
    for path in (tmp_path / "walk" / "site").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [text for text in (b"719035", b"04A1B2C3", b"04F6A7B8", b"04:A1:B2:C3") if text in data]
