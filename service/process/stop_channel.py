"""Stop channel: tells the other processes of a site on this machine about stops, over Unix sockets that need no disk.

Each process listens on a socket in the abstract namespace of Linux, which has no file. Its name has the device and
inode of the data file (of ``databases.json``, if the data is on a server) and the id of the process, so
``/proc/self/net/unix`` lists the processes of a site. A request and its response are one line of JSON each::

    {"stops": [["<receipt id>", "withdrawn"]], "problem": "why it is not committed"}   what the sender has stopped
    {"code": "..."} or {"receipt": "..."}        a withdrawal that a command is about to commit, and perhaps cannot
    {"person": "..."} or {"receipt_of": "..."}   a person whose consents a command is about to end, and perhaps cannot
    {"restrictions": ["<receipt id>"], "problem": "..."}                      what the sender has paused (GDPR 18)
    {"settled": ["<receipt id>"]}                restrictions about which the store says now whether they hold
    {"process": "<id>", "stops": [...], "restrictions": [...]}   the response: what this process has not committed

1. Both ends check that the other runs as root, as this user, or as the owner of the data file (``SO_PEERCRED``). Such a
   process can read the keys and write the data file anyway, so messages are not signed.
2. A process that starts asks the others which stops they have, before it decides about the first face.
3. Processes in another network namespace are not found; without Linux, none are. What is known of them from their
   reports in the store is returned as not told.
"""

import json
import os
import re
import secrets
import socket
import struct
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

from volens import Site
from volens.consent import EndReason, InputError, ReceiptId, TakeHome, UnavailableError, VolensError
from volens.consent.json_reader import JsonError, read_json
from volens.erase import PeerAnswers
from volens.erase.pending_stops import Stop
from volens.store import DATA_FILE
from volens.store.people.consents import live_owner
from volens.store.people.people_search import SeveralPeopleError
from volens.store.programs import Processes
from volens.store.site_databases import DATABASES_FILE

ANSWER_S: Final = 1.0
"""How long another process may take to answer. It only adds to a set in memory."""

FIND_S: Final = 30.0
"""How long another process may take to find a person; for a name it opens every name, 0.7 ms each."""

_MAX_LINE_BYTES: Final = 8 << 20
_SOCKETS: Final = Path("/proc/self/net/unix")
_CREDENTIALS: Final = struct.Struct("3i")
_PAIR: Final = 2
_RECEIPT_ID: Final = re.compile(r"[0-9a-f]{32}")


