"""An auditor: reads checkpoints of the log all the time, with the proofs that the log was only appended to."""

import http.client
import json
import threading
import time
from contextlib import closing
from typing import Final, final

from benchmarks.history.operation import DONE, FORGED, Operation, What
from benchmarks.load.run import Reachable
from volens.audit import VerifierKey, open_checkpoint
from volens.consent import TamperError

_EVERY_S: Final = 0.3


@final
class Auditor:
    """One sequence of checkpoints, asked of all nodes in turn.

    Attributes:
        seen: the checkpoints that were read.
    """

    def __init__(self, service: Reachable, token: str, key: VerifierKey, timeout_s: float) -> None:
        self.seen: list[Operation] = []
        self._service, self._key, self._timeout_s = service, key, timeout_s
        self._headers = {"Authorization": f"Bearer {token}"}
        self._last_size = 0

    def run(self, ended: threading.Event) -> None:
        """Read checkpoints until the end."""
        while not ended.wait(_EVERY_S):
            self.read()

    def read(self) -> None:
        """Read a checkpoint, its proof, and record both."""
        began = time.monotonic_ns()
        status, note = self._get("/v1/log/checkpoint")
        ended = time.monotonic_ns() if status else None
        if status != http.client.OK:
            self.seen.append(self._checkpoint(began, ended, str(status)))
            return
        try:
            checkpoint = open_checkpoint(note.decode(), self._key)
        except (TamperError, ValueError):
            self.seen.append(self._checkpoint(began, ended, FORGED))
            return
        proof: list[str] = []
        if 0 < self._last_size < checkpoint.size:
            path = f"/v1/log/consistency?old_size={self._last_size}&size={checkpoint.size}"
            status, body = self._get(path)
            if status != http.client.OK:
                return  # without a proof this checkpoint says nothing; the next one covers it
            proof = json.loads(body)["hashes"]
        self._last_size = checkpoint.size
        self.seen.append(self._checkpoint(began, ended, DONE, checkpoint.size, checkpoint.root, proof))

    @staticmethod
    def _checkpoint(
        began: int,
        ended: int | None,
        outcome: str,
        size: int | None = None,
        root: bytes = b"",
        proof: list[str] | None = None,
    ) -> Operation:
        return Operation(
            what=What.CHECKPOINT,
            who="auditor",
            began=began,
            ended=ended,
            outcome=outcome,
            size=size,
            root=root.hex(),
            proof=tuple(proof or ()),
        )

    def _get(self, path: str) -> tuple[int, bytes]:
        """Return status and body; status 0 for no response."""
        with closing(
            http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=self._timeout_s)
        ) as connection:
            try:
                connection.request("GET", path, headers=self._headers)
                response = connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException):
                return 0, b""
