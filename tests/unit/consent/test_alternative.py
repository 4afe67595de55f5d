"""The alternative, compared with the face by what is declared."""

import pytest

from volens.consent.alternative import Alternative, Drawback
from volens.consent.declarations import ZoneFact


def declared(**facts: str) -> Alternative:
    return Alternative.of({ZoneFact(name): text for name, text in facts.items()})


@pytest.mark.parametrize(
    ("facts", "drawbacks"),
    [
        ({}, ()),
        ({"alternative_cost": "Nothing."}, ()),
        ({"alternative_cost": "rien"}, ()),
        ({"alternative_cost": "5 EUR for a badge"}, (Drawback.COST,)),
        ({"face_wait_s": "5", "alternative_wait_s": "5"}, ()),
        ({"face_wait_s": "5", "alternative_wait_s": "6"}, (Drawback.WAIT,)),
        ({"face_wait_s": "5"}, ()),
        ({"face_wait_s": "0", "alternative_wait_s": "9", "alternative_cost": "x"}, (Drawback.WAIT, Drawback.COST)),
    ],
)
def test_it_is_worse_only_by_what_is_declared(facts: dict[str, str], drawbacks: tuple[Drawback, ...]) -> None:
    assert declared(**facts).drawbacks == drawbacks


def test_it_says_what_must_be_declared_to_compare() -> None:
    assert declared(face_wait_s="0").missing == (ZoneFact.ALTERNATIVE_COST, ZoneFact.ALTERNATIVE_WAIT_S)
    whole = declared(face_wait_s="8", alternative_wait_s="3", alternative_cost="nothing")
    assert (whole.missing, whole.longer_by_s) == ((), -5)
