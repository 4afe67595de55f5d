"""One run: doors, people who enroll and withdraw, and a panel that receives webhooks; all requests are recorded."""

import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, final

from benchmarks.load.checker import Decision, Span, Stay
from benchmarks.load.service import Service
from volens import Site, SubjectKey
from volens.consent import parse_time
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.service.sample_notice import publish_sample_notice
from volens.store import utc_now
from volens.store.programs import Role

ZONE = "lobby"
BOUNDARY = "volens-load"
_TOLD_WITHIN_S = 180
_TIMEOUT_S = 60


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """The load.

    Attributes:
        seconds: duration.
        doors: number of doors that send frames at the same time.
        frames_per_s: of each door.
        kill_at_s: when the service is killed and restarted, or one of several workers; None for never.
        timeout_s: of a request.
        lease_seconds: of the zone; 0: its doors decide online only.
    """

    seconds: float = 120
    doors: int = 8
    frames_per_s: float = 5
    kill_at_s: float | None = None
    model_threads: int = 2
    workers: int = 1
    seed: int = 1
    timeout_s: float = _TIMEOUT_S
    lease_seconds: int = 0


class Reachable(Protocol):
    """Where requests are sent: one service, or one of several in turn."""

    @property
    def port(self) -> int:
        """The port of loopback for the next request; a connection is kept as long as it is the same."""


@final
@dataclass(frozen=True, slots=True)
class FixedPort:
    """A service at one port."""

    port: int


@final
@dataclass(slots=True)
class History:
    """The records of a run.

    Attributes:
        statuses: number of responses by operation and HTTP status; status 0 is no response.
        resident_bytes: of the service, each second.
        killed_at: when the service was killed, or one of several workers; None if it was not.
    """

    decisions: list[Decision] = field(default_factory=list)
    stays: dict[str, Stay] = field(default_factory=dict)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    resident_bytes: list[int] = field(default_factory=list)
    killed_at: int | None = None


def run(
    home: Path,
    photos: list[list[bytes]],
    plan: Plan,
    is_enough: Callable[[History], bool] = lambda _: True,
    at_most_s: float = 0.0,
) -> History:
    """Create a site, serve it under load, and return the history.

    Args:
        home: of the site; new.
        photos: four of each person.
        plan: the load and its duration.
        is_enough: called after the planned time; returns whether the history has what is checked. If not, it goes on.
        at_most_s: the longest duration then; 0 for no longer than planned.
    """
    history, ended = History(), threading.Event()
    with ExitStack() as kept:
        receiver = kept.enter_context(panel(history))
        tokens = make_site(home, plan, f"http://127.0.0.1:{receiver.server_address[1]}/")
        service = kept.enter_context(Service(home, plan.model_threads, plan.workers))
        threads = start_doors_and_people(service, history, photos, plan, tokens, ended)
        began = time.monotonic()
        killed = plan.kill_at_s is None
        while (elapsed := time.monotonic() - began) < plan.seconds or (
            elapsed < at_most_s and not (killed and is_enough(history))
        ):
            if not killed and plan.kill_at_s is not None and elapsed >= plan.kill_at_s:
                killed, history.killed_at = True, time.monotonic_ns()
                if plan.workers > 1:
                    service.kill_a_worker()
                else:
                    service.kill()
                    service.start()
            history.resident_bytes.append(service.resident_bytes())
            time.sleep(1)
        ended.set()
        for thread in threads:
            thread.join()
        wait_for_notifications(history)
    return history


def start_doors_and_people(
    service: Reachable,
    history: History,
    photos: list[list[bytes]],
    plan: Plan,
    tokens: "Tokens",
    ended: threading.Event,
) -> list[threading.Thread]:
    """Start the threads of all doors and people; they run until `ended` is set, and then people withdraw."""
    threads = [
        threading.Thread(target=send_frames, args=(service, history, photos, plan, number, token, ended))
        for number, token in enumerate(tokens.doors)
    ]
    threads += [
        threading.Thread(target=_comes_and_goes, args=(service, history, photos, plan, actor, tokens.desk, ended))
        for actor in range(len(photos))
    ]
    for thread in threads:
        thread.start()
    return threads


