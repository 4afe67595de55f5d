"""`volens audit verify --from`: of the site and of a folder of tiles, and the checkpoints that are refused."""

import json
import shutil
from pathlib import Path

import pytest
from said import Command

from volens.audit.tiles import Tile

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture
def last(ada: Path, volens: Command) -> Path:
    """A checkpoint of the site after Ada's enrollment, as a verification saved it."""
    assert ada.exists()
    said = volens("audit", "verify", "--save", "last.txt")
    assert said.code == 0, said.err
    return Path("last.txt").absolute()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A checkpoint of another site."""
    line = (VECTORS / "worked_log.jsonl").read_text("utf-8").splitlines()[-1]
    path = tmp_path / "other.txt"
    path.write_text(json.loads(line)["checkpoint"], "utf-8")
    return path


def forged(path: Path) -> Path:
    """The same checkpoint with one leaf more, under the old signature."""
    lines = path.read_text("utf-8").split("\n")
    lines[1] = str(int(lines[1]) + 1)
    changed = path.with_name("forged.txt")
    changed.write_text("\n".join(lines), "utf-8")
    return changed


def test_a_log_is_verified_from_the_last_checkpoint_on(ada: Path, last: Path, volens: Command) -> None:
    before = int(last.read_text("utf-8").splitlines()[1])
    nothing = volens("audit", "verify", "--from", last)
    assert f"0 new entries after the {before} of {last}" in nothing.out

    assert volens("withdraw", ada).code == 0
    said = volens("audit", "verify", "--from", last, "--save", last, "--json")
    assert said.code == 0, said.err
    assert said.json["since"] == before < said.json["size"]
    assert said.json["kinds"] == {"consent.ended": 1, "erasure.certified": 1}
    assert int(last.read_text("utf-8").splitlines()[1]) == said.json["size"]
    assert volens("audit", "verify", "--json").json["root"] == said.json["root"]


def test_a_certificate_is_a_checkpoint_to_verify_from(ada: Path, volens: Command) -> None:
    certificate = Path(volens("withdraw", ada, "--json").json["certificate"])
    said = volens("audit", "verify", "--from", certificate, "--json")
    assert (said.code, said.json["since"]) == (0, said.json["size"])


def test_checkpoints_to_verify_from_are_refused_with_one_sentence_each(
    ada: Path, last: Path, other: Path, volens: Command, home: Path
) -> None:
    copy = shutil.copytree(home, home.parent / "older")
    assert volens("withdraw", ada).code == 0
    assert volens("audit", "verify", "--save", "newer.txt").code == 0
    cases = [
        (("--from", other), 7, "this checkpoint is of another site than the public key"),
        (("--from", forged(last)), 4, "the checkpoint's signature does not match"),
        (("--from", "newer.txt", "--home", copy), 4, "it was rolled back; recover the newest data"),
        (("--from", "nothing.txt"), 2, "there is no evidence nothing.txt"),
        (("--save", last), 2, "the checkpoint"),
    ]
    for arguments, code, words in cases:
        said = volens("audit", "verify", *arguments)
        assert (said.code, said.out) == (code, ""), said.out
        assert words in said.err
        assert said.err.count("\n") == 1


def test_a_folder_of_tiles_is_verified_without_the_site(
    ada: Path, last: Path, other: Path, volens: Command, home: Path
) -> None:
    folder, trust = ada.parent / "www", ("--trust", home / "site.pub")
    assert volens("audit", "tiles", folder, "--public-log-hours", "0").code == 0
    early = shutil.copytree(folder, ada.parent / "early")
    assert volens("withdraw", ada).code == 0
    assert volens("audit", "tiles", folder, "--public-log-hours", "0").code == 0

    said = volens("audit", "verify", folder, *trust, "--from", last, "--save", "next.txt")
    assert said.code == 0, said.err
    assert "it continues 1 earlier checkpoint" in said.out
    assert Path("next.txt").read_bytes() == (folder / "checkpoint").read_bytes()
    assert volens("audit", "verify", folder, *trust).code == 0

    # A web server may drop a partial tile when the full one is there.
    (partial,) = (early / "tile/0/000.p").iterdir()
    (early / Tile(0, 0).path).write_bytes(partial.read_bytes() + bytes(8192 - partial.stat().st_size))
    partial.unlink()
    assert volens("audit", "verify", early, *trust).code == 0

    cases = [
        ((folder, "--from", last), 2, "a folder of tiles also needs --trust"),
        ((folder, *trust, "--from", other), 7, "this checkpoint is of another site"),
        ((folder, *trust, "--from", forged(last)), 4, "signature does not match"),
        ((early, *trust, "--from", "next.txt"), 4, "it was rolled back"),
        ((ada.parent / "nowhere", *trust), 2, "there is no log"),
        (("ada.receipt.json", "--from", last), 2, "use --evidence instead"),
    ]
    for arguments, code, words in cases:
        refused = volens("audit", "verify", *arguments)
        assert (refused.code, refused.out) == (code, ""), words
        assert words in refused.err

    for name in ("tile/0/000.p", "checkpoint"):
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
        gone = volens("audit", "verify", folder, *trust)
        assert (gone.code, "there is no" in gone.err) == (2, True)
