"""``m4i-fast score``: every kind of file, both ways of joining, every mistake, and nothing half-written."""

import csv
import errno
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m4i_fast import overlap, overlaps
from m4i_fast.data.pairs import join
from tests.cli.conftest import Done, m4i, m4i_command

METRICS = ["rouge_1", "rouge_2", "rouge_l", "bleu_1", "bleu_2", "bleu_3", "bleu_4"]
SAID = ["a dog runs", "", "two cats sit on a mat", "Ein Ha\u0308us\u2028chen \U0001f600"]
WANTED = ["a dog runs fast", "a bird", "two cats on the mat", "ein Häus\u2028chen"]
OTHERS = ["the dog", "", "cats\ton mats", "a house"]

Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def lines(texts: list[str], end: str = "\n") -> str:
    return "".join(text + end for text in texts)


def rows_of(path: Path) -> tuple[list[str], Any, list[str | None]]:
    table = pq.read_table(path, partitioning=None)
    names = table.column_names[1:-1]
    values = np.column_stack([table[name].to_numpy() for name in names])
    return table["id"].to_pylist(), values, table["error"].to_pylist()


def refused(done: Done, *said: str) -> None:
    assert done.code == 2, (done.out, done.err)
    assert done.err.startswith("error: "), done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    for each in said:
        assert each in done.err, done.err


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


HYPS = [{"id": str(index), "caption": text} for index, text in enumerate(SAID)]
REFS = [
    {"id": str(index), "references": [one, two]} for index, (one, two) in enumerate(zip(WANTED, OTHERS, strict=True))
]


# --- plain text


def test_lines_give_what_the_python_function_gives(put: Put, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    done = m4i(
        "score", put("h.txt", lines(SAID)), put("a.txt", lines(WANTED)), put("b.txt", lines(OTHERS)), "--out", out
    )
    assert done.code == 0, done.err
    expected = overlap(SAID, list(map(list, zip(WANTED, OTHERS, strict=True))))
    ids, values, errors = rows_of(out)
    assert ids == ["1", "2", "3", "4"]
    assert np.array_equal(values, expected.values)
    assert errors == [None] * 4
    table = pq.read_table(out)
    assert table.column_names == ["id", *METRICS, "error"]
    assert table.schema.metadata[b"recipe"].decode() == expected.recipe
    assert expected.recipe in done.out


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: gzip.compress(text.encode()),
    ],
    ids=["no last line feed", "carriage returns", "byte order mark", "gzip"],
)
def test_how_a_text_is_stored_does_not_show(change: Callable[[str], str | bytes], put: Put, tmp_path: Path) -> None:
    # A recipe that keeps every character, so that one too many would show.
    out, recipe = tmp_path / "scores.parquet", "coco/coco-space"
    asked = ("--recipe", recipe, "--out", out, "-q")
    assert m4i("score", put("h", change(lines(SAID))), put("r.txt", lines(WANTED)), *asked).code == 0
    assert np.array_equal(rows_of(out)[1], overlap(SAID, [[text] for text in WANTED], recipe=recipe).values)


def test_blocks_and_chunks_do_not_show(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    said = [" ".join(chance.choices(["a", "dog", "é", "\u2028", ""], k=chance.randint(0, 9))) for _ in range(500)]
    wanted = said[1:] + said[:1]
    monkeypatch.setattr(join, "BLOCK", 7)
    monkeypatch.setattr("m4i_fast.data.pairs.sources.CHUNK", 13)
    out = tmp_path / "scores.parquet"
    found = m4i("score", put("h.txt", lines(said)), put("r.txt", lines(wanted)), "--out", out, "--json").json
    assert np.array_equal(rows_of(out)[1], overlap(said, [[text] for text in wanted]).values)
    assert (found["records"], found["scored"]) == (500, 500)


class Unreadable(io.BytesIO):
    def read(self, _: int | None = -1) -> bytes:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def test_standard_input(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "scores.parquet"
    refs = put("r.txt", lines(WANTED))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines(SAID).encode())))
    assert m4i("score", "-", refs, "--out", out, "-q").code == 0
    assert np.array_equal(rows_of(out)[1], overlap(SAID, [[text] for text in WANTED]).values)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(jsonl(HYPS).encode())))
    assert m4i("score", "-", put("r.jsonl", jsonl(REFS)), "--json").json["scored"] == 4
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines(SAID[:3]).encode())))
    refused(m4i("score", "-", refs, "-q"), "standard input: it ends after 3 lines", "r.txt goes on")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    refused(m4i("score", "-", refs, "-q"), "standard input: it is empty")
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it where the shell closed it: <&-
    refused(m4i("score", "-", refs, "-q"), "standard input: it is closed")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Unreadable()))
    refused(m4i("score", "-", refs, "-q"), "standard input: cannot be read (Is a directory)")
    refused(m4i("score", refs, "-", "-q"), "-: references are read from a file")


