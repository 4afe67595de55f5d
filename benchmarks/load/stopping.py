"""How soon a running service stops matching: `python -m benchmarks.load.stopping`, beside plain requests of one run.

For each withdrawal a new consent is recorded and enrolled. Doors send frames of the person without a pause, and one
client withdraws with the receipt:

1. *Still matched*: how long after the withdrawal was sent the last frame was sent that still matched; 0 if none did.
2. *Still told*: how long after the withdrawal was sent the last response with a match came. The frame may have been
   sent, decoded and compared before; so this holds a part of a frame's own time.
3. *Answered*: how long the response of the withdrawal took, which comes after the erasure.
4. *Identify*: the latencies of the frames before the withdrawal, on the same connections: the peer.

Exit code 1 if a frame matched that was sent after the response, or one that was sent more than 50 ms after the
withdrawal; on a machine on which frames take longer, more than twice the median of the peer after it.
"""

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, final

from benchmarks.load.actors import actors
from benchmarks.load.hostile import percentile
from benchmarks.load.run import (
    BOUNDARY,
    ZONE,
    Client,
    History,
    Plan,
    Tokens,
    enrollment_form,
    give_consent,
    make_site,
    send_frames,
)
from benchmarks.load.service import Service
from benchmarks.machine import machine

RESULT: Final = Path(__file__).parents[1] / "results" / "stopping.json"
GOAL_MS: Final = 50.0
_MATCHES: Final = 6
_WITHIN_S: Final = 60.0
_FRAMES_PER_S: Final = 1000.0  # without a pause
_NS_IN_MS: Final = 1e6


@final
@dataclass(slots=True)
class Stops:
    """What was measured, in ms.

    Attributes:
        matched: of each withdrawal, when after it the last frame was sent that matched; 0 for none.
        told: of each withdrawal, when after it the last response with a match came; 0 for none.
        answered: of each withdrawal, when its response came.
        identify: latencies of the frames that were answered before a withdrawal.
        late: number of frames that were sent after the response and matched.
    """

    matched: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    identify: list[float] = field(default_factory=list)
    late: int = 0


def measure(home: Path, withdrawals: int, doors: int) -> Stops:
    """Withdraw so many times at a new site, in front of so many doors."""
    found, photos = Stops(), actors(1)
    plan = Plan(doors=doors, frames_per_s=_FRAMES_PER_S)
    with ExitStack() as kept:
        tokens = make_site(home, plan, "http://127.0.0.1:9/")
        service = kept.enter_context(Service(home, plan.model_threads))
        for _ in range(withdrawals):
            _withdraw_once(service, tokens, photos, plan, found)
    return found


def _withdraw_once(service: Service, tokens: Tokens, photos: list[list[bytes]], plan: Plan, found: Stops) -> None:
    history, over = History(), threading.Event()
    client, receipt = Client(service, history), b""
    receipt = _enroll(client, tokens.desk, photos[0][:3])
    threads = [
        threading.Thread(target=send_frames, args=(service, history, photos, plan, number, token, over))
        for number, token in enumerate(tokens.doors)
    ]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + _WITHIN_S
        while sum(bool(one.matched) for one in list(history.decisions)) < _MATCHES * len(threads):
            if time.monotonic() > until:
                raise RuntimeError("the doors do not match the person")
            time.sleep(0.01)
        body = json.dumps({"receipt": receipt.decode()}).encode()
        span, status, _ = client.ask("withdraw", "/v1/withdrawals", body, {"Content-Type": "application/json"})
        if status != http.client.OK or span.ended is None:
            raise RuntimeError(f"a withdrawal was answered with {status}")
        seen = len(history.decisions)
        while len(history.decisions) < seen + 2 * len(threads) and time.monotonic() < until + _WITHIN_S:
            time.sleep(0.01)  # frames that were sent after the response
    finally:
        over.set()
        for thread in threads:
            thread.join()
        client.close()
    matching = [one.span.began for one in history.decisions if one.matched]
    told = [one.span.ended for one in history.decisions if one.matched and one.span.ended]
    found.matched.append(max(0.0, (max(matching) - span.began) / _NS_IN_MS))
    found.told.append(max(0.0, (max(told) - span.began) / _NS_IN_MS))
    found.answered.append((span.ended - span.began) / _NS_IN_MS)
    found.late += sum(began > span.ended for began in matching)
    spans = [one.span for one in history.decisions]
    found.identify += [(one.ended - one.began) / _NS_IN_MS for one in spans if one.ended and one.ended <= span.began]


def _enroll(client: Client, token: str, views: list[bytes]) -> bytes:
    """Enroll a new person, and return the receipt."""
    desk = {"Authorization": f"Bearer {token}"}
    _, _, notice = client.ask("notice", f"/v1/zones/{ZONE}/notice", None, desk)
    status, given = give_consent(client, desk, "Actor", notice["sha256"])
    if status != http.client.CREATED:
        raise RuntimeError(f"a consent was refused with {status}")
    receipt: bytes = given["take_home"].encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    form = enrollment_form(receipt, views)
    _, status, _ = client.ask("enroll", f"/v1/zones/{ZONE}/enrollments", form, desk | kind)
    if status != http.client.CREATED:
        raise RuntimeError(f"an enrollment was refused with {status}")
    return receipt


def table(kept: dict[str, Any]) -> str:
    """Return the figures of a run as a table; ratios are to the median of identify."""
    peer = percentile(kept["identify"], 0.5)
    rows = {
        "last frame that still matched was sent after": kept["matched"],
        "last response with a match came after": kept["told"],
        "response of the withdrawal": kept["answered"],
        "identify, before": kept["identify"],
    }
    lines = ["| ms after the withdrawal was sent | n | p50 | p95 | most | p95 ratio |", "|---|---|---|---|---|---|"]
    for name, took in rows.items():
        p50, p95 = percentile(took, 0.5), percentile(took, 0.95)
        lines.append(f"| {name} | {len(took):,} | {p50:.0f} | {p95:.0f} | {max(took):.0f} | {p95 / peer:.2f} |")
    return "\n".join([*lines, "", f"Frames that were sent after the response and matched: {kept['late']}."])


def holds(found: Stops) -> bool:
    """Return whether no frame matched that was sent after the response, or too long after the withdrawal."""
    return not found.late and max(found.matched) <= max(GOAL_MS, 2 * percentile(found.identify, 0.5))


def main() -> int:
    """Run, store and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.stopping")
    parser.add_argument("--withdrawals", type=int, default=20)
    parser.add_argument("--doors", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder) / "home", asked.withdrawals, asked.doors)
    kept = {"machine": machine(), "doors": asked.doors, **asdict(found)}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(kept, sort_keys=True) + "\n", encoding="utf-8")
    print(table(kept))
    return 0 if holds(found) else 1


if __name__ == "__main__":
    sys.exit(main())
