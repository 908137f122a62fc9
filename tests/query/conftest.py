"""What tests of asking an endpoint share."""

import pytest


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off in milliseconds where the endpoint asks for no other."""
    monkeypatch.setattr("m4i_fast.query.pacing.BACKOFF_BASE_S", 0.004)
