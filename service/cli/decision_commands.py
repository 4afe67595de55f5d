"""`volens decisions explain`: tells a person what the doors decided about them lately."""

from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from volens import Site
from volens.consent import InputError, format_time
from volens.rights import Explanation
from volens.service.cli.carried_secrets import withdrawal_shown
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_stdin_line
from volens.service.cli.output import counted, members, table
from volens.service.local_times import local_text

app = Commands("decisions", "Explain to people what the doors decided about them.")

_MAX_CODE_CHARACTERS: Final = 200


@app.command("explain", "ada.receipt.json")
def explain(
    site: Site,
    receipt: Annotated[
        Path | None,
        typer.Argument(help="The person's receipt file, or a picture of the code's QR code.", show_default=False),
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="The withdrawal code instead of the receipt; '-' reads it from stdin.")
    ] = None,
) -> Output:
    """Tell the person who asks what the doors decided lately, and what would keep them closed now.

    Only the person can ask, with the receipt or the withdrawal code. Nothing is told about anybody else.
    """
    if (receipt is None) == (code is None):
        raise InputError("pass either a receipt or --code")
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
    lines.append("not kept, so nobody can tell you:")
    lines += [f"- {one}" for one in told.not_kept]
    return "\n".join(lines)