def wait_for_notifications(history: History) -> None:
    """Wait until the panel was notified of every withdrawal that was answered, for three minutes at most."""
    _wait_until(lambda: all(one.notified for one in history.stays.values() if one.withdrawn and one.withdrawn.ended))


@final
@dataclass(frozen=True, slots=True)
class Tokens:
    """Credentials of a desk, of each door, of a door with a lease, and of an auditor."""

    desk: str
    doors: list[str]
    leased_door: str
    auditor: str


def make_site(home: Path, plan: Plan, panel_url: str, create: Callable[..., Site] = Site.create) -> Tokens:
    """Create a site with one zone, a panel that is notified, and the credentials; the service is not started yet.

    `create` is `Site.create`, or the same with further arguments, such as where the data is.
    """
    with create(home, name="Example Ltd", contact="privacy@example.org") as site:
        terms = {"custody": "operator", "justification": "load", "alternative": "a badge"}
        site.add_zone(ZONE, **terms, retention_days=30, lease_seconds=plan.lease_seconds)
        site.declarations.declare_zone(ZONE, {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
        publish_sample_notice(site, ZONE, more="We compare your face at the door.")
        site.rights.recipients.add(ZONE, "panel")
        site.programs.endpoints.add(ZONE, "panel", url=panel_url, allow_private=True)
        desk = site.programs.credentials.issue(label="desk", role=Role.DESK)[1].reveal()
        doors = [
            site.programs.credentials.issue(label=f"door {number}", role=Role.DOOR, zone=ZONE)[1].reveal()
            for number in range(plan.doors)
        ]
        leased = site.programs.credentials.issue(label="leased door", role=Role.DOOR, zone=ZONE)[1].reveal()
        auditor = site.programs.credentials.issue(label="auditor", role=Role.AUDITOR)[1].reveal()
    return Tokens(desk, doors, leased, auditor)


@contextmanager
def panel(history: History) -> Iterator[ThreadingHTTPServer]:
    """Receive webhooks on a free port, and record when each person's erasure was notified."""

    class Panel(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stay = history.stays.get(said["data"]["subject_id"])
            if said["type"] == "subject.erased" and stay is not None:
                stay.notified.append(time.monotonic_ns())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Panel) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def send_frames(
    service: Reachable,
    history: History,
    photos: list[list[bytes]],
    plan: Plan,
    number: int,
    token: str,
    ended: threading.Event,
) -> None:
    """Send the frames of one door until the end, and record the decisions."""
    chance = random.Random(plan.seed * 1000 + number)  # noqa: S311  the order of faces
    client = Client(service, history, plan.timeout_s)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/jpeg"}
    due = time.monotonic() + number / plan.doors / plan.frames_per_s
    while not ended.wait(max(0.0, due - time.monotonic())):
        due = max(due + 1 / plan.frames_per_s, time.monotonic())
        actor = chance.randrange(len(photos))
        span, status, said = client.ask("identify", f"/v1/zones/{ZONE}/identify", photos[actor][3], headers)
        if status == http.client.OK:
            matched = frozenset(face["subject_id"] for face in said["faces"] if face["decision"] == "match")
            history.decisions.append(Decision(span, actor, matched, number))
    client.close()


def _comes_and_goes(
    service: Reachable,
    history: History,
    photos: list[list[bytes]],
    plan: Plan,
    actor: int,
    token: str,
    ended: threading.Event,
) -> None:
    chance = random.Random(actor)  # noqa: S311  the length of a stay
    client = Client(service, history, plan.timeout_s)
    desk = {"Authorization": f"Bearer {token}"}
    _, _, notice = client.ask("notice", f"/v1/zones/{ZONE}/notice", None, desk)
    while not ended.wait(chance.uniform(0.2, 1.0)):
        status, given = give_consent(client, desk, f"Actor {actor}", (notice or {}).get("sha256", ""))
        if status != http.client.CREATED:
            if not notice:
                _, _, notice = client.ask("notice", f"/v1/zones/{ZONE}/notice", None, desk)
            continue
        stay = Stay(given["subject_id"], actor)
        history.stays[stay.subject_id] = stay
        stay.enrolled = Span(time.monotonic_ns(), None)
        form = enrollment_form(given["take_home"].encode(), photos[actor][:3])
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        span, status, said = client.ask("enroll", f"/v1/zones/{ZONE}/enrollments", form, desk | kind)
        if status == http.client.CREATED:
            stay.reference_id = said["reference_id"]
        stay.enrolled = Span(stay.enrolled.began, span.ended if status == http.client.CREATED else None)
        ended.wait(chance.uniform(0.5, 3.0))
        began = time.monotonic_ns()
        stay.withdrawn = Span(began, None)
        body = json.dumps({"receipt": given["take_home"]}).encode()
        for _ in range(100):  # a person who withdraws retries until there is a response
            span, status, said = client.ask("withdraw", "/v1/withdrawals", body, {"Content-Type": "application/json"})
            if status == http.client.OK and span.ended is not None:
                stay.everywhere_at = _reached_at(said["stopped_everywhere_at"], span.ended)
                stay.withdrawn = Span(began, span.ended)
                break
            time.sleep(0.5)
    client.close()


def _reached_at(stated: str, answered_at: int) -> int:
    """Return when a stated time has come, on the clock of the history: not before the response that states it."""
    left_s = (parse_time(stated) - utc_now()).total_seconds()
    return max(answered_at, time.monotonic_ns() + round(left_s * 1e9))


def give_consent(
    client: "Client", desk: dict[str, str], name: str, notice_sha256: str, zone: str = ZONE
) -> tuple[int, Any]:
    """Let a new person sign and give consent; return the status and the body of the last response."""
    key, headers = SubjectKey.from_seed(os.urandom(32)), desk | {"Content-Type": "application/json"}
    wanted = {
        "public_key": key.public.to_jwk(),
        "form": SignatureForm.PERSON_KEY,
        "jurisdiction": "FR",
        "notice_sha256": notice_sha256,
    }
    path = f"/v1/zones/{zone}/consents"
    _, status, offer = client.ask("offer", f"{path}/offers", json.dumps(wanted).encode(), headers)
    if status != http.client.OK:
        return status, offer
    new = {"name": name, "signed": ReceiptOffer(offer["document"].encode()).sign(key).decode()}
    _, status, given = client.ask("consent", path, json.dumps(new).encode(), headers)
    return status, given


@final
class Client:
    """One persistent connection, reopened when it breaks, or when the service has another port."""

    def __init__(self, service: Reachable, history: History, timeout_s: float = _TIMEOUT_S) -> None:
        self._service = service
        self._history = history
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, what: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[Span, int, Any]:
        """Send one request; return its span, its status and its body; status 0 and None for no response."""
        began = time.monotonic_ns()
        status, said, port = 0, None, self._service.port
        try:
            if self._connection is None or self._connection.port != port:
                self.close()
                self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=self._timeout_s)
            self._connection.request("GET" if body is None else "POST", path, body, headers)
            answer = self._connection.getresponse()
            data = answer.read()
            status, said = answer.status, json.loads(data)
        except (OSError, http.client.HTTPException, ValueError):
            with suppress(OSError):
                if self._connection is not None:
                    self._connection.close()
            self._connection = None
            time.sleep(0.05)
        self._history.statuses[what, status] += 1
        return Span(began, time.monotonic_ns() if status else None), status, said

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


def enrollment_form(receipt: bytes, photos: list[bytes]) -> bytes:
    """Return the body of an enrollment: multipart/form-data, with `BOUNDARY`."""
    parts = [("receipt", receipt), *(("photos", photo) for photo in photos)]
    body = b""
    for name, data in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        body += head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def _wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + _TOLD_WITHIN_S
    while not done() and time.monotonic() < until:
        time.sleep(0.1)
