"""docs/doors.md, command by command, as its reader types them, with a real broker."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from broker import loopback_broker, subscriber
from command_line import run
from page import console_lines

from tests.doors.test_commands import kept_handlers
from volens.service.door.osdp_key import OsdpKey

ROOT = Path(__file__).parents[2]


def test_every_command_of_the_page_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    lines = console_lines("doors.md")
    assert len(lines) == 20
    OsdpKey.generate().write(tmp_path / "door.osdp-key")  # as `volens door pair` does, which needs a device
    said: list[str] = []

    with loopback_broker() as broker, subscriber(broker.port) as panel, kept_handlers():
        for line in lines:
            dollar, program, *arguments = shlex.split(line.replace("mqtt://127.0.0.1:1883", broker.url))
            assert dollar == "$"
            if program != "volens":
                assert program in {"mkdir", "cp"}
                subprocess.run([program, *arguments], check=True)
                continue
            capsys.readouterr()
            assert run(arguments) == 0, f"{line}: {capsys.readouterr().err}"
            said.append(capsys.readouterr().out)
        panel.wait_for("/left/availability", payload="")

    opened = next(text for text in said if "door: open for 1 s" in text).splitlines()
    assert [line for line in opened if line.startswith("door: ")][:3] == [
        "door: closed",
        "door: open for 1 s",
        "door: closed",
    ]
    assert any(line.startswith("decision: match (visit ") for line in opened)
    assert json.loads((tmp_path / "door.state").read_text())["lock"] == "locked"

    # The broker gets the messages in the table of the page, and no id of a person.
    page = (ROOT / "docs" / "doors.md").read_text()
    topics = re.findall(r"^\| `([a-z]+)` \| (?:yes|no)", page, flags=re.MULTILINE)
    assert topics == ["availability", "state", "health", "decision"]
    assert all(panel.payloads(f"volens/lobby/left/{topic}") for topic in topics)
    assert [one["decision"] for one in panel.documents("/left/decision")] == ["match"]
    assert {"locked", "unlocked"} <= {one["lock"] for one in panel.documents("/left/state")}
    assert len({topic for topic, _, _ in panel.heard if topic.startswith("homeassistant/")}) == 5
    receipt = json.loads((tmp_path / "ada.json").read_text())
    heard = str(panel.heard)
    assert "subject" not in heard
    assert "Ada" not in heard
    assert not [value for value in receipt.values() if isinstance(value, str) and len(value) > 12 and value in heard]


def test_the_unit_runs_existing_commands(capsys: pytest.CaptureFixture[str]) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  systemd's names have capitals
    unit.read(ROOT / "deploy" / "volens-door.service")
    for name in ("ExecStartPre", "ExecStart"):
        program, *arguments = unit["Service"][name].split()
        assert program == "/opt/volens/bin/volens"
        assert run([*arguments[:2], "--help"]) == 0
        said = capsys.readouterr().out
        assert all(option in said for option in arguments if option.startswith("--"))
