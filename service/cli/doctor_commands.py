"""`volens doctor`: check the machine, the models and the site, and say what to do next."""

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import Custody, RefusedError, UnavailableError, VolensError, format_time
from volens.consent.zone import ZoneState
from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode, code_of
from volens.service.cli.options import HomeOption, JsonOption, home_folder
from volens.service.cli.output import counted, emit, facts
from volens.service.process import LATE_S, SwapProtection, may_lock_all
from volens.service.zone_sizes import BEYOND, size_sentence, zones_too_large
from volens.site_fleet import AlarmKind
from volens.store import ask_root_key_holder
from volens.store.files import read_private, secret_problem
from volens.store.log import CERTIFICATES, MAX_EVIDENCE_BYTES
from volens.store.rollout import is_expanded

app = Commands()

_OLDEST = (3, 11)
_PUBLIC = "site.pub"
_WITNESS_IS_LATE = timedelta(days=3)


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    found: str
    code: ExitCode = ExitCode.DONE


@app.command("doctor")
def doctor(
    evidence: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A file that the site gave out (receipt, webhook message, certificate, answer, manifest, checkpoint): "
            "is the log still as long as it says? May be given several times.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine, the models and the site. Exit code 0, or that of the worst finding."""
    findings = [_checked(what, check) for what, check in _checks(home_folder(home), evidence or [])]
    worst = max((one.code for one in findings), key=_badness)
    document = [{"what": one.what, "ok": not one.code, "found": one.found} for one in findings]
    rows = [("problem" if one.code else "ok", one.what, one.found) for one in findings]
    emit(document, facts(rows), as_json=as_json)
    raise typer.Exit(worst)


def _badness(code: ExitCode) -> int:
    order = (ExitCode.DONE, ExitCode.UNAVAILABLE, ExitCode.ERASURE_INCOMPLETE, ExitCode.INTEGRITY, ExitCode.INTERNAL)
    return order.index(code) if code in order else 1


def _checks(home: Path, evidence: Sequence[Path]) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "python", _python
    yield "opencv", _opencv
    yield "onnxruntime", _onnxruntime
    yield "faiss", _faiss
    yield "insightface", _insightface
    yield "models", _models
    yield "memory", _memory
    yield "home", lambda: _home(home)
    if home.is_dir():
        yield "root key", lambda: _root_key(home)
        checks = {"site": _site, "rules": _rules, "rows": _rows, "store key": _store_key}
        checks |= {"zones": _zones, "gates": _gates, "clocks": _clocks, "requests": _requests}
        checks |= {"zone sizes": _zone_sizes, "error rates": _error_rates, "papers": _papers}
        checks |= {"processes": _processes, "fleet": _fleet, "witnesses": _witnesses}
        for what, check in checks.items():
            yield what, partial(_on_site, home, check)
        yield "evidence", partial(_on_site, home, _kept_evidence)
        for path in evidence:
            yield str(path), partial(_on_site, home, partial(_evidence, path))


def _checked(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, check())
    except VolensError as error:
        return Finding(what, str(error), code_of(error))
    except ImportError as error:
        return Finding(
            what, f"cannot be imported ({error}); install it again with 'make install'", ExitCode.UNAVAILABLE
        )
    except Exception as error:  # noqa: BLE001  one broken check must not hide the results of the others
        found = f"fails ({type(error).__name__}); install again with 'make install'; report it if that does not help"
        return Finding(what, found, ExitCode.UNAVAILABLE)


def _python() -> str:
    if sys.version_info < _OLDEST:
        raise ImportError(f"Python {platform.python_version()}; 3.11 or newer is needed")
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _opencv() -> str:
    import cv2  # noqa: PLC0415  the check is whether it can be imported

    builds = []
    for name in ("opencv-python-headless", "opencv-python"):
        try:
            builds.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    if len(builds) > 1:
        raise ImportError(f"{' and '.join(builds)} are both installed and share one folder; remove opencv-python")
    return f"imports, version {cv2.__version__}, installed as {builds[0] if builds else 'an unknown package'}"


def _is_public(path: Path, home: Path) -> bool:
    return path == home / _PUBLIC or path.parent == home / CERTIFICATES


def _onnxruntime() -> str:
    from volens.face import runtime  # noqa: PLC0415  the check is whether it can be imported

    return f"imports, version {runtime().__version__}, telemetry is off"


def _faiss() -> str:
    import_module("faiss")
    return f"imports, version {version('faiss-cpu')}"


def _insightface() -> str:
    if find_spec("insightface") is None:
        return "not installed; only InsightFace packs need it"
    return f"version {version('insightface')}, imported only when a pack is used"


def _models() -> str:
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV, which is checked before

    cache = ModelCache.default()
    cache.verify()
    return ", ".join(f"{one.model.name} ({one.model.licence})" for one in cache.status())


def _memory() -> str:
    swap = "a service locks all its memory" if may_lock_all() else f"in a service, {SwapProtection.KEYS_ONLY}"
    return f"no core dumps; {swap}"


def _home(home: Path) -> str:
    if not home.is_dir():
        return f"no site in {home} yet; make one with 'volens init'"
    open_to_others = [
        path.name
        for path in sorted(home.rglob("*"))
        if path.is_file() and not _is_public(path, home) and secret_problem(path, path.stat(), "file") is not None
    ]
    if open_to_others:
        raise UnavailableError(
            f"other users may read {', '.join(open_to_others)} in {home}; run chmod 600 on each; they may have read it"
        )
    return f"{home}, {sum(1 for _ in os.scandir(home))} entries, readable by their owner only"


def _root_key(home: Path) -> str:
    return f"answers: {ask_root_key_holder(home)}"


def _on_site(home: Path, check: Callable[[Site], str]) -> str:
    with Site.open(home) as site:
        return check(site)


def _site(site: Site) -> str:
    if site.unfinished is not None:
        raise site.unfinished
    report = site.log.verify_entries()
    site.log.verify_shards()
    return f"opens, the log of {report.size} entries holds with its shards, no erasure is unfinished"


def _zones(site: Site) -> str:
    zones = site.zones.all()
    paused = ", ".join(one.purpose for one in zones if one.state is ZoneState.PAUSED)
    found = counted(len(zones), "zone")
    return f"{found}; paused, so nothing is matched or enrolled: {paused}" if paused else f"{found}, none paused"


def _gates(site: Site) -> str:
    closed = [gate for zone in site.zones.all() for gate in site.zones.closed_gates(zone.purpose, people=True)]
    if closed:
        raise RefusedError(
            "nothing new is collected of some people; those whose consent is in force keep matching. "
            + "; ".join(f"zone {one.zone}, people of {one.jurisdiction}: {one.sentence()}" for one in closed)
        )
    return "each zone is open to the people who are asked or enrolled there, by the dates that were declared"


def _rules(site: Site) -> str:
    site.check_rules()
    sound = "both databases are sound, and the rules of the data refuse every forbidden act"
    store = site.installation.store
    if is_expanded(store.data):
        return f"{sound}; its schema is {store.data.revision}: when no old node serves, run 'volens upgrade contract'"
    return sound


def _rows(site: Site) -> str:
    site.log.verify_rows()
    return "every row that grants or limits something has its seal, and is not older than the keyring remembers"


def _witnesses(site: Site) -> str:
    witnesses = site.log.witnesses.all()
    if not witnesses:
        return "none; others can cosign the log with 'volens witness add'"
    head = site.log.public(timedelta(days=1)).head()
    late = [
        one.witness.name
        for one in witnesses
        if (one.size or 0) < head.size and site.now() - (one.cosigned_at or one.witness.added_at) > _WITNESS_IS_LATE
    ]
    if late:
        raise UnavailableError(
            f"{', '.join(late)} cosigned nothing for {_WITNESS_IS_LATE.days} days; 'volens witness collect' says why"
        )
    return f"{counted(len(witnesses), 'witness', 'witnesses')}, none late"


def _kept_evidence(site: Site) -> str:
    head = site.evidence.check_kept()
    found = "no checkpoint in the home" if head is None else f"the checkpoint in the home is of {head.size} entries"
    repairs = site.evidence.keyring_repairs()
    if repairs:
        times = counted(len(repairs), "time")
        found += f"; an older keyring was repaired {times}, last on {format_time(repairs[-1].at)}"
    return found


def _evidence(path: Path, site: Site) -> str:
    checked = site.evidence.check(read_private(path, MAX_EVIDENCE_BYTES), str(path))
    if checked.given_up:
        return f"a checkpoint of {checked.head.size} entries, the last of which were lost when the site was restored"
    return f"a checkpoint of {checked.head.size} entries, which are the first of this log"


def _store_key(site: Site) -> str:
    found = site.keys.status()
    if found.unfinished:
        raise UnavailableError("a rotation was interrupted, and the old key still exists; run 'volens keys rotate'")
    if found.root_key_due:
        raise UnavailableError(
            "the root key outlived an erasure, because its holder did not answer; run 'volens sweep' when it does"
        )
    if found.overdue:
        raise UnavailableError(f"rotation was due by {format_time(found.due_at)}; run 'volens keys rotate'")
    return f"number {found.epoch}, rotation due by {format_time(found.due_at)}"


def _clocks(site: Site) -> str:
    alarm = site.clocks.alarm()
    if alarm is not None:
        raise alarm
    due = site.clocks.due()
    return f"no consent is overdue by more than a day; {sum(due.now.values())} due now, {sum(due.soon.values())} soon"


def _requests(site: Site) -> str:
    late, waiting = len(site.rights.overdue()), len(site.rights.requests())
    if late:
        raise RefusedError(f"{counted(late, 'request')} overdue (GDPR 12(3)); see 'volens request list'")
    return f"{waiting} open, none overdue"


def _zone_sizes(site: Site) -> str:
    searched = [one for one in site.status().zones if one.zone.custody is Custody.OPERATOR]
    large = zones_too_large((one.zone.purpose, one.references) for one in searched)
    if large:
        zones = ", ".join(f"{zone} has {count:,} people" for zone, count in large.items())
        raise RefusedError(f"{zones}; {size_sentence()}; {BEYOND}")
    sizes = ", ".join(f"{one.zone.purpose} {sum(one.references.values()):,}" for one in searched)
    return f"people in searched zones: {sizes or 'none'}; {size_sentence()}"


def _error_rates(site: Site) -> str:
    measured = site.zones.measured()
    exceeding = [one for one in measured if one.exceeds]
    if exceeding:
        zones = ", ".join(
            f"{one.zone.purpose} accepts {one.now.fpir.value:.2%} of strangers (95 % interval from "
            f"{one.now.fpir.low:.2%}), and aims at {one.zone.fpir}"
            for one in exceeding
        )
        raise RefusedError(f"{zones}; see 'volens calibrate --zone {exceeding[0].zone.purpose}', then use --apply")
    rates = ", ".join(f"{one.zone.purpose} {one.now.fpir.value:.2%}" for one in measured if one.enough)
    return f"strangers accepted, measured by 'volens calibrate': {rates or 'too few people measured in every zone'}"


def _papers(site: Site) -> str:
    made, stale = site.papers.made(), site.papers.stale()
    if stale:
        named = ", ".join(f"{one.kind} of {one.purpose} ({one.jurisdiction}, {one.language})" for one in stale)
        raise RefusedError(
            f"stale, because the zone says something else now: {named}; make them again: 'volens papers'"
        )
    return f"{counted(len(made), 'paper')} made, none stale"


def _processes(site: Site) -> str:
    running = site.status().processes
    late = [one.process_id for one in running if one.lag.total_seconds() > LATE_S]
    if late:
        raise UnavailableError(f"not up to date: {', '.join(late)}; check their logs, then restart them")
    return f"{counted(len(running), 'process', 'processes')} serving, all up to date"


def _fleet(site: Site) -> str:
    fleet = site.fleet()
    wrong = [one.sentence() for one in fleet.alarms() if one.kind is not AlarmKind.BEHIND]  # see `_processes`
    if wrong:
        raise RefusedError(f"{'; '.join(wrong)}; see 'volens fleet'")
    said = sum(one.report is not None for one in fleet.doors)
    return f"{counted(len(fleet.doors), 'door')}, {said} heard of; clocks, versions and certificates are good"
