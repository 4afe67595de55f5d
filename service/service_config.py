"""How `volens serve` is to run: a TOML file, over it the environment (``VOLENS_SERVE_*``), over it the command line."""

import json
import os
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar, final

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from consent import InputError
from service.oidc.trust import LEEWAY, MAX_LIFETIME, ROLE_CLAIM, ZONE_CLAIM, Trust

PREFIX: Final = "VOLENS_SERVE_"
MAX_FILE_BYTES: Final = 64 * 2**10

Settings = TypeVar("Settings", bound=BaseSettings)


@final
class ServiceConfig(BaseSettings):
    """What can be set, with what holds if nothing is."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, and under it what `read_config` found in the file; nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def read_config(path: Path | None) -> ServiceConfig:
    """Read a file, and the environment over it; without a file, the environment alone.

    Raises:
        InputError: all mistakes there are, a sentence for each, in lines. Values are not repeated.
    """
    return read_settings(ServiceConfig, path, "see 'volens config example'")


def read_settings(
    kind: type[Settings], path: Path | None, hint: str, said_over: Mapping[str, Any] | None = None
) -> Settings:
    """Read settings of a kind: a file, over it the environment, over it what is said.

    Raises:
        InputError: all mistakes there are, a sentence for each, in lines. Values are not repeated.
    """
    said: Mapping[str, Any] = {} if path is None else _read_file(path, hint)
    prefix = kind.model_config.get("env_prefix") or ""
    known = {f"{prefix}{name.upper()}" for name in (*kind.model_fields, "config")}
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
    mistakes = [f"the environment sets {name}, which is no setting" for name in unknown]
    config = None
    try:
        config = kind(**said)
        if said_over:
            # Checked like the rest. The prefix is none that a variable of the environment can have.
            config = kind(_env_prefix="=", **(config.model_dump() | dict(said_over)))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        mistakes += [_sentence(kind, one["loc"], one["msg"]) for one in found]
    except SettingsError as error:  # a value of the environment that is no JSON where JSON is expected
        mistakes.append(f"the environment: {str(error).partition(' from source')[0]}")
    if mistakes or config is None:
        raise InputError("; ".join(mistakes) + f"; {hint}")
    return config


def example() -> str:
    """Return a file that sets everything to what holds without it, with a comment for each."""
    return example_of(ServiceConfig, "volens serve", f"{PREFIX}PORT=...")


def example_of(kind: type[BaseSettings], command: str, instance: str) -> str:
    """Return such a file for settings of a kind; `instance` is one of them as the environment has it."""
    lines = [f"# How '{command}' is to run. The environment ({instance}) and the command line win."]
    for name, field in kind.model_fields.items():
        value = field.default
        plain = isinstance(value, bool | int | float | str | list)
        # What JSON and TOML write alike: numbers, truth, text of ASCII, lists of it.
        lines += ["", f"# {field.description}", f"{name} = {json.dumps(value)}" if plain else f"# {name} ="]
    return "\n".join(lines) + "\n"


def _read_file(path: Path, hint: str) -> Mapping[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path and the rights") from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"got a file of {len(data)} bytes; expected a configuration, {hint}")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        line = f" ({error})" if isinstance(error, tomllib.TOMLDecodeError) else ""
        raise InputError(f"got a file that is no TOML{line}; {hint}") from None


def _sentence(kind: type[BaseSettings], loc: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in loc)
    if not loc:  # said by a validator of ours about several settings
        return message.removeprefix("Value error, ")
    if loc[0] not in kind.model_fields:
        return f"there is no setting {name!r}"
    return f"{name}: {message[:1].lower()}{message[1:]}"
