"""`volens sweep`: erase expired consents, once or continuously as a service."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, final

import typer

from volens import Erased, Site, SweepReport
from volens.consent import EndReason, ErasureIncompleteError, InputError, TamperError, UnavailableError, format_time
from volens.service.cli.command_types import Commands
from volens.service.cli.options import HomeOption, JsonOption, PublicLogHoursOption, home_folder
from volens.service.cli.output import counted, emit, members, progress
from volens.service.cli.session import default_models
from volens.service.cli.witness_commands import collected
from volens.service.process import lock_all

app = Commands()

_GIVE_UP_S: Final = 0.6
"""When a signal ends the watch, it waits this long for the current erasure; the journal finishes the rest later."""

_COSIGNED: Final = "cosigned"

Advance = Callable[[int, int], None]


@app.command("sweep", "\n--dry-run")
def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is due now and within 30 days.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only check whether any consent is overdue; exit code 5 if so.")
    ] = False,
    grace_hours: Annotated[int, typer.Option(min=0, help="With --check: the delay allowed, in hours.")] = 24,
    watch: Annotated[bool, typer.Option("--watch", help="Run continuously as a service, until SIGTERM.")] = False,
    interval: Annotated[int, typer.Option(min=1, help="With --watch: seconds between sweeps.")] = 3600,
    hours: PublicLogHoursOption = 24,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase expired consents, finish interrupted erasures, and ask witnesses to cosign. Run it once a day."""
    if dry_run + check + watch > 1:
        raise InputError("pass only one of --dry-run, --check and --watch")
    folder = home_folder(home)
    if watch:
        _watch(folder, interval, timedelta(hours=hours), as_json=as_json)
        return
    # Not `session.opened`: it would warn that the sweep is late, while the operator is sweeping.
    with Site.open(folder, load_extractor=default_models) as site:
        if dry_run:
            _show_due(site, as_json=as_json)
        elif check:
            _check(site, timedelta(hours=grace_hours), as_json=as_json)
        else:
            with progress("erasing") as advance:
                report = site.sweep(advance)
            asked = _ask_witnesses(site, timedelta(hours=hours))
            emit(
                _document(report) | {"witnesses": asked},
                "\n".join([_text(report), *(f"witness {name}: {found}" for name, found in asked.items())]),
                as_json=as_json,
            )


def erased_document(erased: Erased) -> dict[str, object]:
    """Return one erasure as JSON."""
    return members(erased, "certificate=certificate_path certificate_id zone reason")


def _ask_witnesses(site: Site, period: timedelta) -> dict[str, str]:
    """Return what each witness that was asked did; the sweep never fails by it."""
    try:
        found = collected(site, period)
    except (UnavailableError, TamperError):
        return {}  # 'volens doctor' says what is broken
    return {one.witness.name: one.problem or f"{_COSIGNED} the log of {one.size} entries" for one in found}


def _show_due(site: Site, *, as_json: bool) -> None:
    found = site.clocks.due()
    document = {"now": _counted(found.now), "soon": _counted(found.soon), "begun": found.begun}
    text = (
        f"would be erased now: {_listed(document['now'])}\n"
        f"due before {format_time(found.until)}: {_listed(document['soon'])}\n"
        f"interrupted erasures to finish: {found.begun}"
    )
    emit(document | {"until": format_time(found.until)}, text, as_json=as_json)


def _check(site: Site, grace: timedelta, *, as_json: bool) -> None:
    alarm = site.clocks.alarm(grace)
    if alarm is not None:
        raise alarm
    if site.unfinished is not None:
        raise site.unfinished
    hours = grace // timedelta(hours=1)
    emit(
        {"outliving": 0, "grace_hours": hours},
        f"no consent is overdue by more than {counted(hours, 'hour')}",
        as_json=as_json,
    )


def _document(report: SweepReport) -> dict[str, object]:
    return {
        "expired": [erased_document(erased) for erased in report.expired],
        "reasons": report.reasons,
        "resumed": [erased_document(erased) for erased in report.resumed],
        "stray_secrets": report.stray_secrets,
        "outdated": dict(report.outdated),
    }


def _text(report: SweepReport) -> str:
    lines = [
        f"{len(report.expired)} erased ({_listed(report.reasons)}), "
        f"{counted(len(report.resumed), 'interrupted erasure')} finished"
        + (f", {counted(report.stray_secrets, 'stray secret')} destroyed" if report.stray_secrets else "")
        + (f"; past their period and deleted: {_listed(report.outdated)}" if report.outdated else "")
    ]
    lines += [
        f"  {one.reason} in zone {one.zone}: {one.certificate_path}" for one in (*report.expired, *report.resumed)
    ]
    return "\n".join(lines)


def _counted(counts: Mapping[EndReason, int]) -> dict[str, int]:
    return {reason.value: count for reason, count in counts.items()}


def _listed(counts: object) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in counts.items()) if isinstance(counts, dict) and counts else "none"


@final
class _Ending(Exception):  # noqa: N818  not an error: a signal ends the sweep
    """The watch ends: stop the sweep before the next person."""


def _watch(home: Path, interval: int, period: timedelta, *, as_json: bool) -> None:
    """Sweep repeatedly until a signal arrives.

    1. Open the site for each sweep, so that between sweeps no key is in memory and no file is open.
    2. Report a temporary failure of the machine (lock, disk) and retry; broken integrity ends the watch.
    3. Sweep in another thread than the one that receives signals: SQLite waiting for a lock would block them.
    """
    with _signals() as ending:
        _print_event("watching", {"interval_s": interval, "swap": lock_all().value}, as_json=as_json)
        while not ending.is_set():
            failed: list[Exception] = []
            one = threading.Thread(target=_round, args=(home, period, ending, failed, as_json), daemon=True)
            one.start()
            while one.is_alive() and not ending.is_set():
                one.join(0.1)
            if ending.is_set():
                one.join(_GIVE_UP_S)
                break
            if failed:
                raise failed[0]
            ending.wait(interval)
        _print_event("ended", {}, as_json=as_json)


def _round(home: Path, period: timedelta, ending: threading.Event, failed: list[Exception], as_json: bool) -> None:
    def leave(_done: int, _total: int) -> None:
        if ending.is_set():
            raise _Ending

    try:
        # 1.
        with Site.open(home, load_extractor=default_models) as site:
            report = site.sweep(leave)
            asked = _ask_witnesses(site, period)
    except _Ending:
        return
    except (UnavailableError, ErasureIncompleteError) as error:
        # 2.
        _print_event("failed", {"reason": str(error)}, as_json=as_json)
    except Exception as error:  # noqa: BLE001  `_watch` raises it in the main thread
        failed.append(error)
    else:
        counts = {"resumed": len(report.resumed), "stray_secrets": report.stray_secrets}
        kinds = {"reasons": report.reasons, "outdated": dict(report.outdated)}
        cosigned = sum(found.startswith(_COSIGNED) for found in asked.values())
        witnesses = {"witnesses": {"cosigned": cosigned, "failed": len(asked) - cosigned}} if asked else {}
        _print_event("swept", {"erased": len(report.expired), **kinds, **counts, **witnesses}, as_json=as_json)


def _print_event(what: str, more: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one line: an event and its numbers."""
    at = format_time(datetime.now(UTC))
    words = ", ".join(f"{name} {_listed(value) if isinstance(value, dict) else value}" for name, value in more.items())
    emit({"at": at, "event": what, **more}, f"{at} {what}" + (f": {words}" if words else ""), as_json=as_json)


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set; restore their handlers afterwards."""
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
