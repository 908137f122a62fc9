"""Settings files: what is read, what wins, and what is refused with which words."""

from pathlib import Path

import msgspec
import pytest

from m4i_fast.config import convert, merge, parse_assignment, read_toml, write_toml
from m4i_fast.errors import ConfigError


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    batch: int = 32


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    out: str
    query: Query = Query()


def test_later_values_win_and_none_changes_nothing() -> None:
    merged = merge({"out": "a", "query": {"batch": 1, "threads": 2}}, {"query": {"batch": 3}}, {"out": None})
    assert merged == {"out": "a", "query": {"batch": 3, "threads": 2}}


def test_merging_leaves_its_inputs_alone() -> None:
    base = {"query": {"batch": 1}}
    merge(base, {"query": {"batch": 2}})
    assert base == {"query": {"batch": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("query.batch=16", {"query": {"batch": 16}}),
        ("title='a b'", {"title": "a b"}),
        ("split.kind=iid", {"split": {"kind": "iid"}}),
        ("attack.names=['both']", {"attack": {"names": ["both"]}}),
        ("flag=true", {"flag": True}),
        ("path=a=b", {"path": "a=b"}),
    ],
)
def test_an_assignment_is_toml_or_a_bare_word(text: str, expected: dict[str, object]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["", "batch", "=3"])
def test_an_assignment_without_key_or_sign_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_assignment(text)


def test_values_become_structs() -> None:
    assert convert({"out": "x", "query": {"batch": 4}}, Audit, where="a.toml") == Audit("x", Query(4))


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match=r"a\.toml: .*unknown field `bacth`.*query.*did you mean 'batch'\? All keys"):
        convert({"out": "x", "query": {"bacth": 4}}, Audit, where="a.toml")


def test_a_missing_key_and_a_wrong_type_are_named() -> None:
    with pytest.raises(ConfigError, match="missing the required field `out`"):
        convert({}, Audit, where="a.toml")
    with pytest.raises(ConfigError, match=r"Expected `int`, got `str` - at `query\.batch`"):
        convert({"out": "x", "query": {"batch": "4"}}, Audit, where="a.toml")


def test_malformed_toml_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    path.write_text('out = "x"\nseed = = 1\n')
    with pytest.raises(ConfigError, match=r"audit\.toml:2:8: not valid TOML"):
        read_toml(path)


def test_a_missing_file_and_wrong_bytes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such settings file"):
        read_toml(tmp_path / "absent.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'out = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_toml(path)


def test_what_is_written_is_read_back_without_none(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    write_toml(path, {"out": "x", "data": None, "query": {"batch": 3, "names": ("a", "b")}})
    assert read_toml(path) == {"out": "x", "query": {"batch": 3, "names": ["a", "b"]}}
