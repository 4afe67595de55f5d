"""The commands for the clocks: what they print, how they end, and the sweep as a service that a signal ends."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from patience import PATIENCE_S
from publishing import drafted_at_home
from said import Command

from volens import Site
from volens.service.process import SwapProtection, may_lock_all


@pytest.fixture
def loaded() -> None:
    """No models: these tests process no face."""


def later(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    moment = datetime.now(UTC) + timedelta(**by)
    monkeypatch.setitem(Site.open.__func__.__kwdefaults__, "clock", lambda: moment)


def test_a_dry_run_counts_by_reason_and_erases_nothing(
    ada: Path, volens: Command, give: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ada.exists()
    assert give("--yes-i-read-it", "--valid-days", 3, name="Bea", out="bea").code == 0
    assert volens("leaver", "Ada Canary", "--on", (datetime.now(UTC) + timedelta(days=40)).date()).code == 0
    later(monkeypatch, days=4)

    said = volens("sweep", "--dry-run", "--json").json
    assert (said["now"], said["soon"], said["begun"]) == ({"expired": 1}, {"expired": 1}, 0)
    assert "would be erased now: 1 expired" in volens("sweep", "--dry-run").out
    status = volens("status", "--json").json
    assert (status["zones"][0]["live_consents"], status["due_now"], status["due_soon"]) == (2, 1, 1)

    swept = volens("sweep", "--json").json
    assert swept["reasons"] == {"expired": 1}
    assert Path(swept["expired"][0]["certificate"]).is_file()


def test_check_doctor_and_every_command_warn_of_overdue_consents_until_the_sweep(
    ada: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ada.exists()
    assert volens("sweep", "--check").code == 0
    later(monkeypatch, days=31, hours=1)

    said = volens("sweep", "--check")
    assert said.code == 5
    assert "1 consents outlive their clock by more than 24 hours (1 expired)" in said.err
    assert volens("sweep", "--check", "--json").json["error"]["exit_code"] == 5
    assert volens("sweep", "--check", "--grace-hours", 48).code == 0
    assert "warning: 1 consents outlive their clock" in volens("zone", "list").err
    assert "Canary" not in said.err
    (clocks,) = [one for one in volens("doctor", "--json").json if one["what"] == "clocks"]
    assert not clocks["ok"]

    swept = volens("sweep")
    assert "1 erased (1 expired)" in swept.out
    assert "expired in zone lobby: " in swept.out
    assert swept.err == ""
    assert volens("sweep", "--check").code == 0
    assert volens("zone", "list").err == ""


def test_a_leaver_is_erased_at_once_or_on_the_day(ada: Path, volens: Command, give: Command) -> None:
    assert give("--yes-i-read-it", name="Bea", out="bea").code == 0
    noted = volens("leaver", "bea", "--on", "2099-12-31", "--json").json
    assert noted == {"ends_at": "2100-01-01T00:00:00Z", "erased": []}
    assert volens("leaver", "bea", "--on", "2100-01-01").code == 1
    assert volens("defaults", "set", "--time-zone", "Asia/Tokyo").code == 0
    moved = volens("leaver", "bea", "--on", "2099-12-31T16:00:00Z").out
    assert "not matched any more from 2100-01-01 01:00 JST" in moved

    (erased,) = volens("leaver", ada, "--json", "--yes").json["erased"]

    assert erased["reason"] == "left"
    assert volens("withdraw", ada, "--json").json["certificate"] == erased["certificate"]
    again = volens("leaver", ada)
    assert (again.code, again.err) == (
        1,
        "volens: no consent of this person is in force; nothing was changed\n",
    )
    assert volens("leaver", "nobody").code == 1
    assert volens("leaver", "bea", "--on", "soon").code == 2


def test_a_new_notice_and_a_shorter_retention_end_consents_early(
    ada: Path, lobby: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ada.exists()
    said = volens("zone", "shorten", "lobby", "--retention-days", 20, "--json").json
    assert (said["retention_days"], said["shortened"]) == (20, 1)
    assert volens("zone", "list", "--json").json[0]["retention_days"] == 20
    assert volens("zone", "shorten", "lobby", "--retention-days", 20).code == 1
    (lobby / "new.md").write_text(drafted_at_home("lobby"))
    publish = ("notice", "publish", "--zone", "lobby", "--language", "en", "new.md", "--supersedes-within-days")
    assert volens(*publish, 367).code == 2
    assert volens(*publish, 7).code == 0
    later(monkeypatch, days=8)
    assert volens("sweep", "--json").json["reasons"] == {"superseded": 1}


def test_the_policy_is_printed_signed_checked_offline_and_shown_as_a_page(lobby: Path, volens: Command) -> None:
    printed = volens("policy")
    (lobby / "policy.json").write_text(printed.out)
    assert json.loads(printed.out)["dpv:hasPersonalDataProcess"][0]["volens:retentionDays"] == 30
    (lobby / "again.json").write_text(volens("policy", "--json").out)
    assert "<!DOCTYPE html>" in volens("policy", "--html").out
    assert volens("policy", "--html", "--json").code == 2
    key = lobby / "site" / "site.pub"
    for name in ("policy.json", "again.json"):
        assert volens("policy", "verify", name, "--key", key, "--json").json["valid"] is True
    (lobby / "policy.json").write_text(printed.out.replace("30", "31"))
    assert volens("policy", "verify", "policy.json", "--key", key).code == 4
    assert volens("policy", "verify", key, "--key", key).code == 2


def test_only_one_mode_of_the_sweep_is_accepted(lobby: Path, volens: Command) -> None:
    assert lobby.exists()
    assert volens("sweep", "--watch", "--check").code == 2
    assert volens("sweep", "--dry-run", "--check").code == 2


@contextmanager
def locked(home: Path) -> Iterator[Callable[[], object]]:
    """Hold the data file's write lock, as another process would; yield a function that releases it."""
    with closing(sqlite3.connect(home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield lambda: other.execute("ROLLBACK")


@contextmanager
def watching(home: Path, *more: str, patience_s: float = 5, ahead_s: float = 0) -> Iterator[subprocess.Popen[str]]:
    """Start a watch; its clock is some time ahead of ours, so that what is due later here is due there now."""
    program = (
        "import time, time_machine; "
        f"time_machine.travel(time.time() + {ahead_s}).start(); "
        f"import sys; from volens.store.sqlite import sqlite_connections as its; its.BUSY_TIMEOUT_S = {patience_s}; "
        "from volens.service.cli.app import run; sys.exit(run(sys.argv[1:]))"
    )
    arguments = ("sweep", "--watch", "--json", *more)
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program, *arguments],
        env={**os.environ, "VOLENS_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def next_event(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    """Read to the next line of one kind."""
    assert process.stdout is not None
    for line in process.stdout:
        said: dict[str, object] = json.loads(line)
        if said["event"] == event:
            return said
    raise AssertionError(process.stderr.read() if process.stderr else "")


def ended(process: subprocess.Popen[str]) -> float:
    """Send SIGTERM; return the seconds until the process ends, which must succeed."""
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(2 * PATIENCE_S) == 0
    return time.monotonic() - start


def test_a_watch_erases_due_consents_prints_no_names_and_ends_on_a_signal(
    ada: Path, lobby: Path, volens: Command
) -> None:
    with watching(lobby / "site", "--interval", "1", ahead_s=3600) as process:
        assert next_event(process, "swept")["erased"] == 0
        soon = (datetime.now(UTC) + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert volens("leaver", ada, "--on", soon).code == 0
        while (swept := next_event(process, "swept"))["erased"] == 0:
            pass
        assert swept["reasons"] == {"left": 1}
        assert "Canary" not in json.dumps(swept)
        ended(process)
        assert process.stdout is not None
        assert json.loads(process.stdout.read().splitlines()[-1])["event"] == "ended"


def test_a_watch_survives_a_locked_file_and_goes_on(ada: Path, lobby: Path) -> None:
    assert ada.exists()
    with locked(lobby / "site") as release, watching(lobby / "site", "--interval", "1", patience_s=0.2) as process:
        assert "locked by another process" in str(next_event(process, "failed")["reason"])
        release()
        assert next_event(process, "swept")["erased"] == 0


def test_a_signal_does_not_wait_for_a_lock(ada: Path, lobby: Path) -> None:
    assert ada.exists()
    with locked(lobby / "site"), watching(lobby / "site", patience_s=PATIENCE_S) as process:
        next_event(process, "watching")
        time.sleep(0.5)  # SQLite waits for the lock meanwhile
        # The promise is a second; the machine that tests this may be busy. Without it, it would be all of that time.
        assert ended(process) < PATIENCE_S / 2


def test_a_watch_stops_where_integrity_is_broken(lobby: Path) -> None:
    (lobby / "site" / "keyring.db").write_bytes(b"no keyring" * 500)
    with watching(lobby / "site") as process:
        assert process.wait(PATIENCE_S) == 4
    (lobby / "site" / "keyring.db").chmod(0o600)


def test_a_watch_locks_its_memory_where_it_may_and_says_whether(lobby: Path) -> None:
    with watching(lobby / "site") as process:
        said = next_event(process, "watching")["swap"]
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")

    locked_kib = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmLck:")))
    # The store key's page is locked in any case, once the site is open.
    assert (said, locked_kib > 1024) == (
        (SwapProtection.LOCKED, True) if may_lock_all() else (SwapProtection.KEYS_ONLY, False)
    )
