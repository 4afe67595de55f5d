"""Pages in a real browser (Debian's chromium), served by a real `volens serve` on loopback."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import command_line
import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from declared_gates import open_gates
from patience import PATIENCE_S, free_port
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.pages.camera import CameraFile
from volens import Site
from volens.face import ModelCache
from volens.service.sample_notice import publish_sample_notice

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from volens.program import main; main()"]
PHONE = {"width": 390, "height": 780}
expect.set_options(timeout=PATIENCE_S * 1000)
COLOURS = 32
PICTURES = os.environ.get("VOLENS_PAGE_PICTURES")
"""Folder for the pictures of docs/pages; without it, none are taken."""


@dataclass
class ServedSite:
    """A site that a process serves on loopback, with the real clock and the real models."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The address of the pages; a name, because browsers make no passkeys for IP addresses."""
        return f"http://localhost:{self.port}"

    def volens(self, *arguments: str) -> str:
        """Run a command beside the service, in this process, and return what it printed."""
        environment = {"VOLENS_HOME": str(self.home), "NO_COLOR": "1"}
        with (
            patch.dict(os.environ, environment),
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as error,
        ):
            code = command_line.run(arguments)
        assert code == 0, error.getvalue()
        return out.getvalue()


@pytest.fixture(scope="session")
def made_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed site with a zone for each custody and notices in three languages."""
    ModelCache.default().pull()
    home = tmp_path_factory.mktemp("pages") / "home"
    with Site.create(home, name="Example Ltd", contact="privacy@example.org") as site:
        for zone, title, custody in (
            ("lobby", "Lobby", "operator"),
            ("lab", "Laboratory", "subject_key"),
            ("archive", "Archive", "badge"),
        ):
            site.add_zone(
                zone,
                title=title,
                custody=custody,
                justification="people carry boxes and have no hand free",
                alternative="Your badge works as before.",
                retention_days=90,
            )
            open_gates(site, zone)
            for language, text in (
                ("en", "We compare your face with your reference when you ask at the door.\n"),
                ("fr", "Nous comparons votre visage à votre référence quand vous le demandez à la porte.\n"),
                ("de", "Wir vergleichen Ihr Gesicht mit Ihrer Referenz, wenn Sie an der Tür darum bitten.\n"),
            ):
                publish_sample_notice(site, zone, language, more=text)
        site.defaults.set(jurisdiction="FR", time_zone="Europe/Paris", zone="lobby")
    return home


@pytest.fixture
def served(made_site: Path, tmp_path: Path) -> Iterator[ServedSite]:
    """A site of this test alone, served by a process."""
    yield from one_site(made_site, tmp_path)


@pytest.fixture(scope="session")
def served_to_all(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A site for tests that change nothing."""
    yield from one_site(made_site, tmp_path_factory.mktemp("served"))


def one_site(made_site: Path, folder: Path) -> Iterator[ServedSite]:
    """Serve a copy of a site below a folder; for fixtures."""
    home, port = folder / "home", free_port()
    shutil.copytree(made_site, home)
    with Site.open(home) as site:
        site.defaults.set(public_url=f"http://localhost:{port}")
    with serving(home, port) as process:
        yield ServedSite(home, port, process)


class serving:  # noqa: N801  a context manager that reads like a verb
    """`volens serve` as a process, until the end of the block."""

    def __init__(self, home: Path, port: int) -> None:
        environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        self._log = (home.parent / "service.log").open("ab")
        command = [*COMMAND, "serve", "--port", str(port)]
        self.process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)
        self._port = port

    def __enter__(self) -> subprocess.Popen[bytes]:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx2.get(f"http://127.0.0.1:{self._port}/readyz").status_code == 200:
                    return self.process
            except httpx2.TransportError:
                time.sleep(0.1)
        self.__exit__()
        raise AssertionError(f"the service did not come up: {Path(self._log.name).read_text()}")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def playwright_driver() -> Iterator[Playwright]:
    """One driver for each module: while it is there, its event loop runs in this thread, and no other can."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> CameraFile:
    """What the browser's camera sees; a test can change it."""
    return CameraFile(tmp_path_factory.mktemp("camera") / "camera.mjpeg")


@pytest.fixture(scope="module")
def chromium(playwright_driver: Playwright, camera: CameraFile) -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found is not None, "these tests need Debian's chromium; run 'make browser'"
    browser = playwright_driver.chromium.launch(
        executable_path=found,
        args=[
            "--no-sandbox",  # tests may run as root in a container
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera.path}",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A phone in English."""
    context = chromium.new_context(viewport=PHONE, locale="en-GB", timezone_id="Europe/Paris")
    context.set_default_timeout(PATIENCE_S * 1000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page; the test fails if a script of it throws, or if the browser refuses something (CSP)."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    yield page
    assert not problems


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Take a picture of a whole page, if they are wanted; the name is that of the file in docs/pages."""

    def take(page: Page, name: str) -> None:
        if PICTURES:
            path = Path(PICTURES) / f"{name}.png"
            page.screenshot(path=path, full_page=True, animations="disabled")
            Image.open(path).quantize(COLOURS).save(path, optimize=True)

    return take


def violations(page: Page) -> list[str]:
    """Return what axe-core finds against WCAG 2.2 AA, with the elements."""
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


def overflows(page: Page) -> bool:
    """Whether the page must be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def add_authenticator(page: Page, *, prf: bool = True, verified: bool = True) -> None:
    """Give a page a virtual authenticator (a phone's own passkeys), which answers without a dialog."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "ctap2Version": "ctap2_1",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "hasPrf": prf,
                "isUserVerified": verified,
                "automaticPresenceSimulation": True,
            }
        },
    )
