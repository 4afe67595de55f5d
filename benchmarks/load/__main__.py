"""`python -m benchmarks.load`: two minutes with eight doors, and the results; raw records are stored."""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path

from benchmarks.load.actors import actors
from benchmarks.load.checker import Verdict, check
from benchmarks.load.run import History, Plan, run
from benchmarks.machine import machine

RESULTS = Path(__file__).parents[1] / "results" / "load"


def main() -> int:
    """Run, check, store and print. Exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--doors", type=int, default=8)
    parser.add_argument("--frames-per-s", type=float, default=5)
    parser.add_argument("--kill-at", type=float, help="seconds after which the service is killed and restarted")
    parser.add_argument("--workers", type=int, default=1, help="with --kill-at, one of them is killed")
    parser.add_argument("--model-threads", type=int, default=2, help="of each worker")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    plan = Plan(asked.seconds, asked.doors, asked.frames_per_s, asked.kill_at, asked.model_threads, asked.workers)
    with tempfile.TemporaryDirectory() as folder:
        history = run(Path(folder) / "home", actors(4), plan)
    verdict = check(history.decisions, history.stays.values())
    asked.out.mkdir(parents=True, exist_ok=True)
    name = f"{'steady' if plan.kill_at_s is None else 'killed'}{plan.workers if plan.workers > 1 else ''}.json"
    (asked.out / name).write_text(json.dumps(record(plan, history), sort_keys=True) + "\n")
    print(summary(history, verdict))
    return 0 if verdict.holds else 1


def record(plan: Plan, history: History) -> dict[str, object]:
    """Return all observations, so that other figures can be derived later."""
    return {
        "machine": machine(),
        "plan": asdict(plan),
        "decisions": [[one.span.began, one.span.ended, one.shown, sorted(one.matched)] for one in history.decisions],
        "stays": [asdict(one) for one in history.stays.values()],
        "statuses": [[what, status, count] for (what, status), count in sorted(history.statuses.items())],
        "resident_bytes": history.resident_bytes,
    }


def summary(history: History, verdict: Verdict) -> str:
    """Return the results as text."""
    took = sorted((one.span.ended or 0) - one.span.began for one in history.decisions) or [0]
    memory = [one for one in history.resident_bytes if one] or [0]
    half = len(memory) // 2
    ended = sum(bool(one.withdrawn and one.withdrawn.ended) for one in history.stays.values())
    answers = ", ".join(f"{what} {status}: {count}" for (what, status), count in sorted(history.statuses.items()))
    p50, p95 = (took[int(len(took) * part)] / 1e6 for part in (0.5, 0.95))
    first, second = (statistics.median(part) / 2**20 for part in (memory[: half or 1], memory[half:]))
    return f"""\
decisions: {len(history.decisions)}, p50 {p50:.0f} ms, p95 {p95:.0f} ms
responses: {answers}
people enrolled and withdrawn: {ended}
withdrawals that a rate limit sent away: {history.statuses["withdraw", HTTPStatus.TOO_MANY_REQUESTS]}
matched after the response to a withdrawal: {len(verdict.after_withdrawal)}
matched before an enrollment, or unknown: {len(verdict.before_enrollment) + len(verdict.strangers)}
recognised: {verdict.recognised}, missed: {len(verdict.missed)}
erasures that the panel was not notified of: {len(verdict.not_notified)}
memory: {first:.0f} MiB in the first half, {second:.0f} MiB in the second"""


if __name__ == "__main__":
    sys.exit(main())
