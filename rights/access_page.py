"""The page of an access answer that people read; what it says stands in the signed files beside it as well."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from volens.consent import Purpose
from volens.rights.held_data import HeldConsent

_TEMPLATE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>What is held about you</title>
<style>body{font:16px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}code{overflow-wrap:anywhere}
td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ccc}</style></head><body>
<h1>What {{ controller.name }} holds about you</h1>
<p>As of {{ statement.answered_at }}. Questions: {{ controller.contact }}.</p>
{% if not statement.holds_anything %}
<p><strong>Nothing is held about you.</strong> What was searched, and how many rows were found, is in the signed file
beside this page{% if found %}; the signed receipt of a consent that has ended is kept as evidence, without your name
and without anything of your face{% endif %}.</p>
{% endif %}
{% for held in found %}
{% set references = held.rows.biometric_reference + held.rows.badge %}
{% set folder = "consent-" ~ loop.index %}
<h2>{{ held.zone.purpose }}</h2>
<table>
{% if held.name %}<tr><th>Your name</th><td>{{ held.name }}</td></tr>{% endif %}
<tr><th>You agreed</th><td>{{ held.agreed.event.event_time }},
to the notice in <code>{{ folder }}/notice.txt</code></td></tr>
{% if held.ended %}
<tr><th>Ended</th><td>{{ held.ended[1].date() }}: {{ held.ended[0].value }}
{% if held.certificate_id %}<br>certificate <code>{{ held.certificate_id }}</code>{% endif %}</td></tr>
{% else %}
<tr><th>In force until</th><td>{{ held.in_force_until.date() }}</td></tr>
<tr><th>It ends when the first of these does</th>
<td>{% for clock in held.clocks %}{{ clock.reason.value }}: {{ clock.at.date() }}<br>{% endfor %}</td></tr>
{% endif %}
<tr><th>Purpose</th><td>{{ held.agreed.pii_processing.purpose_type }}</td></tr>
<tr><th>Instead of your face</th><td>{{ held.zone.alternative }}</td></tr>
<tr><th>Who has the key</th><td>{{ held.zone.custody.value }}</td></tr>
<tr><th>References of your face</th><td>{{ references | length }}
{% for one in references %}<br>{{ one.photo_count }} photos, {{ one.enrolled_at }}, model {{ one.model_id }}{% endfor %}
</td></tr>
{% for one in held.rows.second_factor %}
<tr><th>Shown besides your face</th><td>{{ one.kind }}, set {{ one.set_at }}; only a keyed hash of it is kept</td></tr>
{% endfor %}
<tr><th>Passages kept</th><td>{{ held.rows.passage | length }}, for at most {{ held.zone.match_history_days }} days;
each is in <code>{{ folder }}/record.jsonld</code></td></tr>
<tr><th>Given to</th>
<td>{% for one in recipients[held.zone.purpose] %}{{ one.name }}<br>{% else %}nobody{% endfor %}</td></tr>
</table>
{% endfor %}
<h2>How it decides</h2><p>{{ logic }}</p>
<h2>What you can do</h2><ul>{% for right in rights %}<li>{{ right }}</li>{% endfor %}</ul>
<p>This page is a summary. Anybody can check the files beside it, with the site's public key:
<code>volens export --verify FILE.zip --key site.pub</code></p>
</body></html>
"""
_ENVIRONMENT: Final = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def access_page(
    statement: Mapping[str, Any],
    found: Sequence[HeldConsent],
    recipients: Mapping[Purpose, Sequence[Mapping[str, Any]]],
    logic: str,
    rights: Sequence[str],
) -> str:
    """Return the page: HTML without scripts, pictures or links."""
    return _ENVIRONMENT.from_string(_TEMPLATE).render(
        statement=statement,
        controller=statement["controller"],
        found=found,
        recipients=recipients,
        logic=logic,
        rights=rights,
    )
