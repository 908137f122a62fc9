import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from m4i_fast.errors import DataError
from m4i_fast.report.html import Evidence, page, render_report
from m4i_fast.report.schema import Result, write_result
from m4i_fast.types import Membership

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page, with its nesting checked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture
def rendered(run: Path, membership: Membership) -> str:
    return render_report(run, membership=membership).read_text(encoding="utf-8")


def test_the_page_forbids_itself_everything_and_names_its_style_by_hash(rendered: str) -> None:
    whole = Page(rendered)
    (policy,) = [each["content"] for each in whole.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    style = rendered.split("<style>")[1].split("</style>", maxsplit=1)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert rendered.index("Content-Security-Policy") < rendered.index("<style>")
    assert len(whole.all("style")) == 1
    assert not [each for _, each in whole.tags if "style" in each]


def test_the_page_loads_nothing_and_runs_nothing(rendered: str) -> None:
    whole = Page(rendered)
    forbidden = {"script", "iframe", "object", "embed", "link", "base", "form", "video", "audio", "a", "foreignobject"}
    assert forbidden & {tag for tag, _ in whole.tags} == set()
    for tag, attributes in whole.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            if value is not None:
                assert (tag == "img" and value.startswith("data:image/jpeg;base64,")) or value.startswith("#")
    assert "http" not in re.sub(r"http-equiv", "", rendered)
    assert not re.search(r"url\((?!#)|@import", rendered)


def test_hostile_texts_stand_there_as_texts(rendered: str) -> None:
    whole = Page(rendered)
    assert "<script>alert(1)</script>" in whole.text
    assert '"><img src=x onerror=alert(2)>' in whole.text
    assert "{{ 7 * 7 }} $\\frac{1}{0}$ &amp; </style></svg>" in whole.text
    assert "right⟨U+202E⟩to left" in whole.text
    assert "red bell nul" in whole.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rendered)
    assert len(whole.all("img")) == 2  # the two good pictures, and none that a caption brought


def test_the_same_run_gives_the_same_bytes(run: Path, membership: Membership) -> None:
    first = render_report(run, membership=membership).read_bytes()
    table = (run / "scores.csv").read_bytes()
    assert render_report(run, membership=membership).read_bytes() == first
    assert (run / "scores.csv").read_bytes() == table


def test_the_page_holds_what_an_auditor_needs(rendered: str) -> None:
    text = Page(rendered).text
    for expected in (
        "This model gives away which records it was trained on.",
        "What it does not mean",
        "0.900",
        "0.880 to 0.920",
        "0.350 to 0.450",  # over the blind baseline
        "50.0 %",
        "40.0 to 60.0",
        "No figure at 0.1 %",
        "(Overlap and features together, Image and caption features, MLP)",
        "Words of the known captions",
        "threshold learned on the shadow",
        "word for word",
        "✓ member",
        "no picture to show",
        "under 8.3 % (none of 12 non-members scores as high)",
        "Not read: 2 records",
        "rouge_l|recipe:coco",
        "2025-01-31T12:00:00Z",
        "m4i-fast audit settings.toml --out AGAIN",
    ):
        assert expected in text, expected
    assert len(re.findall('class="card"', rendered)) == 12
    assert len(re.findall('<svg class="chart"', rendered)) == 4


def test_secrets_in_the_settings_are_masked(rendered: str) -> None:
    assert "hunter2" not in rendered
    assert 'api_key = "***"' in Page(rendered).text.replace("&#34;", '"')


def test_the_page_is_readable_without_eyes(rendered: str) -> None:
    whole = Page(rendered)
    assert whole.all("html") == [{"lang": "en"}]
    assert all(each.get("alt") for each in whole.all("img"))
    charts = [each for each in whole.all("svg") if each.get("role") == "img"]
    assert all(each.get("aria-labelledby") or each.get("aria-label") for each in charts)
    assert all(each.get("role") == "img" or each.get("aria-hidden") == "true" for each in whole.all("svg"))
    assert all(each.get("scope") for each in whole.all("th"))
    assert len(whole.all("h1")) == 1
    ids = [each["id"] for _, each in whole.tags if "id" in each]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("kind", "blind", "stamp", "sentence"),
    [
        ("leak", 0.5, "Leak", "gives away which records"),
        ("no_evidence", 0.5, "No evidence", "It is no proof of privacy"),
        ("invalid", 0.9, "Invalid", "a test that never asks the model tells them apart"),
        ("invalid", 0.5, "Invalid", "A check of the audit itself failed"),
    ],
)
def test_each_verdict_has_its_words(
    kind: str, blind: float, stamp: str, sentence: str, result_of: Callable[..., Result]
) -> None:
    whole = Page(page(result_of(kind, blind=blind), Evidence(), title="x"))
    assert sentence in whole.text
    assert f"{stamp}: membership audit of x" in whole.text
    assert ("none of these figures is a statement about the model" in whole.text) == (kind == "invalid")


