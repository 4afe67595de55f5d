"""Withdrawals and pauses at a service whose disk is full, read-only or locked: it stops matching, and retries."""

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from declared_gates import open_gates
from patience import PATIENCE_S, free_port
from small_disk import SmallDisk, ext4, needs_mounts, tmpfs

from tests.service.conftest import jpeg
from tests.service.test_the_server import COMMAND, ROOT
from volens import Site, SubjectKey, TakeHome
from volens.erase.proof import verify_certificate
from volens.face import ModelCache, RgbImage
from volens.service import samples
from volens.service.sample_notice import publish_sample_notice
from volens.store.files.stop_reserve import RESERVE_FILE
from volens.store.programs import Role

pytestmark = needs_mounts


@dataclass
class Person:
    receipt: str
    code: str
    at_the_door: bytes
    door: str
    auditor: str


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Person]:
    ModelCache.default().pull()
    home = tmp_path_factory.mktemp("stops") / "home"
    views = samples.views(samples.astronaut(), 4)
    with Site.create(home, name="Example Ltd", contact="privacy@example.org") as site:
        site.add_zone("lobby", custody="operator", justification="a", alternative="b", retention_days=30)
        open_gates(site, "lobby")
        notice = publish_sample_notice(site, "lobby", more="We look.")
        key = SubjectKey.from_seed(bytes(range(32)))
        given = site.give_consent(notice, name="Ada Example", jurisdiction="FR", key=key)
        site.enroll(given.to_json(), [RgbImage(view.pixels) for view in views[:3]])
        door = site.programs.credentials.issue(label="door", role=Role.DOOR, zone="lobby")[1].reveal()
        auditor = site.programs.credentials.issue(label="auditor", role=Role.AUDITOR)[1].reveal()
    assert given.code is not None
    return home, Person(given.to_json().decode(), given.code.reveal(), jpeg(views[3]), door, auditor)


@pytest.fixture
def person(template: tuple[Path, Person]) -> Person:
    return template[1]


@pytest.fixture
def disk(template: tuple[Path, Person], tmp_path: Path) -> Iterator[SmallDisk]:
    with tmpfs(tmp_path / "disk", 8) as disk:
        shutil.copytree(template[0], disk.path / "home")
        yield disk


class Service:
    """`volens serve` of one home, as a process."""

    def __init__(self, home: Path, person: Person, workers: int = 1) -> None:
        self.home = home
        self.person = person
        self.url = f"http://127.0.0.1:{free_port()}"
        environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        options = ["--port", self.url.rpartition(":")[2], "--workers", str(workers), "--model-threads", "1"]
        self.process = subprocess.Popen([*COMMAND, "serve", *options], env=environment, stderr=subprocess.DEVNULL)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=PATIENCE_S)

    def ready(self) -> tuple[int, str]:
        answer = self.get("/readyz")
        return answer.status_code, " ".join(answer.json().get("missing", []))

    def withdraw(self, **shown: str) -> httpx2.Response:
        return httpx2.post(f"{self.url}/v1/withdrawals", json=shown or {"code": self.person.code}, timeout=PATIENCE_S)

    def restrict(self, part: str = "") -> httpx2.Response:
        shown = {"code": self.person.code}
        return httpx2.post(f"{self.url}/v1/restrictions{part}", json=shown, timeout=PATIENCE_S)

    def decision(self) -> str:
        """Return what the door says about the person; each call may be answered by another worker."""
        headers = {"Authorization": f"Bearer {self.person.door}", "Content-Type": "image/jpeg"}
        url = f"{self.url}/v1/zones/lobby/identify"
        answer = httpx2.post(url, headers=headers, content=self.person.at_the_door, timeout=PATIENCE_S)
        (face,) = answer.json()["faces"]
        decided: str = face["decision"]
        return decided

    def metric(self, name: str) -> float:
        headers = {"Authorization": f"Bearer {self.person.auditor}"}
        text = httpx2.get(f"{self.url}/metrics", headers=headers, timeout=PATIENCE_S).text
        return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])

    def certificates(self) -> list[str]:
        folder = self.home / "certificates"
        return sorted(one.name for one in folder.glob("*.json")) if folder.exists() else []


