"""A root key wrapped by the Transit engine of HashiCorp Vault (or OpenBao, which has the same API).

The root key is made here and sent once, to be wrapped; Vault returns it at every open. Both over TLS. A rotation makes
a new version of the Transit key, wraps a new root key with it, and lets Vault delete the versions before it.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from volens.consent import InputError, SiteId, TamperError, UnavailableError
from volens.store.files.text_files import read_text_file
from volens.store.keys.root_key.key_url import VaultLocation
from volens.store.keys.secrets import KEY_BYTES, Random, RootKey
from volens.store.optional_package import needs

TIMEOUT_S: Final = 10.0
_TOKEN_LIMIT: Final = 4096


@final
class VaultTransit:
    """`KeyService` over one Transit key."""

    copies: Final = "backups of Vault's storage, which have the deleted versions of the Transit key"

    def __init__(
        self, location: VaultLocation, site_id: SiteId, random: Random, timeout_s: float | None = None
    ) -> None:
        """Use the key at `location`; a root key that it wraps opens for `site_id` only."""
        self._at = location
        self._random = random
        self._timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
        self._bound = base64.b64encode(f"volens root key v1|{site_id}".encode()).decode("ascii")

    def wrap(self, *, renewed: bool) -> tuple[RootKey, str]:
        """Make a key here and let Vault wrap it."""
        if renewed:
            self._request("rotate_key")
        key = RootKey.generate(self._random)
        plaintext = base64.b64encode(key.buffer).decode("ascii")
        wrapped = self._request("encrypt_data", plaintext=plaintext, associated_data=self._bound).get("ciphertext")
        if not isinstance(wrapped, str) or _version(wrapped) is None:
            raise UnavailableError(
                f"{self._at.address} did not wrap the root key in the form of Transit; ask its administrator"
            )
        return key, wrapped

    def unwrap(self, wrapped: str) -> RootKey:
        """Let Vault unwrap a key."""
        answer = self._request("decrypt_data", ciphertext=wrapped, associated_data=self._bound)
        try:
            raw = base64.b64decode(answer["plaintext"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise TamperError(f"integrity: {self._at.address} did not return a root key; stop and find out why")
        return RootKey(raw)

    def retire(self, wrapped: str) -> None:
        """Let Vault refuse and delete the versions of the Transit key before that of `wrapped`."""
        version = _version(wrapped)
        if version is None:
            raise TamperError("integrity: the wrapped root key is not in Transit's form; restore root-key.json")
        # One after the other: trimming needs both, and the client library does not accept two equal versions.
        self._request("update_key_configuration", min_encryption_version=version)
        self._request("update_key_configuration", min_decryption_version=version)
        self._request("trim_key", min_version=version)

    def _request(self, verb: str, **what: object) -> Mapping[str, Any]:
        with needs("hvac", "vault", "Vault"):
            import hvac  # noqa: PLC0415  an extra, and slow to import
            import requests  # noqa: PLC0415  hvac uses it
        # The trusted authority is set on the session, because hvac lets the session overrule its own argument.
        session = requests.Session()
        session.verify = os.environ.get("VAULT_CACERT") or os.environ.get("VAULT_CAPATH") or True
        # Plain http must not use a proxy that the environment names.
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
                f"the TLS certificate of {self._at.address} is not trusted; set VAULT_CACERT to the right authority"
            ) from None
        except (requests.RequestException, ValueError, OSError):
            raise UnavailableError(f"{self._at.address} cannot be reached; check the address and the network") from None
        finally:
            session.close()
        if isinstance(answer, requests.Response) and answer.status_code in range(300, 400):
            raise UnavailableError(
                f"{self._at.address} redirects to another address, and the token is not sent there; use the URL of "
                "the active server"
            )
        data = answer.get("data") if isinstance(answer, Mapping) else None
        return data if isinstance(data, Mapping) else {}

    def _refusal(self, error: Exception, verb: str) -> UnavailableError | TamperError:
        """Translate the refusal; the text of Vault may repeat what was sent, so it is not passed on."""
        from hvac import exceptions as vault_errors  # noqa: PLC0415  the caller has imported it

        at = self._at
        text = " ".join(str(one) for one in getattr(error, "errors", None) or []).lower()
        match error:
            case vault_errors.Forbidden() | vault_errors.Unauthorized():
                what = f"denied; the token must be valid and allow encrypt, decrypt and keys/{at.key} in {at.mount}"
            case vault_errors.VaultDown() | vault_errors.VaultNotInitialized():
                what = "is sealed or down; unseal it and try again"
            case vault_errors.InvalidPath():
                what = f"has no Transit engine at {at.mount!r}; check the URL"
            case vault_errors.InvalidRequest() if "too old" in text or "too new" in text:
                what = "no longer unwraps this version of the root key; use the newest root-key.json"
            case vault_errors.InvalidRequest() if "not found" in text:
                what = f"has no key {at.key!r}; without it the keyring does not open"
            case vault_errors.InvalidRequest() if verb == "decrypt_data":
                return TamperError(
                    f"integrity: {at.address} does not unwrap this root key; root-key.json is of another site or "
                    "another Transit key"
                )
            case _:
                what = f"failed ({type(error).__name__}); read its log, and try again"
        return UnavailableError(f"{at.address} {what}")

    def _token(self) -> str:
        token = os.environ.get("VAULT_TOKEN")
        if not token:
            path = Path(self._at.token_file or "~/.vault-token").expanduser()
            try:
                token = read_text_file(path, "token", _TOKEN_LIMIT).decode("ascii").strip()
            except (InputError, UnicodeDecodeError):
                raise UnavailableError(
                    f"there is no token for {self._at.address}; set VAULT_TOKEN, or write one into {path}"
                ) from None
        return token


def _version(wrapped: str) -> int | None:
    """Return N of ``vault:vN:...``."""
    kind, _, rest = wrapped.partition(":v")
    number, colon, _ = rest.partition(":")
    return int(number) if kind == "vault" and colon and number.isascii() and number.isdigit() else None
