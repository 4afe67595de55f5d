"""One run: a service as a separate process, and the library in this one; both get the same frames in turn."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeVar, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.load.service import Service
from benchmarks.machine import machine
from volens import Site
from volens.consent import InputError, SubjectKey
from volens.face import RgbImage, decode
from volens.service import samples
from volens.service.sample_notice import publish_sample_notice
from volens.store.programs import Role

ZONE: Final = "lobby"
Pixels = NDArray[np.uint8]
Answer = TypeVar("Answer")

_PACKAGES: Final = ("fastapi", "uvicorn", "onnxruntime", "faiss-cpu", "opencv-python-headless")
IN_A_ROW: Final = 10
"""Requests of one kind in a row, because a door sends frame after frame."""
_WARM: Final = 2
_END: Final = b"\r\n\r\n"


@final
@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a door.

    Attributes:
        name: in the table.
        jpeg: its bytes.
    """

    name: str
    jpeg: bytes


def frames() -> list[Frame]:
    """Return the frames, the smallest first. Three have the size of an embedding, 2 KiB; an embedding cannot be sent.

    The first is not an image and is refused by both: it shows the share of HTTP when models take no time.
    """
    person = samples.astronaut().pixels
    # A gradient compresses to almost nothing; a little noise makes it as large as an embedding.
    noise = np.random.default_rng(1).normal(0, 7, (128, 128, 1))
    wall = np.clip(np.linspace(40, 200, 128)[:, None, None] + noise + np.zeros(3), 0, 255).astype(np.uint8)
    return [
        Frame("2 KiB, no image", bytes(2048)),
        Frame("2 KiB, a wall", _jpeg(wall, 50)),
        Frame("2 KiB, a face", _jpeg(_resized(person[0:260, 90:350], 96, 96), 72)),
        Frame("640 x 480, a face", _jpeg(_at_a_door(person, 640, 480), 90)),
        Frame("1280 x 720, a face", _jpeg(_at_a_door(person, 1280, 720), 90)),
    ]


def observe(home: Path, turns: int) -> dict[str, Any]:
    """Return the time of each frame each way, in nanoseconds, in the order of the requests."""
    shown, token = frames(), _site(home)
    with Site.open(home) as site, Service(home, 1) as service, Caller(service.port, token) as caller:
        ways: dict[str, dict[str, Callable[[], bool]]] = {
            one.name: {
                "library": lambda jpeg=one.jpeg: _is_known(site, jpeg),
                "http": lambda jpeg=one.jpeg: b'"match"' in caller.identify(jpeg),
            }
            for one in shown
        }
        observed: dict[str, Any] = {name: {"library": [], "http": [], "healthz": []} for name in ways}
        for turn in range(-_WARM, turns):
            for name, both in ways.items():
                known = set[bool]()
                for way in ("library", "http") if turn % 2 else ("http", "library"):
                    took, said = _in_a_row(both[way])
                    observed[name][way] += took * (turn >= 0)
                    known |= said
                observed[name]["healthz"] += _in_a_row(caller.healthz)[0] * (turn >= 0)
                if len(known) != 1:
                    raise RuntimeError(f"library and service disagree about {name!r}")
    return {
        "machine": machine(),
        "threads": {"models": 1, "inside a model": 1},
        "versions": {name: version(name) for name in _PACKAGES},
        "frames": {one.name: len(one.jpeg) for one in shown},
        "nanoseconds": observed,
    }


def _in_a_row(ask: Callable[[], Answer]) -> tuple[list[int], set[Answer]]:
    took, said = [], set()
    for _ in range(IN_A_ROW):
        began = time.perf_counter_ns()
        answer = ask()
        took.append(time.perf_counter_ns() - began)
        said.add(answer)
    return took, said


@final
class Caller:
    """A client that costs a few microseconds: one persistent connection, requests built beforehand."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST /v1/zones/{ZONE}/identify HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: image/jpeg\r\nContent-Length: "
        ).encode()

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def identify(self, jpeg: bytes) -> bytes:
        """Return the response body; RuntimeError if it is neither a decision nor the refusal of an unreadable image."""
        return self._ask(self._head + str(len(jpeg)).encode() + _END + jpeg)

    def healthz(self) -> bytes:
        """Send a request that does nothing: the cost of any request."""
        return self._ask(b"GET /healthz HTTP/1.1\r\nHost: door\r\n\r\n")

    def _ask(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        answer = b""
        while _END not in answer:
            answer += self._more()
        head, _, body = answer.partition(_END)
        if not head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 422 ")):
            raise RuntimeError(f"the service answered {head[:16]!r}; expected 200, or 422 for an unreadable image")
        lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
        size = next(int(value) for name, _, value in lines if name == b"content-length")
        while len(body) < size:
            body += self._more()
        return body

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise RuntimeError("the service closed the connection")
        return data


def _site(home: Path) -> str:
    with Site.create(home, name="Example Ltd", contact="privacy@example.org") as site:
        site.add_zone(ZONE, custody="operator", justification="speed", alternative="a badge", retention_days=30)
        site.declarations.declare_zone(ZONE, {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
        notice = publish_sample_notice(site, ZONE, more="We compare your face at the door.")
        key = SubjectKey.from_seed(bytes(32))
        receipt = site.give_consent(notice, name="Ada Example", jurisdiction="FR", key=key).to_json()
        site.enroll(receipt, samples.views(samples.astronaut(), 3))
        return site.programs.credentials.issue(label="door", role=Role.DOOR, zone=ZONE)[1].reveal()


def _is_known(site: Site, jpeg: bytes) -> bool:
    try:
        found = site.identify(ZONE, decode(jpeg, "the frame"))
    except InputError:
        return False
    return any(face.match is not None for face in found.faces)


def _at_a_door(person: Pixels, width: int, height: int) -> Pixels:
    frame = np.full((height, width, 3), 90, dtype=np.uint8)
    side = height // 2
    top, left = height // 4, (width - side) // 2
    frame[top : top + side, left : left + side] = _resized(person[0:260, 90:350], side, side)
    return frame


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height)))


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    out = BytesIO()
    Image.fromarray(RgbImage(pixels).pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()