@contextmanager
def served(home: Path, person: Person, workers: int = 1) -> Iterator[Service]:
    service = Service(home, person, workers)
    try:
        until(lambda: is_up(service), service)
        until(lambda: len(answering(home)) == workers, service)
        yield service
    finally:
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
        until(lambda: not_listening(service))  # workers end by themselves when their parent is killed


def is_up(service: Service) -> bool:
    try:
        return service.ready()[0] == 200
    except httpx2.TransportError:
        return False


def not_listening(service: Service) -> bool:
    try:
        service.get("/healthz")
    except httpx2.TransportError:
        return True
    return False


def until(true: Callable[[], object], service: Service | None = None) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        assert service is None or service.process.poll() is None
        time.sleep(0.1)


@contextmanager
def locked(home: Path, file: str = "volens.db") -> Iterator[None]:
    """Hold the write lock of a file, in this process, which is another one than the service."""
    with closing(sqlite3.connect(home / file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def use_up(disk: SmallDisk) -> None:
    """Fill the disk, and the reserve too."""
    disk.fill()
    (disk.path / "home" / RESERVE_FILE).unlink()
    disk.fill()


def check_pending(answer: httpx2.Response, elsewhere: int = 0) -> dict[str, Any]:
    said: dict[str, Any] = answer.json()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert said["type"] == "urn:volens:problem:stop-pending"
    members = {name: said[name] for name in ("committed", "stopped_here", "stopped_elsewhere", "unconfirmed")}
    assert members == {"committed": False, "stopped_here": True, "stopped_elsewhere": elsewhere, "unconfirmed": []}
    assert "matching has stopped in this process" in said["detail"]
    assert "keep the code or receipt" in said["detail"]
    assert "if the service ends before that, the consent is in force again" in said["detail"]
    return said


def test_on_a_full_disk_the_reserve_lets_a_withdrawal_be_certified(disk: SmallDisk, person: Person) -> None:
    with served(disk.path / "home", person) as service:
        assert service.decision() == "match"
        disk.fill()

        answer = service.withdraw()

        assert answer.status_code == 200, answer.text
        assert service.decision() == "no_match"
        assert service.certificates() == [f"{answer.json()['certificate_id']}.json"]
        code, why = service.ready()
        assert code == 503
        assert "disk of the site's home is full" in why
        disk.make_room()
        until(lambda: service.ready() == (200, ""), service)
        assert (service.home / RESERVE_FILE).exists()


def test_without_any_room_matching_stops_and_the_rest_follows(disk: SmallDisk, person: Person) -> None:
    workers = 2
    with served(disk.path / "home", person, workers) as service:
        assert service.decision() == "match"
        use_up(disk)

        said = check_pending(service.withdraw(), workers - 1)

        assert "the disk is full" in said["detail"]
        assert {service.decision() for _ in range(4 * workers)} == {"no_match"}
        code, why = service.ready()
        assert code == 503
        assert "a withdrawal is not recorded yet" in why or "the disk of the site's home is full" in why
        until(lambda: service.metric("volens_pending_stops") == 1.0, service)
        assert service.certificates() == []
        assert ended(service.home) == 0

        disk.make_room()
        until(service.certificates, service)  # nobody asks again
        until(lambda: all(service.ready() == (200, "") for _ in range(3 * workers)), service)
        answer = service.withdraw()
        assert (answer.status_code, f"{answer.json()['certificate_id']}.json") == (200, service.certificates()[0])
        until(lambda: service.metric("volens_pending_stops") == 0.0, service)
        assert (service.home / RESERVE_FILE).exists()


def test_without_any_room_a_restriction_stops_matching_and_is_recorded_later(disk: SmallDisk, person: Person) -> None:
    workers = 2
    with served(disk.path / "home", person, workers) as service:
        assert service.decision() == "match"
        use_up(disk)

        answer = service.restrict()

        assert answer.status_code == 503
        said = answer.json()
        assert said["type"] == "urn:volens:problem:restriction-pending"
        assert (said["committed"], said["stopped_elsewhere"], said["unconfirmed"]) == (False, workers - 1, [])
        assert "the person is matched again" in said["detail"]
        assert {service.decision() for _ in range(4 * workers)} == {"no_match"}
        assert restricted(service.home) == 0
        code, why = service.ready()
        assert code == 503
        assert "restriction is not recorded yet" in why or "the disk of the site's home is full" in why

        disk.make_room()
        until(lambda: restricted(service.home) == 1, service)  # nobody asks again
        until(lambda: all(service.ready() == (200, "") for _ in range(3 * workers)), service)
        assert {service.decision() for _ in range(4 * workers)} == {"no_match"}
        assert service.restrict().status_code == 200
        assert service.restrict("/liftings").status_code == 200
        assert {service.decision() for _ in range(4 * workers)} == {"match"}


def test_a_lock_that_does_not_come_delays_the_record_and_not_the_stop(disk: SmallDisk, person: Person) -> None:
    with served(disk.path / "home", person) as service:
        assert service.decision() == "match"
        answers: list[httpx2.Response] = []
        with locked(service.home):
            asking = threading.Thread(target=lambda: answers.append(service.withdraw()))
            asking.start()
            until(lambda: service.decision() == "no_match", service)
            asking.join()
            check_pending(answers[0])
            code, why = service.ready()
            assert code == 503
            assert "volens.db is locked by another process" in why
            check_pending(service.withdraw(receipt=person.receipt))
        until(service.certificates, service)
        until(lambda: service.ready() == (200, ""), service)
        assert service.withdraw().status_code == 200
        assert service.decision() == "no_match"


def test_a_kill_before_the_record_undoes_the_stop_as_the_answer_said(disk: SmallDisk, person: Person) -> None:
    home = disk.path / "home"
    with served(home, person) as service:
        use_up(disk)
        check_pending(service.withdraw())
        assert service.decision() == "no_match"
    disk.make_room()
    with served(home, person) as service:
        assert service.decision() == "match"
        assert service.certificates() == []
        assert service.withdraw().status_code == 200  # the code was kept
        assert service.decision() == "no_match"


def test_a_worker_that_was_told_keeps_the_stop_of_one_that_is_killed(disk: SmallDisk, person: Person) -> None:
    with served(disk.path / "home", person, workers=2) as service:
        use_up(disk)
        check_pending(service.withdraw(), 1)
        for worker in workers_of(service):
            os.kill(worker, signal.SIGKILL)
            until(lambda: len(workers_of(service)) == 2 and worker not in workers_of(service))  # noqa: B023
            # The next one asks the others before it decides.
            until(lambda: len(answering(service.home)) == 2, service)
            assert {service.decision() for _ in range(6)} == {"no_match"}
        disk.make_room()
        until(service.certificates, service)


def test_a_disk_that_turned_read_only_does_not_keep_a_person_matched(
    template: tuple[Path, Person], person: Person, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    with ext4(tmp_path / "disk", image) as disk:
        shutil.copytree(template[0], disk.path / "home")
        os.sync()  # what the copy has not written would be lost
        with served(disk.path / "home", person) as service:
            assert service.decision() == "match"
            disk.fail()

            check_pending(service.withdraw())

            assert service.decision() == "no_match"
            code, why = service.ready()
            assert code == 503
            assert "a withdrawal is not recorded yet" in why
    with ext4(tmp_path / "disk", image) as disk, served(disk.path / "home", person) as service:
        assert service.decision() == "match"
        assert service.withdraw().status_code == 200
        assert service.decision() == "no_match"


def test_a_command_that_cannot_write_stops_the_service_beside_it(disk: SmallDisk, person: Person) -> None:
    with served(disk.path / "home", person) as service:
        assert service.decision() == "match"
        environment = {**os.environ, "VOLENS_HOME": str(service.home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        with locked(service.home):
            command = [*COMMAND, "withdraw", "--code", "-"]
            done = subprocess.run(
                command, input=person.code, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 6
            assert "matching has stopped in 1 process of this site" in done.stderr
            assert "keep the code or receipt" in done.stderr
            assert service.decision() == "no_match"
            assert service.certificates() == []
        until(service.certificates, service)  # the service retries it
        done = subprocess.run(command, input=person.code, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_end_of_a_person_who_leaves_stops_the_service_beside_it(disk: SmallDisk, person: Person) -> None:
    with served(disk.path / "home", person) as service:
        assert service.decision() == "match"
        environment = {**os.environ, "VOLENS_HOME": str(service.home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        command = [*COMMAND, "leaver", "Ada Example", "--yes"]
        use_up(disk)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 6, done.stderr
        assert "matching has stopped in 1 process of this site" in done.stderr
        assert "repeat the command" in done.stderr
        assert service.decision() == "no_match"
        assert service.certificates() == []


@pytest.mark.parametrize(("who", "file"), [("a receipt", "volens.db"), ("a subject id", "keyring.db")])
def test_the_end_of_a_person_who_leaves_waits_for_no_lock(
    disk: SmallDisk, person: Person, tmp_path: Path, who: str, file: str
) -> None:
    (tmp_path / "receipt.json").write_text(person.receipt)
    subject = TakeHome.parse(person.receipt.encode()).receipt.claims.subject_id
    named = {"a receipt": str(tmp_path / "receipt.json"), "a subject id": subject}[who]
    with served(disk.path / "home", person) as service:
        assert service.decision() == "match"
        with locked(service.home, file):
            began = time.monotonic()
            leaving = leaver(service.home, named, "--yes")
            until(lambda: service.decision() == "no_match", service)
            assert leaving.poll() is None  # it still waits for the lock
            _, said = leaving.communicate()
            assert time.monotonic() - began < PATIENCE_S
            assert leaving.returncode == 6
            assert "matching has stopped in 1 process of this site" in said
            assert f"the end is not on the disk yet ({file} is locked by another process" in said
            assert "repeat the command" in said
            assert service.certificates() == []
        until(service.certificates, service)  # the service retries it
        assert service.decision() == "no_match"
        certificate = (service.home / "certificates" / service.certificates()[0]).read_bytes()
        with Site.open(service.home) as site:
            assert verify_certificate(certificate, site.verifier_key).reason == "left"


def test_on_a_locked_site_nothing_is_stopped_for_an_unknown_name_or_a_later_date(
    disk: SmallDisk, person: Person
) -> None:
    with served(disk.path / "home", person) as service, locked(service.home):
        for arguments, expected in (
            (("Eve Other", "--yes"), "nothing was stopped, because no process that serves this site found the person"),
            (("Ada Example", "--on", "2099-12-31"), "the date was not noted"),
            (("Ada Example",), "there is no terminal to ask on; pass --yes to confirm"),
        ):
            leaving = leaver(service.home, *arguments)
            _, said = leaving.communicate()
            assert expected in said
            assert leaving.returncode == (2 if "--yes" in expected else 6)
        assert service.decision() == "match"


def leaver(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [*COMMAND, "leaver", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_door_with_the_site_on_its_machine_is_told_too(disk: SmallDisk, person: Person, tmp_path: Path) -> None:
    home, incoming = disk.path / "home", tmp_path / "incoming"
    incoming.mkdir()
    with served(home, person) as service:
        options = ["--zone", "lobby", "--folder", str(incoming), "--max-age-s", "600", "--frames", "1", "--json"]
        environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        door = subprocess.Popen([*COMMAND, "door", "run", *options], env=environment, stdout=subprocess.PIPE, text=True)
        until(lambda: len(answering(home)) == 2, service)
        use_up(disk)
        check_pending(service.withdraw(), 1)
        (incoming / "ada.jpg").write_bytes(person.at_the_door)
        said, _ = door.communicate(timeout=PATIENCE_S)
        assert door.returncode == 3  # it decided about one frame, and did not open
        assert '"decision": "match"' not in said
        assert service.certificates() == []


def restricted(home: Path) -> int:
    with closing(sqlite3.connect(f"file:{home / 'volens.db'}?mode=ro", uri=True)) as data:
        (found,) = data.execute("SELECT count(*) FROM restriction").fetchone()
        return int(found)


def ended(home: Path) -> int:
    """Return how many consents have ended in the data file."""
    with closing(sqlite3.connect(f"file:{home / 'volens.db'}?mode=ro", uri=True)) as one:
        return int(one.execute("SELECT count(*) FROM consent_end").fetchone()[0])


def workers_of(service: Service) -> list[int]:
    pid = service.process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def answering(home: Path) -> set[str]:
    """Return the sockets on which processes of a site listen for stops."""
    data_file = (home / "volens.db").stat()
    prefix = f"@volens/{data_file.st_dev:x}-{data_file.st_ino:x}/"
    return {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if prefix in line}
