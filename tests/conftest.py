import os
from collections.abc import Iterator
from pathlib import Path

# Many small matrices: threads of OpenBLAS only wait for each other, most of all when tests run side by side. Set
# before NumPy is imported, which reads it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from house import House


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one zone and one notice, closed: migrations are run for the first test only."""
    house = House.build(tmp_path_factory.mktemp("template") / "home")
    house.site.close()
    return house.site.home


@pytest.fixture
def house(template: Path, tmp_path: Path) -> Iterator[House]:
    house = House.copied(template, tmp_path / "home")
    yield house
    house.site.close()
