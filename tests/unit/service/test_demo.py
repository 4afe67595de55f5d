"""The demo as `make demo` runs it, in a separate process; it fails if one of its steps does."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from volens import Site
from volens.audit import VerifierKey
from volens.erase.proof import Erased, verify_certificate
from volens.service import demo_story as demo


def test_the_demo_runs_and_leaves_picture_certificate_and_key(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("volens"), "demo", "--out", tmp_path / "out", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["refused_without_consent"] == {"embeddings_computed": 0}
    assert facts["frame_4"] == {"matched": ["Ada", "Bea"], "no_match": 1}
    assert facts["frame_6"] == {"matched": ["Ada"], "no_match": 2}
    assert {one["found"] for one in facts["certificate"]["searched"]} == {0}
    key = VerifierKey.parse((tmp_path / "out" / "site.pub").read_text().strip())
    verify_certificate((tmp_path / "out" / "certificate.json").read_bytes(), key)
    assert (tmp_path / "out" / "annotated.png").read_bytes().startswith(b"\x89PNG")


def test_a_withdrawal_that_does_not_stop_matching_fails_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = tmp_path / "forged.json"
    forged.write_text("{}")
    monkeypatch.setattr(
        Site, "withdraw", lambda *_, **__: SimpleNamespace(erased=Erased("0" * 32, forged, "lobby", "withdrawn"))
    )

    with pytest.raises(demo.StoryFailedError, match="expected \\['Ada'\\] in the frame"):
        demo.play_story(tmp_path, quiet=True)
