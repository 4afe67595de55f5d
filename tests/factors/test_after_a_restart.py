"""A zone that requires a second factor still requires it when its gallery comes from a snapshot."""

from collections.abc import Iterator

import pytest
from house import House
from pins import cheap_pins

from volens.consent import SecondFactor, ShownFactor


@pytest.fixture(autouse=True)
def _pins_cost_nothing() -> Iterator[None]:
    with cheap_pins():
        yield


@pytest.mark.parametrize("is_newer", [False, True], ids=["the-log-did-not-grow", "the-log-grew-by-a-request"])
def test_a_face_alone_opens_nothing_after_the_gallery_was_loaded(
    house: House, monkeypatch: pytest.MonkeyPatch, *, is_newer: bool
) -> None:
    monkeypatch.setattr("volens.index.gallery.SNAPSHOT_FROM", 1)
    house.declare("vault", second_factor="pin")
    person = house.admit("vault")
    house.site.factors.set(person.receipt_id, ShownFactor.of(SecondFactor.PIN, "719035"))
    assert house.look_at(person.face, "vault").match is None
    house.reopen()
    if is_newer:
        house.site.rights.open("access", [person.receipt_id])

    assert house.look_at(person.face, "vault").match is None
    assert house.look_at(person.face, "vault", factor=ShownFactor.of(SecondFactor.PIN, "719035")).match is not None
