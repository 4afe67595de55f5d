import os
from collections.abc import Iterator
from pathlib import Path

# Many small matrices: threads of OpenBLAS only wait for each other, most of all when tests run side by side. Set
# before NumPy is imported, which reads it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from house import House

SLOW = ("site", "report", "load", "workers", "faults", "backup", "erasure", "typing", "benchmarks", "properties")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the folders whose tests are long, where several processes share them, so that none ends alone."""
    if hasattr(config, "workerinput"):
        folder = Path(__file__).parent
        items.sort(key=lambda item: item.path.relative_to(folder).parts[0] not in SLOW)


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
