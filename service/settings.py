"""Configuration: a TOML file, overridden by the environment, overridden by the command line; all values are checked.

An error names the setting and never repeats its value, because the value may be a secret.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from volens.consent import InputError
from volens.store.files import read_text_file

MAX_FILE_BYTES: Final = 64 * 2**10

Kind = TypeVar("Kind", bound="Settings")


class Settings(BaseSettings):
    """Base of all settings; a subclass has fields with defaults, and its own environment prefix (`env_prefix`)."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use the environment first, then the values from the file; nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def read_settings(kind: type[Kind], path: Path | None, hint: str, overrides: Mapping[str, Any] | None = None) -> Kind:
    """Read settings: a file, overridden by the environment, overridden by `overrides` (the command line).

    Raises:
        InputError: names every mistake, and repeats no value.
    """
    in_file: Mapping[str, Any] = {} if path is None else _read_file(path, hint)
    prefix = kind.model_config.get("env_prefix") or ""
    known = {f"{prefix}{name.upper()}" for name in (*kind.model_fields, "config")}
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
    mistakes = [f"the environment sets {name}, which is not a setting" for name in unknown]
    config = None
    try:
        config = kind(**in_file)
        if overrides:
            # Checked like the rest. No environment variable can have this prefix.
            config = kind(**(config.model_dump() | dict(overrides) | {"_env_prefix": "="}))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        mistakes += [_sentence(kind, one["loc"], one["msg"]) for one in found]
    except SettingsError as error:  # an environment variable that must be JSON and is not
        mistakes.append(f"the environment: {str(error).partition(' from source')[0]}")
    if mistakes or config is None:
        raise InputError("; ".join(mistakes) + f"; {hint}")
    return config


def example_of(kind: type[Settings], command: str, instance: str) -> str:
    """Return a configuration file with every setting; `instance` is an example of an environment variable."""
    lines = [f"# Configuration of '{command}'. The environment ({instance}) and the command line override it."]
    for name, field in kind.model_fields.items():
        value = field.default
        plain = isinstance(value, bool | int | float | str | list)
        # JSON and TOML write these alike: numbers, booleans, ASCII text, lists.
        lines += ["", f"# {field.description}", f"{name} = {json.dumps(value)}" if plain else f"# {name} ="]
    return "\n".join(lines) + "\n"


def _read_file(path: Path, hint: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(read_text_file(path, "configuration", MAX_FILE_BYTES, hint).decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"got a file that is not TOML ({error}); {hint}") from None


def _sentence(kind: type[Settings], loc: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in loc)
    if not loc:  # from our own validator of several settings
        return message.removeprefix("Value error, ")
    if loc[0] not in kind.model_fields:
        return f"there is no setting {name!r}"
    return f"{name}: {message[:1].lower()}{message[1:]}"
