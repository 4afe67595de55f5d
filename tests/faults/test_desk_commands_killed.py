"""Commands of the desk that are killed, or run out of disk, at any durable step: whole or not at all, and a second run.

`volens consent correct`, `volens import people.csv` and `volens enroll --folder-of-people`, as the desk types them.
"""

import csv
import json
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import command_line
import dying
import pytest
from declared_gates import open_gates_in
from PIL import Image
from publishing import publish_at_home
from said import Said
from small_disk import needs_mounts, tmpfs

from benchmarks.group_photo import six_people_photo
from tests.unit.store.raw import DATA, peek
from volens.consent import TakeHome
from volens.consent.receipt import ReceiptClaims
from volens.face import Extractor
from volens.service import samples

PEOPLE = ("ada", "bob")


@dataclass
class Desk:
    """A site with Ada and Bob, who gave consent, and a folder with a photo of each; to be copied for every case."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "site", self.folder / f"site-{name}"))

    def say(self, home: Path, *arguments: object) -> Said:
        self.monkeypatch.setenv("VOLENS_HOME", str(home))
        return command_line.run_captured(self.capsys, *arguments)

    def name(self, home: Path, person: str) -> str:
        """Return the person's name, or 'none' if there is not exactly one consent in force with one name."""
        listed = self.say(home, "people", "list", "--json").json
        names = [one["name"] for one in listed if one["receipt_id"] == self.receipt_id(person)]
        return str(names[0]) if len(names) == 1 else "none"

    def references(self, home: Path) -> dict[str, int]:
        listed = self.say(home, "people", "list", "--json").json
        return {person: one["references"] for person in PEOPLE for one in listed if self.is_of(one, person)}

    def links(self, home: Path) -> dict[str, bool]:
        listed = self.say(home, "people", "list", "--json").json
        return {person: one["is_linked"] for person in PEOPLE for one in listed if self.is_of(one, person)}

    def is_of(self, listed: dict[str, object], person: str) -> bool:
        return listed["receipt_id"] == self.receipt_id(person)

    def receipt_id(self, person: str) -> str:
        return self.claims(person).receipt_id

    def claims(self, person: str) -> ReceiptClaims:
        data = (self.folder / f"people/{person}/{person}.receipt.json").read_bytes()
        return TakeHome.parse(data).receipt.claims


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    extractor = Extractor.load_default()
    group = six_people_photo()
    photos = {"ada": samples.astronaut(), "bob": samples.around(group, extractor.detect(group)[0].box)}
    promises = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOLENS_HOME", str(folder / "site"))
        patch.chdir(folder)
        for command in (
            ("init", "--controller", "Example Ltd", "--contact", "privacy@example.org", "--jurisdiction", "FR"),
            ("zone", "add", "lobby", "--custody", "operator", *promises),
        ):
            assert command_line.run(command) == 0
        open_gates_in(folder / "site", "lobby")
        publish_at_home("lobby")
        for person, photo in photos.items():
            own = folder / "people" / person
            own.mkdir(parents=True)
            given = ("--name", person.title(), "--out", own / f"{person}.receipt.json", "--new-key", f"{person}.key")
            assert command_line.run(["consent", "give", *map(str, given), "--yes-i-read-it"]) == 0
            Image.fromarray(photo.pixels).save(own / "face.png")
    rows = [f"people/{person}/{person}.receipt.json,people/{person},47-{person}" for person in PEOPLE]
    (folder / "people.csv").write_text("\n".join(["receipt,photos,external_id", *rows, ""]))
    return folder


