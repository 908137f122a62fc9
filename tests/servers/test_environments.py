"""A server that does not start says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.environments import running

pytestmark = pytest.mark.servers


def test_a_server_that_ends_early_shows_its_log(environments: Path) -> None:
    started = running("s3", environments, "--nonsense")
    with pytest.raises(RuntimeError, match=r"s3 ended with 2 before it was ready:\n.*(?s:.)*--nonsense"), started:
        pass
