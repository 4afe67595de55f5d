"""`volens jurisdictions`: what the law of a place wants of a consent: shipped profiles, and the site's own."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from volens import Site
from volens.consent import InputError
from volens.consent.law import CLOCK_NAMES, LANGUAGES, JurisdictionProfile, ProfileCatalogue, Texts
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import read_file
from volens.service.cli.output import counted, facts, table

app = Commands("jurisdictions", "Show and add what the law of a place wants of a consent. No legal advice.")

_COLUMNS: Final = (
    "code",
    "place",
    "term",
    "unused",
    "after purpose",
    "evidence",
    "log",
    "alone from",
    "before",
    "read on",
)
_Code = Annotated[str, typer.Argument(help="ISO 3166, such as FR or US-IL.", show_default=False)]
_File = Annotated[Path, typer.Argument(help="The profile's file (TOML).", show_default=False)]
_Language = Annotated[str, typer.Option(help="Language of the texts: en, fr or de.")]


@app.command("list", "\n--markdown")
def list_(
    site: Site,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown, for a document.")] = False,
) -> Output:
    """List the profiles, with their periods in days: how long a person can sign for, and what is kept afterwards."""
    catalogue = site.jurisdictions.catalogue()
    documents = [_document(one, catalogue) for one in catalogue.profiles]
    if markdown:
        return documents, markdown_table(catalogue)
    return documents, table(_COLUMNS, _rows(catalogue))


@app.command("show", "US-IL\nFR --language fr")
def show(site: Site, code: _Code, language: _Language = "en") -> Output:
    """Show one profile: what people sign, periods with their articles, and what was checked on which day."""
    if language not in LANGUAGES:
        raise InputError(f"got language {language[:20]!r}; expected one of {', '.join(LANGUAGES)}")
    catalogue = site.jurisdictions.catalogue()
    profile = catalogue.get(code)
    return _document(profile, catalogue), facts(_described(profile, catalogue, language))


@app.command("check", "ours.toml")
def check(file: _File) -> Output:
    """Check the file of a profile, without adding it. No site is needed."""
    profile = ProfileCatalogue.parse(read_file(file, "profile"))
    text = f"valid: {profile.code}, {profile.names['en']}; next: volens jurisdictions add"
    return {"valid": True, **_document(profile, ProfileCatalogue([profile]))}, text


@app.command("add", "ours.toml")
def add(site: Site, file: _File) -> Output:
    """Add a profile, or replace the site's own of the same code. People who sign from now on sign by it."""
    profile = site.jurisdictions.add(read_file(file, "profile"))
    closed, catalogue = site.jurisdictions.closed_zones(profile), site.jurisdictions.catalogue()
    text = f"added the profile of {profile.code}, {profile.names['en']}"
    if closed:
        text += f"\nits law forbids the custody of {counted(len(closed), 'zone')}: {', '.join(closed)}"
    return {**_document(profile, catalogue), "closed_zones": closed}, text


@app.command("remove", "CH")
def remove(site: Site, code: _Code) -> Output:
    """Remove a profile that the site added. A shipped one of the same code counts again."""
    gone = site.jurisdictions.remove(code)
    found = site.jurisdictions.catalogue().find(gone.code)
    then = f"the profile of {found.code} counts for it now" if found else "people of this law can no longer be asked"
    return {"code": gone.code, "profile_now": found and found.code}, f"removed the profile of {gone.code}; {then}"


