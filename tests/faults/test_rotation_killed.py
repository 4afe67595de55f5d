"""A rotation killed at every durable step, or on a full disk, while another process has the site open."""

import copy
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dying
import pytest
from house import Clock, House, Person, no_models
from transit import TOKEN, transit

from volens import Site, VerifierKey, verify_certificate
from volens.store import ask_root_key_holder


@dataclass
class Scene:
    """A closed home of three people, one of whom has withdrawn, and the values that a rotation must remove."""

    folder: Path
    root: bool
    signing: bool
    certificate: bytes
    leaver: Person
    stayers: list[Person]
    epoch: int
    old: list[bytes]
    reset: Callable[[], object] = list

    @property
    def asked(self) -> dict[str, bool]:
        return {"root": self.root, "signing": self.signing}

    def copy(self, name: str) -> Path:
        self.reset()
        return Path(shutil.copytree(self.folder / "template", self.folder / name))

    def opened(self, home: Path) -> House:
        site = Site.open(home, load_extractor=no_models, clock=Clock())
        return House.of(site, [self.leaver, *self.stayers])

    def check_matching(self, house: House) -> None:
        assert [house.sees(person) for person in house.people] == [False, *[True for _ in self.stayers]]


def scene_of(folder: Path, url: str, *, root: bool = False, signing: bool = False) -> Scene:
    house = House.build(folder / "template", root_key=url)
    leaver, *stayers = [house.admit() for _ in range(4)]
    certificate = house.withdraw(leaver).certificate_path.read_bytes()
    epoch = house.site.keys.status().epoch
    house.site.close()
    with closing(sqlite3.connect(folder / "template" / "keyring.db")) as keyring:
        query = "SELECT wrapped FROM {} UNION ALL SELECT wrapped FROM {} UNION ALL SELECT wrapped FROM {}"
        old = [box for (box,) in keyring.execute(query.format("grant_secret", "bucket", "site_key"))]
        old += keyring.execute("SELECT wrapped_store_key FROM keyring").fetchone()
    file = folder / "template" / "root.key"
    return Scene(
        folder,
        root,
        signing,
        certificate,
        leaver,
        stayers,
        epoch,
        [*old, *([file.read_bytes()] if root and file.exists() else [])],
    )


@pytest.fixture(params=["store key", "root key", "signing key", "root key in vault"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param != "root key in vault":
        kind = request.param.split()[0]
        yield scene_of(tmp_path, "file:root.key", root=kind == "root", signing=kind == "signing")
        return
    (tmp_path / "token").write_text(TOKEN)
    with transit() as vault:
        scene = scene_of(tmp_path, vault.url(token_file=str(tmp_path / "token")), root=True)
        first = copy.deepcopy(vault.keys)
        # Every copy of the home begins with the Transit key as it was.
        scene.reset = lambda: vault.keys.update(copy.deepcopy(first))
        yield scene


def check_all_is_done(scene: Scene, home: Path, what: str) -> None:
    house = scene.opened(home)
    try:
        scene.check_matching(house)
        before = house.site.keys.status()
        if before.epoch == scene.epoch or before.unfinished:
            done = house.site.keys.rotate(**scene.asked)
            assert done.resumed is before.unfinished, what
            assert done.new_root is scene.root, what
        status = house.site.keys.status()
        assert (status.secrets, status.unfinished) == (len(scene.stayers), False), what
        assert status.epoch >= scene.epoch + 1, what
        scene.check_matching(house)
        assert house.sees(house.admit())
        kinds = house.site.log.verify().kinds
        assert (kinds["keys.rotated"], kinds["signing_key.rotated"]) == (1, int(scene.signing)), what
        key = VerifierKey.parse((home / "site.pub").read_text())
        assert (house.site.verifier_key, len(key.successions)) == (key, int(scene.signing)), what
        assert status.signing_key == 1 + scene.signing, what
        verify_certificate(scene.certificate, key)
        assert not (home / "root.key.next").exists()
        ask_root_key_holder(home)
    finally:
        house.site.close()
    now = b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())
    # 8 consecutive bytes of a wrapped secret count as found, because SQLite may have split it over pages.
    left = [box for box in scene.old if any(box[at : at + 8] in now for at in range(13, len(box) - 8, 8))]
    assert not left, what


def test_a_rotation_killed_at_any_step_opens_matches_and_is_finished_by_the_next(scene: Scene) -> None:
    result = scene.folder / "steps"
    assert dying.run(dying.rotate_and_die, scene.copy("counted"), scene.asked, -1, "", result) == 0
    steps = int(result.read_text())
    assert steps >= (12 if scene.root else 8)
    # A kill after one step is a kill before the next, because nothing durable happens between two.
    for nth, moment in [(0, "before"), *((nth, "after") for nth in range(steps))]:
        what = f"step {nth}, {moment}"
        home = scene.copy(f"{nth}-{moment}")
        other = scene.opened(home)
        scene.check_matching(other)
        assert dying.run(dying.rotate_and_die, home, scene.asked, nth, moment, result) == -signal.SIGKILL, what
        scene.check_matching(other)
        if nth == steps // 2:
            assert other.sees(other.admit()), what
            other.withdraw(other.people.pop())
        other.site.close()
        check_all_is_done(scene, home, what)
        shutil.rmtree(home)


@pytest.mark.parametrize(("root", "signing"), [(False, False), (True, False), (False, True)])
def test_on_a_full_disk_a_rotation_is_refused_and_finished_when_there_is_room(
    tmp_path: Path, *, root: bool, signing: bool
) -> None:
    scene = scene_of(tmp_path, "file:root.key", root=root, signing=signing)
    said: set[str] = set()
    # Each limit stops the write-ahead log, or the file, at another point.
    for size_bytes in (0, 8_000, 30_000, 50_000, 70_000, 100_000, 300_000, 1_000_000):
        home = scene.copy(str(size_bytes))
        result = tmp_path / f"{size_bytes}.txt"
        assert dying.run(dying.rotate_on_a_full_disk, home, scene.asked, size_bytes, result) == 0
        said.add(result.read_text().partition(":")[0])
        check_all_is_done(scene, home, f"{size_bytes} bytes: {result.read_text()}")
    assert said == {"UnavailableError", "done"}
