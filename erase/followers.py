"""Confirmation by others: processes report which generation of the store they hold, doors which lease."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from volens.consent import Purpose, ReceiptId, parse_time
from volens.consent.lease import LeaseHolding, LeaseStop
from volens.store import Store
from volens.store.log import log_size
from volens.store.programs import Processes
from volens.store.programs.leases import Leases, holdings, with_uncertain

CONFIRM_S: Final = 2.0
"""An erasure waits at most this long for processes that have reported lately. They poll every quarter of a second."""

_AGAIN_S: Final = 0.05


def await_holders(store: Store, facts: Mapping[ReceiptId, Mapping[str, Any]]) -> dict[ReceiptId, list[dict[str, Any]]]:
    """Wait until the doors that held a lease have said that they hold it no more, `CONFIRM_S` at most.

    Returns:
        What is known of the doors then, by consent. A door without a connection says nothing until it has one, and its
        lease ends by itself (`volens.consent.lease`).
    """
    until = time.monotonic() + CONFIRM_S
    while True:
        with store.read() as connection:
            known = {
                (zone, at, newest): holdings(connection, Purpose(zone), parse_time(at), newest)
                for zone, at, newest in {_lent(its) for its in facts.values() if its["leases"]["holders"]}
            }
        is_known = all(one.acknowledged_at is not None for found in known.values() for one in found)
        if is_known or time.monotonic() >= until:
            return {one: _with_uncertain(its, known.get(_lent(its), ())) for one, its in facts.items()}
        time.sleep(_AGAIN_S)


def await_stop(store: Store, purpose: Purpose, stopped_at: datetime) -> LeaseStop:
    """Wait likewise after a stop of a person or a zone; not for leases that have ended by themselves."""
    until, leases = time.monotonic() + CONFIRM_S, Leases(store)
    while True:
        stop, now = leases.stop_at(purpose, stopped_at), store.now()
        is_open = any(one.acknowledged_at is None and one.ends_at > now for one in stop.holders)
        if not is_open or time.monotonic() >= until:
            return stop
        time.sleep(_AGAIN_S)


def _with_uncertain(facts: Mapping[str, Any], known: Sequence[LeaseHolding]) -> list[dict[str, Any]]:
    """Add the doors whose rows did not say what they held when the consent ended: no later row says it either."""
    uncertain = [LeaseHolding.from_json(one) for one in facts["leases"].get("uncertain", ())]
    return [one.to_json() for one in with_uncertain(known, uncertain)]


def _lent(facts: Mapping[str, Any]) -> tuple[str, str, int]:
    return facts["zone"], facts["ended_at"], facts["leases"]["newest"]


def await_followers(store: Store) -> dict[str, int]:
    """Wait until the other processes that serve the site have applied all commits so far, `CONFIRM_S` at most.

    A process has confirmed when it has dropped the sketches of ended consents, and holds the store key of now or a
    newer one: the older ones are zeroed in its memory.

    Returns:
        The number of other processes (``others``), and how many of them have ``confirmed``.

    Not checked: processes that report nothing because they serve no requests, such as a running command.
    """
    with store.read() as connection:
        generation, key_epoch = log_size(connection), store.keyring.epoch
    until = time.monotonic() + CONFIRM_S
    while True:
        others = Processes(store).others()
        confirmed = sum(one.generation >= generation and one.key_epoch >= key_epoch for one in others)
        if confirmed == len(others) or time.monotonic() >= until:
            return {"others": len(others), "confirmed": confirmed}
        time.sleep(_AGAIN_S)
