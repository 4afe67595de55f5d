"""OpenID Connect Discovery 1.0: fetches an issuer's keys with two requests to checked addresses.

1. The issuer's configuration is read below its own URL; it must name exactly the configured issuer.
2. The keys are read from the address in the configuration, under the same rules; not over plain ``http`` unless the
   issuer itself uses it.

No redirect is followed, at most 64 KiB are read, and each request has `TIMEOUT_S` (`volens.service.webhooks.posting`).
"""

import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

from volens.consent import InputError, UnavailableError
from volens.consent.json_reader import read_json
from volens.service.oidc.issuer_keys import SigningKey, parse_keys
from volens.service.oidc.issuer_trust import Trust
from volens.service.webhooks.address_guard import AddressError, Resolve, checked_addresses, look_up, parse_target
from volens.service.webhooks.posting import DeliveryError, Response, request

TIMEOUT_S: Final = 5.0
MIN_AGE: Final = timedelta(minutes=5)
MAX_AGE: Final = timedelta(hours=24)

_OK: Final = 200
_HEADERS: Final = {"Accept": "application/json", "User-Agent": "Volens"}


class IssuerError(UnavailableError):
    """The issuer's keys cannot be fetched. The message is a few words and repeats nothing of the response.

    Attributes:
        again_after_s: seconds until the next attempt is allowed.
    """

    again_after_s = 1


@final
@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The keys of an issuer, and how long they may be used before a new request: `MIN_AGE` to `MAX_AGE`."""

    keys: tuple[SigningKey, ...]
    fresh_for: timedelta


def fetch_keys(
    trust: Trust,
    *,
    resolve: Resolve = look_up,
    timeout_s: float = TIMEOUT_S,
    context: ssl.SSLContext | None = None,
) -> PublishedKeys:
    """Fetch the keys of an issuer, in the steps above; `timeout_s` limits each of the two requests.

    Raises:
        IssuerError: 1 or 2 fails.
    """

    def fetch(url: str) -> Response:
        target = parse_target(url, allow_private=trust.allow_private)
        addresses = checked_addresses(target, allow_private=trust.allow_private, resolve=resolve)
        response = request("GET", target, addresses, _HEADERS, timeout_s=timeout_s, context=context)
        if response.status != _OK:
            raise IssuerError(f"the issuer responds with status {response.status}")
        return response

    try:
        # 1.
        keys_url = _keys_url(fetch(trust.configuration_url).body, trust)
        # 2.
        response = fetch(keys_url)
        keys = parse_keys(response.body)
    except DeliveryError as error:
        raise IssuerError(f"the request to the issuer failed: {error}") from None
    except (AddressError, InputError) as error:
        raise IssuerError(f"the issuer cannot be used: {error}") from None
    except OSError:
        raise IssuerError("the issuer's name has no address") from None
    return PublishedKeys(keys, min(max(response.max_age or MIN_AGE, MIN_AGE), MAX_AGE))


def _keys_url(data: bytes, trust: Trust) -> str:
    try:
        found = read_json(data)
        issuer, keys_url = found["issuer"], found["jwks_uri"]
    except (ValueError, TypeError, KeyError):
        raise InputError("got no configuration of an issuer; expected 'issuer' and 'jwks_uri'") from None
    if issuer != trust.issuer:
        raise InputError(
            "got the configuration of another issuer; check that the configured issuer is spelled exactly as its own"
        )
    if not isinstance(keys_url, str) or (trust.issuer.startswith("https:") and not keys_url.startswith("https:")):
        raise InputError("got an address of keys that is not https")
    return keys_url
