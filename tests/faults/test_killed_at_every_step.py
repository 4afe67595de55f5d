"""Every durable step twice: killed before it persisted, and after. Then reopen, and check everything again."""

import copy
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import dying
import pytest
from house import Clock, House, Person, no_models
from transit import TOKEN, TransitKey, transit

from volens import Site, verify_certificate
from volens.audit import VerifierKey
from volens.consent import VolensError
from volens.index import Galleries, Installation
from volens.store import open_home
from volens.store.keys import Keyring
from volens.store.keys.root_key.holder_choice import holder_at


class Scene:
    """A home with three people, closed, to be copied for every case.

    Attributes:
        reset: puts the holder of the root key back to where it was when the home was copied.
    """

    def __init__(self, folder: Path, url: str = "file:root.key", reset: Callable[[], object] = list) -> None:
        self.folder = folder
        house = House.build(folder / "template", root_key=url)
        self.leaver, *self.stayers = [house.admit() for _ in range(3)]
        house.site.close()
        self.reset = reset

    def copy(self, name: str) -> Path:
        self.reset()
        return Path(shutil.copytree(self.folder / "template", self.folder / name))

    def people(self) -> list[Person]:
        return [self.leaver, *self.stayers]

    def steps(self) -> int:
        result = self.folder / "steps"
        assert dying.run(dying.count_steps, self.copy("counted"), self.leaver.code, result) == 0
        return int(result.read_text())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def steps(scene: Scene) -> int:
    return scene.steps()


@pytest.fixture
def scene_with_vault(tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "token").write_text(TOKEN)
    with transit() as vault:
        first: dict[str, TransitKey] = {}
        scene = Scene(
            tmp_path, vault.url(token_file=str(tmp_path / "token")), lambda: vault.keys.update(copy.deepcopy(first))
        )
        first |= copy.deepcopy(vault.keys)
        yield scene


def opened(home: Path, people: list[Person]) -> House:
    return House.of(Site.open(home, load_extractor=no_models, clock=Clock()), people)


def matches_before_anything_resumes(home: Path, scene: Scene) -> bool:
    """Query in a process that opens the store but finishes no erasure."""
    store = open_home(home, clock=Clock(), random=bytes)
    house = House.of(Site(Installation(store, Galleries(store), home), no_models), scene.people())  # type: ignore[arg-type]
    try:
        assert all(house.sees(person) for person in scene.stayers)
        return house.sees(scene.leaver)
    finally:
        store.close()


def check_all_is_done(home: Path, scene: Scene, *, certified: bool = True) -> None:
    house = opened(home, scene.people())
    try:
        assert house.site.unfinished is None
        erased = house.withdraw(scene.leaver)  # idempotent: the certificate that was issued
        key = VerifierKey.parse((home / "site.pub").read_text().strip())
        certificate = verify_certificate(erased.certificate_path.read_bytes(), key)
        assert certificate.certificate_id == erased.certificate_id
        # After a failure of the holder the certificate says so, and the sweep has replaced the root key since.
        assert certificate.statement["keys"]["root_key_destroyed"] or not certified
        assert len(list((home / "certificates").iterdir())) == 1
        assert [house.sees(person) for person in scene.people()] == [False, True, True]
        house.site.log.verify()
        assert house.site.status().unfinished_erasures == 0
        assert not house.site.keys.status().root_key_due
    finally:
        house.site.close()
    check_no_key_of_before_is_left(home, scene)


def check_no_key_of_before_is_left(home: Path, scene: Scene) -> None:
    """The keys of before open nothing of now, and the keys of now nothing of before."""
    before = scene.folder / "template"
    for keyring, keys in ((home, before), (before, home)):
        mixed = home.with_name(f"{home.name} mixed")
        mixed.mkdir()
        shutil.copy(keyring / "keyring.db", mixed)
        for name in ("root.key", "root-key.json"):
            if (keys / name).exists():
                shutil.copy(keys / name, mixed)
        with pytest.raises(VolensError, match=r"does not open with this root key|no longer unwraps this version"):
            Keyring.open(mixed / "keyring.db", holder_at(mixed, bytes))
        shutil.rmtree(mixed)


def check_every_kill(scene: Scene, steps: int) -> None:
    # What is killed after one step is killed before the next: nothing that lasts is done between two.
    for nth, moment in [(0, "before"), *((nth, "after") for nth in range(steps))]:
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


def test_a_withdrawal_killed_at_any_step_never_matches_again_and_is_finished(scene: Scene, steps: int) -> None:
    assert steps >= 16
    check_every_kill(scene, steps)


def test_the_same_holds_if_a_key_service_has_the_root_key(scene_with_vault: Scene) -> None:
    check_every_kill(scene_with_vault, scene_with_vault.steps())


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
            check_all_is_done(home, scene, certified=False)
            shutil.rmtree(home)
