"""`volens sweep`: what time has ended is erased; once, or for ever as a service."""

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
from volens.consent import EndReason, ErasureIncompleteError, InputError, UnavailableError, format_time
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import emit, progress
from volens.service.cli.session import default_models
from volens.service.process.process_memory import lock_all

_GIVE_UP_S: Final = 0.6
"""How long a watch that shall end waits for the erasure under way. What is cut off then, the journal finishes later."""

Advance = Callable[[int, int], None]


def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is due now and within 30 days.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only look whether anything outlives its clock; exit code 5 if so.")
    ] = False,
    grace_hours: Annotated[int, typer.Option(min=0, help="With --check: how late a sweep may be.")] = 24,
    watch: Annotated[bool, typer.Option("--watch", help="Go on for ever, as a service; SIGTERM ends it.")] = False,
    interval: Annotated[int, typer.Option(min=1, help="With --watch: seconds from one sweep to the next.")] = 3600,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase what time has ended, finish erasures that were begun, and say why for each. Run it once a day."""
    if dry_run + check + watch > 1:
        raise InputError("got more than one of --dry-run, --check and --watch; give one of them")
    folder = home_folder(home)
    if watch:
        _watch(folder, interval, as_json=as_json)
        return
    # Not `session.opened`: its warning that the sweep is late would be the last thing to say to whoever sweeps.
    with Site.open(folder, load_extractor=default_models) as site:
        if dry_run:
            _show_due(site, as_json=as_json)
        elif check:
            _check(site, timedelta(hours=grace_hours), as_json=as_json)
        else:
            with progress("erasing") as advance:
                report = site.sweep(advance)
            emit(_document(report), _said(report), as_json=as_json)


def erased_document(erased: Erased) -> dict[str, object]:
    """Return what a program is told of one erasure."""
    return {
        "certificate": str(erased.certificate_path),
        "certificate_id": erased.certificate_id,
        "zone": erased.zone,
        "reason": erased.reason,
    }


def _show_due(site: Site, *, as_json: bool) -> None:
    found = site.clocks.due()
    document = {"now": _counted(found.now), "soon": _counted(found.soon), "begun": found.begun}
    said = (
        f"would be erased now: {_listed(document['now'])}\n"
        f"comes due until {format_time(found.until)}: {_listed(document['soon'])}\n"
        f"begun erasures to finish: {found.begun}"
    )
    emit(document | {"until": format_time(found.until)}, said, as_json=as_json)


def _check(site: Site, grace: timedelta, *, as_json: bool) -> None:
    alarm = site.clocks.alarm(grace)
    if alarm is not None:
        raise alarm
    if site.unfinished is not None:
        raise site.unfinished
    hours = grace // timedelta(hours=1)
    emit(
        {"outliving": 0, "grace_hours": hours},
        f"nothing outlives its clock by more than {hours} hours",
        as_json=as_json,
    )


def _document(report: SweepReport) -> dict[str, object]:
    return {
        "expired": [erased_document(erased) for erased in report.expired],
        "reasons": report.reasons,
        "resumed": [erased_document(erased) for erased in report.resumed],
        "stray_secrets": report.stray_secrets,
    }


def _said(report: SweepReport) -> str:
    lines = [
        f"{len(report.expired)} erased ({_listed(report.reasons)}), {len(report.resumed)} begun erasures finished"
        + (f", {report.stray_secrets} stray secrets destroyed" if report.stray_secrets else "")
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
class _Ending(Exception):  # noqa: N818  it is not an error: the sweep under way was asked to end
    """The watch ends: leave the sweep at the next person."""


def _watch(home: Path, interval: int, *, as_json: bool) -> None:
    """Sweep again and again until a signal comes.

    1. The site is opened anew for each sweep, so that between two no key is in memory and no file is held.
    2. What this machine does not provide just now (lock, disk) is told and tried again; broken integrity ends it.
    3. A sweep runs beside the thread that hears signals: SQLite waiting for a lock would keep it from hearing.
    """
    with _heard() as ending:
        _tell("watching", {"interval_s": interval, "swap": lock_all().value}, as_json=as_json)
        while not ending.is_set():
            failed: list[Exception] = []
            one = threading.Thread(target=_round, args=(home, ending, failed, as_json), daemon=True)
            one.start()
            while one.is_alive() and not ending.is_set():
                one.join(0.1)
            if ending.is_set():
                one.join(_GIVE_UP_S)
                break
            if failed:
                raise failed[0]
            ending.wait(interval)
        _tell("ended", {}, as_json=as_json)


def _round(home: Path, ending: threading.Event, failed: list[Exception], as_json: bool) -> None:
    def leave(_done: int, _total: int) -> None:
        if ending.is_set():
            raise _Ending

    try:
        # 1.
        with Site.open(home, load_extractor=default_models) as site:
            report = site.sweep(leave)
    except _Ending:
        return
    except (UnavailableError, ErasureIncompleteError) as error:
        # 2.
        _tell("failed", {"reason": str(error)}, as_json=as_json)
    except Exception as error:  # noqa: BLE001  a thread has nobody to tell; `_watch` raises it
        failed.append(error)
    else:
        counts = {"resumed": len(report.resumed), "stray_secrets": report.stray_secrets}
        _tell("swept", {"erased": len(report.expired), "reasons": report.reasons, **counts}, as_json=as_json)


def _tell(what: str, more: Mapping[str, Any], *, as_json: bool) -> None:
    """Write one line at once: what happened, in numbers."""
    at = format_time(datetime.now(UTC))
    words = ", ".join(f"{name} {_listed(value) if isinstance(value, dict) else value}" for name, value in more.items())
    emit({"at": at, "event": what, **more}, f"{at} {what}" + (f": {words}" if words else ""), as_json=as_json)


@contextmanager
def _heard() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set; afterwards they do what they did before."""
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
