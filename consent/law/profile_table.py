"""Reading a profile's TOML table: each value is checked for its form, and every error is one sentence.

A value that is left out is taken from the profile that the file is based on, or is an error.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self, TypeVar, cast, final

from volens.consent.errors import InputError
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.law.law_terms import (
    CLOCK_NAMES,
    LANGUAGES,
    Authority,
    Clocks,
    Gate,
    GateKind,
    Guardian,
    Minors,
    PublicPolicy,
    Right,
    Source,
    Texts,
)
from volens.consent.typed_text import parse_text
from volens.consent.zone import Custody

MAX_DAYS: Final = 36_525
MAX_AGE: Final = 30
_MAX_TEXT: Final = 4_000
_HTTPS: Final = "https://"
_Kind = TypeVar("_Kind", bound=StrEnum)
_Value = TypeVar("_Value")


@final
class ProfileTable:
    """A TOML table that knows which of its values were read, and under which name people find them in the file."""

    def __init__(self, values: Mapping[str, object], code: str, path: str = "") -> None:
        self._values = dict(values)
        self._path = path
        self._parts: list[ProfileTable] = []
        self.code = code

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """Return the table of a whole file.

        Raises:
            InputError: it has no valid code.
        """
        code = values.get("code")
        if not isinstance(code, str):
            raise InputError(
                "the profile has no code; expected an ISO 3166 code such as FR or US-IL; add 'code = \"FR\"' at the top"
            )
        rest = {name: value for name, value in values.items() if name != "code"}
        return cls(rest, parse_jurisdiction(code))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values that were not read yet."""
        return tuple(self._values)

    def has(self, name: str) -> bool:
        """Return whether there is a value of this name that was not read yet."""
        return name in self._values

    def pop(self, name: str) -> object:
        """Return a value and mark it as read; None if there is none."""
        return self._values.pop(name, None)

    def problem(self, got: str, expected: str, then: str) -> InputError:
        """Return the error about one value: what was got, what was expected, what to do next."""
        return InputError(f"profile {self.code}: got {got}; expected {expected}; {then}")

    def check_all_read(self) -> None:
        """Refuse values that no one asked for: a misspelt name would be taken for one that is left out.

        Raises:
            InputError: there is one.
        """
        if self._values:
            name = next(iter(self._values))
            raise self.problem(
                f"unknown {self._name(name[:40])}", "the names of docs/jurisdictions.md", "correct or remove it"
            )
        for part in self._parts:
            part.check_all_read()

    def base(self) -> str | None:
        """Return the code of the profile on which this one is based."""
        found = self.pop("based_on")
        if found is None:
            return None
        if not isinstance(found, str):
            raise self.problem(_kind_of(found), "a code in based_on", "write it as text, such as 'based_on = \"EU\"'")
        return parse_jurisdiction(found)

    def text(self, name: str, inherited: str | None) -> str:
        """Return a text."""
        return self._take(name, inherited, lambda found: self._text(found, name))

    def sentences(self, name: str, inherited: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return a list of at least one text."""
        found = self.terms(name, inherited)
        if not found:
            raise self.problem(f"an empty list {self._name(name)}", "at least one sentence", "write what holds")
        return found

    def terms(self, name: str, inherited: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return a list of texts, possibly empty."""
        return self._take(
            name, inherited, lambda found: tuple(self._text(one, name) for one in self._list(found, name))
        )

    def members(self) -> tuple[str, ...]:
        """Return the codes of countries for which the profile is used too."""
        return tuple(parse_jurisdiction(one) for one in self.terms("members", ()))

    def texts(self, name: str, inherited: Texts | None) -> Texts:
        """Return a text in each language."""
        part = self.part(name, None if inherited is None else {})
        found = {one: part.text(one, None if inherited is None else inherited[one]) for one in LANGUAGES}
        return MappingProxyType(found)

    def clocks(self, inherited: Clocks | None) -> Clocks:
        """Return the six clocks; each is a number of days and its reason."""
        part = self.part("clocks", None if inherited is None else {})
        days, reasons = dict[str, int](), dict[str, str]()
        for name in CLOCK_NAMES:
            if inherited is not None and not part.has(name):
                days[name], reasons[name] = inherited.days(name), inherited.reasons[name]
                continue
            clock = part.part(name)
            days[name] = clock.number("days", MAX_DAYS)
            reasons[name] = clock.text("reason", None)
        return Clocks.of(days, reasons)

    def rights(self, inherited: tuple[Right, ...] | None) -> tuple[Right, ...]:
        """Return the rights; each must be one that Volens has a command for."""
        return self._take(
            "rights",
            inherited,
            lambda found: tuple(self.one_of(Right, one, "rights") for one in self._list(found, "rights")),
        )

    def authority(self, inherited: Authority | None) -> Authority:
        """Return the authority with the address of its web site."""
        if inherited is not None and not self.has("authority"):
            return inherited
        part = self.part("authority")
        url = part.text("url", None)
        if not url.startswith(_HTTPS) or " " in url:
            raise self.problem(f"authority.url {url[:40]!r}", "an address that begins with https://", "correct it")
        return Authority(part.texts("name", None), url)

    def minors(self, inherited: Minors | None) -> Minors:
        """Return the rule about minors."""
        if inherited is not None and not self.has("minors"):
            return inherited
        part = self.part("minors")
        age = part.number("consent_age", MAX_AGE)
        guardian = part.one_of(Guardian, part.text("guardian", None), "guardian")
        return Minors(age, guardian, part.text("source", None))

    def public_policy(self, inherited: PublicPolicy | None) -> PublicPolicy:
        """Return whether the policy must be public."""
        if inherited is not None and not self.has("public_policy"):
            return inherited
        part = self.part("public_policy")
        required = part.pop("required")
        if not isinstance(required, bool):
            raise self.problem(_kind_of(required), "true or false in public_policy.required", "write one of the two")
        return PublicPolicy(required, part.text("article", None))

    def gates(self, inherited: tuple[Gate, ...] | None) -> tuple[Gate, ...]:
        """Return the gates, possibly none."""
        return self._take(
            "gates", inherited, lambda found: tuple(self._gate(one) for one in self._list(found, "gates"))
        )

    def custodies(self, inherited: Mapping[Custody, str] | None) -> Mapping[Custody, str]:
        """Return the forbidden custodies with their articles, possibly none."""
        if inherited is not None and not self.has("forbidden_custodies"):
            return inherited
        part = self.part("forbidden_custodies", {})
        found = {self.one_of(Custody, one, "forbidden_custodies"): part.text(one, None) for one in part.names}
        return MappingProxyType(found)

    def checked(self) -> tuple[Source, ...]:
        """Return what was checked; at least one source with its day."""
        found = self._take(
            "checked", None, lambda given: tuple(self._source(one) for one in self._list(given, "checked"))
        )
        if not found:
            raise self.problem(
                "no source in checked", "at least one source with its day", "write what was read, and when"
            )
        return found

    def _gate(self, found: object) -> Gate:
        part = self._inner(found, "gates")
        kind = part.one_of(GateKind, part.text("kind", None), "kind")
        return Gate(
            kind, part.number("days_before", MAX_DAYS), part.text("article", None), part.texts("question", None)
        )

    def _source(self, found: object) -> Source:
        part = self._inner(found, "checked")
        day = part.pop("checked_on")
        if not isinstance(day, date) or isinstance(day, datetime):
            raise self.problem(
                _kind_of(day), "a day in checked.checked_on, such as 2026-11-30", "write it without quotes"
            )
        return Source(part.text("where", None), day, part.text("what", None))

    def _take(self, name: str, inherited: _Value | None, read: Callable[[object], _Value]) -> _Value:
        found = self.pop(name)
        if found is not None:
            return read(found)
        if inherited is None:
            raise self._missing(name)
        return inherited

    def _missing(self, name: str) -> InputError:
        wanted = "a value"
        if name in LANGUAGES:
            wanted = f"a text in each of {', '.join(LANGUAGES)}"
        elif name in CLOCK_NAMES:
            wanted = "a number of days with its article or reason"
        return self.problem(f"no {self._name(name)}", wanted, "add it, or name a profile in based_on that has it")

    def _inner(self, found: object, name: str) -> "ProfileTable":
        if not isinstance(found, dict):
            raise self.problem(
                f"{_kind_of(found)} in {self._name(name)}", "a table", "write it as docs/jurisdictions.md does"
            )
        part = ProfileTable(cast("dict[str, object]", found), self.code, self._name(name))
        self._parts.append(part)
        return part

    def _list(self, found: object, name: str) -> list[object]:
        if not isinstance(found, list):
            raise self.problem(f"{_kind_of(found)} in {self._name(name)}", "a list", "write it in square brackets")
        return cast("list[object]", found)

    def _text(self, found: object, name: str) -> str:
        if not isinstance(found, str):
            raise self.problem(f"{_kind_of(found)} in {self._name(name)}", "a text", "write it in quotes")
        try:
            return parse_text(" ".join(found.split()), "a text", _MAX_TEXT)
        except InputError as error:
            raise self.problem(f"a text in {self._name(name)} that cannot be used", str(error), "correct it") from None

    def part(self, name: str, default: object = None) -> "ProfileTable":
        """Return a table inside this one."""
        found = self._values.pop(name, default)
        if found is None:
            raise self._missing(name)
        return self._inner(found, name)

    def number(self, name: str, most: int) -> int:
        """Return a whole number from 0 to `most`."""
        found = self.pop(name)
        if found is None:
            raise self._missing(name)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= most:
            got = str(found)[:20] if isinstance(found, int) else _kind_of(found)
            raise self.problem(f"{got} in {self._name(name)}", f"a whole number from 0 to {most}", "correct it")
        return found

    def one_of(self, known: type[_Kind], found: object, name: str) -> _Kind:
        """Return one of a few known words."""
        try:
            return known(cast("str", found))
        except ValueError:
            got = repr(found[:40]) if isinstance(found, str) else _kind_of(found)
            raise self.problem(f"{got} in {self._name(name)}", f"one of {', '.join(known)}", "correct it") from None

    def _name(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _kind_of(found: object) -> str:
    kinds = {dict: "a table", list: "a list", bool: "true or false", int: "a number", float: "a number", str: "a text"}
    return "nothing" if found is None else kinds.get(type(found), "a date or time")
