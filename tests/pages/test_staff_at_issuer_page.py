"""Staff in a real browser at the sign-in service of their house, which sends the browser back from another site."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from issuer import HouseIssuer, loopback_issuer, signer
from patience import PATIENCE_S, free_port
from playwright.sync_api import Page, expect

from tests.pages.conftest import COMMAND, ROOT, overflows, violations
from volens import Site

CLIENT = "volens-pages"


@pytest.fixture
def issuer() -> Iterator[HouseIssuer]:
    with loopback_issuer() as one:
        yield one


@pytest.fixture
def served_with_issuer(made_site: Path, tmp_path: Path, issuer: HouseIssuer) -> Iterator[str]:
    home, port = tmp_path / "home", free_port()
    shutil.copytree(made_site, home)
    with Site.open(home) as site:
        site.defaults.set(public_url=f"http://localhost:{port}")
    config = tmp_path / "serve.toml"
    config.write_text(
        f'port = {port}\noidc_issuer = "{issuer.url}"\noidc_audience = "volens"\noidc_allow_private = true\n'
        f'oidc_client_id = "{CLIENT}"\n'
    )
    environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    process = subprocess.Popen([*COMMAND, "serve", "--config", str(config)], env=environment)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                break
        except httpx2.TransportError:
            time.sleep(0.1)
    yield f"http://localhost:{port}"
    process.kill()
    process.wait()


def test_a_member_signs_in_at_the_house_and_comes_back(
    served_with_issuer: str, issuer: HouseIssuer, page: Page
) -> None:
    def login(handler: BaseHTTPRequestHandler) -> None:
        if not handler.path.startswith("/realm/login"):
            return issuer.answer(handler)
        asked = dict(parse_qsl(urlsplit(handler.path).query))
        claims = issuer.claims(time.time(), aud=CLIENT, nonce=asked["nonce"], volens_role="auditor", name="Ada Example")
        issuer.id_token = signer().token(claims, typ="JWT")
        handler.send_response(302)
        handler.send_header("Location", f"{asked['redirect_uri']}?{urlencode({'code': 'c', 'state': asked['state']})}")
        handler.end_headers()
        return None

    issuer.signs_in("made at the login")
    issuer.behaviour = login
    page.goto(f"{served_with_issuer}/staff")
    assert not violations(page)
    page.set_viewport_size({"width": 320, "height": 640})
    assert not overflows(page)
    page.get_by_role("button", name="account of your house").click()
    expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()
    expect(page.get_by_text("Ada Example")).to_be_visible()

    page.goto(f"{served_with_issuer}/staff/oidc?error=access_denied&state=x")
    expect(page.get_by_role("alert")).to_contain_text("not signed in")
    assert "error" not in page.url
    assert not violations(page)
