"""A root key wrapped by AWS KMS: a data key (GenerateDataKey), bound to the site by its encryption context.

KMS has no versions to destroy: a rotation makes a new data key and deletes the wrapped form of the old one. A person
who has an old copy of ``root-key.json`` and may use the KMS key can still unwrap it, until the KMS key is deleted.
"""

import base64
import binascii
from typing import Any, Final, final

from volens.consent import SiteId, TamperError, UnavailableError
from volens.store.keys.root_key.key_url import KmsLocation
from volens.store.keys.secrets import KEY_BYTES, RootKey
from volens.store.optional_package import needs

TIMEOUT_S: Final = 10.0
_DENIED: Final = {
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "IncompleteSignature",
}
_GONE: Final = {"NotFoundException", "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException"}


@final
class AwsKms:
    """`KeyService` over one KMS key."""

    copies: Final = "copies of an older root-key.json, which AWS KMS unwraps until the KMS key is deleted"

    def __init__(self, location: KmsLocation, site_id: SiteId) -> None:
        """Use the key at `location`; a root key that it wraps opens for `site_id` only."""
        self._at = location
        self._context = {"volens-site": site_id}

    def wrap(self, *, renewed: bool) -> tuple[RootKey, str]:
        """Let KMS generate a data key; each one is new, so `renewed` changes nothing."""
        del renewed
        answer = self._request("generate_data_key", KeySpec="AES_256")
        return self._key(answer), base64.b64encode(answer["CiphertextBlob"]).decode("ascii")

    def unwrap(self, wrapped: str) -> RootKey:
        """Let KMS decrypt a data key."""
        try:
            blob = base64.b64decode(wrapped, validate=True)
        except binascii.Error:
            raise TamperError("integrity: the wrapped root key is not in KMS's form; restore root-key.json") from None
        return self._key(self._request("decrypt", CiphertextBlob=blob))

    def retire(self, wrapped: str) -> None:
        """Do nothing: KMS cannot destroy one data key."""

    def _key(self, answer: dict[str, Any]) -> RootKey:
        plaintext = answer["Plaintext"]
        if len(plaintext) != KEY_BYTES:
            raise TamperError("integrity: AWS KMS did not return a root key; stop and find out why")
        return RootKey(plaintext)

    def _request(self, verb: str, **what: object) -> dict[str, Any]:
        with needs("boto3", "aws-kms", "AWS KMS"):
            import boto3  # noqa: PLC0415  an extra, and slow to import
            from botocore import exceptions as aws  # noqa: PLC0415  the same
            from botocore.config import Config  # noqa: PLC0415  the same
        config = Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 2})
        where = f"AWS KMS{'' if self._at.region is None else f' in {self._at.region}'}"
        try:
            # Not the default session: it keeps credentials that may have expired, and is not thread-safe.
            client = boto3.Session().client("kms", region_name=self._at.region, config=config)
            answer: dict[str, Any] = getattr(client, verb)(KeyId=self._at.key, EncryptionContext=self._context, **what)
        except aws.ClientError as error:
            raise self._refusal(error.response.get("Error", {}).get("Code", ""), where) from None
        except aws.NoCredentialsError:
            raise UnavailableError(f"there are no credentials for {where}; log in with AWS's tools") from None
        except aws.NoRegionError:
            raise UnavailableError("AWS KMS needs a region; add ?region=, or set AWS_REGION") from None
        except (aws.BotoCoreError, ValueError) as error:
            raise UnavailableError(
                f"{where} cannot be reached ({type(error).__name__}); check network and configuration, try again"
            ) from None
        return answer

    @staticmethod
    def _refusal(code: str, where: str) -> UnavailableError | TamperError:
        """Translate the refusal; the text of KMS names accounts and principals, so it is not passed on."""
        if code in _DENIED:
            return UnavailableError(
                f"{where} denied the request; the credentials must allow kms:GenerateDataKey and kms:Decrypt"
            )
        if code in _GONE:
            return UnavailableError(
                f"{where} has no such key, or it is disabled or about to be deleted; enable it, because without it the "
                "keyring does not open"
            )
        if code in {"InvalidCiphertextException", "IncorrectKeyException"}:
            return TamperError(
                f"integrity: {where} does not unwrap this root key; root-key.json is of another site or another key"
            )
        return UnavailableError(f"{where} failed ({code or 'unknown'}); try again")
