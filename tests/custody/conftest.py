from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[House]:
    """A house with a zone of each custody."""
    house = House.build(tmp_path / "home")
    house.declare("vault", "subject_key")
    house.declare("gate", "badge")
    yield house
    house.site.close()
