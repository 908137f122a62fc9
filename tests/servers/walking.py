"""``m4i-fast query`` against the real servers, and what it left in the run."""

from __future__ import annotations

import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from m4i_fast.query.ledger import NAME
from m4i_fast.query.parts import FOLDER
from m4i_fast.tables import read_generations
from tests.servers.environments import Server

_PAGE = (Path(__file__).parents[2] / "docs/servers.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"<!-- servers: ([a-z0-9 ]+) -->\n```bash\n(.*?)```", _PAGE, re.DOTALL)

WAYS = [(server, protocol) for server in ("triton_server", "mlserver_server") for protocol in ("kserve", "kserve-grpc")]
"""Fixture of the server, and protocol."""


def shown(name: str) -> list[str]:
    """The commands that docs/servers.md shows for a server."""
    return [line for names, text in _BLOCKS if name in names.split() for line in text.splitlines()]


def words(line: str, server: Server) -> list[str]:
    """A command of the page as the words after ``m4i-fast``."""
    command, *found = shlex.split(line.replace("$URL", server.url).replace("$GRPC", f"http://{server.grpc}"))
    assert command == "m4i-fast"
    return [*found, "--json"]


def query(data: Path, server: Server, protocol: str, out: Path, *more: object) -> list[object]:
    """The words of the command. No answer of another run is used."""
    url = server.url if protocol != "kserve-grpc" else f"http://{server.grpc}"
    return [
        *("query", data, "--endpoint", url, "--protocol", protocol, "--private", "--no-cache"),
        *("--out", out, "--json", *more),
    ]


def answers(run: Path) -> list[tuple[str, str, str | None]]:
    """Id, text and reason of each row, in order."""
    found = read_generations(sorted((run / FOLDER).iterdir()))
    return list(zip(found.ids, found.texts, found.errors, strict=True))


def ledger(run: Path, statement: str) -> list[Any]:
    """Rows of the run's ledger; none while there is no ledger yet."""
    path = run / NAME
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        try:
            return database.execute(statement).fetchall()
        except sqlite3.OperationalError:  # its tables are being made
            return []
