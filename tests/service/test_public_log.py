"""The public audit log over HTTP: anyone may read it, as a tiled transparency log, and it tells of no one."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from house import House
from patience import free_port
from starlette.testclient import TestClient
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import InclusionProof

from tests.service.test_the_server import home, served
from volens.audit import VerifierKey, leaf_hash, open_checkpoint
from volens.erase.proof import verify_certificate
from volens.service.http import PUBLIC_LOG_OPERATIONS, AppState, RateLimiter, application
from volens.store.programs import Role

__all__ = ["home"]

Bearer = Callable[..., dict[str, str]]
LOG = "/v1/log"
ADDRESSES = {
    "read_public_checkpoint": f"{LOG}/checkpoint",
    "read_public_key": f"{LOG}/site.pub",
    "read_public_tile": f"{LOG}/tile/0/000.p/1",
    "prove_public_inclusion": f"{LOG}/inclusion?index=0&size=1",
    "prove_public_consistency": f"{LOG}/consistency?old_size=1&size=1",
}


class OverHttp:
    """The backend of a reader that is not ours."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def get(self, *path: str) -> bytes | None:
        answer = self._client.get("/".join((LOG, *path)))
        return answer.content if answer.status_code == 200 else None


def test_this_file_requests_every_operation_of_the_public_log(client: TestClient) -> None:
    assert set(ADDRESSES) == PUBLIC_LOG_OPERATIONS
    for address in ADDRESSES.values():
        assert client.get(address).status_code == 200


def test_another_implementation_reads_the_log_and_finds_a_certificate_in_it(
    app_state: AppState, client: TestClient, house: House
) -> None:
    with house.store.write() as tx:
        tx.log_all("decisions.counted", [{"number": number} for number in range(300)])
    erased = house.withdraw(house.admit())
    house.clock.move(days=1)

    reader = TilesReader(OverHttp(client))
    head = reader.get_checkpoint()
    head.verify(Vkey.from_string(app_state.site.verifier_key.line()))

    assert reader.calculate_root_hash() == head.root_hash
    certificate = verify_certificate(erased.certificate_path.read_bytes(), app_state.site.verifier_key)
    leaf, index = leaf_hash(certificate.entry.leaf), certificate.entry.index
    assert reader.mth(index, index + 1) == leaf
    reader.get_inclusion_proof(index, head.size).check(leaf, head.root_hash)
    reader.get_consistency_proof(certificate.checkpoint.size, head.size).check(
        certificate.checkpoint.root, head.root_hash
    )
    proof = client.get(f"{LOG}/inclusion?index={index}&size={head.size}").json()["hashes"]
    InclusionProof(index, head.size, [bytes.fromhex(one) for one in proof]).check(leaf, head.root_hash)
    assert max(index, 256) < head.size, "more than one tile"


def test_anyone_reads_the_public_keys_of_a_site_after_a_rotation(client: TestClient, house: House) -> None:
    before = client.get(f"{LOG}/site.pub").text
    house.site.keys.rotate(signing=True)
    after = client.get(f"{LOG}/site.pub").text
    assert after.startswith(before)
    assert VerifierKey.parse(after) == house.site.verifier_key
    assert len(after.splitlines()) == len(before.splitlines()) + 1


def test_the_public_log_ends_with_yesterday_and_the_log_of_an_auditor_does_not(
    app_state: AppState, client: TestClient, house: House, bearer: Bearer
) -> None:
    key, headers = app_state.site.verifier_key, bearer(Role.AUDITOR)
    house.admit()
    public = open_checkpoint(client.get(f"{LOG}/checkpoint").text, key)
    own = open_checkpoint(client.get("/v1/log/now/checkpoint", headers=headers).text, key)
    assert public.size == 1 < own.size
    assert client.get(f"{LOG}/tile/0/000.p/2").status_code == 404
    assert client.get(f"{LOG}/consistency?old_size=1&size=2").status_code == 422

    house.clock.move(days=1)
    assert open_checkpoint(client.get(f"{LOG}/checkpoint").text, key).size >= own.size


def test_the_configuration_says_how_often_the_public_log_grows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def served_size() -> int:
        port = free_port()
        with served(home, port):
            note = httpx2.get(f"http://127.0.0.1:{port}{LOG}/checkpoint").text
        return open_checkpoint(note, VerifierKey.parse((home / "site.pub").read_text("utf-8").strip())).size

    assert served_size() == 1
    monkeypatch.setenv("VOLENS_SERVE_PUBLIC_LOG_HOURS", "0")
    assert served_size() > 1


def test_the_operator_may_publish_the_log_at_once(house: House, app_state: AppState) -> None:
    at_once = AppState(house.site, 1, 4, public_log_period=timedelta())
    with TestClient(application(at_once)) as client:
        house.admit()
        shown = open_checkpoint(client.get(f"{LOG}/checkpoint").text, app_state.site.verifier_key)
        assert shown.size == house.site.log.verify().size
    at_once.close()


@pytest.mark.parametrize(
    "place", ["entries/000", "0/0", "0/0000", "0/x001/000", "0/000.p/0", "0/000.p/256", "64/000", "-1/000"]
)
def test_leaves_and_malformed_tiles_are_not_there(client: TestClient, place: str) -> None:
    answer = client.get(f"{LOG}/tile/{place}")
    assert answer.status_code in {404, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_tile_may_be_cached_for_ever_and_a_checkpoint_may_not(client: TestClient) -> None:
    tile, checkpoint = client.get(f"{LOG}/tile/0/000.p/1"), client.get(f"{LOG}/checkpoint")
    assert tile.headers["Content-Type"] == "application/octet-stream"
    assert "immutable" in tile.headers["Cache-Control"]
    assert checkpoint.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["Cache-Control"] == "no-store"


def test_readers_of_the_log_are_limited_and_keep_no_one_from_withdrawing(
    app_state: AppState, client: TestClient
) -> None:
    app_state.log_reader_limiter = RateLimiter(0.001, 3, time.monotonic)
    statuses = [client.get(address).status_code for address in ADDRESSES.values()]
    assert statuses == [200] * 3 + [429] * (len(ADDRESSES) - 3)
    refused = client.get(f"{LOG}/checkpoint")
    assert refused.json()["type"] == "urn:volens:problem:rate"
    assert int(refused.headers["Retry-After"]) >= 1
    for _ in range(10):
        assert client.post("/v1/withdrawals", json={"code": "guess"}).status_code == 422


def test_reading_the_public_log_does_not_make_it_grow(app_state: AppState, client: TestClient, house: House) -> None:
    size = house.site.log.verify().size
    for address in ADDRESSES.values():
        assert client.get(address).status_code == 200
    house.clock.move(minutes=2)
    app_state.decisions.write(everything=True)
    assert house.site.log.verify().size == size
