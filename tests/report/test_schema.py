import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from m4i_fast.errors import DataError, RunFailed
from m4i_fast.report import schema
from m4i_fast.report.schema import Interval, Judged, Provenance, from_json, json_schema, result_from, to_json
from m4i_fast.types import AttackResult, Estimate, Verdict

Make = Callable[..., Any]
PAGE = Path(__file__).parents[2] / "docs" / "result-schema.md"


def test_a_result_survives_the_round_trip_and_equal_results_give_equal_text(result_of: Make) -> None:
    result = result_of()
    assert from_json(to_json(result)) == result
    assert to_json(from_json(to_json(result))) == to_json(result)


def test_the_text_is_what_other_programs_are_promised(result_of: Make) -> None:
    plain = json.loads(to_json(result_of()))
    assert next(iter(plain)) == "schema_version"
    assert plain["schema_version"] == 1
    assert plain["tool"]["name"] == "m4i-fast"
    assert plain["verdict"] == {"kind": "leak", "reasons": ["Because."]}
    assert list(plain["attacks"]) == ["both", "fb_mlp"]
    assert plain["attacks"]["both"]["auc"] == {"value": 0.9, "low": 0.88, "high": 0.92}
    assert plain["attacks"]["both"]["tpr_at_fpr"]["0.001"] is None
    assert plain["attacks"]["both"]["notes"] == ["No figure at 0.1 %"]
    assert plain["unread"][1] == {"id": "x2", "reason": "<script>alert(1)</script>"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain["verdict"].update(kind="maybe"), "$.verdict.kind"),
        (lambda plain: plain["attacks"]["both"]["auc"].pop("low"), "$.attacks"),
        (lambda plain: plain["attacks"]["both"]["tpr_at_fpr"].pop("0.01"), "lacks 0.01"),
        (lambda plain: plain["attacks"]["both"]["tpr_at_fpr"].update({"0.5": None}), "0.5"),
        (lambda plain: plain["counts"].update(records="many"), "$.counts"),
        (lambda plain: plain.update(extra=1), "extra"),
        (lambda plain: plain.update(schema_version=2), "schema version 2"),
        (lambda plain: plain.pop("schema_version"), "schema_version"),
        (lambda plain: plain["comparisons"].update(both={"value": 0.1, "low": 0.3, "high": 0.2}), "low lies above"),
    ],
)
def test_a_file_that_breaks_the_promise_is_refused_with_its_place(
    change: Callable[[dict[str, Any]], Any], said: str, result_of: Make
) -> None:
    plain = json.loads(to_json(result_of()))
    change(plain)
    with pytest.raises(DataError) as caught:
        from_json(json.dumps(plain), "some/result.json")
    assert said in str(caught.value)
    assert str(caught.value).startswith("some/result.json: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe", '{"schema_version": 1, "tool": '])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(DataError):
        from_json(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        schema.read_result(tmp_path / "result.json")


def test_writing_leaves_one_whole_file(tmp_path: Path, result_of: Make) -> None:
    schema.write_result(tmp_path / "result.json", result_of())
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert schema.read_result(tmp_path / "result.json") == result_of()


def test_numbers_that_json_cannot_hold_are_refused(result_of: Make, judged: Make) -> None:
    for bad in (float("nan"), float("inf")):
        with pytest.raises(RunFailed, match="both"):
            _result(judged, Estimate(bad, 0.1, 0.2))
        loose = msgspec.structs.replace(result_of(), settings={"a": [1.0, bad]})
        with pytest.raises(RunFailed, match=r"\$\.settings\.a\[1\]"):
            to_json(loose)


def test_an_unknown_verdict_is_refused() -> None:
    with pytest.raises(RunFailed, match="kind"):
        result_from([], [], Verdict("fine", ()), comparisons={}, counts={}, recipes={}, provenance=Provenance(seed=1))


def test_a_rate_that_the_evaluation_left_out_is_null_in_the_file(judged: Make) -> None:
    result = _result(judged, Estimate(0.5, 0.4, 0.6))
    assert result.attacks["both"].tpr_at_fpr == {"0.1": None, "0.01": None, "0.001": None}
    assert result.attacks["both"].balanced_accuracy is None


def test_the_json_schema_names_the_fields() -> None:
    text = json.dumps(json_schema())
    assert all(f'"{name}"' in text for name in ("tpr_at_fpr", "no_evidence", "wall_s"))


def test_the_page_names_every_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    structs = [each for each in vars(schema).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    named = {part for code in re.findall(r"`([^`\n]+)`", page) for part in re.findall(r"\w+", code)}
    fields = {field for each in structs for field in each.__struct_fields__}
    assert {"schema_version", "balanced_accuracy", "wall_s", "reason"} <= fields
    assert fields - named == set()


def test_the_example_on_the_page_is_a_result() -> None:
    page = PAGE.read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert from_json(example[1]).attacks["mb_threshold"].auc == Interval(0.934, 0.921, 0.946)


def test_reading_a_verdict_needs_no_heavy_package() -> None:
    code = (
        "import sys, m4i_fast.report.schema\n"
        "heavy = {'numpy', 'pyarrow', 'matplotlib', 'PIL', 'jinja2', 'torch', 'onnxruntime', 'sklearn', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_interval_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="low lies above high"):
        Interval(0.5, 0.6, 0.4)
    with pytest.raises(ValueError, match="null, not absent"):
        Judged(Interval(0.5, 0.4, 0.6), None, {"0.1": None})


def _result(judged: Make, auc: Estimate) -> schema.Result:
    attack = AttackResult("both", auc, None, {})
    return result_from(
        [attack],
        [judged("text", 0.5)],
        Verdict("leak", ("Because.",)),
        comparisons={},
        counts={},
        recipes={},
        provenance=Provenance(seed=1),
    )
