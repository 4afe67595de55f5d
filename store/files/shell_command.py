"""Commands to copy: every command that Volens prints for a person to run is quoted here for a POSIX shell."""

import shlex

from volens.consent.plain_text import escaped


def shell_command(*words: object) -> str:
    """Return a command line of these words, quoted where a shell needs it, on one line."""
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    shown = escaped(word)
    if shown == word:
        return shlex.quote(word)
    # A control character in quotes would still reach the terminal; $'...' is of POSIX.1-2024, bash, zsh and ksh.
    body = escaped(word.replace("\\", "\\\\").replace("'", "\\'"))
    return f"$'{body}'"
