"""`python -m benchmarks.history`: ten minutes of faults, recorded and checked; `--check FILE` checks a record again."""

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.history.history_checker import check_history
from benchmarks.history.history_report import BEGIN, END, ON_SERVERS, report_of, write_page
from benchmarks.history.operation import Operation, history_lines, read_history
from benchmarks.history.recorded_run import RunPlan, record_run
from benchmarks.history.server_cluster import ServerCluster
from benchmarks.load.actors import actors
from benchmarks.machine import machine

RESULTS = Path(__file__).parents[1] / "results" / "history"
PEOPLE = 4


def main() -> int:
    """Record or read a history, check it and print the report. Exit code 1 if a promise was broken."""
    plan = RunPlan()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history")
    parser.add_argument("--seconds", type=float, default=plan.seconds)
    parser.add_argument("--nodes", type=int, default=plan.nodes)
    parser.add_argument("--doors", type=int, default=plan.doors)
    parser.add_argument("--seed", type=int, default=plan.seed, help="of the faults, and of the faces at the doors")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the record")
    parser.add_argument("--check", type=Path, metavar="FILE", help="check this record; start nothing")
    parser.add_argument("--page", action="store_true", help="write the report into docs/history.md, too")
    parser.add_argument("--postgres", type=Path, metavar="FOLDER", help="programs of PostgreSQL: use two servers")
    parser.add_argument("--postgres-user", help="who runs them, if you are root")
    asked = parser.parse_args()
    if asked.check is None:
        plan = RunPlan(seconds=asked.seconds, nodes=asked.nodes, doors=asked.doors, seed=asked.seed)
        header, operations = record(plan, asked.out, asked.postgres, asked.postgres_user)
    else:
        with asked.check.open(encoding="utf-8") as lines:
            header, operations = read_history(lines)
    verdict = check_history(operations)
    report = report_of(verdict, header)
    print(report)
    if asked.page:
        write_page(report, between=(BEGIN, END) if asked.postgres is None else ON_SERVERS)
    return 0 if verdict.holds else 1


def record(
    plan: RunPlan, out: Path, programs: Path | None = None, user: str | None = None
) -> tuple[dict[str, Any], list[Operation]]:
    """Make a run, and store its record in a folder before anything is checked."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as kept:
        cluster = None
        if programs is not None:
            Path(folder).chmod(0o755)  # the servers may run as another user
            cluster = kept.enter_context(ServerCluster(programs, Path(folder) / "servers", user))
        try:
            found = record_run(Path(folder), actors(PEOPLE), plan, cluster)
        finally:
            with suppress(FileNotFoundError):  # what the nodes said, also if one did not come up
                shutil.copy(Path(folder) / "service.log", out)
    where = "files" if programs is None else "PostgreSQL"
    header = {"plan": asdict(plan) | {"data": where}, "machine": machine(), "responses": found.responses}
    path = out / (f"seed-{plan.seed}.jsonl" if programs is None else f"postgres-seed-{plan.seed}.jsonl")
    path.write_text("".join(history_lines(header, found.operations)), encoding="utf-8")
    print(f"recorded {len(found.operations):,} operations in {path}", file=sys.stderr)
    return header, found.operations


if __name__ == "__main__":
    sys.exit(main())
