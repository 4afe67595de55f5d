from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from said import Command, Said

from volens.face import Extractor
from volens.service import samples
from volens.service.cli.app import run


@pytest.fixture(scope="session")
def loaded() -> Extractor:
    return Extractor.load_default()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: Extractor) -> Path:
    """A home in the environment, and models that are loaded once for all tests."""
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "site"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("volens.service.cli.session.default_models", lambda: loaded)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "site"


@pytest.fixture
def volens(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command as `main` does, and return what it said."""
    assert home.parent.is_dir()

    def command(*arguments: object) -> Said:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Said(int(code), out, err)

    return command


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos: ada-1 to ada-3, ada-door, group; the people of the group as group-N-1 to group-N-3."""
    folder = tmp_path_factory.mktemp("album")
    extractor = Extractor.load_default()
    *ada, door = samples.views(samples.astronaut(), 4)
    group = samples.group()
    named = {f"ada-{number}": photo for number, photo in enumerate(ada, start=1)} | {"ada-door": door, "group": group}
    for person, face in enumerate(extractor.detect(group)[:2]):
        for number, photo in enumerate(samples.views(samples.around(group, face.box), 3), start=1):
            named[f"group-{person}-{number}"] = photo
    for name, photo in named.items():
        Image.fromarray(photo.pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def lobby(volens: Command, tmp_path: Path) -> Iterator[Path]:
    """A site with a zone and a notice."""
    (tmp_path / "notice.md").write_text("We compare your face at the door.\n")
    assert volens("init", "--controller", "Example Ltd", "--contact", "privacy@example.org").code == 0
    promises = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
    assert volens("zone", "add", "lobby", "--custody", "operator", *promises).code == 0
    assert volens("notice", "publish", "--zone", "lobby", "--language", "en", "notice.md").code == 0
    yield tmp_path
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "site").rglob("*") if path.is_file())


@pytest.fixture
def give(volens: Command) -> Command:
    """Have somebody say yes for the lobby."""

    def command(*more: object, name: str = "Ada Canary", out: str = "ada") -> Said:
        arguments = ("--zone", "lobby", "--name", name, "--jurisdiction", "FR", "--out", f"{out}.receipt.json")
        key = () if "--key" in more else ("--new-key", f"{out}.key")
        return volens("consent", "give", *arguments, *key, *more)

    return command


@pytest.fixture
def ada(lobby: Path, give: Command) -> Path:
    """Ada's receipt; she said yes and is not enrolled yet."""
    given = give("--yes-i-read-it")
    assert given.code == 0, given.err
    return lobby / "ada.receipt.json"


@pytest.fixture
def enrolled(ada: Path, volens: Command, album: Path) -> Path:
    """Ada's receipt; she is enrolled."""
    done = volens("enroll", ada, *(album / f"ada-{number}.png" for number in (1, 2, 3)))
    assert done.code == 0, done.err
    return ada
