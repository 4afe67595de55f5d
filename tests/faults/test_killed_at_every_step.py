"""Every durable step twice: killed before it persisted, and after. Then reopen, and check everything again."""

import shutil
import signal
from pathlib import Path

import dying
import pytest
from house import Clock, House, Person, no_models

from volens import Site, verify_certificate
from volens.audit import VerifierKey
from volens.index import Galleries, Installation
from volens.store import Store
from volens.store.keys.root_key import read_root_key_file


class Scene:
    """A home with three people, closed, to be copied for every case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        house = House.build(folder / "template")
        self.leaver, *self.stayers = [house.admit() for _ in range(3)]
        house.site.close()

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "template", self.folder / name))

    def people(self) -> list[Person]:
        return [self.leaver, *self.stayers]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def steps(scene: Scene) -> int:
    result = scene.folder / "steps"
    assert dying.run(dying.count_steps, scene.copy("counted"), scene.leaver.code, result) == 0
    return int(result.read_text())


def opened(home: Path, people: list[Person]) -> House:
    return House.of(Site.open(home, load_extractor=no_models, clock=Clock()), people)


def matches_before_anything_resumes(home: Path, scene: Scene) -> bool:
    """Query in a process that opens the store but finishes no erasure."""
    with read_root_key_file(home / "root.key") as root_key:
        store = Store.open(home, root_key=root_key, clock=Clock(), random=bytes)
    house = House.of(Site(Installation(store, Galleries(store), home), no_models), scene.people())  # type: ignore[arg-type]
    try:
        assert all(house.sees(person) for person in scene.stayers)
        return house.sees(scene.leaver)
    finally:
        store.close()


def check_all_is_done(home: Path, scene: Scene) -> None:
    house = opened(home, scene.people())
    try:
        assert house.site.unfinished is None
        erased = house.withdraw(scene.leaver)  # idempotent: the certificate that was issued
        key = VerifierKey.parse((home / "site.pub").read_text().strip())
        assert verify_certificate(erased.certificate_path.read_bytes(), key).certificate_id == erased.certificate_id
        assert len(list((home / "certificates").iterdir())) == 1
        assert [house.sees(person) for person in scene.people()] == [False, True, True]
        house.site.log.verify()
        assert house.site.status().unfinished_erasures == 0
    finally:
        house.site.close()


def test_a_withdrawal_killed_at_any_step_never_matches_again_and_is_finished(scene: Scene, steps: int) -> None:
    assert steps >= 10
    for nth in range(steps):
        for moment in ("before", "after"):
            home = scene.copy(f"{nth}-{moment}")
            code = dying.run(dying.withdraw_and_die, home, scene.leaver.code, nth, moment)
            assert code == -signal.SIGKILL, f"step {nth}, {moment}"
            stopped = (nth, moment) != (0, "before")
            assert matches_before_anything_resumes(home, scene) is not stopped, f"step {nth}, {moment}"
            if not stopped:
                house = opened(home, scene.people())
                assert house.sees(scene.leaver)
                house.site.close()
            check_all_is_done(home, scene)
            shutil.rmtree(home)


def test_a_consent_killed_while_it_is_given_is_in_force_whole_or_not_at_all(scene: Scene) -> None:
    for nth in range(3):
        for moment in ("before", "after"):
            home = scene.copy(f"give-{nth}-{moment}")
            assert dying.run(dying.give_and_die, home, nth, moment) == -signal.SIGKILL
            house = opened(home, scene.people())
            recorded = house.site.status().zones[0].live_consents == 4
            assert recorded is ((nth, moment) >= (1, "after") if moment == "after" else nth >= 2)
            assert all(house.sees(person) for person in scene.people())
            house.clock.move(hours=2)
            assert house.site.sweep().stray_secrets == (1 if not recorded and (nth, moment) != (0, "before") else 0)
            assert house.site.status().zones[0].live_consents == (4 if recorded else 3)
            house.site.log.verify()
            house.site.close()


def test_a_sweep_of_many_survives_a_kill_in_the_middle(scene: Scene) -> None:
    home = scene.copy("sweep")
    assert dying.run(dying.sweep_and_die, home, 8) == -signal.SIGKILL
    clock = Clock()
    clock.move(days=180)
    with Site.open(home, load_extractor=no_models, clock=clock) as site:
        site.sweep()
        assert site.status().zones[0].live_consents == 0
        assert site.status().unfinished_erasures == 0
        assert len(list((home / "certificates").iterdir())) == 3
        site.log.verify()


def test_a_failed_step_is_refused_or_resumed_also_if_only_its_result_was_lost(scene: Scene, steps: int) -> None:
    for nth in range(steps):
        for moment in ("before", "after"):
            home, result = scene.copy(f"fail-{nth}-{moment}"), scene.folder / f"said-{nth}-{moment}"
            assert dying.run(dying.withdraw_and_fail, home, scene.leaver.code, nth, moment, result) == 0
            said, then = result.read_text().splitlines()
            refused = (nth, moment) == (0, "before")
            assert said.partition(":")[0] in (
                ("UnavailableError",) if refused else ("done", "ErasureIncompleteError")
            ), f"step {nth}, {moment}: {said}"
            assert then == "done", f"step {nth}, {moment}"
            if refused:
                house = opened(home, scene.people())
                assert house.sees(scene.leaver)
                house.site.close()
            check_all_is_done(home, scene)
            shutil.rmtree(home)
