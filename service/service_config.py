"""How `volens serve` is to run: a TOML file, over it the environment (``VOLENS_SERVE_*``), over it the command line."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from consent import InputError

PREFIX: Final = "VOLENS_SERVE_"
MAX_FILE_BYTES: Final = 64 * 2**10


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
    drain_s: float = Field(
        0.0, ge=0, le=600, description="How long /readyz says 503 before the service ends, so that nobody sends more."
    )

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
    said: Mapping[str, Any] = {}
    if path is not None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}; check the path and the rights") from None
        if len(data) > MAX_FILE_BYTES:
            raise InputError(f"got a file of {len(data)} bytes; expected a configuration, see 'volens config example'")
        try:
            said = tomllib.loads(data.decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            line = f" ({error})" if isinstance(error, tomllib.TOMLDecodeError) else ""
            raise InputError(f"got a file that is no TOML{line}; see 'volens config example'") from None
    known = {f"{PREFIX}{name.upper()}" for name in (*ServiceConfig.model_fields, "config")}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    mistakes = [f"the environment sets {name}, which is no setting" for name in unknown]
    try:
        config = ServiceConfig(**said)
    except ValidationError as error:
        mistakes += [_sentence(one["loc"], one["msg"]) for one in error.errors(include_input=False, include_url=False)]
        config = None
    if mistakes or config is None:
        raise InputError("; ".join(mistakes) + "; see 'volens config example'")
    return config


def example() -> str:
    """Return a file that sets everything to what holds without it, with a comment for each."""
    lines = ["# How 'volens serve' is to run. The environment (VOLENS_SERVE_PORT=...) and the command line win."]
    for name, field in ServiceConfig.model_fields.items():
        value = field.default
        plain = isinstance(value, bool | int | float | str)
        said = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else value
        lines += ["", f"# {field.description}", f"{name} = {said}" if plain else f"# {name} ="]
    return "\n".join(lines) + "\n"


def _sentence(loc: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in loc)
    if name not in ServiceConfig.model_fields:
        return f"there is no setting {name!r}"
    return f"{name}: {message[:1].lower()}{message[1:]}"
