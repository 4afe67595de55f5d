"""HTTP client of a door for its leases: asks, says what it holds, delivers what it decided. No proxy, no redirect."""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final
from urllib.parse import urlsplit

from volens.consent import RefusedError, UnavailableError, from_b64url
from volens.consent.json_reader import read_json
from volens.service.door.addresses import ServiceAddress
from volens.store.keys import LeaseKey

TIMEOUT_S: Final = 5.0
"""Of an answer that is not waited for; a door without a connection must know that soon."""
_MAX_BYTES: Final = 16 * 2**20
_OK: Final = 200
_UNKNOWN: Final = 404
_REFUSED: Final = frozenset({401, 403, 409, 422})


@final
@dataclass(frozen=True, slots=True)
class ReceivedLease:
    """An answer with a lease; the caller wipes the key."""

    token: str
    key: LeaseKey = field(repr=False)
    references: bytes = field(repr=False)


@final
class LeaseClient:
    """Calls the operations for leases of one service."""

    def __init__(self, service: ServiceAddress) -> None:
        parts = urlsplit(service.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls: ssl.SSLContext | None = service.tls
        self._token = service.token

    def ask(self, model_id: str, liveness_model: str | None = None) -> ReceivedLease:
        """Ask for the next lease, for models that the door has.

        Raises:
            UnavailableError: the service cannot be reached, or does not answer as it should.
            RefusedError: this door gets none; the message is the service's.
        """
        answer = self._call("/v1/leases", {"model": model_id, "liveness_model": liveness_model})
        try:
            references = from_b64url(answer["references"])
            return ReceivedLease(str(answer["lease"]), LeaseKey(from_b64url(answer["key"])), references)
        except (KeyError, ValueError, TypeError, AttributeError):
            raise UnavailableError("the service sent a lease of another form; retrying") from None

    def acknowledge(self, lease_id: str, *, holds: bool, wait_s: int = 0) -> bool:
        """Say what the door holds, and return whether it may; waits up to `wait_s` for a revocation.

        Raises:
            UnavailableError, RefusedError: as `ask`.
        """
        body = {"lease_id": lease_id, "holds": holds, "wait_s": wait_s}
        answer = self._call("/v1/leases/acknowledge", body, wait_s + TIMEOUT_S)
        return answer.get("may_hold") is True

    def deliver(self, decisions: Sequence[Mapping[str, Any]]) -> None:
        """Deliver decisions of an outage.

        Raises:
            UnavailableError, RefusedError: as `ask`; deliver them again later.
        """
        self._call("/v1/leases/decisions", {"decisions": list(decisions)})

    def _call(self, path: str, body: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)
        )
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read(_MAX_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"the service is unreachable for leases ({type(error).__name__})") from None
        finally:
            connection.close()
        document = _document(data)
        if response.status in _REFUSED:
            raise RefusedError(f"the service gives this door no lease ({response.status}): {document.get('detail')}")
        if response.status == _UNKNOWN:
            return {}
        if response.status != _OK:
            raise UnavailableError(f"the service answers with {response.status} for leases")
        return document


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = read_json(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
