"""A sketch with its key is a template: the answer to a person counts it as biometric data."""

import pytest
from house import House

from volens.rights import held_under


@pytest.mark.parametrize(("enrolled", "sketches"), [(True, 1), (False, 0)])
def test_an_answer_counts_the_sketch_of_a_reference(house: House, *, enrolled: bool, sketches: int) -> None:
    person = house.admit() if enrolled else house.invite()
    with house.store.read() as connection:
        held = held_under(house.store, connection, person.receipt_id)
    assert held is not None
    assert held.counts["sketches"] == sketches
