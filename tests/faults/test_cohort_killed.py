"""An order that is killed in the middle: the second execution finishes it, and its dossier is correct."""

import shutil
import signal
from pathlib import Path

import dying
import pytest
from house import Clock, House, no_models

from tests.unit.store.raw import DATA, peek
from volens import Site
from volens.erase.order import Selection, cohort_of, verify_dossier

# The selected steps: the beginning, the middle of several people, the end.
PLACES = [0.0, 0.3, 0.6, 0.97, 1.0]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, House, int]:
    """A closed home with three French people and a German one, its plan, and how many steps the order takes."""
    folder = tmp_path_factory.mktemp("orders")
    house = House.build(folder / "template")
    house.site.cohorts.require_operators(1)
    for jurisdiction in ("FR", "DE", "FR", "FR"):
        house.admit(jurisdiction=jurisdiction)
    (folder / "plan").write_bytes(house.site.cohorts.plan(Selection(jurisdiction="FR"))[1])
    house.site.close()
    home = Path(shutil.copytree(folder / "template", folder / "counted"))
    assert dying.run(dying.carry_out_and_die, home, folder / "plan", -1, "after", folder / "steps") == 0
    return folder, house, int((folder / "steps").read_text())


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_order_is_finished_when_it_is_carried_out_again(
    scene: tuple[Path, House, int], tmp_path: Path, place: float, moment: str
) -> None:
    folder, built, steps = scene
    home = Path(shutil.copytree(folder / "template", tmp_path / "home"))
    nth = round(place * (steps - 1))

    code = dying.run(dying.carry_out_and_die, home, folder / "plan", nth, moment, tmp_path / "result")

    assert code == -signal.SIGKILL
    with Site.open(home, load_extractor=no_models, clock=Clock()) as site:
        house = House.of(site, built.people)
        data = (folder / "plan").read_bytes()
        begun = bool(peek(home / DATA, "SELECT 1 FROM cohort"))
        finished = bool(peek(home / DATA, "SELECT 1 FROM cohort WHERE finished_at IS NOT NULL"))
        done = site.cohorts.execute(data, [], tmp_path / "dossier", answers=tmp_path / "answers")
        assert [house.sees(person) for person in built.people] == [False, True, False, False]
        dossier = verify_dossier(done.dossier, site.verifier_key)
        site.log.verify()
    assert len(dossier.certificates) == dossier.counts["before"]["cohort"]["consents"] == 3
    assert dossier.counts["after"]["resumed"] == int(begun and not finished)


def test_resuming_finishes_every_order_that_was_begun(scene: tuple[Path, House, int], tmp_path: Path) -> None:
    folder, built, steps = scene
    home = Path(shutil.copytree(folder / "template", tmp_path / "home"))
    dying.run(dying.carry_out_and_die, home, folder / "plan", steps // 2, "after", tmp_path / "result")

    with Site.open(home, load_extractor=no_models, clock=Clock()) as site:
        (cohort,) = site.cohorts.resume()
        with site.installation.store.read() as connection:
            assert cohort_of(connection, cohort.cohort_id) == cohort
        assert cohort.finished_at is not None
        house = House.of(site, built.people)
        assert [house.sees(person) for person in built.people] == [False, True, False, False]
        assert site.cohorts.resume() == []
