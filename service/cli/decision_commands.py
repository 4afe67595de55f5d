"""`volens decisions explain`: tells a person what the doors decided lately, and the operator why they may refuse."""

from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from volens import Site
from volens.consent import InputError, ReceiptId, SecondFactor, format_time
from volens.rights import Explanation
from volens.rights.refusal_explanation import (
    ABOUT_THE_PERSON,
    CAN_COME_FROM,
    UNKNOWN_TO_THE_OPERATOR,
    RefusalExplanation,
)
from volens.service.cli.carried_secrets import withdrawal_shown
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_stdin_line
from volens.service.cli.output import counted, facts, members, table
from volens.service.local_times import local_text

app = Commands("decisions", "Explain what the doors decided, and why they refuse.")

_MAX_CODE_CHARACTERS: Final = 200


@app.command("explain", "ada.receipt.json\n--zone lobby")
def explain(
    site: Site,
    receipt: Annotated[
        Path | None,
        typer.Argument(help="The person's receipt file, or a picture of the code's QR code.", show_default=False),
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The withdrawal code instead of the receipt; '-' reads it from stdin.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", help="For the operator: why the doors of this zone may refuse a person.")
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option(
            "--consent",
            help="With --zone: what keeps a door closed for the person of this consent; its id, see people.",
        ),
    ] = None,
) -> Output:
    """Tell the person who asks what the doors decided lately, and what would keep them closed now.

    Only the person can ask, with the receipt or the withdrawal code. Nothing is told about anyone else. With --zone,
    the operator learns what a refusal can come from: what is compared, what is required, what is not known; no visit.
    """
    if [receipt, code, zone].count(None) != 2:  # noqa: PLR2004  one of the three
        raise InputError("pass either a receipt, or --code, or --zone")
    if zone is not None:
        found = site.rights.explain_refusals(zone, site.model, None if consent is None else ReceiptId(consent.strip()))
        return _refusals(found)
    if consent is not None:
        raise InputError("--consent goes with --zone; the person who asks passes the receipt or --code alone")
    if code == "-":
        code = read_stdin_line(_MAX_CODE_CHARACTERS, "the withdrawal code")
    taken = None
    if receipt is not None:
        taken, code = withdrawal_shown(receipt)
    told = site.rights.explain(receipt=taken, code=code)
    document = members(told, "zone since match_history_days")
    document |= {
        "ended": None if told.ended is None else {"reason": told.ended[0].value, "at": format_time(told.ended[1])},
        "closed_because": list(told.closed_because),
        "visits": [members(one, "minute kind door") for one in told.visits],
        "not_kept": list(told.not_kept),
    }
    return document, _text(told, site.defaults.time_zone())


def _text(told: Explanation, zone: ZoneInfo) -> str:
    lines = [f"zone {told.zone}, since {local_text(told.since, zone)}"]
    if told.visits:
        rows = [(local_text(one.minute, zone), one.kind.value, one.door or "this machine") for one in told.visits]
        lines.append(table(("recognised at", "how", "door"), rows))
    elif told.match_history_days and told.ended is None:
        lines.append("no door recognised you in this time")
    elif told.ended is None:
        lines.append("this zone keeps no visits, so nothing is known about them")
    else:
        lines.append("your visits were erased with your consent")
    lines.append("now:")
    lines += [f"- {one}" for one in told.closed_because or ("nothing would keep a door closed for you",)]
    if told.match_history_days:
        kept = counted(told.match_history_days, "day")
        lines.append(f"your visits are kept for {kept}; 'volens export' has them all")
    lines.append("not kept, so no one can tell you:")
    lines += [f"- {one}" for one in told.not_kept]
    return "\n".join(lines)


def _refusals(found: RefusalExplanation) -> Output:
    zone, missed = found.zone, found.missed
    closed = None
    if found.closed_because is not None:
        closed = [ABOUT_THE_PERSON[one.kind].format(one.value) for one in found.closed_because]
    document = {
        "zone": zone.purpose,
        "state": zone.state.value,
        "compared_with": found.references,
        "searched": found.is_searched,
        "threshold": round(found.threshold, 4),
        "shift": found.shift,
        "missed": None if missed is None else members(missed, "value low high people"),
        "second_factor": zone.second_factor.value,
        "closed_because": closed,
        "can_come_from": list(CAN_COME_FROM),
        "not_kept": list(UNKNOWN_TO_THE_OPERATOR),
    }
    people = counted(found.references, "person", "people")
    compared = f"one look is compared with {people}" if found.is_searched else "one look is compared with one person"
    rows = [
        ("compared", f"{compared}; the best score must reach {found.threshold:.3f} of 1"),
        ("missed", _missed(found)),
        ("besides the face", "nothing" if zone.second_factor is SecondFactor.NONE else f"a {zone.second_factor}"),
        ("zone", zone.state.value.replace("_", " ")),
    ]
    lines = [f"zone {zone.label}", facts(rows), "a refusal can come from, in this order:"]
    lines += [f"- {one}" for one in CAN_COME_FROM]
    if closed is not None:
        lines.append("for the person of this consent, now:")
        lines += [f"- {one}" for one in closed or ("nothing would keep a door closed",)]
    lines.append("not kept, so it is not known:")
    lines += [f"- {one}" for one in UNKNOWN_TO_THE_OPERATOR]
    return document, "\n".join(lines)


def _missed(found: RefusalExplanation) -> str:
    if found.missed is None:
        return "how often own people are missed is not measured here; see 'volens calibrate' and docs/accuracy.md"
    return (
        f"{found.missed.value:.2%} of looks of own people ({found.missed.low:.2%} to {found.missed.high:.2%}), "
        f"measured with good photos of {counted(found.missed.people, 'person', 'people')}"
    )
