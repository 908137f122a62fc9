"""A model that changes during the run is seen."""

import pytest
from endpoint_questions import ask, good, script
from hostile_endpoint import hostile_endpoint

from m4i_fast.engines.endpoints import ModelIdentity, Reply, Witness


def test_equal_identities_have_equal_keys_and_no_others() -> None:
    first = ModelIdentity("openai", "https://h/v1", "m", None, None)
    assert first == ModelIdentity("openai", "https://h/v1", "m")
    assert len(first.key) == 64
    others = [("hf", "https://h/v1", "m", None, None), ("openai", "https://h/v1", "m", "2", None)]
    others += [("openai", "https://h/v1", "m2", None, None), ("openai", "https://h/v1", "m", None, "2")]
    assert len({first.key, *(ModelIdentity(*each).key for each in others)}) == 5
    assert first.to_json()["model"] == "m"


def test_the_first_answer_says_what_a_name_stands_for() -> None:
    witness = Witness(version="3")
    assert witness.change(Reply("a", model="m-2026-01")) is None
    assert witness.change(Reply("a")) is None
    assert witness.change(Reply("a", model="m-2026-01", version="3", fingerprint="f")) is None
    assert witness.change(Reply("a", version="4")) == "the model's version was '3' and is now '4'"
    assert witness.change(Reply("a", model="m-2026-02")) == "the model's name was 'm-2026-01' and is now 'm-2026-02'"
    assert witness.change(Reply("a", fingerprint="g")) == "the model's fingerprint was 'f' and is now 'g'"


@pytest.mark.parametrize(
    ("protocol", "before", "after"),
    [
        ("openai", {"model": "tiny-1"}, {"model": "tiny-2"}),
        ("openai", {"system_fingerprint": "fp_1"}, {"system_fingerprint": "fp_2"}),
        ("kserve", {"model_version": "3"}, {"model_version": "4"}),
        ("kserve", {"model_name": "tiny"}, {"model_name": "tiny2"}),
    ],
)
def test_a_change_half_way_is_seen(protocol: str, before: dict[str, str], after: dict[str, str]) -> None:
    answers = [good(protocol, **before), good(protocol, **before), good(protocol, **after)]
    with hostile_endpoint(script(protocol, *answers)) as endpoint:
        ask(endpoint.url, protocol, times=2, witness=Witness())
        assert len(endpoint.log) >= 2
    with hostile_endpoint(script(protocol, *answers)) as endpoint, pytest.raises(AssertionError, match="and is now"):
        ask(endpoint.url, protocol, times=3, witness=Witness())
