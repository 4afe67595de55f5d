"""Operating the service: logs, metrics and readiness, without personal data."""

import configparser
import json
import re
import shlex
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import httpx2
import pytest
from command_line import run
from house import House
from patience import PATIENCE_S, free_port
from signing import Signer
from starlette.testclient import TestClient

from tests.service.test_the_server import home, served
from volens.consent import InputError
from volens.service.http import AppState, application, serve_site
from volens.service.oidc import Trust
from volens.service.process import SystemdNotifier
from volens.service.process.service_log import ForeignRecords, fields_of, log_to
from volens.service.service_config import ServiceConfig, read_config
from volens.store.programs import Role

__all__ = ["home"]

Bearer = Callable[..., dict[str, str]]
ROOT = Path(__file__).parents[2]
CANARY = "Canary-Zebra-4711"


@pytest.fixture
def stream() -> StringIO:
    return StringIO()


@pytest.fixture
def watched(app_state: AppState, stream: StringIO) -> Iterator[TestClient]:
    app = application(app_state, log=log_to(stream))

    @app.get("/v1/breaks", name="breaks")
    async def breaks() -> None:
        raise KeyError(CANARY)

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def lines(stream: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_line_with_its_id_its_operation_and_its_caller(
    watched: TestClient, app_state: AppState, stream: StringIO, bearer: Bearer
) -> None:
    answer = watched.get("/v1/zones", headers=bearer(Role.OPERATOR) | {"X-Request-Id": "abc-1"})
    (credential,) = app_state.site.programs.credentials.list()
    assert answer.status_code == 200
    (line,) = lines(stream)
    assert line.pop("timestamp")
    assert line.pop("seconds")
    assert line == {
        "event": "request",
        "level": "info",
        "request_id": "abc-1",
        "operation": "list_zones",
        "status": 200,
        "credential_id": credential.credential_id,
    }


def test_no_content_of_a_request_or_a_response_is_in_the_log(
    watched: TestClient, stream: StringIO, bearer: Bearer, views: list[bytes]
) -> None:
    desk, door = bearer(Role.DESK), bearer(Role.DOOR)
    ForeignRecords(log_to(stream)).install()
    new = {"name": CANARY, "signed": Signer().signed(watched, desk), "external_id": CANARY}
    watched.post(f"/v1/zones/lobby/consents?{CANARY}={CANARY}", headers=desk, json=new)
    given = watched.post("/v1/zones/lobby/consents", headers=desk, json=new).json()
    photos = [("photos", (f"{CANARY}.jpg", view, "image/jpeg")) for view in views[:3]]
    files = [("receipt", (CANARY, given["take_home"].encode(), "application/json")), *photos]
    assert watched.post("/v1/zones/lobby/enrollments", headers=desk, files=files).status_code == 201
    assert watched.post("/v1/zones/lobby/identify", headers=door, content=views[3]).status_code == 200
    said = [
        watched.post(f"/v1/zones/{CANARY}/identify", headers=door, content=CANARY.encode()),
        watched.post("/v1/withdrawals", json={"code": CANARY, CANARY: CANARY}),
        watched.post("/v1/withdrawals", content=f'{{"code": "{CANARY}'.encode()),
        watched.get(f"/v1/{CANARY}", headers={"X-Canary": CANARY, "Authorization": f"Bearer {CANARY}"}),
        watched.get("/v1/zones", headers={"Authorization": f"Bearer volens_{CANARY}", "User-Agent": CANARY}),
        watched.get("/v1/breaks"),
        watched.post("/v1/hooks/revocations", content=CANARY.encode(), headers={"webhook-id": CANARY}),
    ]
    assert [answer.status_code for answer in said] == [403, 422, 422, 404, 401, 500, 401]
    assert watched.post("/v1/withdrawals", json={"receipt": given["take_home"]}).status_code == 200

    written = stream.getvalue()
    take_home = json.loads(given["take_home"])
    secret = [
        CANARY,
        given["receipt_id"],
        given["subject_id"],
        desk["Authorization"][-40:],
        door["Authorization"][-40:],
    ]
    secret += [str(value) for value in take_home.values() if isinstance(value, str) and len(value) > 12]
    assert len(lines(stream)) >= 12
    for one in secret:
        assert one not in written


def test_the_log_has_only_the_type_and_the_place_of_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(f'port = "{CANARY}"\n')
    try:
        read_config(path)
    except InputError as error:
        logged = fields_of(error)
    assert CANARY not in str(logged)
    assert re.fullmatch(r"volens\.service\.settings:\d+", logged["where"])


def test_metrics_need_an_operator_or_auditor_and_name_no_person(
    watched: TestClient, house: House, bearer: Bearer, views: list[bytes]
) -> None:
    person = house.invite(name=CANARY)
    assert watched.post("/v1/zones/lobby/identify", headers=bearer(Role.DOOR), content=views[3]).status_code == 200
    said = watched.get("/metrics", headers=bearer(Role.AUDITOR)).text
    assert 'volens_requests_total{operation="identify",status="2xx"} 1.0' in said
    assert 'volens_live_consents{zone="lobby"} 1.0' in said
    for stage in ("wait", "decode", "decide", "detect", "embed", "scan", "compare", "signature", "note"):
        assert f'volens_stage_seconds_count{{stage="{stage}"}} 1.0' in said
    for name in ("unfinished_erasures", "erasure_age_seconds", "overdue_consents", "outbox_lag_seconds"):
        assert f"volens_{name} 0.0" in said
    for one in (CANARY, person.receipt_id, person.subject_id):
        assert one not in said

    house.clock.move(days=100)
    assert "volens_overdue_consents 1.0" in watched.get("/metrics", headers=bearer(Role.OPERATOR)).text


def test_metrics_count_the_messages_that_wait(
    watched: TestClient, house: House, app_state: AppState, bearer: Bearer
) -> None:
    app_state.webhook_sender.close()
    house.site.rights.recipients.add("lobby", "panel")
    house.site.programs.endpoints.add("lobby", "panel", url="https://example.org/")
    house.invite()
    house.clock.move(seconds=90)
    said = watched.get("/metrics", headers=bearer(Role.AUDITOR)).text
    assert "volens_outbox_messages 1.0" in said
    assert "volens_outbox_lag_seconds 90.0" in said


def test_during_shutdown_the_service_is_not_ready_but_responds(
    watched: TestClient, app_state: AppState, bearer: Bearer
) -> None:
    assert watched.get("/readyz").status_code == 200
    app_state.stopping.set()
    answer = watched.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (
        503,
        ["the service is shutting down; send requests to another one"],
    )
    assert watched.get("/healthz").status_code == 200
    assert watched.get("/v1/zones", headers=bearer(Role.OPERATOR)).status_code == 200


def test_systemd_gets_notifications_and_watchdog_signals(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        one = SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "40000"})
        one.ready()
        assert [manager.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        one.stopping()
        said = b""
        while said != b"STOPPING=1":
            said = manager.recv(64)
    SystemdNotifier({}).ready()
    SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def test_the_process_drains_as_configured_and_logs_json(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLENS_SERVE_DRAIN_S", "300")
    port = free_port()
    with served(home, port) as process:
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + PATIENCE_S
        while (status := httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code) == 200:
            assert time.monotonic() < until
        assert status == 503
        process.send_signal(signal.SIGTERM)  # the second signal skips the rest of the five minutes
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr is not None
        logged = [json.loads(line) for line in process.stderr.read().splitlines() if line.startswith(b"{")]
    assert {line["operation"] for line in logged} == {"readyz"}
    assert {line["status"] for line in logged} == {200, 503}


class TestConfiguration:
    def check(self, *arguments: object) -> int:
        return run(["config", *map(str, arguments)])

    def test_the_example_file_states_the_defaults(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.check("example") == 0
        (tmp_path / "serve.toml").write_text(capsys.readouterr().out)
        assert self.check("check", tmp_path / "serve.toml", "--json") == 0
        with_it = json.loads(capsys.readouterr().out)
        assert self.check("check", "--json") == 0
        assert json.loads(capsys.readouterr().out) == with_it
        assert set(with_it) == set(ServiceConfig.model_fields)

    def test_all_mistakes_are_reported_at_once_without_values(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "serve.toml"
        file.write_text(f'port = "{CANARY}"\nwaiting = -1\nprot = 1\n')
        monkeypatch.setenv("VOLENS_SERVE_PROT", "1")
        assert self.check("check", file) == 2
        said = capsys.readouterr().err
        for part in ("port: ", "waiting: ", "there is no setting 'prot'", "VOLENS_SERVE_PROT", "volens config example"):
            assert part in said
        assert CANARY not in said
        assert said.count("\n") == 1

    @pytest.mark.parametrize("text", ["port = ", "\xff\xfe", "[[["])
    def test_invalid_toml_is_reported_without_a_traceback(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
    ) -> None:
        (tmp_path / "serve.toml").write_bytes(text.encode("latin-1"))
        assert self.check("check", tmp_path / "serve.toml") == 2
        assert self.check("check", tmp_path / "nowhere.toml") == 2
        assert "Traceback" not in capsys.readouterr().err

    def test_the_environment_overrides_the_file(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "serve.toml").write_text("port = 1000\nwaiting = 5\n")
        monkeypatch.setenv("VOLENS_SERVE_PORT", "2000")
        monkeypatch.setenv("VOLENS_SERVE_CONFIG", str(tmp_path / "serve.toml"))  # 'serve' reads it
        assert self.check("check", tmp_path / "serve.toml", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["port"], found["waiting"]) == (2000, 5)

    @pytest.mark.parametrize(
        ("set_to", "message"),
        [
            ({"ISSUER": "https://id.example.org"}, "got oidc_issuer; set both oidc_issuer and oidc_audience"),
            ({"AUDIENCE": CANARY}, "got oidc_audience; set both"),
            ({"ALLOW_PRIVATE": "true", "ROLE_CLAIM": CANARY}, "got oidc_role_claim, oidc_allow_private; set both"),
            (
                {"ISSUER": f"http://{CANARY}", "AUDIENCE": CANARY},
                "oidc_issuer: got an issuer that is not a plain https URL",
            ),
            ({"ISSUER": f"https://{CANARY}/?a", "AUDIENCE": CANARY}, "oidc_issuer: got an issuer that is not a plain"),
            ({"ISSUER": f"https://{CANARY}", "AUDIENCE": ""}, "got an empty audience"),
            ({"ISSUER": f"https://{CANARY}", "AUDIENCE": CANARY, "MAX_LIFETIME_S": "86401"}, "oidc_max_lifetime_s: "),
        ],
    )
    def test_incomplete_or_invalid_settings_of_an_issuer_are_refused(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        set_to: dict[str, str],
        message: str,
    ) -> None:
        for name, value in set_to.items():
            monkeypatch.setenv(f"VOLENS_SERVE_OIDC_{name}", value)
        assert self.check("check") == 2
        said = capsys.readouterr().err
        assert message in said
        assert CANARY not in said

    def test_an_issuer_in_the_private_network_may_use_http(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert read_config(None).trust() is None
        monkeypatch.setenv("VOLENS_SERVE_OIDC_ISSUER", "http://id.house/realm")
        monkeypatch.setenv("VOLENS_SERVE_OIDC_AUDIENCE", "volens")
        monkeypatch.setenv("VOLENS_SERVE_OIDC_ALLOW_PRIVATE", "true")
        monkeypatch.setenv("VOLENS_SERVE_OIDC_LEEWAY_S", "5")
        monkeypatch.setenv("VOLENS_SERVE_OIDC_MAX_LIFETIME_S", "900")
        expected = Trust("http://id.house/realm", "volens", allow_private=True)
        assert read_config(None).trust() == replace(
            expected, leeway=timedelta(seconds=5), max_lifetime=timedelta(minutes=15)
        )

    def test_a_public_address_without_tls_or_proxy_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VOLENS_SERVE_HOST", "0.0.0.0")  # noqa: S104  nothing is bound
        assert self.check("check") == 2
        monkeypatch.setenv("VOLENS_SERVE_BEHIND_PROXY", "true")
        assert self.check("check") == 0


def test_the_systemd_unit_runs_existing_commands_in_a_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "volens.service")
    service = unit["Service"]
    for line in (service["ExecStartPre"], service["ExecStart"]):
        program, *arguments = shlex.split(line)
        assert program.endswith("/volens")
        assert run([*(one for one in arguments if not one.startswith(("/", "--"))), "--help"]) == 0
        assert all(one in capsys.readouterr().out for one in arguments if one.startswith("--"))
    assert service["Type"] == "notify"
    assert service["UMask"] == "0077"
    assert service["LimitCORE"] == "0"
    for name in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID", "LockPersonality"):
        assert service[name] == "yes"


def test_the_container_file_uses_an_unprivileged_user_and_known_settings() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    steps = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    users = [rest for word, rest in steps if word == "USER"]
    assert users == ["10001"]
    names = re.findall(r"VOLENS_SERVE_([A-Z_]+)=", text)
    assert {name.lower() for name in names} <= set(ServiceConfig.model_fields)
    assert all((ROOT / name).exists() for name in ("requirements.lock", "pyproject.toml"))


@pytest.mark.parametrize(
    ("folder", "said"),
    [("nowhere", "which is not a folder; create it first"), ("home/orders", "below the site's home")],
)
def test_a_service_does_not_start_without_its_folder_for_orders(
    house: House, tmp_path: Path, folder: str, said: str
) -> None:
    place = tmp_path / folder if folder == "nowhere" else house.site.home / "orders"
    config, log = ServiceConfig(orders=place), log_to(StringIO())
    with socket.socket() as listening, pytest.raises(InputError, match=re.escape(said)):
        serve_site(house.site, config, log, SystemdNotifier(), listening=listening)


def test_a_missing_folder_for_orders_is_one_error_also_with_workers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("VOLENS_SERVE_ORDERS", str(tmp_path / "nowhere"))
    assert run(["serve", "--workers", "2", "--home", str(tmp_path / "home"), "--port", str(free_port())]) == 2
    said = capsys.readouterr().err
    assert "create it first" in said
    assert "listening" not in said


def test_a_paused_zone_answers_503_to_its_doors_and_a_note_to_the_supervisor(
    client: TestClient, house: House, bearer: Callable[..., dict[str, str]], views: list[bytes]
) -> None:
    house.site.zones.rename("lobby", "Lobby East")
    house.site.zones.pause("lobby")
    answer = client.post("/v1/zones/lobby/identify", headers=bearer(Role.DOOR), content=views[3])
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:volens:problem:zone-paused")
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["notes"]) == (200, ["a zone is paused; see 'volens status'"])
    (lobby,) = [one for one in client.get("/v1/zones", headers=bearer(Role.DESK)).json() if one["zone"] == "lobby"]
    assert (lobby["title"], lobby["state"]) == ("Lobby East", "paused")
    assert client.get("/v1/zones/lobby/notice", headers=bearer(Role.DESK)).json()["title"] == "Lobby East"
