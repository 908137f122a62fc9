"""Every error that the tool raises on purpose.

M4IError
├── UserError            exit code 2: the user can mend it
│   ├── DataError        a file, record, caption or image list is not what it must be
│   ├── ConfigError      a setting is unknown, missing or out of range
│   ├── EngineError      an engine file cannot be used as asked
│   ├── EndpointError    a deployed model cannot be asked: key, address, certificate, protocol, model
│   ├── ExtraMissing     an optional package is not installed
│   ├── BudgetSpent      what may be spent on an endpoint does not suffice
│   ├── RunError         a run folder is in use, incomplete or of another run
│   └── AuditError       the sets or scores do not allow the audit that was asked for
└── RunFailed            exit code 1: the machine or a model failed on the way

Each says what happened, where, and the cure.
"""

from __future__ import annotations

__all__ = [
    "AuditError",
    "BudgetSpent",
    "ConfigError",
    "DataError",
    "EndpointError",
    "EngineError",
    "ExtraMissing",
    "M4IError",
    "RunError",
    "RunFailed",
    "UserError",
]


class M4IError(Exception):
    """The root: ``what`` happened, ``where`` (a file, line, record, option) and the ``cure``.

    Args:
        what: one sentence, no full stop needed.
        where: path, ``path:line:column``, record id or option; printed first.
        cure: what the user can do, one sentence or a command line.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, cure: str | None = None) -> None:
        self.what = what.rstrip(".")
        self.where = None if where is None else str(where)
        self.cure = cure
        place = f"{self.where}: " if self.where else ""
        remedy = f" {cure}" if cure else ""
        stop = "" if self.what.endswith("?") else "."
        super().__init__(f"{place}{self.what}{stop}{remedy}")


class UserError(M4IError):
    """Something the user can mend."""

    exit_code = 2


class DataError(UserError):
    """A file, record, caption or image list is not what it must be."""


class ConfigError(UserError):
    """A setting is unknown, missing or out of range."""


class EngineError(UserError):
    """An engine file cannot be used as asked."""


class EndpointError(UserError):
    """A deployed model cannot be asked: its key, address, certificate, protocol or name is not what it must be."""


class ExtraMissing(UserError):  # noqa: N818 - reads as what it is
    """An optional package is not installed."""


class BudgetSpent(UserError):  # noqa: N818 - reads as what it is
    """What may be spent on an endpoint does not suffice for all records."""


class RunError(UserError):
    """A run folder is in use, incomplete or belongs to another run."""


class AuditError(UserError):
    """The sets or scores do not allow the audit that was asked for."""


class RunFailed(M4IError):  # noqa: N818 - reads as what it is
    """The machine or a model failed on the way."""
