"""OpenID Connect Discovery 1.0: fetches an issuer's keys with two requests to checked addresses.

1. The issuer's configuration is read below its own URL; it must name exactly the configured issuer.
2. The keys are read from the address in the configuration, under the same rules; not over plain ``http`` unless the
   issuer itself uses it.

No redirect is followed, at most 64 KiB are read, and each request has `TIMEOUT_S` (`volens.service.webhooks.posting`).
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar, final

from volens.consent import InputError, UnavailableError
from volens.consent.json_reader import read_json
from volens.service.oidc.issuer_keys import SigningKey, parse_keys
from volens.service.oidc.issuer_trust import Trust
from volens.service.webhooks.address_guard import AddressError, Resolve, checked_addresses, look_up, parse_target
from volens.service.webhooks.posting import DeliveryError, Response, request

TIMEOUT_S: Final = 5.0
MIN_AGE: Final = timedelta(minutes=5)
MAX_AGE: Final = timedelta(hours=24)

T = TypeVar("T")

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
    line = IssuerLine(trust, resolve, timeout_s, context)
    # 1.
    (keys_url,) = line.addresses("jwks_uri")
    # 2.
    response, keys = line.ask(keys_url, parse_keys)
    return PublishedKeys(keys, min(max(response.max_age or MIN_AGE, MIN_AGE), MAX_AGE))


@final
@dataclass(frozen=True, slots=True)
class IssuerLine:
    """Requests to one issuer, and to the addresses in its configuration."""

    trust: Trust
    resolve: Resolve = look_up
    timeout_s: float = TIMEOUT_S
    context: ssl.SSLContext | None = None

    def addresses(self, *names: str) -> list[str]:
        """Return addresses of these names in the issuer's configuration; https, if the issuer is.

        Raises:
            IssuerError: it cannot be fetched, is of another issuer, or has no such address.
        """
        return self.ask(self.trust.configuration_url, lambda body: addresses_in(body, names, self.trust))[1]

    def ask(
        self, url: str, read: Callable[[bytes], T], *, form: bytes | None = None, more: Mapping[str, str] | None = None
    ) -> tuple[Response, T]:
        """Return a response, and what `read` makes of its body; `form` is sent by POST, `more` are headers.

        Raises:
            IssuerError: there is no response, its status is not 200, or `read` raises InputError.
        """
        try:
            target = parse_target(url, allow_private=self.trust.allow_private)
            found = checked_addresses(target, allow_private=self.trust.allow_private, resolve=self.resolve)
            headers = {**_HEADERS, **(more or {})}
            method = "GET" if form is None else "POST"
            response = request(method, target, found, headers, form, timeout_s=self.timeout_s, context=self.context)
            if response.status != _OK:
                raise IssuerError(f"the issuer responds with status {response.status}")
            return response, read(response.body)
        except DeliveryError as error:
            raise IssuerError(f"the request to the issuer failed: {error}") from None
        except (AddressError, InputError) as error:
            raise IssuerError(f"the issuer cannot be used: {error}") from None
        except OSError:
            raise IssuerError("the issuer's name has no address") from None


def addresses_in(data: bytes, names: Sequence[str], trust: Trust) -> list[str]:
    """Return addresses of these names in a configuration; pure.

    Raises:
        InputError: it is none of this issuer, lacks one, or an https issuer names one that is not https.
    """
    try:
        found = read_json(data)
        issuer, urls = found["issuer"], [found[name] for name in names]
    except (ValueError, TypeError, KeyError):
        expected = ", ".join(map(repr, ("issuer", *names)))
        raise InputError(f"got no configuration of an issuer; expected {expected}") from None
    if issuer != trust.issuer:
        raise InputError(
            "got the configuration of another issuer; check that the configured issuer is spelled exactly as its own"
        )
    for url in urls:
        if not isinstance(url, str) or (trust.issuer.startswith("https:") and not url.startswith("https:")):
            raise InputError("got an address in the issuer's configuration that is not https")
    return urls