# --- by id


def _coco(rows: list[dict[str, Any]]) -> str:
    texts = [(int(row["id"]), text) for row in rows for text in row["references"]]
    notes = [{"id": 70 + index, "image_id": id_, "caption": text} for index, (id_, text) in enumerate(texts)]
    return json.dumps({"images": [], "annotations": notes[1:] + notes[:1]})


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def _csv(rows: list[dict[str, Any]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(rows[0])
    writer.writerows([json.dumps(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in rows)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("h.jsonl", jsonl(HYPS)),
        ("h.json", jsonl(HYPS)),
        ("h", "\ufeff" + jsonl(HYPS).replace("\n", "\r\n\n")),
        ("h.jsonl", jsonl([{"image_id": int(row["id"]), "hypothesis": row["caption"]} for row in HYPS])),
        ("h.json", json.dumps([{"image_id": int(row["id"]), "caption": row["caption"]} for row in HYPS], indent=1)),
        ("h.parquet", _parquet([{"id": row["id"], "text": row["caption"]} for row in HYPS])),
        ("h.csv", _csv(HYPS)),
        ("h.jsonl.gz", gzip.compress(jsonl(HYPS).encode())),
    ],
    ids=["jsonl", "lines in .json", "no suffix", "other names", "coco results", "parquet", "csv", "gzip"],
)
def test_each_kind_of_hypotheses(name: str, content: str | bytes, put: Put, tmp_path: Path) -> None:
    # An empty cell of a CSV is no text: that record is not scored.
    empty = name == "h.csv"
    out = tmp_path / "scores.parquet"
    done = m4i("score", put(name, content), put("r.jsonl", jsonl(REFS)), "--out", out, "-q")
    assert done.code == 0, done.err
    ids, values, errors = rows_of(out)
    expected = overlap(SAID, [row["references"] for row in REFS]).values.copy()
    if empty:
        expected[1] = np.nan
    assert ids == ["0", "1", "2", "3"]
    assert np.array_equal(values, expected, equal_nan=True)
    assert errors == [None, "no hypothesis" if empty else None, None, None]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.jsonl", jsonl(REFS)),
        ("r.jsonl", jsonl(REFS[2:] + REFS[:2])),
        ("r.jsonl", jsonl([{"id": int(row["id"]), "captions": row["references"], "image": "x"} for row in REFS])),
        ("r.jsonl", jsonl([{"id": row["id"], "caption": row["references"][k]} for k in (0, 1) for row in REFS])),
        ("r.json", json.dumps(REFS)),
        ("r.json", _coco(REFS)),
        ("r.json.gz", gzip.compress(_coco(REFS).encode())),
        ("r.parquet", _parquet(REFS)),
        ("r.csv", _csv(REFS)),
    ],
    ids=["jsonl", "another order", "captions", "a row each", "list", "coco", "coco gzip", "parquet", "csv"],
)
def test_each_kind_of_references(name: str, content: str | bytes, put: Put, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    done = m4i("score", put("h.jsonl", jsonl(HYPS)), put(name, content), "--out", out, "-q")
    assert done.code == 0, done.err
    ids, values, errors = rows_of(out)
    assert ids == ["0", "1", "2", "3"]
    assert np.array_equal(values, overlap(SAID, [row["references"] for row in REFS]).values)
    assert errors == [None] * 4


@pytest.mark.parametrize("block", [1, 2, 3, 100])
@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_any_gap(
    block: int, seed: int, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far the two files go side by side, each id ends up with its own references, and none is lost."""
    monkeypatch.setattr(join, "BLOCK", block)
    chance = random.Random(seed)
    ids = [f"k{number}" for number in range(30)]
    texts = {each: " ".join(chance.choices(["a", "b", "c", "d"], k=4)) for each in ids}
    said, wanted = ids[:25], ids[: chance.randint(5, 12)]
    rest = ids[len(wanted) : 20] + ids[26:]
    chance.shuffle(rest)
    hyps = put("h.jsonl", jsonl([{"id": each, "caption": texts[each]} for each in said]))
    refs = put("r.jsonl", jsonl([{"id": each, "references": [texts[each] + " d"]} for each in wanted + rest]))
    out = tmp_path / "scores.parquet"
    found = m4i("score", hyps, refs, "--out", out, "--json").json
    got, values, errors = rows_of(out)
    assert got[:25] == said
    assert sorted(got[25:]) == ids[26:]
    known = set(wanted + rest)
    expected = overlap([texts[each] for each in said], [[texts[each] + " d"] if each in known else [] for each in said])
    assert np.array_equal(values[:25], expected.values, equal_nan=True)
    assert np.isnan(values[25:]).all()
    assert errors == [None if each in known else "no references" for each in said] + ["no hypothesis"] * 4
    assert found["unscored"] == {"no references": 5, "no hypothesis": 4}
    assert (found["records"], found["scored"]) == (29, 20)


def test_what_lacks_its_other_half_stays_a_row(put: Put, tmp_path: Path) -> None:
    hyps = [
        {"id": 1, "caption": "a dog"},
        {"id": 2, "caption": None},
        {"id": 3, "caption": "a cat"},
        {"id": 4, "caption": "x"},
    ]
    refs = [{"id": each, "references": ["a dog"] if each != 3 else []} for each in (1, 2, 3, 9)]
    out = tmp_path / "scores.parquet"
    done = m4i("score", put("h.jsonl", jsonl(hyps)), put("r.jsonl", jsonl(refs)), "--out", out, "-q")
    assert "not scored, no references: 2" in done.out
    assert "not scored, no hypothesis: 2" in done.out
    ids, values, errors = rows_of(out)
    assert ids == ["1", "2", "3", "4", "9"]
    assert errors == [None, "no hypothesis", "no references", "no references", "no hypothesis"]
    assert np.isnan(values[1:]).all()
    assert values[0, 2] == 1.0


@pytest.mark.parametrize("block", [1, 2, 100])
@pytest.mark.parametrize("side", ["hypotheses", "both", "references", "shuffled", "unknown", "left over"])
def test_an_id_twice_is_an_error(
    side: str, block: int, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "BLOCK", block)
    said, wanted = ["a", "b", "c", "d"], ["a", "b", "c", "d"]
    if side == "hypotheses":
        said = ["a", "b", "c", "b", "d"]
    elif side == "both":
        said = wanted = ["a", "b", "c", "b", "d"]
    elif side == "references":
        wanted = ["a", "b", "c", "b", "d"]
    elif side == "shuffled":
        said, wanted = ["d", "b", "a", "b"], ["a", "b", "c", "d"]
    elif side == "unknown":
        said, wanted = ["a", "b", "c", "b"], ["a", "x", "c"]
    else:
        said, wanted = ["a", "b"], ["a", "b", "c", "b"]
    hyps = put("h.jsonl", jsonl([{"id": each, "caption": "x"} for each in said]))
    refs = put("r.jsonl", jsonl([{"id": each, "references": ["x"]} for each in wanted]))
    out = tmp_path / "scores.parquet"
    file = "h.jsonl" if side in {"hypotheses", "shuffled", "unknown"} else "r.jsonl"
    refused(m4i("score", hyps, refs, "--out", out, "-q"), "the id 'b' is there twice", f"{file}:4", f"{file}:2")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["h.jsonl", "r.jsonl"]


def test_half_a_character_in_a_text_is_scored_as_any_other(put: Put, tmp_path: Path) -> None:
    hyps = put("h.jsonl", '{"id": 1, "caption": "a \\ud83d dog"}\n')
    refs = put("r.jsonl", '{"id": 1, "references": ["a \\ud83d dog", "\\udfff"]}\n')
    out = tmp_path / "scores.parquet"
    assert m4i("score", hyps, refs, "--recipe", "nltk", "--out", out, "-q").code == 0
    assert rows_of(out)[1][0, 2] == 1.0


# --- recipes and the summary


def test_a_recipe_that_needs_the_whole_set_at_once_is_refused(put: Put) -> None:
    hyps, refs = put("hyps.txt", "a dog\n"), put("refs.txt", "a dog\n")
    done = m4i("score", hyps, refs, "--recipe", "coco/ptb-exact")
    assert done.code == 2
    assert "as one document" in done.err
    assert "coco/ptb" in done.err


def test_several_recipes(put: Put, tmp_path: Path) -> None:
    names = ["coco", "rouge-score/words", "sacrebleu", "m4i"]
    asked = [each for name in names for each in ("--recipe", name)]
    out = tmp_path / "scores.parquet"
    found = m4i("score", put("h.txt", lines(SAID)), put("r.txt", lines(WANTED)), *asked, "--out", out, "--json").json
    tables = overlaps(SAID, [[text] for text in WANTED], names)
    table = pq.read_table(out)
    assert table.column_names == ["id", *(f"{name}:{metric}" for name in names for metric in METRICS), "error"]
    assert np.array_equal(rows_of(out)[1], np.concatenate([each.values for each in tables], axis=1))
    for name, each in zip(names, tables, strict=True):
        assert table.schema.metadata[f"recipe:{name}".encode()].decode() == each.recipe
        assert found["recipes"][name]["signature"] == each.recipe
        means = {metric: found["recipes"][name]["mean"][metric]["value"] for metric in METRICS}
        assert list(means.values()) == pytest.approx(each.values.mean(axis=0).tolist(), rel=1e-12)


def test_tokeniser_and_reduction(put: Put) -> None:
    hyps, refs = put("h.txt", lines(SAID)), [put("a.txt", lines(WANTED)), put("b.txt", lines(OTHERS))]
    found = m4i("score", hyps, *refs, "--tokeniser", "whitespace", "--reduce", "mean", "--json").json["recipes"]["coco"]
    expected = overlap(SAID, list(map(list, zip(WANTED, OTHERS, strict=True))), tokeniser="whitespace", reduce="mean")
    assert found["signature"] == expected.recipe
    assert [each["value"] for each in found["mean"].values()] == pytest.approx(expected.values.mean(axis=0).tolist())
    assert found["corpus"] is None


def test_the_corpus_is_the_packages(put: Put) -> None:
    from sacrebleu.metrics import BLEU

    chance = random.Random(1)
    said = [" ".join(chance.choices(["a", "b", "c", "d", "e"], k=12)) for _ in range(300)]
    wanted = [" ".join(chance.choices(["a", "b", "c", "d", "e"], k=13)) for _ in range(300)]
    found = m4i("score", put("h.txt", lines(said)), put("r.txt", lines(wanted)), "--recipe", "sacrebleu", "--json").json
    corpus = found["recipes"]["sacrebleu"]["corpus"]
    for n in (1, 2, 3, 4):
        score = BLEU(max_ngram_order=n).corpus_score(said, [wanted])
        assert corpus[f"bleu_{n}"]["value"] == score.score
    theirs = BLEU().corpus_score(said, [wanted], n_bootstrap=2000)
    ours = corpus["bleu_4"]
    # Their interval is 1.96 standard errors to each side.
    assert (ours["high"] - ours["low"]) / 2 == pytest.approx(theirs._ci, rel=0.15)
    assert ours["low"] < ours["value"] < ours["high"]


def test_the_interval_of_a_mean_is_the_bootstraps(put: Put) -> None:
    chance = random.Random(2)
    said = [" ".join(chance.choices(["a", "b", "c", "d", "e"], k=5)) for _ in range(400)]
    wanted = said[1:] + said[:1]
    files = put("h.txt", lines(said)), put("r.txt", lines(wanted))
    values = overlap(said, [[text] for text in wanted]).values[:, 2]
    draws = np.random.default_rng(3).choice(values, (3000, len(values))).mean(axis=1)
    first = m4i("score", *files, "--json").json
    found = first["recipes"]["coco"]["mean"]["rouge_l"]
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]).tolist(), abs=0.003)
    assert first["intervals"] == {"level": 0.95, "resamples": 2000, "seed": 0}
    again, other = (m4i("score", *files, "--seed", seed, "--resamples", 500, "--json").json for seed in (0, 1))
    assert again["recipes"] != other["recipes"]


def test_one_record_has_no_interval(put: Put) -> None:
    done = m4i("score", put("h.txt", "a dog"), put("r.txt", "a dog"))
    assert "rouge_l   1.0000   " in done.out
    assert "[0" not in done.out
    found = m4i("score", put("h.txt", "a dog"), put("r.txt", "a dog"), "--json").json
    assert found["recipes"]["coco"]["mean"]["rouge_l"] == {"value": 1.0, "low": None, "high": None}


# --- the table


def test_csv_and_jsonl_hold_the_same(put: Put, tmp_path: Path) -> None:
    hyps = [{"id": "=1+1", "caption": "a dog"}, {"id": "b", "caption": "a cat"}, {"id": "ü", "caption": "a cat runs"}]
    refs = [{"id": "=1+1", "references": ["a dog runs"]}, {"id": "ü", "references": ["cats"]}]
    files = put("h.jsonl", jsonl(hyps)), put("r.jsonl", jsonl(refs))
    tables = [tmp_path / f"scores.{suffix}" for suffix in ("parquet", "csv", "jsonl")]
    for table in tables:
        assert m4i("score", *files, "--out", table, "-q").code == 0
    ids, values, errors = rows_of(tables[0])
    assert ids == ["=1+1", "b", "ü"]
    text = tables[1].read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["id", *METRICS, "error"]
    assert [row["id"] for row in rows] == ["'=1+1", "b", "ü"]  # no cell may run as a formula
    assert [row["error"] or None for row in rows] == errors
    numbers = [[float(row[metric] or "nan") for metric in METRICS] for row in rows]
    assert np.array_equal(np.array(numbers), values, equal_nan=True)
    objects = [json.loads(line) for line in tables[2].read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in objects] == ids
    assert [row["error"] for row in objects] == errors == [None, "no references", None]
    assert objects[1]["bleu_1"] is None
    assert [objects[0][metric] for metric in METRICS] == values[0].tolist()


def test_a_table_that_stands_is_kept(put: Put, tmp_path: Path) -> None:
    files, out = (put("h.txt", "a\n"), put("r.txt", "a\n")), put("s.csv", "mine")
    refused(m4i("score", *files, "--out", out), "s.csv: it stands there already", "--again")
    assert out.read_text() == "mine"
    assert m4i("score", *files, "--out", out, "--again", "-q").code == 0
    assert out.read_text().startswith("id,rouge_1")
    refused(m4i("score", *files, "--out", tmp_path / "s.txt"), "'.txt' is no kind of table", ".parquet")
    (tmp_path / "folder.csv").mkdir()
    refused(m4i("score", *files, "--out", tmp_path / "folder.csv", "--again"), "this is a folder")
    refused(m4i("score", *files, "--out", out / "below.csv"), "s.csv: no such folder")
    refused(m4i("score", *files, "--out", tmp_path / "new/s.csv"), "new: no such folder", "Make it first")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", ["itself", "link", "hard link", "another spelling"])
@pytest.mark.parametrize("side", ["h.jsonl", "r.jsonl"])
def test_what_is_read_is_never_written(kind: str, side: str, put: Put, tmp_path: Path) -> None:
    files = put("h.jsonl", jsonl(HYPS)), put("r.jsonl", jsonl(REFS))
    before = [file.read_bytes() for file in files]
    out = tmp_path / (side if kind == "itself" else "out.jsonl")
    if kind == "link":
        out.symlink_to(tmp_path / side)
    elif kind == "hard link":
        out.hardlink_to(tmp_path / side)
    elif kind == "another spelling":
        (tmp_path / "folder").mkdir()
        out = tmp_path / "folder" / ".." / side
    for more in ([], ["--again"]):
        refused(m4i("score", *files, "--out", out, *more), f"this is the file that '{tmp_path / side}' is read from")
    assert [file.read_bytes() for file in files] == before


def test_nor_is_the_standard_input(put: Put) -> None:
    said, refs = put("h.jsonl", jsonl(HYPS)), put("r.jsonl", jsonl(REFS))
    with said.open("rb") as stdin:
        asked = m4i_command("score", "-", refs, "--out", said, "--again")
        done = subprocess.run(asked, stdin=stdin, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "this is the file that '-' is read from" in done.stderr
    assert said.read_text() == jsonl(HYPS)


def test_a_refusal_leaves_what_stood(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the fault comes late: blocks before it were written, under another name."""
    monkeypatch.setattr(join, "BLOCK", 2)
    hyps = put("h.jsonl", jsonl([{"id": each, "caption": "a"} for each in range(9)]) + "{no json\n")
    refs = put("r.jsonl", jsonl([{"id": each, "references": ["a"]} for each in range(10)]))
    out = put("s.parquet", "mine")
    refused(m4i("score", hyps, refs, "--out", out, "--again", "-q"), "h.jsonl:10:2", "not valid JSON")
    assert out.read_bytes() == b"mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["h.jsonl", "r.jsonl", "s.parquet"]
    refused(m4i("score", hyps, refs, "--out", tmp_path / "s.csv", "-q"), "h.jsonl:10:2")
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_it_leaves_no_half_file(way: signal.Signals, put: Put, tmp_path: Path) -> None:
    refs, out = put("r.txt", "a dog runs\n" * 200_000), tmp_path / "out/s.csv"
    out.parent.mkdir()
    asked = m4i_command("score", "-", refs, "--out", out)
    with subprocess.Popen(asked, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"a dog\n" * 100_000)  # and then nothing: it waits for more, with a table half written
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not any(each.stat().st_size for each in out.parent.glob("*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(out.parent.glob(".m4i-tmp-*"))
        process.send_signal(way)
        process.wait(60)
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}[way]
        assert process.stderr is not None
        said = process.stderr.read()
        assert b"Traceback" not in said
        assert way != signal.SIGINT or b"interrupted; nothing of it is kept" in said
    assert not out.exists()
    if way == signal.SIGKILL:  # nobody could tidy up; the next one does
        assert len(list(out.parent.iterdir())) == 1
        assert m4i("score", refs, refs, "--out", out, "-q").code == 0
        assert list(out.parent.iterdir()) == [out]
    else:
        assert list(out.parent.iterdir()) == []


# --- mistakes


@pytest.mark.parametrize(
    ("hyps", "refs", "said"),
    [
        (("h.txt", "a\nb\n"), ("r.txt", "a\nb\nc\n"), ["r.txt: 3 lines, but 2 in", "h.txt"]),
        (("h.txt", b"a\nb\xffc\n"), ("r.txt", "a\nb\n"), ["h.txt:2:2", "not UTF-8 text (byte 0xff)", "iconv"]),
        (("h.txt", "a\n"), ("r.txt", b"\xff\n"), ["r.txt:1:1", "not UTF-8"]),
        (("h.txt", ""), ("r.txt", "a\n"), ["h.txt: it is empty"]),
        (("h.txt", "\ufeff"), ("r.txt", "\ufeff"), ["h.txt: it holds no hypotheses"]),
        (("h.txt", "a\n"), ("r.jsonl", jsonl(REFS)), ["h.txt: plain text has no ids", "r.jsonl, which is jsonl"]),
        (("h.jsonl", jsonl(HYPS)), ("r.txt", "a\n"), ["r.txt: plain text has no ids", "h.jsonl, which is jsonl"]),
        (
            ("h.jsonl", '{"id": 1, "caption": "a"}\n{"id": 2,\n'),
            ("r.jsonl", jsonl(REFS)),
            ["h.jsonl:2:", "not valid JSON"],
        ),
        (("h.jsonl", "[1]\n[2]\n"), ("r.jsonl", jsonl(REFS)), ["h.jsonl", "not valid JSON"]),
        (("h.jsonl", "17\n"), ("r.jsonl", jsonl(REFS)), ["h.jsonl:1", "an object is wanted, not of type 'int'"]),
        (("h.jsonl", "\n \n"), ("r.jsonl", jsonl(REFS)), ["h.jsonl: it holds no hypotheses"]),
        (("h.jsonl", '{"caption": "a"}\n'), ("r.jsonl", jsonl(REFS)), ["h.jsonl:1", "no image_id or id", "caption"]),
        (("h.jsonl", '{"id": 1}\n'), ("r.jsonl", jsonl(REFS)), ["h.jsonl:1", "no caption or text or hypothesis"]),
        (("h.jsonl", '{"id": 1, "caption": "", "text": ""}\n'), ("r.jsonl", jsonl(REFS)), ["both caption and text"]),
        (
            ("h.jsonl", '{"id": 1, "caption": ["a"]}\n'),
            ("r.jsonl", jsonl(REFS)),
            ["h.jsonl:1", "of type 'list', not text"],
        ),
        (("h.jsonl", '{"id": "", "caption": "a"}\n'), ("r.jsonl", jsonl(REFS)), ["h.jsonl:1", "the id is empty"]),
        (("h.jsonl", '{"id": null, "caption": "a"}\n'), ("r.jsonl", jsonl(REFS)), ["not nothing"]),
        (("h.jsonl", '{"id": "\\ud800", "caption": "a"}\n'), ("r.jsonl", jsonl(REFS)), ["half a character"]),
        (("h.json", "[]"), ("r.jsonl", jsonl(REFS)), ["h.json: it holds no hypotheses"]),
        (
            ("h.json", '[{"id": 1, "caption": "a"}, 2]'),
            ("r.jsonl", jsonl(REFS)),
            ["h.json: [1]", "an object is wanted"],
        ),
        (("h.json", '[{"id": 1,\n "caption": }]'), ("r.jsonl", jsonl(REFS)), ["h.json:2:13", "not valid JSON"]),
        (("h.json", '{\n"x": 1}'), ("r.jsonl", jsonl(REFS)), ["h.json: neither a list of objects nor COCO captions"]),
        (("h.jsonl", jsonl(HYPS)), ("r.jsonl", '{"id": 1, "references": "a"}\n'), ["r.jsonl:1", "'str', not a list"]),
        (
            ("h.jsonl", jsonl(HYPS)),
            ("r.jsonl", '{"id": 1, "references": ["a", null]}\n'),
            ["r.jsonl:1", "None, not text"],
        ),
        (("h.jsonl", jsonl(HYPS)), ("r.jsonl", '{"id": 1, "caption": 5}\n'), ["r.jsonl:1", "'int', not text"]),
        (("h.jsonl", jsonl(HYPS)), ("r.json", "[]"), ["r.json: it holds no references"]),
        (
            ("h.jsonl", jsonl(HYPS)),
            ("r.jsonl", '{"id": "x", "references": ["a"]}\n'),
            ["not one of its ids", "such as '0'"],
        ),
        (("h.jsonl", jsonl(HYPS[:1])), ("r.jsonl", '{"id": "0", "references": []}\n'), ["1 with no references"]),
        (("h.parquet", b"PAR1 no"), ("r.jsonl", jsonl(REFS)), ["h.parquet", "not a readable Parquet"]),
        (("h.csv", "id,caption\n1,a,b\n"), ("r.jsonl", jsonl(REFS)), ["h.csv:2", "3 cells"]),
        (("h.txt.gz", gzip.compress(b"a\n" * 9999)[:-20]), ("r.txt", "a\n"), ["h.txt.gz: cannot be read"]),
    ],
)
def test_bad_files(hyps: tuple[str, Any], refs: tuple[str, Any], said: list[str], put: Put, tmp_path: Path) -> None:
    names = {put(*hyps).name, put(*refs).name}
    done = m4i("score", tmp_path / hyps[0], tmp_path / refs[0], "--out", tmp_path / "s.parquet", "-q")
    refused(done, *said)
    assert {each.name for each in tmp_path.iterdir()} == names


def test_bad_arguments(put: Put, tmp_path: Path) -> None:
    hyps, refs = put("h.txt", "a\n"), put("r.txt", "a\n")
    refused(m4i("score", tmp_path / "none.txt", refs), "none.txt: no such file")
    refused(m4i("score", hyps, tmp_path / "none.txt"), "none.txt: no such file")
    refused(m4i("score", hyps, tmp_path), "a folder, not a file")
    refused(m4i("score", hyps, refs, "--recipe", "bleu"), "recipe: 'bleu' is not a recipe", "coco")
    refused(
        m4i("score", hyps, refs, "--recipe", "coco", "--recipe", "coco/words"), "'coco/words' is the same as 'coco'"
    )
    refused(m4i("score", hyps, refs, "--tokeniser", "none"), "does not work with the tokeniser 'none'")
    refused(m4i("score", hyps, refs, put("r.jsonl", jsonl(REFS))), "parallel plain texts", "this is jsonl")
    assert m4i("score", hyps).code == 2


def test_text_that_begins_like_json_is_text(put: Put) -> None:
    for name in ("h.txt", "h"):
        found = m4i("score", put(name, "[unk] a dog\n"), put("r.txt", "a dog\n"), "--json").json
        assert found["formats"] == ["text", "text"]
    assert m4i("score", put("h", "{a dog\nb\n"), put("r.txt", "a dog\nb\n"), "--json").json["scored"] == 2


def test_a_run_is_scored_as_overlap_scores_it(tmp_path: Path) -> None:
    """The run's own files, given by hand: the same numbers."""
    from m4i_fast.runs import open_run
    from m4i_fast.tables import read_overlap, write_generations, write_records
    from m4i_fast.types import Generations, Record

    ids = ("a", "b", "c")
    records = [Record(each, f"{each}.png", (f"a dog {each}", "the dog"), each) for each in ids]
    answers = Generations(
        ids, ("a dog a", "dogs", "the dog c"), np.zeros((3, 0), np.int32), np.zeros(3, np.int32), None, (None,) * 3
    )
    run = tmp_path / "run"
    with open_run(run) as opened:
        write_records(opened.path("records.parquet"), records)
        write_generations(opened.path("generations/part-00000.parquet"), answers)
    assert m4i("overlap", run, "--recipe", "rouge-score/porter", "-q").code == 0
    out = tmp_path / "scores.parquet"
    asked = ("score", run / "generations/part-00000.parquet", run / "records.parquet", "--recipe", "rouge-score/porter")
    assert m4i(*asked, "--out", out, "-q").code == 0
    expected = read_overlap(run / "overlap.parquet")
    got, values, _ = rows_of(out)
    assert tuple(got) == expected.ids
    assert np.array_equal(values, expected.values)
    assert pq.read_table(out).schema.metadata[b"recipe"].decode() == expected.recipe
