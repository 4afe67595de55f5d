"""`volens zone compare`: how the alternative of a zone fares beside the face, so that a yes is a free one."""

from typing import Annotated, Any, Final

import typer

from volens import Site
from volens.consent.alternative import Drawback
from volens.enroll.offers import OfferCount, ZoneComparison
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.output import counted, facts, members, table

app: Final = Commands()

_UNKNOWN: Final = "not declared"
_SENTENCES: Final = {
    Drawback.WAIT: "the alternative is worse: people who use it wait {seconds} s longer, so a yes is hardly free",
    Drawback.COST: "the alternative is worse: it costs the person something, so a yes is hardly free",
}


@app.command("compare", "lobby")
def compare(site: Site, name: Annotated[str, typer.Argument(help="The zone.", show_default=False)]) -> Output:
    """Compare the alternative of a zone with the face: people, offers, how many said no, waiting times, cost.

    Waiting times and cost are what the operator declared ('volens declare zone'). Of people who said no there is a
    number and no list.
    """
    found = site.offers.compare(name)
    other = found.alternative
    rows = [
        ("people", f"{counted(found.people, 'consent')} in force"),
        ("offers", f"people were asked {counted(found.asked, 'time')}; {found.refused} said no"),
        ("alternative", found.alternative_text),
        ("place", other.place or _UNKNOWN),
        ("cost", other.cost or _UNKNOWN),
        ("time", other.time or _UNKNOWN),
        ("waiting", f"face {_seconds(other.face_wait_s)}, alternative {_seconds(other.wait_s)}"),
    ]
    parts = [facts(rows)]
    if found.offers:
        parts.append(table(("month", "way", "language", "offers"), [_row(one) for one in found.offers]))
    parts += [_SENTENCES[one].format(seconds=other.longer_by_s) for one in other.drawbacks]
    parts += [
        f"{one.value.replace('_', '-')} is not declared; answer with 'volens declare zone {found.zone} "
        f"{one.value.replace('_', '-')} VALUE'"
        for one in other.missing
    ]
    return _document(found), "\n".join(parts)


def _document(found: ZoneComparison) -> dict[str, Any]:
    other = found.alternative
    return members(found, "zone people asked refused") | {
        "offers": [members(one, "month way language count") for one in found.offers],
        "alternative": found.alternative_text,
        **members(other, "cost time place face_wait_s alternative_wait_s=wait_s"),
        "drawbacks": [one.value for one in other.drawbacks],
        "not_declared": [one.value for one in other.missing],
    }


def _row(one: OfferCount) -> tuple[object, ...]:
    return (one.month, one.way, one.language, one.count)


def _seconds(wait: int | None) -> str:
    return _UNKNOWN if wait is None else f"{wait} s"
