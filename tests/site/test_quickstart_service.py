"""docs/quickstart-service.md, as a newcomer pastes it into one terminal; only the two ports are free ones."""

import shutil
from pathlib import Path

from page import ROOT, console_lines, programs, typed
from patience import free_port

from volens.face import ModelCache


def test_the_page_goes_from_nothing_to_a_door_a_revocation_and_a_notification(tmp_path: Path) -> None:
    ModelCache.default().pull()
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    service, panel = str(free_port()), str(free_port())
    lines = console_lines("quickstart-service.md")
    assert all(line.startswith("$ ") for line in lines)
    assert len(lines) == 28
    script = "\n".join(line.removeprefix("$ ") for line in lines)
    assert script.count("8475") == 1
    script = script.replace("8475", panel).replace("panel.py ", f"panel.py --port {panel} ")
    script = script.replace("volens serve", f"volens serve --port {service}")
    script = script.replace("door.py ", f"door.py --url http://127.0.0.1:{service} ")
    script = script.replace("hr.py ", f"hr.py --url http://127.0.0.1:{service}/v1/hooks/revocations ")
    # The page's own PATH is for a reader who has run `make install`.
    script = script.replace("$PWD/.venv/bin", str(programs(tmp_path / "bin")))
    done = typed(script, tmp_path, 300)

    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    (opened,) = (number for number, line in enumerate(said) if line.startswith("open: "))
    closed = said.index("closed: no face in the frame has a consent for this door")
    assert opened < said.index("reported to the service: 202 accepted") < closed
    assert said[closed + 1] == "exit code 3: she is a stranger"
    log = (tmp_path / "service-walk" / "panel.log").read_text()
    assert [line.split(" ", 1)[0] for line in log.splitlines()] == ["consent.given", "subject.erased"]
    assert "Ada" not in log
    assert any("acknowledged by panel" in line for line in said)
    assert "Traceback" not in done.stderr
