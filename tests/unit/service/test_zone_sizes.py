"""How many people a searched zone may have: said when it is added, and a finding of doctor when there are more."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from said import Command

from volens import Site
from volens.consent import Custody, RefusedError
from volens.face.embedder import SFACE_MODEL
from volens.service.cli.doctor_commands import _zone_sizes
from volens.service.zone_sizes import zones_too_large

SFACE = str(SFACE_MODEL.model_id)


def site(*zones: tuple[str, Custody, dict[str, int]]) -> Site:
    listed = [
        SimpleNamespace(zone=SimpleNamespace(purpose=name, custody=custody), references=references)
        for name, custody, references in zones
    ]
    return cast("Site", SimpleNamespace(status=lambda: SimpleNamespace(zones=listed)))


@pytest.mark.parametrize(
    ("references", "large"),
    [({SFACE: 900}, {}), ({SFACE: 901}, {"lobby": 901}), ({"another": 9000, SFACE: 3}, {}), ({}, {})],
)
def test_a_zone_is_too_large_above_the_measured_number_of_people(references: dict[str, int], large: object) -> None:
    assert zones_too_large([("lobby", references)]) == large


def test_doctor_names_the_zone_the_error_and_what_to_do() -> None:
    with pytest.raises(
        RefusedError, match=r"lobby has 1,200 people; .* up to 900 people; .* 24 at 1,000 .*compare 1:1"
    ):
        _zone_sizes(site(("lobby", Custody.OPERATOR, {SFACE: 1200}), ("lab", Custody.OPERATOR, {SFACE: 3})))
    searched = site(("lobby", Custody.OPERATOR, {SFACE: 12}), ("safe", Custody.BADGE, {SFACE: 9000}))
    assert _zone_sizes(searched).startswith("people in searched zones: lobby 12; ")


def test_adding_a_searched_zone_says_how_many_people_it_serves(lobby: Path, volens: Command) -> None:
    assert lobby.exists()
    promises = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
    said = volens("zone", "add", "attic", "--custody", "operator", *promises).out
    assert "up to 900 people" in said
    assert "fewer than 1 of 100 strangers" in said
    assert "people" not in volens("zone", "add", "safe", "--custody", "badge", *promises).out
    (sizes,) = [one for one in volens("doctor", "--json").json if one["what"] == "zone sizes"]
    assert (sizes["ok"], "attic 0, lobby 0" in sizes["found"]) == (True, True)