def markdown_table(catalogue: ProfileCatalogue) -> str:
    """Return the profiles as a table in Markdown; docs/jurisdictions.md has that of the shipped ones."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *_rows(catalogue)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _rows(catalogue: ProfileCatalogue) -> Iterable[tuple[str, ...]]:
    for one in catalogue.profiles:
        clocks = one.clocks
        periods = (clocks.max_term_days, clocks.inactive_after_days, clocks.after_purpose_days)
        kept = (clocks.evidence_days, clocks.log_openings_days)
        gates = [f"{gate.kind.value} {gate.days_before}" if gate.days_before else gate.kind.value for gate in one.gates]
        yield (
            *(f"{one.code} (own)" if catalogue.is_own(one.code) else one.code, one.names["en"]),
            *(str(days) for days in (*periods, *kept)),
            *(str(one.minors.consent_age), ", ".join(gates) or "-"),
            max(source.checked_on for source in one.checked).isoformat(),
        )


def _described(profile: JurisdictionProfile, catalogue: ProfileCatalogue, language: str) -> list[tuple[str, str]]:
    """Return what a person reads about a profile, as rows of a name and a text."""
    values = {one: f"<{one}>" for one in ("controller", "zone", "purpose")}
    release = profile.release_text(language, **values, days=profile.clocks.max_term_days)
    return [
        ("jurisdiction", f"{profile.names[language]} ({profile.code})"),
        ("from", _origin(profile, catalogue)),
        *([("also for", " ".join(profile.members))] if profile.members else []),
        ("law", profile.law),
        ("basis", profile.lawful_basis),
        ("people sign", release),
        *((name.removesuffix("_days").replace("_", " "), _period(profile, name)) for name in CLOCK_NAMES),
        *((f"right: {one.value}", one.command) for one in profile.rights),
        ("authority", f"{profile.authority.name[language]}, {profile.authority.url}"),
        ("alone from", f"{profile.minors.consent_age} years; below: {profile.minors.guardian.value} of a guardian"),
        ("", profile.minors.source),
        ("public policy", f"{'required' if profile.public_policy.required else 'no'}: {profile.public_policy.article}"),
        *((f"before: {one.kind.value}", f"{one.question[language]} ({one.article})") for one in profile.gates),
        *((f"forbidden: {one.value}", article) for one, article in profile.forbidden_custodies.items()),
        *(("keep", one) for one in profile.evidence),
        *((f"read {one.checked_on}", f"{one.what}: {one.where}") for one in profile.checked),
        *(("not checked", one) for one in profile.not_checked),
        ("", "This is no legal advice."),
    ]


def _period(profile: JurisdictionProfile, name: str) -> str:
    return f"{counted(profile.clocks.days(name), 'day')}; {profile.clocks.reasons[name]}"


def _origin(profile: JurisdictionProfile, catalogue: ProfileCatalogue) -> str:
    origin = "added by this site" if catalogue.is_own(profile.code) else "shipped with Volens"
    return origin if profile.based_on is None else f"{origin}, based on {profile.based_on}"


def _document(profile: JurisdictionProfile, catalogue: ProfileCatalogue) -> dict[str, Any]:
    return {
        "code": profile.code,
        "own": catalogue.is_own(profile.code),
        "based_on": profile.based_on,
        "members": profile.members,
        "names": _texts(profile.names),
        "law": profile.law,
        "lawful_basis": profile.lawful_basis,
        "legal_basis_terms": profile.legal_basis_terms,
        "release": _texts(profile.release),
        "clocks": {
            name: {"days": profile.clocks.days(name), "reason": profile.clocks.reasons[name]} for name in CLOCK_NAMES
        },
        "rights": [{"right": one.value, "command": one.command} for one in profile.rights],
        "authority": {"name": _texts(profile.authority.name), "url": profile.authority.url},
        "minors": {
            "consent_age": profile.minors.consent_age,
            "guardian": profile.minors.guardian.value,
            "source": profile.minors.source,
        },
        "public_policy": {"required": profile.public_policy.required, "article": profile.public_policy.article},
        "gates": [
            {
                "kind": one.kind.value,
                "days_before": one.days_before,
                "article": one.article,
                "question": _texts(one.question),
            }
            for one in profile.gates
        ],
        "forbidden_custodies": {one.value: article for one, article in profile.forbidden_custodies.items()},
        "evidence": profile.evidence,
        "checked": [
            {"where": one.where, "checked_on": one.checked_on.isoformat(), "what": one.what} for one in profile.checked
        ],
        "not_checked": profile.not_checked,
    }


def _texts(texts: Texts) -> dict[str, str]:
    return {language: texts[language] for language in LANGUAGES}
