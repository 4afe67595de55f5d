"""`volens calibrate`, `volens doctor` and metrics: how often a zone errs, and what follows from it."""

import json
import re
import zipfile
from functools import partial
from pathlib import Path

import pytest
from house import House
from said import Command

from volens import Site
from volens.service.http.prometheus_metrics import Metrics


@pytest.fixture
def crowded(alike: House, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the crowd, for commands; their clock is that of the tests."""
    assert not home.exists()
    alike.site.close()
    monkeypatch.setenv("VOLENS_HOME", str(alike.site.home))
    monkeypatch.setattr(Site, "open", partial(Site.open, clock=alike.clock))
    return alike.site.home


def rates(volens: Command) -> tuple[bool, str]:
    (found,) = [one for one in volens("doctor", "--json").json if one["what"] == "error rates"]
    return found["ok"], found["found"]


def test_a_zone_that_errs_too_often_gets_a_higher_threshold_and_doctor_is_content(
    crowded: Path, volens: Command
) -> None:
    assert crowded.exists()
    ok, found = rates(volens)
    assert (ok, "lobby accepts" in found, "aims at 0.1%" in found, "--apply" in found) == (False, True, True, True)
    before = volens("calibrate", "--zone", "lobby", "--json").json
    assert (before["measured_people"], before["enough"], before["exceeds_target"]) == (50, True, True)
    assert before["now"]["fpir"]["low"] > before["target"] == 0.001
    assert before["doubled"]["people"] == 2 * before["now"]["people"] == 102
    assert before["measured"]["threshold"] > before["now"]["threshold"] == before["model_threshold"]

    said = volens("calibrate", "--apply", "--plot", "lobby.svg")

    assert said.code == 0
    assert "plot: lobby.svg" in said.out
    after = volens("calibrate", "--json").json
    assert after["now"]["threshold"] == pytest.approx(before["measured"]["threshold"], abs=0.001)
    assert (after["exceeds_target"], rates(volens)[0]) == (False, True)
    words = Path("lobby.svg").read_text("utf-8")
    assert "strangers accepted (FPIR), 51 people enrolled" in words
    assert f"threshold in use, {after['now']['threshold']:.3f}" in words
    assert volens("calibrate", "--plot", "lobby.svg").code == 2, "files are not overwritten"

    refused = volens("calibrate", "--reset")
    assert (refused.code, "pass --lower" in refused.err) == (1, True)
    assert volens("calibrate", "--reset", "--lower", "--json").json["shift"] == 0


def test_no_id_of_a_person_is_shown(crowded: Path, volens: Command) -> None:
    assert crowded.exists()
    text = volens("calibrate", "--json").out + volens("calibrate").out
    assert "lobby" in text
    assert not re.search(r"\b[0-9a-f]{32}\b|[A-Za-z0-9_-]{43}", text)


def test_metrics_have_the_measured_rate_with_its_interval(alike: House) -> None:
    text = Metrics(alike.site).text().decode()
    value, low, high = (
        float(re.search(rf'volens_fpir{{bound="{one}",zone="lobby"}} (\S+)', text)[1])  # type: ignore[index]
        for one in ("value", "low", "high")
    )
    assert low < value < high
    assert low > 0.001
    assert 'volens_fpir_target{zone="lobby"} 0.001' in text
    assert 'volens_fpir_people{zone="lobby"} 50.0' in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--apply", "--reset"), "pass one of them"),
        (("--lower",), "--lower goes with --apply or --reset"),
        (("--apply", "--fpir", "0.05%"), "leave --fpir out"),
        (("--fpir", "0"), "expected a percentage above 0 and up to 10, such as 0.05%"),
        (("--fpir", "nan"), "expected a percentage"),
        (("--fpir", "50%"), "expected a percentage"),
        (("--zone", "attic"), "there is no zone 'attic'"),
        ((), "no counted scores of at least two people (0 enrolled"),
    ],
)
def test_what_cannot_be_calibrated_is_one_sentence(
    lobby: Path, volens: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    assert lobby.exists()
    said = volens("calibrate", *arguments)
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1


def counts(volens: Command, receipt: Path | str, folder: Path) -> dict[str, int]:
    """Return how many scores are counted of a person, from the answer to their access request."""
    answer = folder / f"{len(list(folder.glob('*.zip')))}.zip"
    assert volens("export", receipt, "--to", answer).code == 0
    with zipfile.ZipFile(answer) as files:
        (held,) = json.loads(files.read("consent-1/record.jsonld"))["volens:held"]["score_counts"]
    return {kind: sum(held[kind].values()) for kind in ("own", "others")}


def test_photos_of_enrollments_are_counted_and_few_people_are_too_few(
    enrolled: Path, volens: Command, give: Command, album: Path, tmp_path: Path
) -> None:
    assert give("--yes-i-read-it", name="Eve Alike", out="eve").code == 0
    photos = [album / f"ada-{number}.png" for number in (1, 2, 3)]
    assert volens("enroll", "eve.receipt.json", *photos, "--two-people").code == 0
    assert counts(volens, enrolled, tmp_path) == {"own": 3, "others": 0}
    assert counts(volens, "eve.receipt.json", tmp_path) == {"own": 3, "others": 3}

    found = volens("calibrate", "--json").json

    # Of two people the second was compared with the first, whom she resembles.
    assert (found["measured_people"], found["enough"], found["exceeds_target"]) == (1, False, False)
    assert found["now"]["fpir"]["value"] == 1
    assert found["now"]["fnir"]["value"] == 0
    assert "people measured: 1, too few to calibrate a zone" in volens("calibrate").out
    refused = volens("calibrate", "--apply")
    assert (refused.code, "too few" in refused.err) == (1, True)


def test_added_photos_are_counted_with_those_before_and_new_ones_in_their_place(
    enrolled: Path, volens: Command, give: Command, album: Path, tmp_path: Path
) -> None:
    give("--yes-i-read-it", name="Bob", out="bob")
    assert volens("enroll", "bob.receipt.json", *(album / f"group-0-{number}.png" for number in (1, 2, 3))).code == 0
    assert volens("enroll", enrolled, album / "ada-door.png", "--add-photos").code == 0
    assert counts(volens, enrolled, tmp_path) == {"own": 4, "others": 1}

    photos = [album / f"ada-{number}.png" for number in (1, 2, 3)]
    assert volens("enroll", enrolled, *photos, "--replace-photos").code == 0

    assert counts(volens, enrolled, tmp_path) == {"own": 3, "others": 3}
    assert volens("calibrate", "--json").json["now"]["fpir"]["value"] < 0.1
