"""Drill of an order by the CNIL, end to end: as in the page in docs/, and with more people, requests and faces."""

import random
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from command_line import every_command, load_models_by, run_captured
from declared_gates import open_gates_in
from house import Clock, House, Person, no_models
from publishing import publish_at_home
from said import Command, Said

from tests.unit.erase.orders import Answerer, ask
from volens import Site
from volens.consent import TakeHome
from volens.face import Extractor

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "drill-cnil-order.md"


@pytest.fixture
def volens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process: the models are loaded once, not for every line."""
    monkeypatch.setenv("VOLENS_HOME", str(tmp_path / "site"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> Said:
        return run_captured(capsys, *arguments)

    return command


def lines() -> Iterator[tuple[list[str], int]]:
    """Yield each command of the page, and the exit code that it announces."""
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        for line in block.splitlines():
            announced = re.search(r"# exit code (\d+)", line)
            yield shlex.split(line.removeprefix("$ "), comments=True), int(announced[1]) if announced else 0


def test_every_command_of_the_page_ends_as_it_says(
    volens: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    loaded: list[Extractor] = []

    def models() -> Extractor:
        loaded.extend([] if loaded else [Extractor.load_default()])
        return loaded[0]

    load_models_by(monkeypatch, models)
    said: dict[str, Said] = {}
    for (program, *arguments), code in lines():
        if program == "export":
            monkeypatch.setenv(*arguments[0].split("=", 1))
        elif program == "mkdir":
            Path(arguments[-1]).mkdir(parents=True, exist_ok=True)
        else:
            assert program == "volens"
            typed = " ".join(arguments)
            said[typed] = volens(*arguments)
            assert said[typed].code == code, (typed, said[typed].out, said[typed].err)

    assert len(said) >= 25
    by_start = {typed: one.out + one.err for typed, one in said.items()}
    (planned,) = (out for typed, out in by_start.items() if typed.startswith("erase --jurisdiction FR --operator-key"))
    assert "2 people, 2 consents, 1 reference" in planned
    assert "not affected: 1 person" in planned
    (checked,) = (out for typed, out in by_start.items() if typed.startswith("dossier verify"))
    assert "approved by anna, ben" in checked
    assert "2 certificates, each of them checked" in checked
    assert volens("status", "--json").json["zones"][0]["live_consents"] == 1


def test_the_page_names_existing_commands_and_options_only() -> None:
    known = set(every_command().commands)
    assert {arguments[1] for arguments, _code in lines() if arguments[0] == "volens"} <= known


def test_the_order_is_obeyed_within_one_afternoon(
    volens: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three people under French law, two under German, one access request of each; two zones; faces at a door."""
    promises = ("--custody", "operator", "--justification", "trays", "--alternative", "a badge")
    volens("init", "--controller", "Example Ltd", "--contact", "privacy@example.org")
    for zone in ("lobby", "lab"):
        assert volens("zone", "add", zone, *promises, "--retention-days", "90").code == 0
        open_gates_in(tmp_path / "site", zone)
        publish_at_home(zone)
    french = [("ada", "lobby", "FR"), ("bea", "lab", "FR"), ("cid", "lobby", "FR-IDF")]
    german = [("dan", "lobby", "DE"), ("eva", "lab", "DE-BY")]
    for name, zone, law in (*french, *german):
        given = volens(
            *("consent", "give", "--zone", zone, "--name", name, "--jurisdiction", law, "--yes-i-read-it"),
            *("--new-key", f"{name}.key", "--out", f"{name}.json"),
        )
        assert given.code == 0, given.err
    clock = Clock()
    clock.time = datetime.now(UTC)
    site = Site.open(tmp_path / "site", load_extractor=no_models, clock=clock)  # type: ignore[arg-type]
    house = House(site, clock, np.random.default_rng(7), random.Random(7))
    people = {
        name: house.enroll(Person(TakeHome.parse((tmp_path / f"{name}.json").read_bytes()), house.face()))
        for name, _zone, _law in (*french, *german)
    }
    asked = {name: ask(house, people[name]) for name in ("ada", "dan")}
    answerer = Answerer(house)
    monkeypatch.setattr("volens.service.cli.cohort_commands.answer_open_requests", lambda *_: answerer)
    for label in ("anna", "ben"):
        volens("operator", "keygen", f"{label}.key", "--no-passphrase")
        volens("operator", "add", label, "--key", f"{label}.key.pub")
    assert volens("operator", "require", 2).code == 0

    # 1. stop
    assert volens("erase", "--jurisdiction", "FR", "--stop-collecting").code == 0
    # 2. count, and agree
    counts = volens(
        *("erase", "--jurisdiction", "FR", "--operator-key", "anna.key", "--out", "fr.plan.json", "--json")
    ).json["counts"]
    assert (counts["cohort"]["people"], counts["outside"]["people"], counts["open_requests"]) == (3, 2, 1)
    assert volens("erase", "--approve", "fr.plan.json", "--operator-key", "ben.key", "--out", "ben.json").code == 0
    # 3. answer, delete, prove
    house.reopen()
    site = house.site
    done = volens("erase", "--execute", "fr.plan.json", "--approval", "ben.json", "--dossier", "dossier", "--json")
    assert done.code == 0, done.out
    assert answerer.asked == [people["ada"].receipt_id]
    assert [path.stem for path in (tmp_path / "fr.answers").iterdir()] == [people["ada"].receipt_id]
    assert asked["dan"]
    for name, zone, _law in french:
        assert not house.sees(people[name], zone)
    for name, zone, _law in german:
        assert house.sees(people[name], zone)
    site.close()
    # 4. the check by the authority, with the folder and the key alone
    shutil.copy(tmp_path / "site" / "site.pub", tmp_path / "site.pub")
    assert volens("audit", "verify").code == 0
    (tmp_path / "site").rename(tmp_path / "gone")
    checked = volens("dossier", "verify", "dossier", "--key", "site.pub", "--json").json
    assert checked["certificates"] == 3
    assert checked["approved_by"] == ["anna", "ben"]
    assert checked["before"]["requests_answered"] == 1
    assert checked["before"]["cohort"]["zones"] == {
        "lab": {"consents": 1, "references": 1},
        "lobby": {"consents": 2, "references": 2},
    }
    assert checked["after"]["cohort"]["people"] == 0
    assert checked["after"]["outside"]["people"] == 2
    assert len(checked["after"]["collecting_stopped_by"]) == 1
