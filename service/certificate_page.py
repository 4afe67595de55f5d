"""A certificate for the person whom it is about: one sheet in plain words, which loads nothing from anywhere."""

from typing import Final

from jinja2 import Environment, StrictUndefined

from volens.audit import VerifierKey
from volens.erase.proof import Certificate
from volens.service.qr_codes import certificate_qr

_REASONS: Final = {
    "withdrawn": "you withdrew your consent",
    "expired": "the time that you agreed to was over",
    "retention": "nothing is kept longer than that here",
    "inactive": "you had not come for three years",
    "left": "you left",
    "superseded": "there was a new notice, and you did not agree to it",
    "ordered": "an authority or the law asked for it",
    "lost": "what could open your data was lost",
}
_TEMPLATE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Certificate of erasure</title>
<style>@page{size:A4;margin:16mm}body{font:11pt/1.4 sans-serif;max-width:178mm;margin:1rem auto;padding:0 1rem}
h1{font-size:17pt;margin:0}h2{font-size:12pt;margin:.8em 0 .1em}p,ul{margin:.2em 0}code{overflow-wrap:anywhere}
.id{display:flex;gap:1em;align-items:center;border-bottom:1px solid #999;padding-bottom:.4em}
@media print{body{margin:0;padding:0}}</style></head><body>
<div class="id">{{ qr | safe }}<div><h1>Your face data has been erased</h1>
<p>{{ statement.controller }}, zone “{{ checked.zone }}”</p>
<p>Certificate <code>{{ checked.certificate_id }}</code></p></div></div>
<h2>What happened</h2>
<p>No door knew you any more from {{ checked.ended_at.strftime("%d %B %Y, %H:%M") }} UTC on, because {{ reason }}.
Everything was erased by {{ checked.erased_at.strftime("%d %B %Y, %H:%M") }} UTC.</p>
<h2>What was destroyed</h2>
<ul>{% for what, count in statement.destroyed | dictsort %}<li>{{ what }}: {{ count }}</li>{% endfor %}</ul>
<h2>How it was checked</h2>
<p>{{ pieces }} pieces of what had been stored were searched for afterwards in {{ statement.searched_in | length }}
files and memories of the site; none was found.
{% if searched %}Before the erasure the door would have known you by what was stored; afterwards it did not.{% endif %}
</p>
<h2>Who else had it</h2>
{% if recipients %}<ul>{% for name, answer in recipients %}<li>{{ name }}:
{% if answer %}erased it too, {{ "signed by themselves" if answer.statement is defined else "as they told the site" }},
{{ answer.acknowledged_at[:10] }}{% else %}has not answered yet{% endif %}</li>{% endfor %}</ul>
{% else %}<p>Nobody that the site has on record.</p>{% endif %}
<h2>What is not promised</h2><p>{{ statement.not_promised[0] | upper }}{{ statement.not_promised[1:] }}.</p>
<h2>How anybody can check this</h2>
<p>This page is a summary and proves nothing by itself. The proof is the certificate's file: with it and the
site's public key, signed by <code>{{ key.name }}</code>, this says whether every byte holds, without the site and
without a network:
<code>volens certificate verify FILE --trust site.pub</code></p>
<p>It is about the consent whose receipt has the SHA-256 <code>{{ checked.receipt_sha256 }}</code>, and it is in
the site's log among {{ checked.checkpoint.size }} entries. If you doubt it: ask {{ statement.controller }}, or
complain to the data protection authority where you live or work (GDPR 77).</p>
</body></html>
"""
_ENVIRONMENT: Final = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def certificate_page(checked: Certificate, key: VerifierKey) -> str:
    """Return the page of a certificate that was verified with `key`; HTML without scripts, links or other files."""
    statement = checked.statement
    answers = {str(one.get("recipient")): one for one in checked.acknowledgements}
    before, after = statement.get("search_before", ()), statement.get("search_after", ())
    return _ENVIRONMENT.from_string(_TEMPLATE).render(
        checked=checked,
        key=key,
        statement=statement,
        reason=_REASONS.get(checked.reason, "your consent ended"),
        pieces=sum(int(one["pieces"]) for one in statement["searched"]),
        searched=any(one.get("found") for one in before) and all(one.get("found") is False for one in after),
        recipients=[(one["name"], answers.get(one["name"])) for one in statement.get("recipients", ())],
        qr=certificate_qr(checked.certificate_id),  # the one thing that is markup: drawn here
    )
