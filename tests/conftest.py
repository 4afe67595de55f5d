import os
from collections.abc import Iterator
from pathlib import Path

# Many small matrices: threads of OpenBLAS only wait for each other, most of all when tests run side by side. Set
# before NumPy is imported, which reads it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House.build(tmp_path / "home")
    yield house
    house.site.close()
