from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from house import House
from patience import PATIENCE_S
from PIL import Image
from starlette.testclient import TestClient

from volens.face import Extractor, RgbImage
from volens.service import samples
from volens.service.http import AppState, application
from volens.store.programs import Role


def jpeg(image: RgbImage) -> bytes:
    out = BytesIO()
    Image.fromarray(image.pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture(scope="session")
def extractor() -> Extractor:
    return Extractor.load_default()


@pytest.fixture(scope="session")
def views() -> list[bytes]:
    """Three photos of one person, and a fourth as a door sees them."""
    return [jpeg(photo) for photo in samples.views(samples.astronaut(), 4)]


@pytest.fixture
def app_state(house: House, extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppState]:
    # On a busy machine a thread of the service may hold the write lock for longer, and a record is then left out.
    monkeypatch.setattr("volens.store.sqlite.sqlite_connections.NO_WAIT_S", PATIENCE_S)
    house.reopen(lambda: extractor)
    house.declare("lab")
    app_state = AppState(house.site, model_threads=1, waiting=4)
    yield app_state
    app_state.close()


@pytest.fixture
def client(app_state: AppState) -> Iterator[TestClient]:
    with TestClient(application(app_state), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def bearer(app_state: AppState) -> Callable[..., dict[str, str]]:
    """Issue a credential, and return its header."""

    def issue(role: Role, zone: str | None = None) -> dict[str, str]:
        if role is Role.DOOR:
            zone = zone or "lobby"
        _, token = app_state.site.programs.credentials.issue(label=role.value, role=role, zone=zone)
        return {"Authorization": f"Bearer {token.reveal()}"}

    return issue
