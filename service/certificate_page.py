"""The erasure certificate as one printable sheet for the person, in plain words; the page loads no other file."""

from markupsafe import Markup

from volens.audit import VerifierKey
from volens.erase.pages import render_page
from volens.erase.proof import Certificate
from volens.service.qr_codes import certificate_qr


def certificate_page(checked: Certificate, key: VerifierKey) -> str:
    """Return the HTML page of a certificate that was verified with `key`."""
    statement = checked.statement
    answers = {str(one.get("recipient")): one for one in checked.acknowledgements}
    before, after = statement.get("search_before", ()), statement.get("search_after", ())
    return render_page(
        "erasure_certificate.html",
        certificate=checked,
        key=key,
        statement=statement,
        pieces=sum(int(one["pieces"]) for one in statement["searched"]),
        searched=any(one.get("found") for one in before) and all(one.get("found") is False for one in after),
        recipients=[(one["name"], answers.get(one["name"])) for one in statement.get("recipients", ())],
        qr=Markup(certificate_qr(checked.certificate_id)),  # noqa: S704  drawn here, not taken from the certificate
    )
