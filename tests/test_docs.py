"""The pages for users, held to the code: commands, settings, examples of data, Python, figures, links."""

import contextlib
import json
import re
import shlex
import shutil
import tomllib
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
import typer
from PIL import Image

from m4i_fast.cli.main import app, main
from m4i_fast.config import convert
from m4i_fast.stages.audit import load_settings
from m4i_fast.stages.settings import AuditSettings
from m4i_fast.train import settings as trainings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
COMMAND: Any = typer.main.get_command(app)


class Block(NamedTuple):
    """A fenced block: its page, line, language, the HTML comment right above it, and its text."""

    page: Path
    line: int
    language: str
    comment: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


def _blocks(*languages: str) -> list[Block]:
    fence = re.compile(r"(?:<!-- ((?:(?!-->).)*?) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in fence.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            found.append(Block(page, line, match[2], match[1] or "", match[3]))
    return [block for block in found if block.language in languages or not languages]


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def named(block: Block) -> str:
    return block.name


# --- commands


def _calls(script: str) -> Iterator[list[str]]:
    """Each call of m4i-fast in a shell script, as words."""
    for line in script.replace("\\\n", " ").split("\n"):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("&|;"):
                while words and re.fullmatch(r"[A-Z_0-9]+=.*", words[0]):
                    words.pop(0)
                if words and words[0] == "m4i-fast":
                    yield words
                words = []
            else:
                words.append(word)


CALLS = [(block.name, words) for block in _blocks("bash", "sh", "console") for words in _calls(block.text)]


def _parse(words: list[str]) -> None:
    """Parse as the command line does, short of running it."""
    command, arguments, context = COMMAND, words[1:], None
    root = {option: each for each in COMMAND.params for option in each.opts}
    if arguments and arguments[0] in {*root, "--help"}:  # parsing these would do them: they are eager
        assert len(arguments) == 1
        return
    name = words[0]
    while True:
        context = command.make_context(name, list(arguments), parent=context)
        if not hasattr(command, "resolve_command"):
            return
        rest = [*context._protected_args, *context.args]
        name, command, arguments = command.resolve_command(context, rest)


def test_the_pages_hold_commands() -> None:
    assert len(CALLS) > 25
    assert {words[1] for _, words in CALLS} >= {each.name for each in COMMAND.commands.values()}


@pytest.mark.parametrize(("place", "words"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_each_command_on_the_pages_parses(place: str, words: list[str]) -> None:
    try:
        _parse(words)
    except Exception as error:
        pytest.fail(f"{place}: {shlex.join(words)}: {getattr(error, 'message', error)}")


@pytest.mark.parametrize("words", [["m4i-fast", "query", "D"], ["m4i-fast", "ask"], ["m4i-fast", "report", "R", "--z"]])
def test_a_wrong_command_would_be_seen(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"Missing parameter: out|No such"):
        _parse(words)


def _options(command: Any) -> set[str]:
    own = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return own.union(*map(_options, getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_option_and_command_in_the_text_exists(page: Path) -> None:
    known = _options(COMMAND) | {"--help"}
    for span in re.findall(r"`([^`]+)`", _prose(page).replace("\n", " ")):
        for option in re.findall(r"(?:^|\s|\()(--?[a-z][a-z-]*)", span):
            assert option in known or span.startswith("pip "), f"{option} in `{span}`"
        if span.startswith("m4i-fast "):
            command = COMMAND
            for word in span.split()[1:]:
                if not hasattr(command, "commands"):
                    break
                if not word.startswith("-"):
                    assert word in command.commands, span
                    command = command.commands[word]


# --- settings


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for inner in typing.get_args(kind) if (found := _struct_in(inner)) is not None), None)


def _expected(kind: type[msgspec.Struct], prefix: str = "") -> dict[str, Any]:
    """Every key of audit.toml and its default; ``"required"`` where there is none."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        inner = _struct_in(field.type)
        default = field.default
        if default is msgspec.NODEFAULT:
            default = "required" if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if inner is None or prefix:
            found[prefix + field.name] = list(default) if isinstance(default, tuple) else default
        if inner is not None:
            found |= _expected(inner, f"{prefix}{field.name}.")
    return found


def _documented() -> dict[str, Any]:
    found: dict[str, Any] = {}
    text = (DOCS / "audit.md").read_text(encoding="utf-8")
    tables = re.finditer(
        r"(?:<!-- prefix: ([^>]*) -->\n\n)?^\| key \| default \| meaning \|\n\|[-|]+\|\n((?:\|.*\n)+)",
        text,
        re.MULTILINE,
    )
    for table in tables:
        for row in table[2].splitlines():
            key, default, meaning = (cell.strip() for cell in row.strip("|").split(" | ", maxsplit=2))
            assert meaning
            plain = default.strip("`")
            value = {"none": None, "required": "required"}.get(default, ...)
            for prefix in (table[1] or "").split() or [""]:
                path = f"{prefix}.{key.strip('`')}".lstrip(".")
                assert path not in found, f"{path} stands there twice"
                found[path] = tomllib.loads(f"value = {plain}")["value"] if value is ... else value
    return found


def test_every_key_of_the_audit_file_is_documented_with_its_default() -> None:
    expected, documented = _expected(AuditSettings), _documented()
    assert sorted(documented) == sorted(expected)
    assert documented == expected


def test_every_table_of_the_audit_file_is_named() -> None:
    text = (DOCS / "audit.md").read_text(encoding="utf-8")
    for field in msgspec.structs.fields(AuditSettings):
        if _struct_in(field.type) is not None:
            assert f"`[{field.name}]`" in text, field.name


@pytest.mark.parametrize("block", _blocks("toml"), ids=named)
def test_each_settings_file_on_the_pages_loads(block: Block, tmp_path: Path) -> None:
    (tmp_path / "audit.toml").write_text(block.text, encoding="utf-8")
    if block.comment.startswith("settings: "):
        kind = getattr(trainings, block.comment.removeprefix("settings: "))
        convert(tomllib.loads(block.text), kind, where=block.name)
    else:
        load_settings(tmp_path / "audit.toml")


@pytest.mark.parametrize("file", sorted(DOCS.glob("results/*.toml")), ids=lambda file: file.name)
def test_each_settings_file_of_the_results_loads(file: Path) -> None:
    load_settings(file)


# --- examples of data


EXAMPLES = [
    block._replace(comment=block.comment.removeprefix("example "))
    for block in _blocks()
    if block.comment.startswith("example ")
]


def _make(example: dict[str, Any], text: str, folder: Path) -> None:
    for name in example.get("images", []):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(path)
    if "write" in example:
        path = folder / example["write"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("block", EXAMPLES, ids=named)
def test_each_example_of_data_is_read_as_the_page_says(block: Block, tmp_path: Path) -> None:
    from m4i_fast.data.labels import read_ids, read_membership_file
    from m4i_fast.data.readers import read_table

    example = json.loads(block.comment)
    _make(example, block.text, tmp_path)
    if "labels" in example:
        labels = read_membership_file(tmp_path / example["write"])
        assert dict(zip(labels.ids, labels.is_member.tolist(), strict=True)) == example["labels"]
        return
    if "list" in example:
        assert list(read_ids(tmp_path / example["write"])) == example["list"]
        return
    found = read_table(tmp_path / example["read"])
    assert found.format == example["format"]
    assert [record.id for record in found.records] == example["ids"]
    assert [list(record.references) for record in found.records] == example["references"]
    assert [record.group for record in found.records] == example.get("groups", example["ids"])
    assert list(found.columns) == example.get("columns", [])
    assert [record.error for record in found.records] == [None] * len(found.records)


def test_every_format_has_a_section_and_all_that_are_text_an_example() -> None:
    from m4i_fast.data.readers import FORMATS

    headings = re.findall(r"^### (.*)$", (DOCS / "data.md").read_text(encoding="utf-8"), re.MULTILINE)
    described = {name.strip() for heading in headings for name in heading.split(":")[0].split(",")}
    assert described == set(FORMATS)
    shown = {json.loads(block.comment).get("format") for block in EXAMPLES} - {None}
    assert shown == set(FORMATS) - {"parquet", "webdataset"}


# --- the example of score.md


def test_the_example_of_score_prints_and_writes_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = {block.comment: block.text for block in _blocks() if block.page.name == "score.md" and block.comment}
    monkeypatch.chdir(tmp_path)
    for comment, text in blocks.items():
        if comment.startswith("write: "):
            Path(comment.removeprefix("write: ")).write_text(text, encoding="utf-8")
    (words,) = _calls(blocks["run: score"])
    with contextlib.suppress(SystemExit):
        main(words[1:])
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert printed == blocks["prints: score"].splitlines()
    assert Path("scores.csv").read_text(encoding="utf-8") == blocks["holds: scores.csv"]


def test_every_option_of_score_is_on_its_page() -> None:
    text = (DOCS / "score.md").read_text(encoding="utf-8")
    options = {option for option in _options(COMMAND.commands["score"]) if option.startswith("-")}
    assert {option for option in options if f"`{option}`" not in text} == set()


# --- Python


def _prepare_captions(folder: Path) -> None:
    block = next(block for block in EXAMPLES if '"format": "coco"' in block.comment)
    _make(json.loads(block.comment), block.text, folder)
    shutil.copytree(folder / "coco", folder, dirs_exist_ok=True)


def _check_captions(folder: Path) -> None:
    from m4i_fast.tables import read_overlap

    with contextlib.suppress(SystemExit):
        main(["overlap", "run", "--quiet"])
    scores = read_overlap(folder / "run/overlap.parquet")
    assert scores.ids == ("42", "43")
    # "a dog on a lawn": precision 4/5 (of "a brown dog on a lawn": 5/5), recall 5/6; F with beta 1.2
    assert scores.values[0, scores.names.index("rouge_l")] == pytest.approx(2.44 * (5 / 6) / (5 / 6 + 1.44))
    assert np.isnan(scores.values[1]).all()


@pytest.mark.parametrize("block", _blocks("python"), ids=named)
def test_each_python_block_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphs: Any) -> None:
    monkeypatch.chdir(tmp_path)
    after: Callable[[Path], None] | None = None
    if block.comment == "run: captioner":
        shutil.copy(graphs.captioner(metadata=None), "mine.onnx")
        after = _check_captioner
    elif block.comment == "run: captions":
        _prepare_captions(tmp_path)
        after = _check_captions
    elif block.page.name == "result-schema.md":
        (tmp_path / "RUN").mkdir()
        (example,) = (each for each in _blocks("json") if each.page == block.page)
        # The example shows one attack; the lines above it ask for another.
        text = example.text.replace('"mb_threshold"', '"both"')
        (tmp_path / "RUN/result.json").write_text(text, encoding="utf-8")
    exec(compile(block.text, block.name, "exec"), {"__name__": "docs"})  # noqa: S102 - our own pages
    if after is not None:
        after(tmp_path)


def _check_captioner(folder: Path) -> None:
    from m4i_fast.engines import open_captioner
    from m4i_fast.types import ImageBatch

    with open_captioner(folder / "captioner.onnx") as engine:
        said = engine.generate(ImageBatch(("x",), np.full((1, 4, 4, 3), 1, np.uint8), (None,)))
    assert said.texts == ("green blue",)


# --- contracts and figures


def _rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, its head left out."""
    text = (DOCS / page).read_text(encoding="utf-8")
    below = text[re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE).end() :]  # type: ignore[union-attr]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[0].splitlines()[2:]]


def test_the_contract_of_the_graphs() -> None:
    from m4i_fast.engines.onnx_session import INPUTS, OUTPUTS

    told = {
        row[0].replace(" ", "_"): " ".join(row[1:]) for row in _rows("models.md", "What an ONNX file must look like")
    }
    assert told.keys() == INPUTS.keys()
    for kind in INPUTS:
        text, ports = told[kind], {**INPUTS[kind], **OUTPUTS[kind]}
        types = re.findall(r"`(\w+)` (\w+) \[([^\]]*)\]", text)
        assert [(name, dtype.replace("float32", "float"), shape.count(",") + 1) for name, dtype, shape in types] == [
            (name, port.type, port.rank) for name, port in ports.items()
        ]


def test_the_image_networks() -> None:
    told = [name for row in _rows("models.md", "Image networks") for name in re.findall(r"`([\w-]+)`", row[0])]
    assert told == list(trainings.BACKBONES)


def test_the_attacks() -> None:
    from m4i_fast.attacks.catalogue import ATTACKS, FAMILIES

    rows = _rows("attacks.md", "The attacks")
    assert [row[0].strip("`") for row in rows] == list(ATTACKS)
    for row, attack in zip(rows, ATTACKS.values(), strict=True):
        assert row[4] == attack.queries
        assert attack.references == ("references" in row[3])
        assert bool({"z", "alignment"} & set(attack.needs)) == ("towers" in row[3])
        assert ("views" in (*attack.needs, *attack.one_of)) == ("--augment" in row[3])
        assert bool({"samples", "pseudo"} & {*attack.needs, *attack.one_of}) == ("--samples" in row[3])
    page = (DOCS / "attacks.md").read_text(encoding="utf-8")
    assert all(f"`{family}`" in page for family in FAMILIES)


@pytest.mark.parametrize(
    ("result", "page"),
    [("overlap", "kernels/README.md"), ("query", "docs/performance.md"), ("scale", "docs/performance.md")],
)
def test_the_figures_of_a_page_are_those_of_the_bench(result: str, page: str) -> None:
    from m4i_fast.bench.figures import shown

    run = json.loads((DOCS / "results" / f"{result}.json").read_text(encoding="utf-8"))
    text = (ROOT / page).read_text(encoding="utf-8")
    for each in run["figures"]:
        line = (
            f"| `{each['name']}` | {shown(each['value'])} {each['unit']} | {'≥' if each['at_least'] else '≤'} "
            f"{shown(each['target'])} | {'yes' if each['holds'] else 'no'} |"
        )
        assert each["target"] is None or line in text, line


def test_the_recipes() -> None:
    from m4i_fast.text.recipes import RECIPES

    assert [row[0].split("`")[1] for row in _rows("query.md", "overlap")] == list(RECIPES)


def test_the_figures_of_the_bench() -> None:
    from m4i_fast.bench.overlap import INFORMING, PROMISED
    from m4i_fast.bench.rivals import RIVALS

    told = [(row[0].strip("`"), row[1], row[2]) for row in _rows("bench.md", "The figures")]
    assert told == [(row.name, row.unit, f"{'≥' if row.at_least else '≤'} {row.target:,.9g}") for row in PROMISED]
    text = (DOCS / "bench.md").read_text(encoding="utf-8")
    for row in INFORMING:
        if not row.name.startswith(("backend/", "reports/", "duplicates/")):
            assert f"`{row.name}`" in text, row.name
    assert set(RIVALS) <= set(re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\| `.*?\|", text, re.MULTILINE))))


def test_every_option_of_the_bench_is_explained() -> None:
    told = set(re.findall(r"^\| `(--[a-z-]+)` \|", (DOCS / "bench.md").read_text("utf-8"), re.MULTILINE))
    commands = COMMAND.commands["bench"].commands.values()
    assert told == {each.opts[0] for command in commands for each in command.params}


def test_the_figures_of_the_benches_of_queries() -> None:
    from m4i_fast.bench import query, scale

    text = (DOCS / "bench.md").read_text(encoding="utf-8")
    for module, name in ((query, "query"), (scale, "scale")):
        told = [(row[0].strip("`"), row[1], row[2]) for row in _rows("bench.md", f"bench {name}")]
        assert told == [
            (each.name, each.unit, f"{'≥' if each.at_least else '≤'} {each.target:g}")
            for each in module.PROMISES
            if each.target is not None
        ]
        assert all(f"`{each.name}`" in text for each in module.PROMISES)


def test_the_document_of_the_bench_has_the_fields_that_the_page_shows() -> None:
    from m4i_fast.bench.figures import Agreement, Figure, Findings

    (shown,) = (json.loads(block.text) for block in _blocks("json") if block.page.name == "bench.md")
    figure = Figure.of("lcs", None, unit="x", what="")
    made = Findings("overlap", (figure,), (Agreement("nltk", "", 1, 0),)).to_dict()
    assert list(shown) == list(made)
    assert [list(each) for each in shown["figures"]] == [list(made["figures"][0])] * 2
    assert list(shown["agreement"][0]) == list(made["agreement"][0])


def _interval(cell: str) -> Any:
    from m4i_fast.types import Estimate

    return Estimate(*map(float, re.findall(r"[-+]?\d\.\d+", cell)))


@pytest.mark.parametrize("row", _rows("verdict.md", "Worked examples"), ids=lambda row: "-".join(row[1:3]))
def test_each_worked_example_is_what_the_rule_says(row: list[str]) -> None:
    from m4i_fast.types import AttackResult
    from m4i_fast.validity.judge import Comparison, Judgement
    from m4i_fast.validity.verdict import verdict

    counts, attack, blind, lead, kind, rule = row
    members, others = (int(each) for each in counts.split(" + "))
    compared = Comparison("attack", _interval(attack), {"blind": _interval(lead)}, 0.95, members, others)
    assert _interval(lead).value == pytest.approx(_interval(attack).value - _interval(blind).value)
    results = [AttackResult(name, _interval(cell), None, {}) for name, cell in (("attack", attack), ("blind", blind))]
    found = verdict(Judgement(results[:1], results[1:], [compared], members, others))
    assert found.kind == kind.strip("`")
    telling = {
        "1": "cannot be judged",
        "2": "Above a blind AUC of 0.8",
        "3": "leaks",
        "4": "no attack is surely better",
        "5": "surely below 0.5",
        "6": "No evidence",
    }
    assert telling[rule] in " ".join(found.reasons)


def test_the_worked_examples_show_every_rule() -> None:
    assert {row[5] for row in _rows("verdict.md", "Worked examples")} == set("123456")


def test_the_numbers_of_the_rule() -> None:
    from m4i_fast.validity import verdict as rule

    text = " ".join(" ".join(row) for row in _rows("verdict.md", "The rule"))
    assert f"fewer than {rule.LEAST_GROUPS} images" in text
    assert f"lies above {rule.BLIND_CEILING} " in text + " "
    assert f"lies above {rule.BLIND_MARGIN})" in text


def test_what_a_sample_can_show() -> None:
    from m4i_fast.stats.intervals import smallest_detectable_auc

    row = re.compile(r"^\| (\d+) \+ (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
    rows = row.findall((DOCS / "verdict.md").read_text(encoding="utf-8"))
    assert len(rows) == 6
    for members, others, *figures in rows:
        levels = (1 - 0.05 / attacks for attacks in (1, 2, 4))
        found = [smallest_detectable_auc(int(members), int(others), level=level) for level in levels]
        assert [f"{each:.3f}" for each in found] == figures


# --- links


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, signs out, spaces to hyphens, a number where one comes again."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.*)$", _prose(page), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {slug if not again else f"{slug}-{again}" for slug, count in found.items() for again in range(count + 1)}


LINKS = [
    (page, target)
    for page in [*PAGES, *sorted(DOCS.glob("results/*.md"))]
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page))
    if not re.match(r"[a-z]+:", target)
]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=lambda value: value if isinstance(value, str) else value.name)
def test_each_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists(), f"{page.name} links to {target}"
    assert not anchor or anchor in _anchors(file), f"{target} is no heading of {file.name}"


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in sorted(DOCS.glob("*.md")) if f"]({page.name})" not in index] == ["README.md"]


def test_every_test_that_the_reliability_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (DOCS / "reliability.md").read_text(encoding="utf-8"))
    assert len(named) > 30
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"
