"""Hostile request bodies: the response is a problem, soon, and the next client gets its response."""

import json
import random
import resource
import zlib
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from io import BytesIO

import numpy as np
import pytest
from patience import PATIENCE_S
from PIL import Image
from starlette.testclient import TestClient

from tests.service.test_connections import connected, listening
from volens.face import Extractor, ImageError, decode
from volens.service import samples
from volens.service.http import AppState
from volens.store.programs import Role

Bearer = Callable[..., dict[str, str]]
FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"]


def encoded(kind: str, pixels: np.ndarray) -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with a few of them changed, removed, doubled or inserted; headers more often than the rest."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(min(len(changed), 200)) if chance.random() < 0.6 else chance.randrange(len(changed))
        match chance.randrange(5):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at : at + chance.randint(1, 4)] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
            case 2:
                del changed[at : at + chance.randint(1, 64)]
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 64)]
            case _:
                changed[at : at + 16] = chance.randbytes(16)
        if not changed:
            return b"\xff"
    return bytes(changed)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_corrupted_image_is_decoded_or_refused(kind: str, extractor: Extractor) -> None:
    seed = FORMATS.index(kind) + 1
    chance = random.Random(seed)
    small = encoded(kind, samples.astronaut().pixels[80:200, 180:300])
    read = refused = 0
    for _ in range(400):
        try:
            image = decode(mutated(small, chance), "the frame")
        except ImageError:
            refused += 1
            continue
        read += 1
        if read % 10 == 1:
            extractor.detect(image)
    assert refused > 20, f"seed {seed}"
    assert read + refused == 400


def test_corrupted_frames_over_the_network_crash_nothing(client: TestClient, bearer: Bearer) -> None:
    chance = random.Random(7)
    headers = bearer(Role.DOOR) | {"Content-Type": "image/jpeg"}
    frame = encoded("JPEG", samples.astronaut().pixels[40:300, 120:380])
    statuses = {
        client.post("/v1/zones/lobby/identify", headers=headers, content=mutated(frame, chance)).status_code
        for _ in range(60)
    }
    assert statuses <= {200, 422}
    assert 422 in statuses


