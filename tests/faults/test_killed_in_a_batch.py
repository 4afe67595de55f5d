"""An erasure batch that is killed in the middle: stopped people never match again, others are unchanged."""

import shutil
import signal
from collections import Counter
from pathlib import Path

import dying
import pytest
from connections import pragmas
from house import Clock, House, Person, no_models

from volens import Site, verify_certificate
from volens.audit import VerifierKey
from volens.consent import EndReason
from volens.erase import ErasureState, erase_consents, states_of
from volens.index import Galleries, Installation
from volens.store import open_home
from volens.store.people import live_receipts

PEOPLE = 300


class Crowd:
    """A home with many people, closed, to be copied for every case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        house = House.build(folder / "template")
        self.people = [house.admit() for _ in range(PEOPLE)]
        self.ids = [person.receipt_id for person in self.people]
        house.site.close()

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "template", self.folder / name))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    with pragmas("PRAGMA synchronous = OFF"):  # in a hurry
        return Crowd(tmp_path_factory.mktemp("crowd"))


@pytest.fixture(scope="module")
def steps(crowd: Crowd) -> int:
    result = crowd.folder / "steps"
    assert dying.run(dying.erase_all_and_die, crowd.copy("counted"), -1, "after", result) == 0
    shutil.rmtree(crowd.folder / "counted")
    return int(result.read_text())


@pytest.mark.parametrize(
    ("share", "moment"),
    [
        (0.0, "before"),
        (0.0, "after"),
        (0.1, "after"),
        (0.3, "before"),
        (0.5, "after"),
        (0.8, "before"),
        (1.0, "before"),
        (1.0, "after"),
    ],
)
def test_a_killed_batch_is_finished_on_reopening_for_stopped_people(
    crowd: Crowd, steps: int, share: float, moment: str
) -> None:
    nth = round(share * (steps - 1))
    home = crowd.copy(f"{nth}-{moment}")
    assert dying.run(dying.erase_all_and_die, home, nth, moment, crowd.folder / "none") == -signal.SIGKILL

    stopped = stopped_before_anything_resumes(home, crowd)

    with Site.open(home, load_extractor=no_models, clock=Clock()) as site:  # type: ignore[arg-type]
        assert site.unfinished is None
        assert site.status().unfinished_erasures == 0
        house = House.of(site, crowd.people)
        alive = [person for person in crowd.people if person.receipt_id not in stopped]
        check_sample(house, alive, sees=True)
        check_certificates(house, len(stopped))
        # A second call erases the remaining people, and erased people get no second certificate.
        erase_consents(house.site.installation, crowd.ids, EndReason.ORDERED)
        check_sample(house, crowd.people, sees=False)
        check_certificates(house, PEOPLE)
        kinds = site.log.verify().kinds
        assert kinds["consent.ended"] == kinds["erasure.certified"] == PEOPLE
    shutil.rmtree(home)


def test_the_points_cover_a_batch_of_which_only_some_were_stopped(crowd: Crowd) -> None:
    home = crowd.copy("first chunk")
    assert dying.run(dying.erase_all_and_die, home, 2, "after", crowd.folder / "none") == -signal.SIGKILL

    stopped = stopped_before_anything_resumes(home, crowd)

    assert 0 < len(stopped) < PEOPLE
    assert len(stopped) % 100 == 0


def stopped_before_anything_resumes(home: Path, crowd: Crowd) -> set[str]:
    """Query in a process that finishes no erasure: the consent of each person is either in force or stopped."""
    store = open_home(home, clock=Clock(), random=bytes)
    try:
        with store.read() as connection:
            live, states = set(live_receipts(connection)), states_of(connection, crowd.ids)
        assert live | states.keys() == set(crowd.ids)
        assert not live & states.keys()
        house = House.of(Site(Installation(store, Galleries(store), home), no_models), crowd.people)  # type: ignore[arg-type]
        check_sample(house, [one for one in crowd.people if one.receipt_id in states], sees=False)
        check_sample(house, [one for one in crowd.people if one.receipt_id in live], sees=True)
        assert Counter(states.values()).keys() <= set(ErasureState)
        return set(states)
    finally:
        store.close()


def check_sample(house: House, people: list[Person], *, sees: bool) -> None:
    for person in people[:: max(1, len(people) // 10)]:
        assert house.sees(person) is sees


def check_certificates(house: House, count: int) -> None:
    files = list((house.site.home / "certificates").glob("*")) if count else []
    assert len(files) == count
    key = VerifierKey.parse((house.site.home / "site.pub").read_text().strip())
    receipts = {verify_certificate(path.read_bytes(), key).receipt_sha256 for path in files}
    assert len(receipts) == count