@pytest.fixture
def desk(template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    extractor = Extractor.load_default()
    command_line.load_models_by(monkeypatch, lambda: extractor)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(template)
    return Desk(template, monkeypatch, capsys)


def killed_at_each_step(desk: Desk, command: Sequence[object], least: int) -> "list[Path]":
    """Return a copy of the site for each durable step at which the command was killed, in their order."""
    result = desk.folder / "steps"
    counted = desk.copy("counted")
    (desk.folder / "report.json").unlink(missing_ok=True)
    assert dying.run(dying.command_and_die, counted, command, -1, "after", result) == 0
    code, steps = map(int, result.read_text().split())
    assert (code, steps >= least) == (0, True)
    homes = []
    for nth, moment in [(0, "before"), *((nth, "after") for nth in range(steps))]:
        homes.append(desk.copy(f"{nth}-{moment}"))
        (desk.folder / "report.json").unlink(missing_ok=True)
        killed = dying.run(dying.command_and_die, homes[-1], command, nth, moment, result)
        assert killed == -signal.SIGKILL, f"step {nth}, {moment}"
    shutil.rmtree(counted)
    return homes


def on_small_disks(desk: Desk, command: Sequence[object]) -> "list[Path]":
    """Return a copy of the site for each size of a file at which the command met a full disk, and one where it fit."""
    homes, codes = [], set()
    for size_kib in (16, 300, 420, 500, 600, 8192):
        home, result = desk.copy(f"full-{size_kib}"), desk.folder / "code"
        (desk.folder / "report.json").unlink(missing_ok=True)
        assert dying.run(dying.command_on_a_full_disk, home, command, size_kib * 1024, result) == 0
        codes.add(int(result.read_text()))
        homes.append(home)
    assert codes == {0, 6}
    return homes


@pytest.mark.parametrize("fault", [pytest.param("killed", id="killed"), pytest.param("full", id="full disk")])
def test_a_name_is_the_old_or_the_new_one_and_a_second_correction_finishes(desk: Desk, fault: str) -> None:
    receipt = "people/ada/ada.receipt.json"
    command = ("consent", "correct", receipt, "--name", "Ada Newname")
    homes = killed_at_each_step(desk, command, 3) if fault == "killed" else on_small_disks(desk, command)
    ((old_box,),) = peek(
        desk.folder / "site" / DATA,
        f"SELECT sealed_name FROM subject_profile WHERE receipt_id = '{desk.receipt_id('ada')}'",  # noqa: S608
    )
    found = []
    for home in homes:
        found.append(desk.name(home, "ada"))
        assert desk.name(home, "bob") == "Bob"
        assert desk.say(home, *command).code == 0
        assert desk.name(home, "ada") == "Ada Newname"
        assert not [path for path in home.rglob("*") if path.is_file() and old_box[12:28] in path.read_bytes()]
        assert desk.say(home, "audit", "verify").code == 0
        assert desk.say(home, "doctor").code == 0
        shutil.rmtree(home)
    assert found == sorted(found, key=("Ada", "Ada Newname").index)
    assert set(found) == {"Ada", "Ada Newname"}


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        pytest.param("a table", "killed", id="a table, killed"),
        pytest.param("a table", "full", id="a table, full disk"),
        # The same steps without the link to the staff list, on the small disks alone, which are fewer.
        pytest.param("a folder", "full", id="a folder, full disk"),
    ],
)
def test_each_person_is_enrolled_or_not_and_a_second_run_enrolls_the_others(desk: Desk, how: str, fault: str) -> None:
    start = ("import", "people.csv") if how == "a table" else ("enroll", "--folder-of-people", "people")
    command = (*start, "--allow-few", "--report", "report.json")
    homes = killed_at_each_step(desk, command, 6) if fault == "killed" else on_small_disks(desk, command)
    found = []
    for home in homes:
        references = desk.references(home)
        found.append(sum(references.values()))
        assert set(references.values()) <= {0, 1}
        (desk.folder / "report.json").unlink(missing_ok=True)
        again = desk.say(home, *command, "--json")
        assert again.code == 0, again.out
        already = sum(references.values())
        assert again.json["counts"] == {"enrolled": 2 - already, "already enrolled": already, "refused": 0}
        assert json.loads((desk.folder / "report.json").read_bytes()) == again.json["people"]
        assert desk.references(home) == {"ada": 1, "bob": 1}
        assert desk.links(home) == dict.fromkeys(PEOPLE, how == "a table")
        for person, photo in (("ada", "people/ada/face.png"), ("bob", "people/bob/face.png")):
            (face,) = desk.say(home, "identify", "--zone", "lobby", photo, "--json").json["faces"]
            assert face["subject_id"] == desk.claims(person).subject_id
        assert desk.say(home, "audit", "verify").code == 0
        shutil.rmtree(home)
    assert found == sorted(found)
    assert {0, 2} <= set(found)


@needs_mounts
def test_a_report_that_does_not_fit_on_its_disk_loses_nobody(desk: Desk, tmp_path: Path) -> None:
    home = desk.copy("report")
    with tmpfs(tmp_path / "stick", 1) as stick:
        stick.fill()
        said = desk.say(home, "import", "people.csv", "--allow-few", "--report", stick.path / "report.json")
        assert said.code == 6
        assert "2 of 2 people are enrolled; repeat the command" in said.err
        assert list(stick.path.glob("*report*")) == []
        stick.make_room()
        again = desk.say(home, "import", "people.csv", "--allow-few", "--report", stick.path / "report.json", "--json")
        assert again.json["counts"] == {"enrolled": 0, "already enrolled": 2, "refused": 0}
        assert json.loads((stick.path / "report.json").read_bytes()) == again.json["people"]


def test_a_store_that_cannot_be_written_says_how_far_the_import_came(desk: Desk, tmp_path: Path) -> None:
    home, result = desk.copy("halfway"), tmp_path / "said"
    command = ("import", "people.csv", "--allow-few", "--report", tmp_path / "report.csv")
    # The ninth durable step is of the second person: the first one is enrolled.
    assert dying.run(dying.command_and_fail, home, command, 9, result) == 0
    code, said = result.read_text().split("\n", 1)
    assert code == "6"
    assert "injected: the disk says no; 1 of 2 people are enrolled; repeat the command" in " ".join(said.split())
    with (tmp_path / "report.csv").open(newline="") as file:
        assert [row["outcome"] for row in csv.DictReader(file)] == ["enrolled"]
    assert sum(desk.references(home).values()) == 1
