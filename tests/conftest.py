import os
from collections.abc import Iterator
from pathlib import Path

# Many small matrices: threads of OpenBLAS only wait for each other, most of all when tests run in parallel. Set
# before NumPy is imported, which reads it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from compiled_statements import share_compiled_statements
from connections import lock_timeout
from house import House, server_home
from known_photos import measure_each_roll_once
from memory_folder import memory_folder
from postgres_server import PostgresServer, postgres_server

from volens.face.embedder import SFACE_MODEL

# pytest reads the variable when the first folder is made.
if (memory := memory_folder()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))

share_compiled_statements()
measure_each_roll_once()

SLOW = (
    "site",
    "report",
    "load",
    "history",
    "models",
    "workers",
    "faults",
    "backup",
    "erasure",
    "typing",
    "benchmarks",
    "properties",
    "packaging",
)
ENGINES = ("files", "server")
BOTH_ENGINES = {
    "unit/erase/test_many.py",
    "unit/erase/test_prove.py",
    "unit/erase/test_revocations.py",
    "unit/erase/test_sweep.py",
    "unit/erase/test_recipients.py",
    "unit/erase/test_requests.py",
    "unit/erase/test_access_answer.py",
    "unit/erase/test_outdated_staff.py",
    "unit/store/test_consents.py",
    "unit/store/test_admission.py",
    "unit/store/test_idempotency_store.py",
    "unit/store/test_promises.py",
    "unit/store/test_senders.py",
    "unit/store/test_jobs.py",
    "unit/store/test_inbox.py",
    "unit/store/test_staff.py",
    "unit/store/test_recovery_advice.py",
    "unit/store/test_row_seals.py",
    "unit/store/test_standing_consents.py",
    "unit/store/test_log_growth.py",
    "unit/store/test_site_defaults.py",
    "unit/store/test_door_reports.py",
    "unit/store/test_processing_records.py",
    "unit/rights/test_decision_explanation.py",
    "unit/rights/test_breach_facts.py",
    "unit/rights/test_refusal_explanation.py",
    "unit/rights/test_sketches_in_answers.py",
    "workers/test_two_releases.py",
}
"""Modules whose tests of a site run with SQLite and with PostgreSQL; a server costs each test half a second."""
LONGEST = {"test_no_tell_tale.py", "test_service_memory.py", "test_large_frames.py"}
"""In other folders."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the folders with long tests first if several processes share them, so that all end at about the same time."""
    if hasattr(config, "workerinput"):
        folder = Path(__file__).parent
        items.sort(
            key=lambda item: item.path.relative_to(folder).parts[0] not in SLOW and item.path.name not in LONGEST
        )


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one zone and one notice, closed: migrations are run for the first test only."""
    house = House.build(tmp_path_factory.mktemp("template") / "home")
    house.site.close()
    return house.site.home


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; started when the first test asks for it."""
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="session")
def server_template(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home and the database of `template`, on the server; closed."""
    return server_home(server, tmp_path_factory.mktemp("server-template"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of a site in the modules of `BOTH_ENGINES` on both engines, unless it says that it is of one."""
    module = metafunc.definition.path.relative_to(Path(__file__).parent).as_posix()
    is_of_files = metafunc.definition.get_closest_marker("of_files") is not None
    if "engine" in metafunc.fixturenames and module in BOTH_ENGINES and not is_of_files:
        metafunc.parametrize("engine", ENGINES, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """Where the databases of `house` are."""
    return str(getattr(request, "param", os.environ.get("VOLENS_TEST_ENGINE", "files")))


@pytest.fixture
def house(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    if engine == "files":
        house = House.copied(request.getfixturevalue("template"), tmp_path / "home")
        yield house
        house.site.close()
        return
    server: PostgresServer = request.getfixturevalue("server")
    home, database = request.getfixturevalue("server_template")
    copy = server.copy_of(database)
    house = House.copied(home, tmp_path / "home", copy)
    yield house
    house.site.close()
    server.drop(copy)


@pytest.fixture(scope="session")
def crowd(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with 51 people enrolled with the default model, ten of whom resemble another one; closed."""
    house = House.copied(template, tmp_path_factory.mktemp("crowd") / "home")
    house.model_id = SFACE_MODEL.model_id
    house.populate(51, lambda number: 0.62 if number % 5 == 0 else 0.3)
    house.site.close()
    return house.site.home


@pytest.fixture
def alike(crowd: Path, tmp_path: Path) -> Iterator[House]:
    """A site with the crowd; its clock is that of the tests."""
    house = House.copied(crowd, tmp_path / "home")
    yield house
    house.site.close()


@pytest.fixture
def impatient(house: House) -> Iterator[House]:
    """The house with a short lock timeout, for tests in which a lock is not released before it."""
    with lock_timeout(0.1):
        yield house
