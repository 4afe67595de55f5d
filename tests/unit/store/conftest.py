from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House

from tests.unit.store.raw import DATA


@pytest.fixture(scope="module")
def house_of_rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data file with a row in every table, for statements that are refused."""
    rows = House.build(tmp_path_factory.mktemp("rows") / "home")
    rows.withdraw(rows.admit())
    rows.admit()
    yield rows.site.home / DATA
    rows.site.close()
