"""Erasure orders for many people; `volens.service.cli.erase_commands` parses the options."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, final

from volens import Site
from volens.consent import InputError, RefusedError, format_time
from volens.erase import APPROVAL, OperatorKey
from volens.erase import approve as approve_plan
from volens.erase.order import PLAN, AnswerRequests, Plan, Selection, read_plan
from volens.service.cli.command_types import Output
from volens.service.cli.named_files import must_be_new, read_file, read_site_key, write_private
from volens.service.cli.operator_commands import operator_keys
from volens.service.cli.options import home_folder
from volens.service.cli.output import counted, members, progress, shown, table
from volens.service.cli.session import opened
from volens.store import PUBLIC_KEY_FILE
from volens.store.files import shell_command

_SHORT: Final = 8


@final
@dataclass(frozen=True, slots=True)
class Keys:
    """The files of operators' keys, not opened yet."""

    paths: list[Path]
    passphrase_file: Path | None

    def open(self) -> list[OperatorKey]:
        """Open all keys; see `operator_keys`."""
        return operator_keys(self.paths, self.passphrase_file)

    def one(self) -> OperatorKey:
        """Open the only key."""
        if len(self.paths) != 1:
            raise InputError(f"got {len(self.paths)} operator keys; pass exactly one --operator-key")
        return self.open()[0]


def answer_open_requests(site: Site) -> AnswerRequests:
    """Return the site's function that answers open access requests."""
    return site.rights.answer_all


def plan(selection: Selection, keys: Keys, out: Path | None, home: Path | None) -> Output:
    """Count the people selected (a dry run), and write the plan."""
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
    return document, _plan_text(made, path, approvals_missing)


def _plan_text(made: Plan, path: Path, approvals_missing: int) -> str:
    cohort, outside = made.counts["cohort"], made.counts["outside"]
    zones = "".join(
        f"\n  {zone}: {counted(of['consents'], 'consent')}, {counted(of['references'], 'reference')}"
        for zone, of in sorted(cohort["zones"].items())
    )
    lines = [
        f"dry run, nothing is erased: {people_counted(cohort)}{zones}",
        f"not affected: {people_counted(outside)}",
        f"open access requests, answered first: {made.counts['open_requests']}",
    ]
    if damaged := made.counts["damaged_receipts"]:
        lines.append(f"{damaged} with damaged receipts: it cannot be shown that the order does not concern them")
    lines.append(f"plan: {shown(path)}, valid until {format_time(made.good_until)}")
    if approvals_missing:
        lines.append(
            f"next, {counted(approvals_missing, 'more operator')}: "
            f"{shell_command('volens', 'erase', '--approve', path, '--operator-key', 'KEY')}"
        )
    approval = " --approval APPROVAL" * approvals_missing
    lines.append(f"next: {shell_command('volens', 'erase', '--execute', path)}{approval}")
    return "\n".join(lines)


def proposed(site: Site, cohort_id: str | None, out: Path | None) -> Output:
    """List the orders that privacy officers proposed, or write the plan of one."""
    if cohort_id is not None:
        path = out or Path(f"cohort-{cohort_id[:_SHORT]}.plan.json")
        must_be_new(path, "plan")
        write_private(path, site.cohorts.plan_file(cohort_id))
        sign = shell_command("volens", "erase", "--approve", path, "--operator-key", "KEY")
        return {"plan": str(path), "cohort_id": cohort_id}, f"plan: {shown(path)}\nnext, for an operator: {sign}"
    if out is not None:
        raise InputError("--out needs the id of the order whose plan is written")
    found = site.cohorts.proposals()
    document = [
        members(one, "cohort_id proposed_by proposed_at approved_by approved_at")
        | {"people": site.cohorts.plan_of(one).counts["cohort"]["people"]}
        for one in found
    ]
    rows = [
        (
            one.cohort_id,
            str(site.cohorts.plan_of(one).counts["cohort"]["people"]),
            one.proposed_by,
            format_time(one.proposed_at),
            one.approved_by or "waits for a second officer",
        )
        for one in found
    ]
    return document, table(("order", "people", "proposed by", "at", "approved by"), rows) if rows else "no orders"


