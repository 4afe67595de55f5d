"""What `volens erase` does for many at once; `volens.service.cli.erase_commands` parses."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

from volens import Site
from volens.audit import VerifierKey
from volens.consent import InputError, RefusedError, format_time
from volens.erase import OperatorKey, approval_file, read_approval_file
from volens.erase import approve as approve_plan
from volens.erase.order import AnswerRequests, Plan, Selection, read_plan, read_plan_file
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.operator_commands import operator_keys
from volens.service.cli.options import home_folder
from volens.service.cli.output import emit, progress, table
from volens.service.cli.session import opened
from volens.store import PUBLIC_KEY_FILE

_SHORT: Final = 8


@final
@dataclass(frozen=True, slots=True)
class Keys:
    """The operators' keys that were named, not opened yet."""

    paths: list[Path]
    passphrase_file: Path | None

    def open(self) -> list[OperatorKey]:
        """Open them; see `operator_keys`."""
        return operator_keys(self.paths, self.passphrase_file)

    def one(self) -> OperatorKey:
        """Open the one there must be."""
        if len(self.paths) != 1:
            raise InputError(f"got {len(self.paths)} operator keys; expected one, with --operator-key")
        return self.open()[0]


def answer_open_requests(site: Site) -> AnswerRequests:
    """Return what answers open requests for access on a site."""
    return site.rights.answerer()


def plan(selection: Selection, keys: Keys, out: Path | None, home: Path | None, *, as_json: bool) -> None:
    """Do a dry run, and write the plan."""
    if out is not None:
        must_be_new(out, "plan")
    key = keys.one() if keys.paths else None
    with opened(home) as site:
        made, data = site.cohorts.plan(selection, key)
    path = out or Path(f"cohort-{made.cohort_id[:_SHORT]}.plan.json")
    must_be_new(path, "plan")
    write_private(path, data)
    approvals_missing = made.required - (key is not None) if made.required > 1 else 0
    document = {
        "plan": str(path),
        "cohort_id": made.cohort_id,
        "selection": made.selection.document(),
        "counts": dict(made.counts),
        "operators_required": made.required,
        "approvals_missing": approvals_missing,
        "good_until": format_time(made.good_until),
    }
    emit(document, _planned(made, path, approvals_missing), as_json=as_json)


def _planned(made: Plan, path: Path, approvals_missing: int) -> str:
    cohort, outside = made.counts["cohort"], made.counts["outside"]
    zones = "".join(
        f"\n  {zone}: {of['consents']} consents, {of['references']} references"
        for zone, of in sorted(cohort["zones"].items())
    )
    counted = f"{cohort['people']} people, {cohort['consents']} consents, {cohort['references']} references"
    said = [
        f"dry run, nobody is erased: {counted}{zones}",
        f"others who stay: {outside['people']} people, {outside['consents']} consents",
        f"open requests for access: {made.counts['open_requests']}, to be answered first",
    ]
    if damaged := made.counts["damaged_receipts"]:
        said.append(f"{damaged} of them have damaged receipts, and cannot be shown to be others")
    said.append(f"plan: {path}, good until {format_time(made.good_until)}")
    if approvals_missing:
        said.append(f"next, by {approvals_missing} more: volens erase --approve {path} --operator-key KEY")
    approval = " --approval APPROVAL" * approvals_missing
    said.append(f"next: volens erase --execute {path}{approval}")
    return "\n".join(said)


