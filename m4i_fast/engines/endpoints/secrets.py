"""A key that can be sent and cannot be seen."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from pathlib import Path
from typing import NoReturn, final
from urllib.parse import quote

from m4i_fast.errors import ConfigError
from m4i_fast.progress import say

__all__ = ["Secret"]

LONGEST = 16_384
"""Characters; tokens of service accounts reach some 4,000."""

SHORTEST_SCRUBBED = 6
"""A shorter key would blot out ordinary words of an error text."""

HIDDEN = "[key]"


@final
class Secret:
    """An endpoint's key.

    ``repr``, ``str`` and formatting show ``[key]``; pickling and copying are refused: another process reads it from
    where this one did.

    Raises:
        ConfigError: it is empty, too long, or holds a blank or a character that no header can carry. Never says it.
    """

    __slots__ = ("_forms", "_value")

    def __init__(self, value: str, *, where: str = "key") -> None:
        value = value.strip()
        if not value or len(value) > LONGEST:
            what = "is empty" if not value else f"is longer than {LONGEST} characters"
            raise ConfigError(f"the key {what}", where=where, cure="Put the key there, and nothing else.")
        if not all("!" <= character <= "~" for character in value):
            raise ConfigError(
                "the key holds a blank or a character outside ASCII",
                where=where,
                cure="Put one key there, on one line.",
            )
        self._value = value
        self._forms = _forms(value)

    @classmethod
    def from_environment(cls, name: str) -> Secret:
        """The key in the environment variable ``name``.

        Raises:
            ConfigError: it is not set. The name is shown only where it looks like one: it may be the key itself.
        """
        shown = name if re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name) else None
        value = os.environ.get(name) if name and "\0" not in name and "=" not in name else None
        if value is None:
            raise ConfigError(
                "this environment variable is not set" if shown else "no environment variable has this name",
                where=shown or "key",
                cure="Give the variable's name, not the key; set it with: read -rs NAME && export NAME",
            )
        return cls(value, where=shown or "key")

    @classmethod
    def from_file(cls, path: Path | str) -> Secret:
        """The key that is all that stands in a file; blanks and ends of lines around it are ignored.

        Raises:
            ConfigError: it cannot be read, is no regular file, or holds no key. The path is shown only where it is one.
        """
        name = os.fspath(path)
        shown = name if "/" in name or os.sep in name or Path(name).exists() else "key"
        try:
            # Neither a FIFO nor a device may make this wait.
            handle = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(handle, "rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(LONGEST + 1024) if stat.S_ISREG(mode) else None
        except (OSError, ValueError):
            content = None
        if content is None:
            raise ConfigError("no file with a key can be read here", where=shown, cure="Give the path of a text file.")
        if os.name == "posix" and mode & 0o077:
            say(f"{shown}: others can read this key. Run: chmod 600 {shown}")
        return cls(content.decode("utf-8", "replace"), where=shown)

    def reveal(self) -> str:
        """The key itself: for the header that carries it, and for nothing else."""
        return self._value

    def scrub(self, text: str) -> str:
        """``text`` with the key, plain or in another spelling (quoted, base64), taken out."""
        if len(self._value) >= SHORTEST_SCRUBBED or text == self._value:
            for form in self._forms:
                if form in text:
                    text = text.replace(form, HIDDEN)
        return text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a key is neither copied nor pickled: read it where it is needed")


def _forms(value: str) -> tuple[str, ...]:
    """Spellings under which a server may echo it, the longest first."""
    encoded = base64.b64encode(value.encode()).decode()
    forms = {value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1], encoded, encoded.rstrip("=")}
    return tuple(sorted(forms, key=len, reverse=True))
