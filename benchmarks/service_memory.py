"""Memory of `volens serve` after a withdrawal, as an attacker searches it: ``python -m benchmarks.service_memory``.

1. A site with two people is made. A real service starts, with one or two workers.
2. Both people are identified over HTTP. A backup is made by the command line next to the service.
3. What the attacker is after is noted: the wrapped grant secret, the sealed embedding and the sketch of one person.
4. This person withdraws over HTTP.
5. The memory of every process of the service is read from outside (``/proc/PID/mem``) and searched for them.
6. The noted secret is opened, if that is possible, with the keyring and the root key as they are now.
7. Before and after the withdrawal, every 32 bytes of the writable memory that could be a key are tried as the key of
   the noted secret (`benchmarks.blind_search`). Before it, one of them opens it: the bucket key.

Not shown: registers, swap devices, and memory that a process has given back to the system.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, final

import numpy as np

from benchmarks.blind_search import opens_with_a_key_in
from benchmarks.load.actors import actors
from benchmarks.load.service import ROOT, Service
from volens import Site
from volens.consent import ReceiptId, SubjectKey, TamperError
from volens.face import EncodedImage, ModelCache
from volens.index.projection import Projection
from volens.index.reference_opener import opened
from volens.service.sample_notice import publish_sample_notice
from volens.store import open_home
from volens.store.keys import GrantSecret, Wrapped
from volens.store.keys.secrets import KEY_BYTES
from volens.store.keys.wrapped_keys import secret_context
from volens.store.people.references import sealed_references
from volens.store.programs import Role

ZONE: Final = "lobby"
SHORTEST: Final = {"wrapped secret": 24, "sealed embedding": 64, "sketch": 24}
"""A run of so many bytes counts as found. Less of a wrapped secret holds neither half of its content nor its tag."""

_WORD: Final = 8
_CHUNK: Final = 1 << 24
_OVERLAP: Final = 1 << 13


@final
@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in one service: the longest run of each value, in bytes; 0 if it is less than `SHORTEST`.

    Attributes:
        before: before the withdrawal. The search works, because it finds the gallery's sketch and the hot set's rows.
        after: after the withdrawal.
        opened: whether the wrapped secret of before still opens with the keyring and the root key of after.
        blind_before, blind_after: whether a key in the memory opens it, before and after the withdrawal.
        searched_bytes: how much memory was read.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    opened: bool
    blind_before: bool
    blind_after: bool
    searched_bytes: int


@final
@dataclass(frozen=True, slots=True)
class _Person:
    receipt_id: ReceiptId
    code: str
    frame: bytes


def observe(home: Path, workers: int = 1, *, blind: bool = True) -> Findings:
    """Do steps 1 to 6 in a new home, and with `blind` also 7, which takes a minute for each process."""
    # 1.
    people, door = _site(home)
    with Service(home, model_threads=2, workers=workers) as service:
        # 2.
        for person in people * 2:
            faces = _post(service, f"/v1/zones/{ZONE}/identify", person.frame, "image/jpeg", door)["faces"]
            if [face["decision"] for face in faces] != ["match"]:
                raise RuntimeError("a person who was enrolled did not match")
        _backup(home)
        # 3.
        victim = people[0]
        wrapped, values = _noted(home, victim.receipt_id)
        if not _opens(home, victim.receipt_id, wrapped):
            raise RuntimeError("the secret does not open before the withdrawal")
        context = secret_context(_site_id(home), victim.receipt_id, wrapped.key_id)
        before, blind_before, _ = _searched(service, values, context if blind else None)
        # 4.
        _post(service, "/v1/withdrawals", json.dumps({"code": victim.code}).encode(), "application/json")
        # 5.
        after, blind_after, searched_bytes = _searched(service, values, context if blind else None)
        # 6.
        opened = _opens(home, victim.receipt_id, wrapped)
        return Findings(before, after, opened, blind_before, blind_after, searched_bytes)


def _searched(service: Service, values: Mapping[str, bytes], context: bytes | None) -> tuple[dict[str, int], bool, int]:
    """Do steps 5 and 7."""
    longest, is_open, searched_bytes = dict.fromkeys(values, 0), False, 0
    search = RunSearch(values, SHORTEST)
    for pid in service.pids():
        for is_writable, memory in _memory(pid):
            searched_bytes += len(memory)
            # 7.
            if is_writable and context is not None and not is_open:
                is_open = opens_with_a_key_in(memory, values["wrapped secret"], context)
            # 5.
            longest = {name: max(longest[name], length) for name, length in search.longest(memory).items()}
    return longest, is_open, searched_bytes


@final
class RunSearch:
    """A search of memory for the longest parts of some values, at any address.

    A part of 15 bytes or more contains 8 bytes of the value at an address that is a multiple of 8. So the memory is
    compared in words of 8 bytes, with every 8 bytes in a row of every value.
    """

    def __init__(self, values: Mapping[str, bytes], shortest: Mapping[str, int]) -> None:
        """Prepare a search; `shortest` is for each value how many bytes in a row count as found, at least 15."""
        self._values = values
        self._shortest = shortest
        self._places: dict[bytes, list[tuple[str, int]]] = {}
        for name, value in values.items():
            for at in range(len(value) - _WORD + 1):
                self._places.setdefault(value[at : at + _WORD], []).append((name, at))
        self._words = np.sort(np.frombuffer(b"".join(self._places), np.uint64))
        self._first = np.zeros(1 << 16, dtype=bool)  # two bytes exclude most of the memory
        self._first[self._words.view(np.uint16)[:: _WORD // 2]] = True

    def longest(self, memory: bytes) -> dict[str, int]:
        """Return for each value the length of its longest part in the memory; 0 if that is too short."""
        longest = dict.fromkeys(self._values, 0)
        words = np.frombuffer(memory, np.uint64, len(memory) // _WORD)
        likely = np.flatnonzero(self._first[words.view(np.uint16)[:: _WORD // 2]])
        for place in likely[np.isin(words[likely], self._words)].tolist():
            start = place * _WORD
            for name, at in self._places[memory[start : start + _WORD]]:
                longest[name] = max(longest[name], _run(memory, start, self._values[name], at))
        return {name: length if length >= self._shortest[name] else 0 for name, length in longest.items()}


def _run(memory: bytes, start: int, value: bytes, at: int) -> int:
    """Return how many bytes around one word are the same in memory and value."""
    first, last, before, after = start, start + _WORD, at, at + _WORD
    while first > 0 and before > 0 and memory[first - 1] == value[before - 1]:
        first, before = first - 1, before - 1
    while last < len(memory) and after < len(value) and memory[last] == value[after]:
        last, after = last + 1, after + 1
    return last - first


def _site(home: Path) -> tuple[list[_Person], str]:
    with Site.create(home, name="Example Ltd", contact="privacy@example.org") as site:
        site.add_zone(ZONE, custody="operator", justification="a test", alternative="a badge", retention_days=30)
        site.declarations.declare_zone(ZONE, {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
        notice = publish_sample_notice(site, ZONE, more="We compare your face at the door.")
        people = []
        for number, photos in enumerate(actors(2)):
            key = SubjectKey.from_seed(os.urandom(32))
            given = site.give_consent(notice, name=f"Actor {number}", jurisdiction="FR", key=key)
            site.enroll(given.to_json(), [EncodedImage(one) for one in photos[:3]])
            document = json.loads(given.to_json())
            people.append(_Person(given.receipt.claims.receipt_id, document["withdrawal_code"], photos[3]))
        door = site.programs.credentials.issue(label="door", role=Role.DOOR, zone=ZONE)[1].reveal()
    return people, door


def _post(service: Service, path: str, body: bytes, kind: str, token: str | None = None) -> dict[str, object]:
    headers = {"Content-Type": kind} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    with closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)) as connection:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        document: dict[str, object] = json.loads(response.read())
    if response.status != http.client.OK:
        raise RuntimeError(f"{path}: {response.status}")
    return document


def _site_id(home: Path) -> str:
    with closing(open_home(home, clock=_now, random=os.urandom)) as store:
        return store.keyring.site_id


def _backup(home: Path) -> None:
    command = [sys.executable, "-c", "from volens.program import main; main()"]
    environment = {**os.environ, "VOLENS_HOME": str(home), "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "backup", str(home.parent / "backup")], env=environment, check=True, capture_output=True)  # noqa: S603  ours


def _noted(home: Path, receipt_id: ReceiptId) -> tuple[Wrapped, dict[str, bytes]]:
    """Return what an attacker is after, by name: read in this process, so that the service holds no copy for us."""
    with closing(open_home(home, clock=_now, random=os.urandom)) as store:
        with store.read() as connection:
            (reference,) = sealed_references(connection, [receipt_id])
        wrapped = store.keyring.wrapped([receipt_id])[receipt_id]
        seed = store.keyring.projection_seed(reference.model_id)
        # The vector is wiped when the loop goes on.
        for _, vector in opened(store, [reference], None):
            sketch = Projection(seed, vector.dimension).sketch(vector.array).tobytes()
    values = {"wrapped secret": bytes(wrapped.box), "sealed embedding": reference.sealed_embedding, "sketch": sketch}
    return wrapped, values


def _opens(home: Path, receipt_id: ReceiptId, wrapped: Wrapped) -> bool:
    with (
        closing(open_home(home, clock=_now, random=os.urandom)) as store,
        GrantSecret(bytes(KEY_BYTES)) as secret,
        suppress(TamperError),
    ):
        return store.keyring.open_wrapped(receipt_id, wrapped, secret)
    return False


def _memory(pid: int) -> Iterator[tuple[bool, bytes]]:
    """Yield the readable memory of another process in pieces that overlap, and whether the process can write to it."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            span, rights, *_ = line.split()
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(one, 16) for one in span.split("-"))
            for at in range(start, end, _CHUNK):
                try:
                    yield "w" in rights, os.pread(memory.fileno(), min(_CHUNK + _OVERLAP, end - at), at)
                except OSError:
                    break  # a guard page, or a region that is gone meanwhile


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    """Parse the command line, run, and print one line for each service and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", type=int, nargs="?", default=20, help="how many services are started")
    services = parser.parse_args().services
    ModelCache.default().pull()
    found: Counter[str] = Counter()
    for number in range(services):
        workers = 1 + number % 2
        with tempfile.TemporaryDirectory(prefix="volens-memory-") as work:
            one = observe(Path(work) / "home", workers)
        found.update(name for name, longest in one.after.items() if longest)
        found["opened"] += one.opened
        found["blind, before"] += one.blind_before
        found["blind, after"] += one.blind_after
        runs = ", ".join(f"{name}: {one.before[name]} -> {longest}" for name, longest in one.after.items())
        print(f"{number + 1}: {workers} worker(s), {one.searched_bytes >> 20} MiB searched; bytes in a row: {runs}")
    print(
        f"of {services} services: "
        + ", ".join(f"{name} {found[name]}" for name in (*one.after, "opened", "blind, before", "blind, after"))
    )


if __name__ == "__main__":
    main()
