"""``m4i-fast query`` against transformers' own server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import m4i
from tests.servers.conftest import MAX_TOKENS, Served
from tests.servers.test_openai import completion
from tests.servers.walking import answers, ledger, query, shown, words

pytestmark = pytest.mark.servers


def test_the_command_of_the_page_gives_the_captions_of_the_library_over_a_stop_and_a_resumption(
    openai_server: Served, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").symlink_to(pictures[0].parent)
    (line,) = shown("openai")
    command = [*words(line, openai_server.server), "--no-cache"]
    run = Path(command[command.index("--out") + 1])
    stopped = m4i(*command, "--max-queries", 11)  # six of them are canaries
    assert stopped.code == 2
    assert "the budget has no room for one more query (11 queries so far)" in stopped.err
    assert ledger(run, "SELECT COUNT(*) FROM question WHERE state = 1") == [(5,)]
    done = m4i(*command).json
    assert (done["rows"], done["errors"], done["asked"], done["requests"]) == (12, 0, 7, 7)
    wanted = openai_server.expected(pictures)
    assert answers(run) == [(file.name, text, None) for file, text in zip(pictures, wanted, strict=True)]
    usage = [completion(openai_server, picture)["usage"] for picture in pictures]
    of_answers = tuple(sum(each[kind] for each in usage) for kind in ("prompt_tokens", "completion_tokens"))
    assert ledger(run, "SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM question") == [of_answers]
    assert done["prompt_tokens"] > of_answers[0] > 0, "what only looked is paid, too"
    assert done["completion_tokens"] > of_answers[1] > 0


def test_a_broken_picture_is_a_row_with_its_reason(openai_server: Served, pictures: list[Path], tmp_path: Path) -> None:
    folder, run = tmp_path / "pictures", tmp_path / "run"
    folder.mkdir()
    for row, picture in enumerate(pictures[:4]):
        content = picture.read_bytes()
        (folder / picture.name).write_bytes(content[:3] + bytes(200) + content[-2:] if row == 1 else content)
    more = ("--max-tokens", MAX_TOKENS, "--attempts", 2)
    done = m4i(*query(folder, openai_server.server, "openai", run, *more)).json
    assert done["errors"] == 1
    reason = (
        "the endpoint gave no answer in 2 attempts, the last: "
        "the endpoint answered HTTP 500 and said: Internal Server Error"
    )
    one, _, three, four = openai_server.expected(pictures)[:4]
    assert [row[1:] for row in answers(run)] == [(one, None), ("", reason), (three, None), (four, None)]
