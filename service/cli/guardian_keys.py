"""The key of a guardian who signs beside a person under age: their own, or one that is made at the desk for them."""

import os
from pathlib import Path
from typing import Annotated, Self, TypeAlias, final

import typer

from volens.consent import InputError, SubjectKey
from volens.consent.age_statement import AgeAnswer
from volens.service.cli.named_files import must_be_new, read_file, write_private

OfAgeOption: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--of-age/--minor",
        help="Whether the person says that they are as old as their law asks. Only this answer is kept, in the "
        "receipt. Without it the person was not asked.",
        show_default=False,
    ),
]
GuardianKeyOption: TypeAlias = Annotated[
    Path | None, typer.Option(help="With --minor: the guardian's own key; they sign too.", show_default=False)
]
GuardianNewKeyOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Or make a key for the guardian, and write it to this file (0600).", show_default=False),
]


@final
class GuardianKey:
    """The key with which the guardian signs; a new one is in its file while the consent is recorded, and stays."""

    def __init__(self, key: SubjectKey | None, new_file: Path | None) -> None:
        self.key = key
        self._new_file = new_file

    @classmethod
    def of(cls, own: Path | None, new: Path | None, others: set[Path]) -> Self:
        """Read the guardian's own key, or make one.

        Raises:
            InputError: both are given, the new file exists, or one of the `others` has its name.
        """
        if own is not None and new is not None:
            raise InputError("got both --guardian-key and --guardian-new-key; pass one of them")
        if own is not None:
            return cls(SubjectKey.from_pem(read_file(own, "guardian's key")), None)
        must_be_new(new, "guardian's key")
        if new is None:
            return cls(None, None)
        if new.absolute() in {path.absolute() for path in others}:
            raise InputError(f"got {new} for the guardian's key and for another file; choose two names")
        return cls(SubjectKey.from_seed(os.urandom(32)), new)

    def answer(self, of_age: bool | None) -> AgeAnswer | None:
        """Return what the person answered; None if they were not asked.

        Raises:
            InputError: there is a guardian, and the person was not asked.
        """
        if of_age is not None:
            return AgeAnswer.at_desk(of_age=of_age, guardian=self.key)
        if self.key is not None:
            raise InputError("got a guardian, and no answer about the age; pass --minor too")
        return None

    def write(self) -> None:
        """Write a new key to its file."""
        if self._new_file is not None and self.key is not None:
            write_private(self._new_file, self.key.to_pem())

    def remove(self) -> None:
        """Remove a new key that has signed nothing."""
        if self._new_file is not None:
            self._new_file.unlink(missing_ok=True)
