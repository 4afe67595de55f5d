"""How `volens serve` is to run: a TOML file, over it the environment (``VOLENS_SERVE_*``), over it the command line."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Final, Self, final

from pydantic import Field, model_validator

from volens.consent import InputError
from volens.service.oidc.issuer_trust import LEEWAY, MAX_LIFETIME, ROLE_CLAIM, ZONE_CLAIM, Trust
from volens.service.settings import Settings, example_of, read_settings

PREFIX: Final = "VOLENS_SERVE_"


@final
class ServiceConfig(Settings, env_prefix=PREFIX):
    """What can be set, with what holds if nothing is."""

    host: str = Field("127.0.0.1", description="Address to listen on. Beyond this machine only with TLS.")
    port: int = Field(8470, ge=1, le=65535, description="Port to listen on.")
    tls_certificate: Path | None = Field(None, description="PEM file: the certificate and its chain.")
    tls_key: Path | None = Field(None, description="PEM file: the certificate's private key.")
    behind_proxy: bool = Field(False, description="A proxy in front does TLS; believe what it says about callers.")
    model_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Frames that a worker looks at together; without it, one for each processor, shared by workers.",
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that answer, each with its own models and memory.")
    waiting: int = Field(32, ge=0, le=10_000, description="Frames that may wait; more are sent away with 503.")
    orders: Path | None = Field(
        None, description="Folder for dossiers and answers of orders to erase; outside the home. Without it, none."
    )
    drain_s: float = Field(
        0.0, ge=0, le=600, description="How long /readyz says 503 before the service ends, so that nobody sends more."
    )
    oidc_issuer: str | None = Field(None, description="Issuer whose tokens are believed too: https://host/path.")
    oidc_audience: str | None = Field(None, description="What its tokens must be for; given together with oidc_issuer.")
    oidc_role_claim: str = Field(ROLE_CLAIM, description="Claim that holds a role, as 'volens credential' knows them.")
    oidc_zone_claim: str = Field(ZONE_CLAIM, description="Claim that holds the caller's only zone.")
    oidc_allow_private: bool = Field(False, description="The issuer is in a private network; http is allowed there.")
    oidc_max_lifetime_s: int = Field(
        round(MAX_LIFETIME.total_seconds()),
        ge=60,
        le=86_400,
        description="Longest life of a token; nobody can take one back.",
    )
    oidc_leeway_s: int = Field(
        round(LEEWAY.total_seconds()), ge=0, le=300, description="By how much the issuer's clock may be wrong."
    )

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> Self:
        self.trust()
        return self

    def trust(self) -> Trust | None:
        """Return whose tokens are believed; None for nobody's.

        Raises:
            ValueError: a part of it is set and another is missing, or the issuer is none. Values are not repeated.
        """
        if self.oidc_issuer is None or self.oidc_audience is None:
            fields = type(self).model_fields
            told = [name for name in fields if name.startswith("oidc_") and getattr(self, name) != fields[name].default]
            if told:
                raise ValueError(
                    f"got {', '.join(told)}; expected both oidc_issuer and oidc_audience, or nothing of oidc"
                )
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
    """Read a file, and the environment over it; without a file, the environment alone.

    Raises:
        InputError: all mistakes there are, a sentence for each, in lines. Values are not repeated.
    """
    return read_settings(ServiceConfig, path, "see 'volens config example'")


def example() -> str:
    """Return a file that sets everything to what holds without it, with a comment for each."""
    return example_of(ServiceConfig, "volens serve", f"{PREFIX}PORT=...")