def test_the_result_alone_is_enough(tmp_path: Path, result_of: Callable[..., Result]) -> None:
    write_result(tmp_path / "result.json", result_of())
    text = Page(render_report(tmp_path).read_text(encoding="utf-8")).text
    for name in ("curves.parquet", "scores.parquet", "records.parquet", "generations/"):
        assert name in text
    assert not (tmp_path / "scores.csv").exists()
    assert "max_tokens = 20" in text  # from the result's settings


@pytest.mark.parametrize(
    "name", ["curves.parquet", "scores.parquet", "records.parquet", "overlap.parquet", "settings.toml"]
)
def test_any_part_may_be_absent(name: str, run: Path, membership: Membership) -> None:
    (run / name).unlink()
    Page(render_report(run, membership=membership).read_text(encoding="utf-8"))


def test_labels_may_be_absent(run: Path) -> None:
    text = Page(render_report(run).read_text(encoding="utf-8")).text
    assert "not labelled" in text
    assert "✓ member" not in text
    assert "is_member" not in (run / "scores.csv").read_text(encoding="utf-8")


def test_a_result_without_attacks_is_a_page_too(result_of: Callable[..., Result]) -> None:
    import msgspec

    bare = msgspec.structs.replace(
        result_of("invalid"), attacks={}, blind={}, comparisons={}, counts={}, unread=[], recipes={}, settings={}
    )
    assert "No attack and no blind baseline" in Page(page(bare, Evidence(), title="x")).text


def test_texts_of_the_tool_itself_are_cleaned_too(result_of: Callable[..., Result]) -> None:
    import msgspec

    result = result_of()
    late = msgspec.structs.replace(result.provenance, created="\x1b[31m\u202e2025<b>")
    text = page(msgspec.structs.replace(result, provenance=late), Evidence(missing=("\x9bx",)), title="\x07<i>")
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\u202e" not in text
    assert "<b>" not in text
    assert "<i>" not in text


def test_without_a_result_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="m4i-fast evaluate"):
        render_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_table_is_named_and_leaves_the_old_page(run: Path, membership: Membership) -> None:
    (run / "report.html").write_text("old")
    (run / "curves.parquet").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"curves\.parquet"):
        render_report(run, membership=membership)
    assert (run / "report.html").read_text() == "old"


def test_a_note_that_holds_for_all_is_said_once(result_of: Callable[..., Result]) -> None:
    import msgspec

    text = Page(page(msgspec.structs.replace(result_of(), blind={}), Evidence(), title="x")).text
    assert "No figure at 0.1 % (all methods)" in text


def test_the_title_is_that_of_the_settings_where_they_have_one(
    tmp_path: Path, result_of: Callable[..., Result]
) -> None:
    import msgspec

    write_result(tmp_path / "result.json", msgspec.structs.replace(result_of(), settings={"title": "Ward 7"}))
    assert "membership audit of Ward 7" in render_report(tmp_path).read_text(encoding="utf-8")
    assert "membership audit of Ward 8" in render_report(tmp_path, title="Ward 8").read_text(encoding="utf-8")


def test_many_unread_records_do_not_flood_the_page(result_of: Callable[..., Result]) -> None:
    import msgspec

    from m4i_fast.report.schema import Unread

    many = msgspec.structs.replace(result_of(), unread=[Unread(f"id-{index}", "gone") for index in range(5000)])
    text = Page(page(many, Evidence(), title="x")).text
    assert "Not read: 5,000 records" in text
    assert "id-99" in text
    assert "id-100" not in text
    assert "and 4,900 more" in text


def test_a_set_of_records_has_its_curve_unless_the_sets_differ(result_of: Callable[..., Result]) -> None:
    shown = page(result_of(), Evidence(), title="t")
    assert "Many records together" in shown
    assert "p = 3e-09" in shown
    assert '<th scope="row">20</th>' in shown
    assert "97.0" in shown
    assert "Many records together" not in page(result_of("invalid", blind=0.9), Evidence(), title="t")
