"""Protection against cross-site request forgery (CSRF): a request that changes something comes from our own pages.

Browsers state where a request comes from (``Sec-Fetch-Site`` of Fetch Metadata, and ``Origin``, Fetch section 3.2), and
scripts of other sites cannot change that. Together with cookies that are ``SameSite=Strict`` no token is needed (OWASP
CSRF prevention, "Fetch Metadata"). The bodies are JSON or multipart with a header that only scripts send.
"""

from typing import Final

from fastapi import Request

from volens.consent import RefusedError

_OWN: Final = frozenset({"same-origin", "none"})


class CrossSiteError(RefusedError):
    """The request came from a page of another site."""


async def same_origin(request: Request) -> None:
    """Refuse a request that a page of another site made.

    1. ``Sec-Fetch-Site``, which all browsers have sent since 2023, says that it is our own page.
    2. ``Origin``, which browsers send with every POST, is the address that the request was sent to.

    Raises:
        CrossSiteError: 1 or 2 does not hold.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # 1.
    if site is not None and site not in _OWN:
        raise CrossSiteError("this request came from a page of another site; open the page of this site, and try again")
    # 2.
    host = request.headers.get("Host", "")
    if origin is None or origin.partition("://")[2] != host:
        raise CrossSiteError("this request did not come from this page; open the page again, and retry")
