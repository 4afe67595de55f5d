"""Protection against cross-site request forgery (CSRF): a request that changes something comes from our own pages.

Browsers state where a request comes from (``Sec-Fetch-Site`` of Fetch Metadata, and ``Origin``, Fetch section 3.2), and
scripts of other sites cannot change that. Together with cookies that are ``SameSite=Strict`` no token is needed (OWASP
CSRF prevention, "Fetch Metadata").
"""

from typing import Final

from fastapi import Request

from volens.consent import RefusedError

_OWN: Final = "same-origin"
_HIDDEN: Final = "null"


class CrossSiteError(RefusedError):
    """The request came from a page of another site."""


async def same_origin(request: Request) -> None:
    """Refuse a request that a page of another site made.

    1. ``Sec-Fetch-Site``, which all browsers have sent over TLS since 2023, says that it is our own page.
    2. Without it, ``Origin`` is the address that the request was sent to. With it, ``Origin`` may be ``null``: browsers
       write that for a form on a page that sends no referrer, as ours do.

    Raises:
        CrossSiteError: 1 or 2 does not hold.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # 1.
    if site is not None and site != _OWN:
        raise CrossSiteError("this request came from a page of another site; open the page of this site, and try again")
    # 2.
    is_hidden = site is not None and origin in {None, _HIDDEN}
    if not is_hidden and (origin or "").partition("://")[2] != request.headers.get("Host"):
        raise CrossSiteError("this request did not come from this page; open the page again, and retry")
