from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from house import House
from PIL import Image
from starlette.testclient import TestClient

from enroll import Extractor, RgbImage
from service import samples
from service.http.app import application
from service.http.rooms import Rooms
from store import Role


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
def rooms(house: House, extractor: Extractor) -> Iterator[Rooms]:
    house.site._load_extractor = lambda: extractor
    house.declare("lab")
    rooms = Rooms.of(house.site, model_threads=1, waiting=4)
    yield rooms
    rooms.close()


@pytest.fixture
def client(rooms: Rooms) -> Iterator[TestClient]:
    with TestClient(application(rooms), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def bearer(rooms: Rooms) -> Callable[..., dict[str, str]]:
    """Issue a credential, and return the header that shows it."""

    def issue(role: Role, zone: str | None = None) -> dict[str, str]:
        if role is Role.DOOR:
            zone = zone or "lobby"
        _, token = rooms.site.credentials.issue(label=role.value, role=role, zone=zone)
        return {"Authorization": f"Bearer {token.reveal()}"}

    return issue
