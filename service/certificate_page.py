"""The erasure certificate as one printable sheet for the person, in plain words; the page loads no other file."""

from datetime import tzinfo

from volens.audit import VerifierKey
from volens.erase.pages import DEFAULT_LANGUAGE, PageLanguage, render_page
from volens.erase.proof import NOT_PROMISED, NOT_PROMISED_ON_SERVER, Certificate


def certificate_page(
    checked: Certificate,
    key: VerifierKey,
    language: PageLanguage = DEFAULT_LANGUAGE,
    time_zone: tzinfo | None = None,
) -> str:
    """Return the HTML page of a certificate that was verified with `key`; see `volens.erase.pages.render_page`."""
    statement = checked.statement
    answers = {str(one.get("recipient")): one for one in checked.acknowledgements}
    before, after = statement.get("search_before", ()), statement.get("search_after", ())
    return render_page(
        "erasure_certificate.html",
        language=language,
        time_zone=time_zone,
        certificate=checked,
        key=key,
        statement=statement,
        pieces=sum(int(one["pieces"]) for one in statement["searched"]),
        searched=any(one.get("found") for one in before) and all(one.get("found") is False for one in after),
        recipients=[(one["name"], answers.get(one["name"])) for one in statement.get("recipients", ())],
        not_promised=NOT_PROMISED,
        not_promised_on_server=NOT_PROMISED_ON_SERVER,
    )