@final
class StopChannel:
    """The end of one process; `volens.erase.Peers`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._data_file = _site_file(site.home)
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen from now on, and take the stops that other processes have; where that is not possible, do nothing."""
        store = self._site.installation.store
        # Not the store's randomness, which tests repeat: two processes must never have the same id.
        store.process_id = store.process_id or secrets.token_hex(8)
        if sys.platform != "linux":
            return
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(_prefix(self._data_file) + store.process_id)
            listener.listen(32)
        except OSError:
            listener.close()
            return
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="stop channel", daemon=True).start()
        # 2.
        self.tell([], "")

    def close(self) -> None:
        """Listen no more."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()

    def tell(self, stops: Sequence[Stop], problem: str) -> PeerAnswers:
        """Tell the other processes about stops, and take theirs."""
        return self._send({"stops": stops, "problem": problem})

    def tell_restrictions(self, receipt_ids: Sequence[ReceiptId], problem: str) -> PeerAnswers:
        """Tell the other processes about restrictions, and take theirs; see `volens.enroll.pending_restrictions`."""
        return self._send({"restrictions": receipt_ids, "problem": problem})

    def settle_restrictions(self, receipt_ids: Sequence[ReceiptId]) -> None:
        """Tell the other processes that the store decides about these restrictions now."""
        _exchange(self._data_file, {"settled": receipt_ids}, but=self._site.installation.store.process_id)

    def _send(self, message: Mapping[str, object]) -> PeerAnswers:
        confirmed = set[str]()
        for response in _exchange(self._data_file, message, but=self._site.installation.store.process_id):
            confirmed.add(str(response.get("process")))
            self._site.stops.take(_stops_in(response))
            self._site.changes.pending.take(_ids_in(response, "restrictions"), "")
        return PeerAnswers(len(confirmed), tuple(one for one in self._reported() if one not in confirmed))

    def _reported(self) -> list[str]:
        """Return the other processes that reported last. If the disk is full, none can report any more."""
        with suppress(UnavailableError):
            return Processes(self._site.installation.store).last_reported()
        return ["other processes of this site"]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._respond, args=(connection,), name="stop request", daemon=True).start()

    def _respond(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, JsonError):
            connection.settimeout(ANSWER_S)
            # 1.
            if not _is_trusted(connection, self._data_file):
                return
            request = _read_line(connection)
            response = {"process": self._site.installation.store.process_id, **self._handle(request)}
            connection.sendall(json.dumps(response).encode("utf-8") + b"\n")

    def _handle(self, request: Mapping[str, Any]) -> Mapping[str, object]:
        paused, problem = self._site.changes.pending, str(request.get("problem", ""))
        own = {"stops": self._site.stops.waiting(), "restrictions": paused.waiting()}
        if "stops" in request:
            self._site.stops.take(_stops_in(request), problem)
            return own
        if "restrictions" in request:
            paused.take(_ids_in(request, "restrictions"), problem)
            return own
        if "settled" in request:
            paused.drop(_ids_in(request, "settled"))
            return {}
        if "person" in request or "receipt_of" in request:
            return self._find(request)
        code, receipt = request.get("code"), request.get("receipt")
        try:
            receipt_id = self._site.rights.consent_shown(
                receipt=receipt.encode("utf-8", "replace") if isinstance(receipt, str) else None,
                code=code if isinstance(code, str) else None,
            )
        except VolensError:
            return {"held": False}
        self._site.stops.take([(receipt_id, EndReason.WITHDRAWN)])
        return {"held": True}

    def _find(self, request: Mapping[str, Any]) -> Mapping[str, object]:
        """Return the consents in force of a person; nothing is stopped."""
        receipt = request.get("receipt_of")
        try:
            found = self._site.receipts_of(
                TakeHome.parse(receipt.encode("utf-8", "replace")).receipt
                if isinstance(receipt, str)
                else str(request.get("person"))
            )
        except SeveralPeopleError as error:
            return {"found": [], "problem": str(error)}
        except VolensError:
            return {"found": []}
        with self._site.installation.store.read() as connection:
            return {"found": [one for one in found if live_owner(connection, one) is not None]}


def show_withdrawal(home: Path, *, receipt: bytes | None, code: str | None) -> list[str]:
    """Show a code or receipt to the processes that serve a site, before the command commits the withdrawal itself.

    Each of them verifies it, stops matching the consent, and commits the withdrawal if no other process does.

    Returns:
        The ids of the processes that stopped the consent; none if none serves the site, or they refused the code.
    """
    shown = {"code": code} if receipt is None else {"receipt": receipt.decode("utf-8", "replace")}
    return [str(one.get("process")) for one in _exchange(_site_file(home), shown) if one.get("held") is True]


def find_person(home: Path, *, text: str | None, receipt: str | None) -> list[ReceiptId]:
    """Let the processes that serve a site find a person, for a command that cannot open the site, or not yet.

    Returns:
        The consents in force of the person; none if no process serves the site, or the person is not found.

    Raises:
        InputError: several people have this name.
    """
    sought = {"person": text} if receipt is None else {"receipt_of": receipt}
    for response in _responses(_site_file(home), sought, timeout_s=FIND_S):
        if "problem" in response:
            raise InputError(str(response["problem"]))
        ids = response.get("found")
        found = [str(one) for one in ids] if isinstance(ids, list) else []
        if found and all(map(_RECEIPT_ID.fullmatch, found)):
            return [ReceiptId(one) for one in found]
    return []


def tell_stops(home: Path, stops: Sequence[Stop]) -> list[str]:
    """Let the processes that serve a site stop consents, before the command that ends them commits that itself.

    Each of them commits the end if no other process does. Not checked: that the consents are in force.

    Returns:
        The ids of the processes that stopped them; none if none serves the site.
    """
    return [str(one.get("process")) for one in _exchange(_site_file(home), {"stops": stops, "problem": ""})]


def _exchange(data_file: Path, request: Mapping[str, object], but: str | None = None) -> list[Mapping[str, Any]]:
    """Send a request to every process of a site except one, and return the responses that came."""
    return list(_responses(data_file, request, but))


def _responses(
    data_file: Path, request: Mapping[str, object], but: str | None = None, timeout_s: float = ANSWER_S
) -> Iterator[Mapping[str, Any]]:
    line = json.dumps(request).encode("utf-8") + b"\n"
    for address in _addresses(data_file):
        if but is not None and address.endswith(f"/{but}"):
            continue
        with suppress(OSError, JsonError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.settimeout(timeout_s)
            one.connect(address)
            # 1.
            if _is_trusted(one, data_file):
                one.sendall(line)
                yield _read_line(one)


def _site_file(home: Path) -> Path:
    """Return the file by which the processes of a home find each other: the data file, or what names its server."""
    databases = home / DATABASES_FILE
    return databases if databases.exists() else home / DATA_FILE


def _prefix(data_file: Path) -> str:
    found = data_file.stat()
    return f"\0volens/{found.st_dev:x}-{found.st_ino:x}/"


def _addresses(data_file: Path) -> list[str]:
    try:
        prefix = "@" + _prefix(data_file)[1:]
        lines = _SOCKETS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    # A connection has the name of its listener, too.
    names = {name for line in lines for name in line.split(maxsplit=7)[7:] if name.startswith(prefix)}
    return sorted("\0" + name[1:] for name in names)


def _is_trusted(connection: socket.socket, data_file: Path) -> bool:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return uid in {0, os.geteuid(), data_file.stat().st_uid}


def _read_line(connection: socket.socket) -> Mapping[str, Any]:
    with connection.makefile("rb") as file:
        found = read_json(file.readline(_MAX_LINE_BYTES))
    return found if isinstance(found, dict) else {}


def _stops_in(message: Mapping[str, Any]) -> list[Stop]:
    stops = message.get("stops")
    pairs = [one for one in stops if isinstance(one, list) and len(one) == _PAIR] if isinstance(stops, list) else []
    return [
        (ReceiptId(receipt_id), EndReason(reason))
        for receipt_id, reason in ((str(one[0]), str(one[1])) for one in pairs)
        if _RECEIPT_ID.fullmatch(receipt_id) and reason in set(EndReason)
    ]


def _ids_in(message: Mapping[str, Any], name: str) -> list[ReceiptId]:
    ids = message.get(name)
    return [ReceiptId(str(one)) for one in ids if _RECEIPT_ID.fullmatch(str(one))] if isinstance(ids, list) else []
