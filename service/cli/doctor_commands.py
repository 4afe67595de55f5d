"""`volens doctor`: is this machine fit, and if not, what to do next."""

import os
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import typer

from volens import Site
from volens.consent import RefusedError, UnavailableError, VolensError, format_time
from volens.service.cli.exit_codes import ExitCode, code_of
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import emit, table
from volens.service.process.following import LATE_S
from volens.service.process.process_memory import SwapProtection, may_lock_all
from volens.store import ask_root_key_holder

_OLDEST = (3, 11)
_PUBLIC = "site.pub"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    code: ExitCode = ExitCode.DONE


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check this machine, the models and the site. Exit code 0, or that of the worst finding."""
    findings = [_checked(what, look) for what, look in _checks(home_folder(home))]
    worst = max((one.code for one in findings), key=_badness)
    document = [{"what": one.what, "ok": not one.code, "found": one.found} for one in findings]
    rows = [("problem" if one.code else "ok", one.what, one.found) for one in findings]
    emit(document, table(("", "", ""), rows), as_json=as_json)
    raise typer.Exit(worst)


def _badness(code: ExitCode) -> int:
    order = (ExitCode.DONE, ExitCode.UNAVAILABLE, ExitCode.ERASURE_INCOMPLETE, ExitCode.INTEGRITY, ExitCode.INTERNAL)
    return order.index(code) if code in order else 1


def _checks(home: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "python", _python
    yield "opencv", _opencv
    yield "onnxruntime", _onnxruntime
    yield "faiss", lambda: _imports("faiss", "faiss-cpu")
    yield "insightface", _insightface
    yield "models", _models
    yield "memory", _memory
    yield "home", lambda: _home(home)
    if home.is_dir():
        yield "root key", lambda: _root_key(home)
        yield "site", lambda: _site(home)
        yield "store key", lambda: _store_key(home)
        yield "clocks", lambda: _clocks(home)
        yield "requests", lambda: _requests(home)
        yield "processes", lambda: _processes(home)


def _checked(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look())
    except VolensError as error:
        return Finding(what, str(error), code_of(error))
    except ImportError as error:
        return Finding(what, f"does not import ({error}); install it again with 'make install'", ExitCode.UNAVAILABLE)
    except Exception as error:  # noqa: BLE001  one thing that is broken must not hide what is found of the others
        found = (
            f"fails ({type(error).__name__}); install again with 'make install', and report it if that does not help"
        )
        return Finding(what, found, ExitCode.UNAVAILABLE)


def _python() -> str:
    if sys.version_info < _OLDEST:
        raise ImportError(f"Python {platform.python_version()}; 3.11 or newer is needed")
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _opencv() -> str:
    import cv2  # noqa: PLC0415  that it can be imported is what is asked

    builds = []
    for name in ("opencv-python-headless", "opencv-python"):
        try:
            builds.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    if len(builds) > 1:
        raise ImportError(f"{' and '.join(builds)} are both installed and share one folder; remove opencv-python")
    return f"imports, version {cv2.__version__}, installed as {builds[0] if builds else 'an unknown package'}"


def _onnxruntime() -> str:
    from volens.face import runtime  # noqa: PLC0415  that it can be imported is what is asked

    return f"imports, version {runtime().__version__}, reports to nobody"


def _imports(module: str, package: str | None = None) -> str:
    import_module(module)
    return f"imports, version {version(package or module)}"


def _insightface() -> str:
    if find_spec("insightface") is None:
        return "not installed; only packs and the demo need it"
    return f"version {version('insightface')}, imported only when a pack is used"


def _models() -> str:
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV, which is looked at before

    cache = ModelCache.default()
    cache.verify()
    return ", ".join(f"{one.name} ({one.licence})" for one in cache.status())


def _memory() -> str:
    swap = "a service locks all its memory" if may_lock_all() else f"in a service, {SwapProtection.KEYS_ONLY}"
    return f"no core dumps; {swap}"


def _home(home: Path) -> str:
    if not home.is_dir():
        return f"no site in {home} yet; make one with 'volens init'"
    open_to_others = [
        path.name
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.name != _PUBLIC and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    if open_to_others:
        raise UnavailableError(
            f"others may read {', '.join(open_to_others)} in {home}; run chmod 600 on each, and think of who could have"
        )
    return f"{home}, {sum(1 for _ in os.scandir(home))} entries, readable by their owner only"


def _root_key(home: Path) -> str:
    return f"its holder answers: {ask_root_key_holder(home)}"


def _site(home: Path) -> str:
    with Site.open(home) as site:
        if site.unfinished is not None:
            raise site.unfinished
        report = site.log.verify()
    return f"opens, refuses what it must refuse, log of {report.size} entries holds, no erasure unfinished"


def _store_key(home: Path) -> str:
    with Site.open(home) as site:
        found = site.keys.status()
    if found.unfinished:
        raise UnavailableError("a rotation was cut short, and the old key is still there; run 'volens keys rotate'")
    if found.overdue:
        raise UnavailableError(f"it was to be rotated by {format_time(found.due_at)}; run 'volens keys rotate'")
    return f"number {found.epoch}, to be rotated by {format_time(found.due_at)}"


def _clocks(home: Path) -> str:
    with Site.open(home) as site:
        alarm = site.clocks.alarm()
        if alarm is not None:
            raise alarm
        due = site.clocks.due()
    return f"nothing outlives its clock by more than a day; {sum(due.now.values())} due, {sum(due.soon.values())} soon"


def _requests(home: Path) -> str:
    with Site.open(home) as site:
        late, waiting = len(site.rights.overdue()), len(site.rights.requests())
    if late:
        raise RefusedError(f"{late} requests of people are overdue (GDPR 12(3)); see 'volens request list'")
    return f"{waiting} open, none overdue"


def _processes(home: Path) -> str:
    with Site.open(home) as site:
        running = site.status().processes
    late = [one.process_id for one in running if one.lag.total_seconds() > LATE_S]
    if late:
        raise UnavailableError(f"{', '.join(late)} do not follow the store; see their logs, and start them again")
    return f"{len(running)} serve the site, all level with it"
