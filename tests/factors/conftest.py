from collections.abc import Callable, Iterator

import pytest
from house import House, Person
from pins import cheap_pins

from volens.consent import SecondFactor, ShownFactor

PINS = ("719035", "428163")
NUMBERS = ("04A1B2C3D4E5", "04F6A7B8C9D0")


@pytest.fixture
def cheap() -> Iterator[None]:
    """Lower the cost of the PIN hash for tests that do not measure it."""
    with cheap_pins():
        yield


@pytest.fixture
def staff(house: House, cheap: None) -> Callable[[str], tuple[Person, Person]]:
    """Ann and Bob, enrolled in a zone of a kind, each with their own PIN or badge."""
    assert cheap is None

    def admit(kind: str) -> tuple[Person, Person]:
        house.declare(kind, second_factor=kind)
        ann, bob = house.admit(kind), house.admit(kind)
        for person, text in zip((ann, bob), PINS if kind == "pin" else NUMBERS, strict=True):
            house.site.factors.set(person.receipt_id, of_kind(kind, text))
        return ann, bob

    return admit


def of_kind(kind: str, text: str) -> ShownFactor:
    return ShownFactor.of(SecondFactor(kind), text)