def approve(path: Path, keys: Keys, trust: Path | None, out: Path | None, home: Path | None, *, as_json: bool) -> None:
    """Approve a plan with an operator's key. The site is not opened; its public key is enough."""
    public = trust or home_folder(home) / PUBLIC_KEY_FILE
    try:
        trusted = VerifierKey.parse(read_file(public, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"got {public}, which is no public key; give the site's site.pub with --trust") from None
    token, _approvals = read_plan_file(read_file(path, "plan"))
    made = read_plan(token, trusted)
    now = datetime.now(UTC)
    if now > made.good_until:
        raise RefusedError(f"the plan was good until {format_time(made.good_until)}; make a new one")
    key = keys.one()
    stem = path.name.removesuffix(".plan.json")
    written = out or path.with_name(f"{stem}.{key.public_key.hex()[:_SHORT]}.approval.json")
    must_be_new(written, "approval")
    write_private(written, approval_file(approve_plan(key, token, made.cohort_id, now)))
    cohort = made.counts["cohort"]
    said = (
        f"approved: the erasure of {cohort['people']} people, {cohort['consents']} consents, planned "
        f"{format_time(made.made_at)}\n"
        f"approval: {written}\nnext: volens erase --execute {path} --approval {written}"
    )
    emit({"approval": str(written), "cohort_id": made.cohort_id, "counts": dict(made.counts)}, said, as_json=as_json)


def execute(
    path: Path,
    approvals: list[Path],
    dossier: Path | None,
    answers: Path | None,
    home: Path | None,
    *,
    as_json: bool,
) -> None:
    """Carry a plan out, and write the dossier."""
    stem = path.name.removesuffix(".plan.json").removesuffix(".json")
    folder = dossier or path.with_name(f"{stem}.dossier")
    must_be_new(folder, "dossier")
    data = read_file(path, "plan")
    tokens = [read_approval_file(read_file(one, "approval")) for one in approvals]
    with opened(home) as site, progress("erasing") as advance:
        done = site.cohorts.execute(
            data,
            tokens,
            folder,
            answers=answers or path.with_name(f"{stem}.answers"),
            answer_requests=answer_open_requests(site),
            progress=advance,
        )
        public = site.home / PUBLIC_KEY_FILE
    before, after = done.cohort.facts["before"], done.cohort.facts["after"]
    said = (
        f"erased: {before['cohort']['people']} people, {before['cohort']['consents']} consents, "
        f"{before['cohort']['references']} references; {after['certificates']} certificates\n"
        f"requests for access answered first: {before['requests_answered']}\n"
        f"others: {after['outside']['people']} people, {after['outside']['consents']} consents\n"
        f"dossier: {folder}\ncheck it with: volens dossier verify {folder} --key {public}"
    )
    document: dict[str, Any] = {
        "cohort_id": done.cohort.cohort_id,
        "dossier": str(folder),
        "before": before,
        "after": after,
    }
    emit(document, said, as_json=as_json)


def stop(selection: Selection, keys: Keys, out: Path | None, home: Path | None, *, as_json: bool) -> None:
    """Place an order to stop collecting."""
    if (selection.notice_version, selection.model, selection.before) != (None, None, None):
        raise InputError("got --stop-collecting with what new consents have not got; use --jurisdiction and --zone")
    if keys.paths or out is not None:
        raise InputError("got --stop-collecting with a key or --out; stopping needs neither")
    with opened(home) as site:
        placed = site.cohorts.stop_collecting(selection.jurisdiction, selection.zone)
    named = " ".join(f"--{name} {value}" for name, value in placed.document().items() if name != "order_id")
    said = (
        f"order {placed.order_id} stands: consent and enrollment are refused until it is lifted\n"
        f"next, to erase those who are there: volens erase {named}"
    )
    emit(placed.document(), said, as_json=as_json)


def standing(home: Path | None, *, as_json: bool) -> None:
    """List the orders to stop collecting."""
    with opened(home) as site:
        stops = site.cohorts.standing_stops()
    document = [one.document() | {"placed_at": format_time(one.placed_at)} for one in stops]
    rows = [(one.order_id, one.jurisdiction or "any", one.zone or "any", format_time(one.placed_at)) for one in stops]
    emit(document, table(("order", "jurisdiction", "zone", "since"), rows), as_json=as_json)


def lift(order_id: str, keys: Keys, home: Path | None, *, as_json: bool) -> None:
    """Lift an order to stop collecting."""
    opened_keys = keys.open()
    with opened(home) as site:
        site.cohorts.lift_stop(order_id, opened_keys)
    emit({"order_id": order_id}, f"order {order_id} is lifted; people may be asked again", as_json=as_json)
