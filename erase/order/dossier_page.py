"""The page of a dossier that people read. Everything on it stands in the signed files beside it as well."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from volens.consent import format_time
from volens.erase.order.plan import Plan

_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ccc}"
    "code{overflow-wrap:anywhere}"
)
_CHECK: Final = "volens dossier verify FOLDER --key site.pub"
_SAID: Final = {
    "jurisdiction": "people protected by the law of",
    "zone": "consents for the zone",
    "notice_version": "consents to the notice of version",
    "model": "people with a reference of the model",
    "before": "consents given before",
}


def summary_page(plan: Plan, counts: Mapping[str, Any]) -> str:
    """Return the page: HTML without scripts, pictures or links. The same facts give the same page."""
    before, after = counts["before"], counts["after"]
    ordered = "; ".join(f"{_SAID[name]} {value}" for name, value in sorted(plan.selection.document().items()))
    facts = [
        ("Controller", plan.controller),
        ("Site", plan.site_id),
        ("Order", plan.cohort_id),
        ("Meant", ordered),
        ("Planned", format_time(plan.made_at)),
        ("Begun", before["measured_at"]),
        ("Finished", after["measured_at"]),
        ("Certificates", after["certificates"]),
        ("Left by themselves between plan and beginning", len(before["left_since_plan"])),
        ("Requests for access answered first", before["requests_answered"]),
        ("Operators asked for", before["operators_required"]),
        ("Approved by", ", ".join(one["operator"] for one in before["approved_by"]) or "the operator at the desk"),
        ("Interrupted and taken up again, times", after["resumed"]),
        ("Gave consent meanwhile, and were not part of it", after["joined_since"]),
        ("Collecting", _collecting(after["collecting_stopped_by"])),
    ]
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>\n" for name, value in facts)
    columns = "".join(f"<th>{what}</th>" for what in ("people", "consents", "references"))
    table = "".join(
        f"<tr><th>{what}</th>{''.join(f'<td>{of[one]}</td>' for one in ('people', 'consents', 'references'))}</tr>\n"
        for what, of in (
            ("meant, before", before["cohort"]),
            ("meant, after", after["cohort"]),
            ("others, before", before["outside"]),
            ("others, after", after["outside"]),
        )
    )
    zones = "".join(
        f"<tr><th>{escape(zone)}</th><td>{of['consents']}</td><td>{of['references']}</td></tr>\n"
        for zone, of in sorted(before["cohort"]["zones"].items())
    )
    head = "<tr><th>zone</th><th>consents</th><th>references</th></tr>"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Erasure by order</title><style>{_STYLE}</style></head><body>
<h1>Erasure by order</h1>
<table>
{rows}</table>
<h2>What was there</h2>
<table>
<tr><th></th>{columns}</tr>
{table}</table>
<h2>Erased, by zone</h2>
<table>
{head}
{zones}</table>
<p>This page is a summary. The proof is in the files beside it; check them with the site's public key, which you have
from elsewhere: <code>{_CHECK}</code>. What an erasure does not reach is written in each certificate.</p>
</body></html>
"""


def _collecting(stops: list[Mapping[str, str]]) -> str:
    if not stops:
        return "not stopped by order"
    return "; ".join(f"stopped since {one['placed_at']} by order {one['order_id']}" for one in stops)
