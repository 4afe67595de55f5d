"""Collects cosignatures of witnesses for the newest checkpoint of the public log (C2SP tlog-witness, add-checkpoint).

1. A witness that has not cosigned the newest published checkpoint is sent it, with a consistency proof from the last
   one that it cosigned as far as the site knows. Its address is checked as those of webhooks are (`address_guard`).
2. 200: its cosignature is verified and stored.
3. 409 with a size: the witness knows another checkpoint than the site thinks; ask again from that size, once.
4. Everything else is a problem in one sentence. The next attempt follows after one minute, then two, up to an hour.
5. One process of the site asks at a time: they take turns (`Processes.has_turn`), so that a process that reaches no
   witness does not keep the others from it.

A witness that knows a longer log, or another one of the same size, proves that the log was rolled back or forked; its
problem says so.
"""

import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from volens import Site
from volens.audit.cosignature import read_answered_size, read_cosignature
from volens.consent import TamperError, UnavailableError, VolensError
from volens.rights import PublicLog
from volens.service.webhooks import AddressError, DeliveryError, Resolve, checked_addresses, look_up, parse_target
from volens.service.webhooks.posting import TIMEOUT_S, Response, request
from volens.store.log.log_reading import SignedHead
from volens.store.promises.witness_rows import Witness

POLL_S: Final = 60.0
LONGEST_PAUSE_S: Final = 3600.0
_HEADERS: Final = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "Volens"}
_OK: Final = 200
_CONFLICT: Final = 409
_PROBLEMS: Final = {
    400: "it does not understand the request (400); see its log",
    403: "it knows the log, but not the key that signs it now (403); give its operator the newest site.pub",
    404: "it does not know this log (404); give its operator the site's site.pub",
    422: "it refuses the proof that the log only grew (422); it may have seen another log: compare its checkpoint",
}


@final
@dataclass(frozen=True, slots=True)
class WitnessResult:
    """The result for one witness: the size of the checkpoint, and the problem in one sentence; None if it cosigned."""

    witness: Witness
    size: int
    problem: str | None


class _NotCosigned(Exception):  # noqa: N818  carries one sentence, within this module
    """The witness did not cosign; the message says why."""


@final
class WitnessCollector:
    """Asks the witnesses of a site. Close it before the site."""

    def __init__(
        self,
        site: Site,
        public: PublicLog,
        *,
        resolve: Resolve = look_up,
        timeout_s: float = TIMEOUT_S,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Create the collector; nothing is sent yet. `timeout_s` limits each request."""
        self._witnesses = site.log.witnesses
        self._processes = site.programs.processes
        self._public = public
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._context = context
        self._failures: dict[str, tuple[int, float]] = {}
        self._ended = threading.Event()
        self._loop: threading.Thread | None = None

    def start(self, report: Callable[[WitnessResult], None]) -> None:
        """Ask in turn from now on, whenever the public log has a new checkpoint; look for one every `POLL_S` seconds.

        `report` is called with each result, in the background thread.
        """
        self._loop = threading.Thread(target=self._run, args=(report,), name="witness-collector", daemon=True)
        self._loop.start()

    def close(self) -> None:
        """Ask no further witness, and wait for the one that is asked; that is limited by `timeout_s`."""
        self._ended.set()
        if self._loop is not None:
            self._loop.join()

    def collect(self) -> list[WitnessResult]:
        """Ask every witness that has not cosigned the newest checkpoint of the public log, and return the results.

        Raises:
            TamperError: the rows of the site do not verify, or a node of the log is missing.
            UnavailableError: the store is busy.
        """
        head = self._public.head()
        return [self._cosigned_by(witness, head) for witness in self._witnesses.missing(head)]

    def collect_in_turn(self, report: Callable[[WitnessResult], None]) -> None:
        """Do what the background thread does once: if it is this process's turn, ask each witness that is due.

        Raises:
            TamperError, UnavailableError: see `collect`.
        """
        if not self._processes.has_turn():
            return
        head = self._public.head()
        for witness in self._witnesses.missing(head):
            failed, due = self._failures.get(witness.witness_id, (0, 0.0))
            if self._ended.is_set() or time.monotonic() < due:
                continue
            result = self._cosigned_by(witness, head)
            self._failures.pop(witness.witness_id, None)
            if result.problem is not None:
                pause = min(POLL_S * 2**failed, LONGEST_PAUSE_S)
                self._failures[witness.witness_id] = (failed + 1, time.monotonic() + pause)
            report(result)

    def _run(self, report: Callable[[WitnessResult], None]) -> None:
        while not self._ended.is_set():
            with suppress(UnavailableError, TamperError):  # busy now, or broken: 'volens doctor' names it
                self.collect_in_turn(report)
            self._ended.wait(POLL_S)

    def _cosigned_by(self, witness: Witness, head: SignedHead) -> WitnessResult:
        try:
            self._cosign(witness, head)
        except (_NotCosigned, DeliveryError, AddressError, TamperError) as problem:
            return WitnessResult(witness, head.size, str(problem))
        except OSError:
            return WitnessResult(witness, head.size, "its name has no address; check the URL")
        return WitnessResult(witness, head.size, None)

    def _cosign(self, witness: Witness, head: SignedHead) -> None:
        # 1.
        old_size = self._witnesses.last_size(witness, head)
        response = self._post(witness, head, old_size)
        # 3.
        if response.status == _CONFLICT:
            known = self._known_size(response, head, old_size)
            response = self._post(witness, head, known)
            if response.status == _CONFLICT:
                raise _NotCosigned(_conflict(response, head))
        # 4.
        if response.status != _OK:
            raise _NotCosigned(_PROBLEMS.get(response.status, f"it answered with status {response.status}"))
        # 2.
        self._witnesses.keep(witness, head, read_cosignature(response.body, head.note, witness.key))

    def _known_size(self, response: Response, head: SignedHead, old_size: int) -> int:
        known = read_answered_size(response.body)
        if known is None:
            raise _NotCosigned("it answered 409 without the size of its checkpoint")
        if known > head.size:
            size = self._witnesses.log_size()
            if known > size:
                raise _NotCosigned(
                    f"it has seen a log of {known} entries, and the site's has {size}: the data was rolled back, or "
                    "another site uses the same key; recover the newest data"
                )
            raise _NotCosigned(f"it has cosigned {known} entries, more than the {head.size} that are published by now")
        if known == old_size:
            raise _NotCosigned(_conflict(response, head))
        return known

    def _post(self, witness: Witness, head: SignedHead, old_size: int) -> Response:
        body = self._witnesses.request(head, old_size)
        try:
            target = parse_target(f"{witness.url}/add-checkpoint", allow_private=witness.allow_private)
        except VolensError:
            raise _NotCosigned("its URL is not valid; remove the witness and add it again") from None
        addresses = checked_addresses(target, allow_private=witness.allow_private, resolve=self._resolve)
        return request("POST", target, addresses, _HEADERS, body, timeout_s=self._timeout_s, context=self._context)


def _conflict(response: Response, head: SignedHead) -> str:
    known = read_answered_size(response.body)
    if known == head.size:
        return (
            f"it has cosigned another log of {head.size} entries: the log was forked; keep both checkpoints, and find "
            "out which data file is the right one"
        )
    return "it contradicts itself about the checkpoint that it knows (409); try again later"
