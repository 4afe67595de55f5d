import pytest
from house import House


@pytest.fixture
def doors(house: House) -> House:
    """A site with a zone of each custody."""
    house.declare("vault", "subject_key")
    house.declare("gate", "badge")
    return house
