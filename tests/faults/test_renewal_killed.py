"""A renewal that is killed, or runs out of disk, at any durable step: exactly one consent is in force, and matches."""

import shutil
import signal
from pathlib import Path

import dying
import pytest
from house import Clock, House, Person, no_models

from volens import Site
from volens.consent import SubjectKey
from volens.index import Galleries, Installation
from volens.store import open_home
from volens.store.people import live_receipts


class Scene:
    """A home with two people, closed, to be copied for every case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        house = House.build(folder / "template")
        key = SubjectKey.from_seed(dying.RENEWING_SEED)
        home = house.site.give_consent(house.site.notice("lobby"), name="Ada Example", jurisdiction="FR", key=key)
        self.renewing = house.enroll(Person(home, house.face()))
        self.other = house.admit()
        house.site.close()

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "template", self.folder / name))

    def check(self, home: Path) -> None:
        """Exactly one consent of the person is in force and matches, before anything is resumed and after."""
        store = open_home(home, clock=Clock(), random=bytes)
        quiet = Site(Installation(store, Galleries(store), home), no_models)  # type: ignore[arg-type]
        before = self._one_that_matches(House.of(quiet))
        store.close()
        house = House.of(Site.open(home, load_extractor=no_models, clock=Clock()))
        assert house.site.unfinished is None
        assert self._one_that_matches(house) == before
        is_renewed = before != self.renewing.receipt_id
        assert len(list((home / "certificates").glob("*.json"))) == int(is_renewed)
        house.clock.move(hours=2)
        house.site.sweep()
        assert self._one_that_matches(house) == before
        house.site.log.verify()
        house.site.close()

    def _one_that_matches(self, house: House) -> str:
        with house.store.read() as connection:
            live = set(live_receipts(connection))
        assert house.sees(self.other)
        match = house.look_at(self.renewing.face).match
        assert match is not None
        assert live == {match.receipt_id, self.other.receipt_id}
        return match.receipt_id


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


def test_a_renewal_killed_at_any_step_leaves_one_consent_that_matches(scene: Scene) -> None:
    result = scene.folder / "steps"
    receipt_id = scene.renewing.receipt_id
    assert dying.run(dying.renew_and_die, scene.copy("counted"), receipt_id, -1, "after", result) == 0
    scene.check(scene.folder / "counted")
    steps = int(result.read_text())
    assert steps >= 15
    for nth, moment in [(0, "before"), *((nth, "after") for nth in range(steps))]:
        home = scene.copy(f"{nth}-{moment}")
        code = dying.run(dying.renew_and_die, home, receipt_id, nth, moment, result)
        assert code == -signal.SIGKILL, f"step {nth}, {moment}"
        scene.check(home)
        shutil.rmtree(home)


def test_a_renewal_on_a_full_disk_leaves_one_consent_that_matches(scene: Scene) -> None:
    said = set()
    for size_kib in (16, 400, 600, 700, 800, 4096):
        home, result = scene.copy(f"full-{size_kib}"), scene.folder / f"said-{size_kib}"
        assert dying.run(dying.renew_on_a_full_disk, home, scene.renewing.receipt_id, size_kib * 1024, result) == 0
        said.add(result.read_text().partition(":")[0])
        scene.check(home)
        shutil.rmtree(home)
    assert said == {"UnavailableError", "done"}
