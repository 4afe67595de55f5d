"""Options that several commands share, each declared once."""

from dataclasses import asdict, dataclass, fields, replace
from enum import EnumType
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Protocol, Self, TypeAlias, final, get_args, get_type_hints, runtime_checkable

import platformdirs
import typer
from pydantic.fields import FieldInfo

from volens.consent import InputError
from volens.erase.pages import PageLanguage
from volens.service.settings import Settings

HomeOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--home", envvar="VOLENS_HOME", help="Folder of the site. Default: the user's data folder.", show_default=False
    ),
]
ZoneOption: TypeAlias = Annotated[
    str | None, typer.Option("--zone", help="The zone. Default: the site's default, or its only zone.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
OutOption: TypeAlias = Annotated[
    Path | None, typer.Option(help="Write the secret to this file (0600) instead of showing it.", show_default=False)
]
TrustOption: TypeAlias = Annotated[
    Path, typer.Option("--trust", help="The site's public key, site.pub.", show_default=False)
]
LanguageOption: TypeAlias = Annotated[
    PageLanguage | None,
    typer.Option(
        "--language", help="Language of the page: en, fr or de. Default: that of the notice.", show_default=False
    ),
]
SecretOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--secret", help="The person's secret, as 'volens consent give' wrote it (custody subject_key)."),
]
SecretQrOption: TypeAlias = Annotated[
    Path | None, typer.Option("--secret-qr", help="The same secret, as an image of its QR code.")
]
PublicLogHoursOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--public-log-hours",
        envvar="VOLENS_SERVE_PUBLIC_LOG_HOURS",
        min=0,
        max=24,
        help="The public log grows at the end of every so many hours (UTC), as in 'volens serve'. 0: at once.",
    ),
]
WitnessKeyOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--witness", metavar="<path>", help="Verifier key of a witness that you trust; repeat it."),
]
QuorumOption: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="How many of these witnesses must have cosigned. Default: all.")
]
OperatorKeyOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--operator-key", metavar="<path>", help="Private key of an operator; repeat it for a second."),
]
ReceiptArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="RECEIPT", help="The receipt's file or id; the consent must be in force.")
]
YesIReadItOption: TypeAlias = Annotated[
    bool, typer.Option("--yes-i-read-it", help="For scripts: the person has read the notice and agrees.")
]
PassphraseOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="File with the key's passphrase. Default: you are asked.", show_default=False
    ),
]


_LIMITS: Final = {"ge": "min", "le": "max"}


@runtime_checkable
class OptionGroup(Protocol):
    """Options that a command gets as one value."""

    def declare(self) -> list[tuple[str, Any, object]]:
        """Return name, annotation and default of each option."""

    def take(self, values: dict[str, Any]) -> Any:  # noqa: ANN401  the value that stands for the options
        """Remove the options from parsed values, and return the value that stands for them."""


@final
@dataclass(frozen=True)
class PackOptions:
    """Options that choose an InsightFace model pack instead of the default models."""

    pack: Annotated[
        Path | None,
        typer.Option(help="Folder of an InsightFace pack to use instead of SFace; needs the four options below."),
    ] = None
    accept_licence: Annotated[
        str | None, typer.Option(help="Name of the pack's licence, word for word: it covers your use.")
    ] = None
    pack_sha256: Annotated[
        str | None, typer.Option(help="SHA-256 of the pack's recognition model, from its publisher.")
    ] = None
    pack_claim: Annotated[
        float | None, typer.Option(help="The pack's threshold for 1:1 comparison, cosine similarity.")
    ] = None
    pack_search: Annotated[
        float | None,
        typer.Option(help="The pack's threshold for 1:N search at 0.1% of strangers accepted, cosine similarity."),
    ] = None
    pack_search_strict: Annotated[
        float | None, typer.Option(help="The same at 0.01%; needed for zones with --fpir 0.01% only.")
    ] = None

    liveness_pack: Annotated[
        Path | None, typer.Option(help="Folder of a liveness model, for zones with --liveness pack (docs/liveness.md).")
    ] = None
    liveness_licence: Annotated[
        str | None, typer.Option(help="Name of its licence, word for word: it covers your use.")
    ] = None

    @property
    def has_embedder_options(self) -> bool:
        """Whether an option about the InsightFace pack was given."""
        return replace(self, liveness_pack=None, liveness_licence=None) != PackOptions()

    @classmethod
    def declare(cls) -> list[tuple[str, Any, object]]:
        """See `OptionGroup`."""
        types = get_type_hints(cls, include_extras=True)
        return [(one.name, types[one.name], one.default) for one in fields(cls)]

    @classmethod
    def take(cls, values: dict[str, Any]) -> Self:
        """See `OptionGroup`."""
        return cls(**{one.name: values.pop(one.name) for one in fields(cls)})

    def document(self) -> dict[str, Any]:
        """Return the options as JSON, for a worker process."""
        folders = {name: getattr(self, name) for name in ("pack", "liveness_pack")}
        return asdict(self) | {name: None if one is None else str(one) for name, one in folders.items()}

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        """Return the options that `document` returned."""
        folders = {name: document[name] for name in ("pack", "liveness_pack")}
        return cls(**document | {name: None if one is None else Path(one) for name, one in folders.items()})


@final
class SettingsOptions:
    """Options that override settings, with their names, descriptions and limits."""

    def __init__(self, settings: type[Settings], *names: str) -> None:
        """Take these settings; without names, all."""
        self._fields = {name: settings.model_fields[name] for name in names or settings.model_fields}

    def declare(self) -> list[tuple[str, Any, object]]:
        """See `OptionGroup`."""
        return [(name, Annotated[_option_type(one), _option(name, one)], None) for name, one in self._fields.items()]

    def take(self, values: dict[str, Any]) -> dict[str, Any]:
        """See `OptionGroup`; options that were not given are left out."""
        taken = {name: values.pop(name) for name in self._fields}
        return {name: value for name, value in taken.items() if value is not None}


def home_folder(home: Path | None) -> Path:
    """Return the site's folder: the one given, or the user's data folder for Volens.

    Raises:
        InputError: it is in the home of a user who does not exist on this machine.
    """
    folder = home or platformdirs.user_data_path("volens")
    try:
        return folder.expanduser().absolute()
    except RuntimeError:  # what pathlib says
        raise InputError(f"got {folder}, but this machine has no such user; check --home") from None


def _option_type(field: FieldInfo) -> Any:  # noqa: ANN401  a type, for Typer
    kind: Any = field.annotation
    if isinstance(kind, UnionType):
        kind = next(one for one in get_args(kind) if one is not NoneType)
    # The settings check an enumeration, so that the error is the same as for a file.
    return (str if isinstance(kind, EnumType) else kind) | None


def _option(name: str, field: FieldInfo) -> Any:  # noqa: ANN401  what Typer returns
    flag, text = f"--{name.replace('_', '-')}", field.description
    match field.default:
        case True:
            flag, text = f"{flag}/--no-{flag[2:]}", f"{text} Default: yes."
        case int() | float() | str() as default if default is not False:
            text = f"{text} Default: {default if isinstance(default, str) else f'{default:g}'}."
        case [str(default)]:
            text = f"{text} Default: {default}."
    limits = {limit: getattr(one, key) for one in field.metadata for key, limit in _LIMITS.items() if hasattr(one, key)}
    return typer.Option(flag, help=text, metavar="<str>" if isinstance(field.default, list) else None, **limits)
