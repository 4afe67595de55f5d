import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import load_models_by, run, run_captured
from declared_gates import open_gates_in
from PIL import Image
from said import Command, Said

from benchmarks.group_photo import six_people_photo
from volens import Site
from volens.face import Extractor
from volens.service import samples
from volens.service.sample_notice import publish_sample_notice


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output to a pipe has no width, whatever the shell that runs the tests says of its terminal."""
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def loaded() -> Extractor:
    return Extractor.load_default()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: Extractor) -> Path:
    """The path of a home, set in the environment; models are loaded once for all tests."""
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "site"))
    monkeypatch.setenv("NO_COLOR", "1")
    load_models_by(monkeypatch, lambda: loaded)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "site"


@pytest.fixture
def volens(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command as `main` does, and return its output."""
    assert home.parent.is_dir()

    def command(*arguments: object) -> Said:
        return run_captured(capsys, *arguments)

    return command


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos: ada-1 to ada-3, ada-door, group; the people of the group as group-N-1 to group-N-3."""
    folder = tmp_path_factory.mktemp("album")
    extractor = Extractor.load_default()
    *ada, door = samples.views(samples.astronaut(), 4)
    group = six_people_photo()
    named = {f"ada-{number}": photo for number, photo in enumerate(ada, start=1)} | {"ada-door": door, "group": group}
    for person, face in enumerate(extractor.detect(group)[:2]):
        for number, photo in enumerate(samples.views(samples.around(group, face.box), 3), start=1):
            named[f"group-{person}-{number}"] = photo
    for name, photo in named.items():
        Image.fromarray(photo.pixels).save(folder / f"{name}.png")
    return folder


def done_in(folder: Path, *arguments: object) -> None:
    """Run a command with its site in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOLENS_HOME", str(folder / "site"))
        load_models_by(patch, Extractor.load_default)
        patch.chdir(folder)
        assert run([str(argument) for argument in arguments]) == 0


@pytest.fixture(scope="session")
def lobby_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `lobby`'s site: migrations are run for the first test only."""
    folder = tmp_path_factory.mktemp("lobby")
    promises = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
    done_in(folder, "init", "--controller", "Example Ltd", "--contact", "privacy@example.org")
    done_in(folder, "zone", "add", "lobby", "--custody", "operator", *promises)
    open_gates_in(folder / "site", "lobby")
    with Site.open(folder / "site") as site:
        notice = publish_sample_notice(site, "lobby", more="We compare your face at the door.")
    (folder / "notice.md").write_text(notice.text)
    return folder


@pytest.fixture(scope="session")
def enrolled_template(tmp_path_factory: pytest.TempPathFactory, lobby_template: Path, album: Path) -> Path:
    """The same with Ada, who gave consent and is enrolled."""
    folder = Path(shutil.copytree(lobby_template, tmp_path_factory.mktemp("enrolled") / "copy"))
    who = ("--zone", "lobby", "--name", "Ada Canary", "--jurisdiction", "FR", "--yes-i-read-it")
    done_in(folder, "consent", "give", *who, "--out", "ada.receipt.json", "--new-key", "ada.key")
    done_in(folder, "enroll", "ada.receipt.json", *(album / f"ada-{number}.png" for number in (1, 2, 3)))
    return folder


@pytest.fixture
def lobby(home: Path, tmp_path: Path, lobby_template: Path) -> Iterator[Path]:
    """A site with a zone and a notice."""
    assert not home.exists()
    shutil.copytree(lobby_template, tmp_path, dirs_exist_ok=True)
    yield tmp_path
    shown = {tmp_path / "site" / "site.pub", *(tmp_path / "site" / "certificates").glob("*.json")}
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & 0o777 == (0o644 if path in shown else 0o600) for path in files)


@pytest.fixture
def give(volens: Command) -> Command:
    """Give consent for the lobby."""

    def command(*more: object, name: str = "Ada Canary", out: str = "ada") -> Said:
        arguments = ("--zone", "lobby", "--name", name, "--jurisdiction", "FR", "--out", f"{out}.receipt.json")
        key = () if "--key" in more else ("--new-key", f"{out}.key")
        return volens("consent", "give", *arguments, *key, *more)

    return command


@pytest.fixture
def ada(lobby: Path, give: Command) -> Path:
    """Ada's receipt; she gave consent and is not enrolled yet."""
    given = give("--yes-i-read-it")
    assert given.code == 0, given.err
    return lobby / "ada.receipt.json"


@pytest.fixture
def enrolled(lobby: Path, enrolled_template: Path) -> Path:
    """Ada's receipt; she is enrolled."""
    shutil.rmtree(lobby / "site")
    shutil.copytree(enrolled_template, lobby, dirs_exist_ok=True)
    return lobby / "ada.receipt.json"
