"""A root key wrapped by the Transit engine of HashiCorp Vault (or OpenBao, which speaks the same).

The root key is made here and sent once, to be wrapped; it comes back at every open. Both ways over TLS. A rotation
makes a new version of the Transit key, wraps a new root key with it, and has Vault delete the versions before it.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from volens.consent import SiteId, TamperError, UnavailableError
from volens.store.keys.root_key.key_url import VaultLocation
from volens.store.keys.root_key.optional_package import needs
from volens.store.keys.secrets import KEY_BYTES, Random, RootKey

TIMEOUT_S: Final = 10.0
_TOKEN_LIMIT: Final = 4096


@final
class VaultTransit:
    """`KeyService` over one Transit key."""

    def __init__(
        self, location: VaultLocation, site_id: SiteId, random: Random, timeout_s: float | None = None
    ) -> None:
        """Use the key at `location`; what it wraps opens for `site_id` only."""
        self._at = location
        self._random = random
        self._timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
        self._bound = base64.b64encode(f"volens root key v1|{site_id}".encode()).decode("ascii")

    def wrap(self, *, renewed: bool) -> tuple[RootKey, str]:
        """Make a key here and have it wrapped."""
        if renewed:
            self._ask("rotate_key")
        key = RootKey.generate(self._random)
        plaintext = base64.b64encode(key.buffer).decode("ascii")
        wrapped = self._ask("encrypt_data", plaintext=plaintext, associated_data=self._bound).get("ciphertext")
        if not isinstance(wrapped, str) or _version(wrapped) is None:
            raise UnavailableError(f"{self._at.address} wraps the root key in a form that is not Transit's; ask there")
        return key, wrapped

    def unwrap(self, wrapped: str) -> RootKey:
        """Have a key unwrapped."""
        answer = self._ask("decrypt_data", ciphertext=wrapped, associated_data=self._bound)
        try:
            raw = base64.b64decode(answer["plaintext"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise TamperError(f"integrity: what {self._at.address} unwraps is no root key; stop and look")
        return RootKey(raw)

    def retire(self, wrapped: str) -> None:
        """Have the versions of the Transit key before that of `wrapped` refused, and deleted."""
        version = _version(wrapped)
        if version is None:
            raise TamperError("integrity: the wrapped root key is not in Transit's form; restore root-key.json")
        # One after the other: trimming needs both, and the client library takes no two that are equal.
        self._ask("update_key_configuration", min_encryption_version=version)
        self._ask("update_key_configuration", min_decryption_version=version)
        self._ask("trim_key", min_version=version)

    def _ask(self, verb: str, **what: object) -> Mapping[str, Any]:
        with needs("hvac", "vault", "Vault"):
            import hvac  # noqa: PLC0415  an extra, and slow to import
            import requests  # noqa: PLC0415  hvac speaks through it
        # What to verify with is told to the session: hvac lets that overrule what it is told itself.
        session = requests.Session()
        session.verify = os.environ.get("VAULT_CACERT") or os.environ.get("VAULT_CAPATH") or True
        # Over plain http nothing may go through a proxy that the environment names.
        session.trust_env = self._at.address.startswith("https:")
        client = hvac.Client(
            url=self._at.address,
            token=self._token(),
            timeout=self._timeout_s,
            allow_redirects=False,  # the token must not follow to another address
            session=session,
            namespace=self._at.namespace or os.environ.get("VAULT_NAMESPACE"),
        )
        try:
            answer = getattr(client.secrets.transit, verb)(self._at.key, mount_point=self._at.mount, **what)
        except hvac.exceptions.VaultError as error:
            raise self._refusal(error, verb) from None
        except requests.Timeout:
            raise UnavailableError(
                f"{self._at.address} did not answer within {self._timeout_s:g} seconds; check the network, try again"
            ) from None
        except requests.exceptions.SSLError:
            raise UnavailableError(
                f"{self._at.address} shows no certificate that is trusted here; set VAULT_CACERT to the right authority"
            ) from None
        except (requests.RequestException, ValueError, OSError):
            raise UnavailableError(f"{self._at.address} cannot be reached; check the address and the network") from None
        finally:
            session.close()
        if isinstance(answer, Mapping):
            data = answer.get("data")
            return data if isinstance(data, Mapping) else {}
        if not isinstance(answer, requests.Response):
            return {}
        if answer.status_code in range(300, 400):
            raise UnavailableError(
                f"{self._at.address} sends to another address, where the token is not taken; name the active server"
            )
        return {}

    def _refusal(self, error: Exception, verb: str) -> UnavailableError | TamperError:
        """Say in our words what Vault refuses: its own text may repeat what was sent."""
        from hvac import exceptions as said_by_vault  # noqa: PLC0415  imported by the caller already

        at = self._at
        text = " ".join(str(one) for one in getattr(error, "errors", None) or []).lower()
        match error:
            case said_by_vault.Forbidden() | said_by_vault.Unauthorized():
                what = f"denies; the token must be valid and allow encrypt, decrypt and keys/{at.key} below {at.mount}/"
            case said_by_vault.VaultDown() | said_by_vault.VaultNotInitialized():
                what = "is sealed or down; unseal it and try again"
            case said_by_vault.InvalidPath():
                what = f"has no Transit engine at {at.mount!r}; check the URL"
            case said_by_vault.InvalidRequest() if "too old" in text or "too new" in text:
                what = "does not unwrap this version of the root key any more; use the newest root-key.json"
            case said_by_vault.InvalidRequest() if "not found" in text:
                what = f"has no key {at.key!r}; without it the keyring does not open"
            case said_by_vault.InvalidRequest() if verb == "decrypt_data":
                return TamperError(
                    f"integrity: {at.address} does not unwrap this root key; root-key.json is of another site or "
                    "another Transit key"
                )
            case _:
                what = f"fails ({type(error).__name__}); look at its log, and try again"
        return UnavailableError(f"{at.address} {what}")

    def _token(self) -> str:
        token = os.environ.get("VAULT_TOKEN")
        if not token:
            path = Path(self._at.token_file or "~/.vault-token").expanduser()
            try:
                token = path.read_text(encoding="ascii")[:_TOKEN_LIMIT].strip()
            except (OSError, UnicodeDecodeError):
                raise UnavailableError(
                    f"there is no token for {self._at.address}; set VAULT_TOKEN, or put one into {path}"
                ) from None
        return token


def _version(wrapped: str) -> int | None:
    """Return N of ``vault:vN:...``."""
    kind, _, rest = wrapped.partition(":v")
    number, colon, _ = rest.partition(":")
    return int(number) if kind == "vault" and colon and number.isascii() and number.isdigit() else None
