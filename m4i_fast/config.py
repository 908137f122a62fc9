"""Settings files: TOML in, frozen structs out; flags win; the merged settings are written beside the output."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from m4i_fast.errors import ConfigError
from m4i_fast.runs import atomic_path

__all__ = ["convert", "merge", "parse_assignment", "read_toml", "write_toml"]

Settings = TypeVar("Settings")
_KEYS = "All keys and their meaning: docs/audit.md."


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file as plain values.

    Raises:
        ConfigError: it is missing, not UTF-8 or not TOML; says line and column.
    """
    if not path.is_file():
        raise ConfigError("no such settings file", where=path, cure="See docs/audit.md for an example to copy.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError("not UTF-8 text", where=path, cure="Save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = re.search(r"\(at line (\d+), column (\d+)\)", message)
        where = f"{path}:{place[1]}:{place[2]}" if place else str(path)
        raise ConfigError(
            f"not valid TOML: {message.split(' (at ', maxsplit=1)[0]}",
            where=where,
            cure="See https://toml.io for its rules.",
        ) from error


def convert(values: Mapping[str, Any], kind: type[Settings], *, where: object) -> Settings:
    """Check plain values against a settings struct (msgspec).

    Raises:
        ConfigError: a key is unknown (names the nearest known one), missing, or of the wrong type or range.
    """
    import msgspec

    try:
        return msgspec.convert(dict(values), kind)
    except msgspec.ValidationError as error:
        message = str(error).replace("$.", "").replace("`$`", "the top level")
        message = message.replace("Object contains", "there is an").replace("Object missing", "missing the")
        raise ConfigError(f"{message}{_nearest(message, kind)}", where=where, cure=_KEYS) from error


def merge(base: Mapping[str, Any], *overrides: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the later values on top, table by table; None means 'not given' and changes nothing."""
    merged = dict(base)
    for override in overrides:
        for key, value in override.items():
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
                merged[key] = merge(merged[key], value)
            elif isinstance(value, Mapping):
                merged[key] = merge({}, value)
            elif value is not None:
                merged[key] = value
    return merged


def parse_assignment(text: str) -> dict[str, Any]:
    """``query.batch=16`` as nested tables; the value is TOML, or a bare word taken as a string.

    Raises:
        ConfigError: there is no ``=`` or no key.
    """
    key, found, value = text.partition("=")
    if not found or not key.strip():
        raise ConfigError("expected KEY=VALUE", where=f"--set {text}", cure="For example: --set query.batch=16")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def write_toml(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values; None is left out, since TOML has no such value."""
    import tomli_w

    with atomic_path(path) as temporary:
        temporary.write_text(tomli_w.dumps(_without_none(values)), encoding="utf-8")


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_none(each) for each in value]
    return value


def _nearest(message: str, kind: type[Any]) -> str:
    unknown = re.search(r"unknown field `([^`]+)`", message)
    if not unknown:
        return ""
    near = difflib.get_close_matches(unknown[1], sorted(_field_names(kind)), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _field_names(kind: Any) -> set[str]:
    import typing

    import msgspec

    names: set[str] = set()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            names |= {field.encode_name} | _field_names(field.type)
    for inner in typing.get_args(kind):
        names |= _field_names(inner)
    return names
