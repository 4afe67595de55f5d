"""Configuration of `volens serve`: a TOML file, overridden by ``VOLENS_SERVE_*``, overridden by the command line."""

from datetime import UTC, timedelta
from pathlib import Path
from typing import Final, Self, final

from pydantic import AwareDatetime, Field, model_validator

from volens.consent import InputError
from volens.index import HOT_SET_BYTES
from volens.service.oidc.code_flow import OidcClient, read_client_secret
from volens.service.oidc.issuer_trust import LEEWAY, MAX_LIFETIME, ROLE_CLAIM, ZONE_CLAIM, Trust
from volens.service.process.usable_cpus import usable_cpus
from volens.service.security_contact import SecurityContact
from volens.service.settings import Settings, example_of, read_settings

PREFIX: Final = "VOLENS_SERVE_"


@final
class ServiceConfig(Settings, env_prefix=PREFIX):
    """All settings with their defaults."""

    host: str = Field("127.0.0.1", description="Address to listen on. Other machines can connect only with TLS.")
    port: int = Field(8470, ge=1, le=65535, description="Port to listen on.")
    tls_certificate: Path | None = Field(None, description="PEM file: the certificate and its chain.")
    tls_key: Path | None = Field(None, description="PEM file: the certificate's private key.")
    behind_proxy: bool = Field(False, description="A proxy in front does TLS; trust its headers about callers.")
    model_threads: int = Field(
        default_factory=usable_cpus,
        ge=1,
        le=256,
        description="Frames that one worker processes at a time. Default: one for each CPU that it "
        "may use, shared by the workers.",
    )
    workers: int = Field(1, ge=1, le=64, description="Worker processes, each with its own models and memory.")
    waiting: int = Field(32, ge=0, le=10_000, description="Frames that may wait; further ones get 503.")
    hot_set_mb: int = Field(
        HOT_SET_BYTES >> 20,
        ge=0,
        le=1 << 20,
        description="Most memory for the sealed rows of a zone in one worker: 2,300 MB for a million people with "
        "512-d embeddings. Beyond it, decisions read the database.",
    )
    serve_zone: list[str] = Field(
        [],
        description="Zones in which this node identifies (1:N); it loads their galleries before it is ready. "
        "Default: all zones, each when it is first needed.",
    )
    orders: Path | None = Field(
        None, description="Folder for dossiers and answers of erasure orders, outside the home. Without it, no orders."
    )
    public_log_hours: int = Field(
        24,
        ge=0,
        le=24,
        description="The public audit log grows at the end of every so many hours (UTC). 0: at once, with each event.",
    )
    drain_s: float = Field(
        0.0, ge=0, le=600, description="How long /readyz answers 503 before the service ends, for load balancers."
    )
    oidc_issuer: str | None = Field(None, description="OIDC issuer whose tokens are accepted, too: https://HOST/PATH.")
    oidc_audience: str | None = Field(None, description="Audience of its tokens; required with oidc_issuer.")
    oidc_client_id: str | None = Field(
        None, description="Client id of the pages at the issuer: staff sign in there, at PUBLIC_URL/staff/oidc."
    )
    oidc_client_secret_file: Path | None = Field(
        None, description="File with the client's secret, if the issuer gave one; without it a public client (PKCE)."
    )
    oidc_role_claim: str = Field(ROLE_CLAIM, description="Claim with the role; the roles of 'volens credential'.")
    oidc_zone_claim: str = Field(ZONE_CLAIM, description="Claim with the caller's only zone.")
    oidc_allow_private: bool = Field(False, description="The issuer is in a private network; http is allowed there.")
    oidc_max_lifetime_s: int = Field(
        round(MAX_LIFETIME.total_seconds()),
        ge=60,
        le=86_400,
        description="Longest lifetime of a token; a token cannot be revoked.",
    )
    oidc_leeway_s: int = Field(
        round(LEEWAY.total_seconds()), ge=0, le=300, description="Clock difference to the issuer that is tolerated."
    )

    security_contact: str | None = Field(
        None,
        description="For /.well-known/security.txt: e-mail, https:// or phone. Default: the controller's contact.",
    )
    security_expires: AwareDatetime | None = Field(
        None, description="Until when that is valid: 2027-06-01T00:00:00Z. Default: 30 days from each response."
    )
    security_languages: str | None = Field(None, description="Languages of reports: 'en, fr'.")
    security_policy: str | None = Field(None, description="Your rules for reports of vulnerabilities: https://...")
    security_canonical: str | None = Field(None, description="Public address of that file: https://...")

    @model_validator(mode="after")
    def _parts_are_whole(self) -> Self:
        self.trust()
        if self.oidc_client_secret_file is not None and self.oidc_client_id is None:
            raise ValueError("got oidc_client_secret_file; set oidc_client_id, too")
        self.security()
        return self

    def security(self) -> SecurityContact:
        """Return what ``security.txt`` says.

        Raises:
            ValueError: a part of it has another form. Values are not repeated.
        """
        try:
            return SecurityContact(
                self.security_contact,
                None if self.security_expires is None else self.security_expires.astimezone(UTC),
                self.security_languages,
                self.security_policy,
                self.security_canonical,
            )
        except InputError as error:
            raise ValueError(str(error)) from None

    def oidc_client(self) -> OidcClient | None:
        """Return the client that staff sign in with at the issuer, or None.

        Raises:
            InputError: the file of its secret cannot be used.
        """
        trust = self.trust()
        if trust is None or self.oidc_client_id is None:
            return None
        file = self.oidc_client_secret_file
        return OidcClient(trust, self.oidc_client_id, None if file is None else read_client_secret(file))

    def trust(self) -> Trust | None:
        """Return the trusted token issuer, or None.

        Raises:
            ValueError: a part of it is missing, or the issuer is invalid. Values are not repeated.
        """
        if self.oidc_issuer is None or self.oidc_audience is None:
            fields = type(self).model_fields
            found = [
                name for name in fields if name.startswith("oidc_") and getattr(self, name) != fields[name].default
            ]
            if found:
                raise ValueError(f"got {', '.join(found)}; set both oidc_issuer and oidc_audience, or no oidc setting")
            return None
        try:
            return Trust(
                self.oidc_issuer,
                self.oidc_audience,
                self.oidc_role_claim,
                self.oidc_zone_claim,
                self.oidc_allow_private,
                timedelta(seconds=self.oidc_max_lifetime_s),
                timedelta(seconds=self.oidc_leeway_s),
            )
        except InputError as error:
            raise ValueError(f"oidc_issuer: {error}") from None


def read_config(path: Path | None) -> ServiceConfig:
    """Read a file, overridden by the environment; without a file, the environment alone.

    Raises:
        InputError: names every mistake, and repeats no value.
    """
    return read_settings(ServiceConfig, path, "see 'volens config example'")


def example() -> str:
    """Return a configuration file with every setting at its default, each with a comment."""
    return example_of(ServiceConfig, "volens serve", f"{PREFIX}PORT=...")
