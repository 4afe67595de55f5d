"""The house of these tests, copied from one that is built once: migrations are run for the first test only."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from house import Clock, House, no_models

from volens import Site


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with one zone and one notice, closed."""
    house = House.build(tmp_path_factory.mktemp("template") / "home")
    house.site.close()
    return house.site.home


@pytest.fixture
def house(template: Path, tmp_path: Path) -> Iterator[House]:
    """Open a copy; its randomness goes on from another seed, so that nothing is drawn twice."""
    house = copied(template, tmp_path / "home")
    yield house
    house.site.close()


def copied(template: Path, home: Path) -> House:
    clock, bits = Clock(), random.Random(2)
    shutil.copytree(template, home)
    site = Site.open(home, load_extractor=no_models, clock=clock, random=bits.randbytes)  # type: ignore[arg-type]
    return House(site, clock, np.random.default_rng(1), bits)