def approve(path: Path, keys: Keys, trust: Path | None, out: Path | None, home: Path | None) -> Output:
    """Approve a plan with an operator's key. The site is not opened; its public key is enough."""
    trusted = read_site_key(trust or home_folder(home) / PUBLIC_KEY_FILE)
    token, _approvals = PLAN.from_file(read_file(path, "plan"))
    made = read_plan(token, trusted)
    now = datetime.now(UTC)
    if now > made.good_until:
        raise RefusedError(f"the plan expired at {format_time(made.good_until)}; make a new one")
    key = keys.one()
    stem = path.name.removesuffix(".plan.json")
    written = out or path.with_name(f"{stem}.{key.public_key.hex()[:_SHORT]}.approval.json")
    must_be_new(written, "approval")
    write_private(written, APPROVAL.to_file(approve_plan(key, token, made.cohort_id, now)))
    text = (
        f"approved: the erasure of {people_counted(made.counts['cohort'])}, planned {format_time(made.made_at)}\n"
        f"approval: {shown(written)}\n"
        f"next: {shell_command('volens', 'erase', '--execute', path, '--approval', written)}"
    )
    return {"approval": str(written), "cohort_id": made.cohort_id, "counts": dict(made.counts)}, text


def execute(path: Path, approvals: list[Path], dossier: Path | None, answers: Path | None, home: Path | None) -> Output:
    """Carry out a plan, and write the dossier."""
    stem = path.name.removesuffix(".plan.json").removesuffix(".json")
    folder = dossier or path.with_name(f"{stem}.dossier")
    must_be_new(folder, "dossier")
    data = read_file(path, "plan")
    tokens = [APPROVAL.from_file(read_file(one, "approval"))[0] for one in approvals]
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
    text = (
        f"erased: {people_counted(before['cohort'])}; {counted(after['certificates'], 'certificate')}\n"
        f"access requests answered first: {before['requests_answered']}\n"
        f"not affected: {people_counted(after['outside'])}\n"
        f"dossier: {shown(folder)}\n"
        f"check it with: {shell_command('volens', 'dossier', 'verify', folder, '--key', public)}"
    )
    document: dict[str, Any] = {
        "cohort_id": done.cohort.cohort_id,
        "dossier": str(folder),
        "before": before,
        "after": after,
    }
    return document, text


def stop(selection: Selection, keys: Keys, out: Path | None, home: Path | None) -> Output:
    """Place an order to stop collecting consents and references."""
    if (selection.notice_version, selection.model, selection.before) != (None, None, None):
        raise InputError("--stop-collecting selects by --jurisdiction and --zone only; remove the other options")
    if keys.paths or out is not None:
        raise InputError("--stop-collecting takes neither --operator-key nor --out; remove them")
    with opened(home) as site:
        placed = site.cohorts.stop_collecting(selection.jurisdiction, selection.zone)
    options = (word for name, value in placed.document().items() if name != "order_id" for word in (f"--{name}", value))
    text = (
        f"order {placed.order_id} is in force: consent and enrollment are refused until it is lifted\n"
        f"next, to erase the people who are enrolled: {shell_command('volens', 'erase', *options)}"
    )
    return placed.document(), text


def standing(home: Path | None) -> Output:
    """List the orders to stop collecting that are in force."""
    with opened(home) as site:
        stops = site.cohorts.standing_stops()
    document = [one.document() | {"placed_at": format_time(one.placed_at)} for one in stops]
    rows = [(one.order_id, one.jurisdiction or "any", one.zone or "any", format_time(one.placed_at)) for one in stops]
    return document, table(("order", "jurisdiction", "zone", "since"), rows)


def lift(order_id: str, keys: Keys, home: Path | None) -> Output:
    """Lift an order to stop collecting."""
    opened_keys = keys.open()
    with opened(home) as site:
        site.cohorts.lift_stop(order_id, opened_keys)
    return {"order_id": order_id}, f"order {order_id} is lifted; people may be asked for consent again"


def people_counted(counts: Mapping[str, int]) -> str:
    """Return the number of people, consents and references in words."""
    people, consents = counted(counts["people"], "person", "people"), counted(counts["consents"], "consent")
    return f"{people}, {consents}, {counted(counts['references'], 'reference')}"
