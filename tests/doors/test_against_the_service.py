"""`volens door run` against the real `volens serve`, with the real models."""

import json
import os
from pathlib import Path

import pytest
from command_line import run
from patience import free_port

from benchmarks.group_photo import six_people_photo
from tests.doors.test_commands import kept_handlers
from tests.service.conftest import jpeg
from tests.service.test_the_server import home, served
from volens import Site, SubjectKey
from volens.service import samples

__all__ = ["home"]


def test_a_door_opens_for_an_enrolled_person_until_its_credential_is_revoked(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    *enrolled, at_the_door = samples.views(samples.astronaut(), 4)
    with Site.open(home) as site:
        key = SubjectKey.from_seed(os.urandom(32))
        receipt = site.give_consent(site.notice("lobby"), name="Ada", jurisdiction="FR", key=key).to_json()
        site.enroll(receipt, enrolled)
    token = tmp_path / "door.token"
    issue = ["credential", "add", "left door", "--role", "door", "--zone", "lobby", "--home", str(home)]
    assert run([*issue, "--out", str(token)]) == 0
    port = free_port()
    arguments = ["door", "run", "--zone", "lobby", "--folder", str(photos), "--max-age-s", "600", "--json", "--once"]
    arguments += ["--url", f"http://127.0.0.1:{port}", "--token", str(token), "--open-s", "0.2"]

    def watch() -> tuple[int, str]:
        capsys.readouterr()
        with kept_handlers():
            return run(arguments), capsys.readouterr().out

    with served(home, port):
        (photos / "1.jpg").write_bytes(jpeg(at_the_door))
        opened = watch()
        (photos / "1.jpg").unlink()
        (photos / "2.jpg").write_bytes(jpeg(six_people_photo()))
        closed = watch()
        with Site.open(home) as site:
            (credential,) = site.programs.credentials.list()
            site.programs.credentials.end(credential.credential_id)
        ended = watch()

    assert opened[0] == 0, opened[1]
    lines = [json.loads(line) for line in opened[1].splitlines()]
    assert [line["lock"] for line in lines if line["event"] == "output"][:3] == ["locked", "unlocked", "locked"]
    assert [(line["opens"], line["looks"]) for line in lines if line["event"] == "decision"] == [(True, 1)]
    assert closed[0] == 3, closed[1]
    assert ended[0] == 1
    assert "refuses this door's credential (401)" in ended[1]