@pytest.mark.parametrize("size", [(64, 12_000), (12_000, 64), (64, 64), (65, 4097)])
def test_a_frame_of_an_unusual_format_is_processed(client: TestClient, bearer: Bearer, size: tuple[int, int]) -> None:
    body = encoded("PNG", np.zeros((*size, 3), dtype=np.uint8))
    answer = client.post("/v1/zones/lobby/identify", headers=bearer(Role.DOOR), content=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["faces"] == []


def bomb(kind: str) -> bytes:
    """Return a small file that would be 3.6 GB of pixels: 30,000 by 40,000."""
    if kind == "PNG":
        small = encoded("PNG", np.zeros((64, 64, 3), dtype=np.uint8))
        header = b"IHDR" + (30_000).to_bytes(4, "big") + (40_000).to_bytes(4, "big") + small[24:29]
        return small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]
    small = bytearray(encoded("JPEG", np.zeros((64, 64, 3), dtype=np.uint8)))
    at = small.index(b"\xff\xc0") + 5
    small[at : at + 4] = (30_000).to_bytes(2, "big") + (40_000).to_bytes(2, "big")
    return bytes(small)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_decompression_bomb_is_refused_by_its_header_without_memory(
    client: TestClient, bearer: Bearer, kind: str
) -> None:
    headers = bearer(Role.DOOR)
    client.post("/v1/zones/lobby/identify", headers=headers, content=b"x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = client.post("/v1/zones/lobby/identify", headers=headers, content=bomb(kind))
    assert (answer.status_code, "million pixels" in answer.json()["detail"]) == (422, True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


PART = b'--x\r\nContent-Disposition: form-data; name="frame"; filename="f"\r\n\r\n'
FORM = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", PART + b"a\r\n--x--\r\n"),
        ("multipart/form-data; boundary=", PART),
        ("multipart/form-data; boundary=" + "y" * 300, PART),
        (FORM, b""),
        (FORM, PART),
        (FORM, PART + b"a\r\n--x"),
        (FORM, b"--x\r\n\r\n\r\n--x--\r\n"),
        (FORM, b"--x\r\nContent-Disposition: attachment\r\n\r\na\r\n--x--\r\n"),
        (FORM, b"--x\r\n" + b"A: b\r\n" * 5000 + b"\r\na\r\n--x--\r\n"),
        (FORM, b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 100_000 + b"\r\n\r\na\r\n--x--\r\n"),
        (FORM, PART.replace(b"frame", b"\xff\xfe") + b"a\r\n--x--\r\n"),
        (FORM, (PART + b"a\r\n") * 500 + b"--x--\r\n"),
        (FORM, b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\na\r\n' % n for n in range(500))),
        (FORM, b"\0" * 10_000),
        ("application/json", b"[" * 60_000),
        ("text/plain", PART + b"a\r\n--x--\r\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
@pytest.mark.filterwarnings(  # Starlette leaves the last part of a broken form to the garbage collector
    "ignore:Unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_malformed_form_is_refused(client: TestClient, bearer: Bearer, content_type: str, body: bytes) -> None:
    headers = bearer(Role.DOOR) | {"Content-Type": content_type}
    answer = client.post("/v1/zones/lobby/verify", headers=headers, content=body)
    assert answer.status_code in {400, 413, 415, 422}, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"code": ' * 6000, b'{"code": 1e999999}', b"\xff\xfe{}", b"1" * 60_000]
)
def test_json_that_is_deep_long_or_malformed_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/withdrawals", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


ZONE = {"zone": "x", "custody": "operator", "justification": "a", "alternative": "b", "retention_days": 9}


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "0b5e3a86-of-the-test"}])
@pytest.mark.parametrize(
    ("role", "path", "body"),
    [
        (None, "access-requests", {"receipt": "\ud800"}),
        (Role.PRIVACY_OFFICER, "requests", {"kind": "\ud800", "unknown": True}),
        (Role.PRIVACY_OFFICER, "orders/plans", {"notice_version": 10**30}),
        (Role.PRIVACY_OFFICER, "orders/plans", {"before": "9999-12-31T23:59:59-23:59"}),
        (Role.PRIVACY_OFFICER, "orders/plans", {"before": "0001-01-01T00:00:00+23:59"}),
        (Role.OPERATOR, "zones", {**ZONE, "justification": "\ud800"}),
        (Role.OPERATOR, "zones/lobby/notices", {"language": "\ud800", "text": "hello"}),
        (Role.DESK, "zones/lobby/consents", {"name": "\ud800", "signed": "a.b.c"}),
    ],
)
def test_a_lone_surrogate_or_a_huge_number_is_refused_without_a_crash(
    client: TestClient,
    bearer: Bearer,
    role: Role | None,
    path: str,
    body: dict[str, object],
    key: dict[str, str],
) -> None:
    shown = {} if role is None else bearer(role)
    answer = client.post(
        f"/v1/{path}",
        headers={**shown, **key, "Content-Type": "application/json"},
        content=json.dumps(body),
    )
    assert answer.status_code in {403, 422}, answer.text
    assert answer.json()["type"].startswith("urn:volens:problem:")


def test_a_body_with_a_too_large_content_length_is_refused_before_it_is_sent(
    app_state: AppState, bearer: Bearer
) -> None:
    shown = bearer(Role.DOOR)["Authorization"]
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(
            b"POST /v1/zones/lobby/identify HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n"
            b"Authorization: " + shown.encode() + b"\r\nContent-Type: image/jpeg\r\n\r\n"
        )
        assert one.recv(12) == b"HTTP/1.1 413"


def test_a_chunked_body_is_cut_off_at_the_size_limit(app_state: AppState, bearer: Bearer) -> None:
    shown = bearer(Role.DOOR)["Authorization"]
    chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(
            b"POST /v1/zones/lobby/identify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Authorization: " + shown.encode() + b"\r\nContent-Type: image/jpeg\r\n\r\n"
        )
        sent = 0
        try:
            while sent < 64:
                one.sendall(chunk)
                sent += 1
        except OSError:
            pass
        assert sent < 64
        answer = b""
        try:
            while len(answer) < 12:
                answer += one.recv(4096) or b"?" * 12
        except OSError:
            answer = (
                b"HTTP/1.1 413"  # the response had arrived, and was lost with the connection that we still wrote to
            )
        assert answer[:12] == b"HTTP/1.1 413"


def test_a_body_of_the_wrong_length_blocks_no_other_client(app_state: AppState, bearer: Bearer) -> None:
    shown = bearer(Role.DOOR)["Authorization"]
    body = encoded("JPEG", samples.astronaut().pixels)
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(
            b"POST /v1/zones/lobby/identify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n"
            b"Authorization: %s\r\n\r\n%s" % (len(body) // 2, shown.encode(), body)
        )
        said = b""
        while part := one.recv(4096):
            said += part
        assert said.startswith(b"HTTP/1.1 422")
        assert json.loads(said.split(b"\r\n\r\n", 1)[1])["type"] == "urn:volens:problem:image"


@pytest.mark.parametrize(
    ("size", "shown", "status"),
    [(6 * 2**20, "Bearer x", 401), (6 * 2**20, None, 401), (12 * 2**20, Role.DOOR, 413), (3 * 2**20, Role.DESK, 403)],
)
def test_a_client_refused_while_it_sends_a_large_body_can_read_the_error(
    app_state: AppState, bearer: Bearer, size: int, shown: Role | str | None, status: int
) -> None:
    headers = bearer(shown) if isinstance(shown, Role) else {} if shown is None else {"Authorization": shown}
    with listening(app_state, 30) as port:
        for _ in range(5):
            # As urllib does: everything is sent before anything is read, and then the connection is closed.
            client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            client.request("POST", "/v1/zones/lobby/identify", bytes(size), {**headers, "Connection": "close"})
            answer = client.getresponse()
            assert (answer.status, json.loads(answer.read())["status"]) == (status, status)
            client.close()


def test_a_refused_client_that_continues_to_send_is_disconnected(app_state: AppState) -> None:
    with listening(app_state, 30) as port, connected(port) as one:
        one.sendall(b"POST /v1/zones/lobby/identify HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n")
        sent = 0
        with suppress(OSError):
            while sent < 100:
                one.sendall(bytes(2**20))
                sent += 1
        assert sent < 100
