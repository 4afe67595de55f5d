"""The demo as `make demo` runs it, in a separate process; it fails if one of its steps does."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from patience import PATIENCE_S, free_port

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


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_site_is_served_on_loopback_and_deleted_at_the_end(end: signal.Signals) -> None:
    port = free_port()
    command = [Path(sys.executable).with_name("volens"), "demo", "--serve", "--port", str(port), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo_site:
        try:
            at = json.loads((demo_site.stdout or sys.stdin).readline())
            photo, receipt = Path(at["door_photo"]), Path(at["receipt"])
            own = {"Origin": f"http://localhost:{port}"}
            kiosk, _, token = at["kiosk"].partition("#")
            with httpx2.Client(headers=own) as browser:
                for page in (at["home"], at["verify"]):
                    assert browser.get(page).status_code == 200
                page, _, invitation = at["invitation"].partition("#")
                assert browser.post(f"{page}/open", json={"token": invitation}).json() == {"next": "/invitation/about"}
                assert browser.get(f"{page}/about").status_code == 200
                assert browser.post(f"{kiosk}/session", json={"token": token}).status_code == 200
                assert kiosk_answer(browser, kiosk, photo.read_bytes()) == "come_in"
                assert browser.post(f"http://localhost:{port}/v1/withdrawals", json={"code": at["code"]}).is_success
                assert kiosk_answer(browser, kiosk, photo.read_bytes()) == "not_known"
            assert receipt.is_file()
        finally:
            demo_site.send_signal(end)
            demo_site.wait(PATIENCE_S)
    assert (demo_site.returncode, receipt.parent.exists()) == (0, False)


def kiosk_answer(browser: httpx2.Client, kiosk: str, frame: bytes) -> str:
    """Show a frame as the page does, again and again, until the visit is decided."""
    visit, end = "", time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        look = browser.post(f"{kiosk}/looks", files={"frame": frame}, data={"visit": visit}).json()
        if look["answer"] != "looking":
            return str(look["answer"])
        visit = look["visit"]
        time.sleep(0.25)
    raise AssertionError("the visit was never decided")


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
