import pytest

from m4i_fast.errors import AuditError
from m4i_fast.validity.contamination import contamination

ROLES = {"target_member": ["a", "b"], "target_nonmember": ["c", "d"], "shadow_member": ["e", "a"]}


def test_shared_ids_are_counted_by_pair_of_roles() -> None:
    found = contamination(ROLES)
    assert found.shared == {("target_member", "shadow_member"): 1}
    assert found.near == {}
    assert not found.clean


def test_near_duplicates_across_roles_are_counted_once() -> None:
    found = contamination(ROLES, [("a", "c"), ("c", "a"), ("a", "b"), ("d", "d")])
    # 'a' is a member and a shadow member, so its duplicate 'b' among the members lies across those two as well.
    assert found.near == {
        ("target_member", "target_nonmember"): 1,
        ("target_member", "shadow_member"): 1,
        ("target_nonmember", "shadow_member"): 1,
    }


def test_sentences_say_how_many_where_and_what_it_does() -> None:
    (sentence,) = contamination({"target_member": ["a"], "target_nonmember": ["b"]}, [("a", "b")]).sentences
    assert sentence == (
        "Contamination: 1 near-duplicate pairs lie across the members (1) and the non-members (1): "
        "labels of these are not sure, which hides a leak."
    )


def test_disjoint_sets_are_clean() -> None:
    found = contamination({"target_member": ["a"], "encoder": ["b"]}, [])
    assert found.clean
    assert found.sentences == ()


def test_a_pair_of_strangers_is_refused() -> None:
    with pytest.raises(AuditError, match="'z' is in no set"):
        contamination(ROLES, [("a", "z")])
