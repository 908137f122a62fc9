from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4i_fast.attacks.catalogue import ATTACKS, FAMILIES, families_of, possible
from m4i_fast.attacks.fitting import best_threshold, fit, table_of
from m4i_fast.attacks.heads import Head, Layer, Term, aligned_values, score_table
from m4i_fast.attacks.onnx_file import save_head
from m4i_fast.engines.metadata import KEY, from_json
from m4i_fast.errors import AuditError, ConfigError
from m4i_fast.stats.roc import auc, balanced_accuracy
from m4i_fast.types import FeatureTable, Membership

OVERLAP = ("rouge_1", "rouge_2", "rouge_l", "bleu_1", "bleu_2", "bleu_3", "bleu_4")


Tables = dict[str, FeatureTable]

COLUMNS = {
    "overlap": OVERLAP,
    "z": tuple(f"z_{i}" for i in range(6)),
    "alignment": ("cosine", "rank"),
    "answer": ("log_prob_mean", "log_prob_min"),
    "views": ("agree_flip", "same_flip"),
    "samples": ("repeat_rouge_l", "repeat_same"),
    "pseudo": ("pseudo_rouge_1", "pseudo_rouge_2", "pseudo_rouge_l", "pseudo_best"),
}


TEXT = tuple(family for family in COLUMNS if family != "answer")
"""Families for which the target is asked for text alone."""


def shadow(count: int = 240, seed: int = 0, lift: float = 0.15, z_lift: float = 0.9) -> tuple[Tables, Membership]:
    """Features of each family; a member's are higher by ``lift``, in z by ``z_lift`` deviations of two columns."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2 == 0
    ids = tuple(f"r{i}" for i in range(count))
    values = {
        family: np.clip(rng.normal(0.35, 0.12, (count, len(names))) + lift * labels[:, None], 0, 1)
        for family, names in COLUMNS.items()
    }
    values["z"] = rng.normal(5.0, 3.0, (count, 6))
    values["z"][:, :2] += 3.0 * z_lift * labels[:, None]
    tables = {family: FeatureTable(ids, COLUMNS[family], values[family], family) for family in FAMILIES}
    return tables, Membership(ids, labels)


def table_for(name: str, tables: Tables) -> FeatureTable:
    return table_of(families_of(name, tables), tables)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_finds_what_is_there_and_is_oriented(name: str) -> None:
    head = fit(name, *shadow(), seed=0)
    target, labels = shadow(1000, seed=1)
    scores = score_table(head, table_for(name, target))
    assert scores.attack == name
    assert auc(scores.values, labels.is_member) > 0.7
    assert balanced_accuracy(scores.values, labels.is_member, scores.threshold) > 0.65


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_at_chance_where_there_is_nothing(name: str) -> None:
    head = fit(name, *shadow(lift=0.0, z_lift=0.0), seed=0)
    target, labels = shadow(2000, 1, 0.0, 0.0)
    assert abs(auc(score_table(head, table_for(name, target)).values, labels.is_member) - 0.5) < 0.05


@pytest.mark.parametrize("name", ATTACKS)
def test_the_onnx_file_gives_the_heads_scores(name: str, tmp_path: Path) -> None:
    head = fit(name, *shadow(), seed=0)
    target = table_for(name, shadow(50, seed=1)[0])
    target.values[3] = np.nan
    path = tmp_path / "head.onnx"
    save_head(head, path)
    session = onnxruntime.InferenceSession(path)
    values = aligned_values(target, head.features, head.recipe, head=name)
    (scores,) = session.run(["scores"], {"features": values.astype(np.float32)})
    wanted = head.score(values)
    assert scores.dtype == np.float32
    assert scores.shape == (50,)
    assert np.isnan(scores[3])
    assert np.isnan(wanted[3])
    assert np.nanmax(np.abs(scores - wanted)) < 1e-5
    assert np.array_equal(scores > np.float32(head.threshold), wanted > head.threshold)
    model = onnx.load(path)
    metadata = from_json({each.key: each.value for each in model.metadata_props}[KEY], path, kind="head")
    assert (metadata.name, tuple(metadata.features or ()), metadata.recipe) == (name, head.features, head.recipe)
    assert metadata.threshold == head.threshold


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for each in ("a.onnx", "b.onnx"):
        save_head(fit("both", *shadow(), seed=3), tmp_path / each)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_attacks_take_the_columns_they_need() -> None:
    wanted = {
        "mb_threshold": ("rouge_l",),
        "mb_svm": ("rouge_1", "rouge_2", "rouge_l"),
        "fb_mlp": COLUMNS["z"],
        "both": OVERLAP + COLUMNS["z"],
        "cosine": ("cosine",),
        "confidence": ("log_prob_mean",),
        "consistency": COLUMNS["views"],
        "repeats": ("repeat_rouge_l",),
        "pseudo": ("pseudo_rouge_1",),
        "pictures_only": sum((COLUMNS[each] for each in ("z", "alignment", "views", "samples")), ()),
        "ensemble": sum((COLUMNS[each] for each in TEXT), ()),
    }
    assert {name: fit(name, *shadow(), seed=0).features for name in ATTACKS} == wanted


def test_what_can_be_fitted_follows_from_what_is_there() -> None:
    published = ["mb_threshold", "mb_svm", "fb_mlp", "both"]
    assert possible(("overlap",)) == published[:2]
    assert possible(("z", "alignment", "answer")) == ["fb_mlp"]
    assert possible(("overlap", "z", "alignment", "answer")) == published
    assert possible(("views",)) == ["consistency", "pictures_only", "ensemble"]
    assert possible(FAMILIES) == [name for name in ATTACKS if name not in {"cosine", "confidence"}]
    assert families_of("ensemble", ("samples", "overlap")) == ("overlap", "samples")
    assert families_of("pictures_only", ("samples", "overlap", "pseudo", "z")) == ("z", "samples")
    for name in ("ensemble", "pictures_only"):
        with pytest.raises(AuditError, match=r"needs captions of changed pictures \('views'\).*--augment flip,crop"):
            families_of(name, ("overlap", "z", "alignment"))


def test_the_ensemble_says_what_each_part_tells_alone() -> None:
    tables, labels = shadow(600)
    tables["views"].values[:] = np.random.default_rng(5).normal(size=(600, 2))
    about = fit("ensemble", tables, labels, seed=0).about
    assert about["families"] == "+".join(TEXT)
    alone = dict(part.split() for part in about["parts"].split(", "))
    assert set(alone) == set(TEXT)
    values = [float(value) for value in alone.values()]
    assert values == sorted(values, reverse=True)
    assert float(alone["overlap"]) > 0.9
    assert abs(float(alone["views"]) - 0.5) < 0.06
    assert "parts" not in fit("consistency", tables, labels, seed=0).about


def test_the_threshold_attack_scores_by_rouge_l_itself() -> None:
    tables, labels = shadow()
    head = fit("mb_threshold", tables, labels, seed=0)
    column = tables["overlap"].values[:, 2]
    assert score_table(head, tables["overlap"]).values.tolist() == column.tolist()
    best = max(balanced_accuracy(column, labels.is_member, t) for t in column)
    assert balanced_accuracy(column, labels.is_member, head.threshold) == pytest.approx(best)


def test_best_threshold_by_hand() -> None:
    scores, labels = np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, False, True, True])
    assert best_threshold(scores, labels) == pytest.approx(0.5)
    # Equally good: between .8 and .6, and between .4 and .2; the higher one calls fewer.
    assert best_threshold(scores, np.array([False, True, False, True])) == pytest.approx(0.7)
    # Nothing gained anywhere: nobody is called.
    assert best_threshold(scores, np.array([True, True, False, False])) == 0.8


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30).filter(
        lambda rows: len({row[1] for row in rows}) == 2
    )
)
def test_no_threshold_is_better_than_the_best(rows: list[tuple[int, bool]]) -> None:
    scores, labels = (np.array(each) for each in zip(*rows, strict=True))
    best = balanced_accuracy(scores, labels, best_threshold(scores.astype(float), labels))
    assert best >= max(balanced_accuracy(scores, labels, t) for t in np.arange(-0.5, 6)) - 1e-12


def test_the_mlps_shadow_figure_is_out_of_fold() -> None:
    # 120 records, 40 columns of noise: learned by heart, the shadow's own AUC would be near 1.
    rng = np.random.default_rng(0)
    ids = tuple(map(str, range(240)))
    table = FeatureTable(ids, tuple(f"z_{i}" for i in range(40)), rng.normal(size=(240, 40)), "z")
    head = fit("fb_mlp", {"z": table}, Membership(ids, np.arange(240) % 2 == 0), seed=0)
    assert 0.35 < float(head.about["shadow_auc"].split()[0]) < 0.62
    assert "MLP 64-1" in head.about["how"]


def test_a_tiny_shadow_gets_a_linear_head() -> None:
    head = fit("fb_mlp", *shadow(60), seed=0)
    assert [len(term.layers) for term in head.terms] == [1]
    assert "a small shadow" in head.about["how"]


def test_the_joint_attack_uses_both_sides() -> None:
    target, labels = shadow(1000, seed=1)
    joint = {}
    for name in ("mb_svm", "fb_mlp", "both"):
        joint[name] = auc(
            score_table(fit(name, *shadow(600), seed=0), table_for(name, target)).values, labels.is_member
        )
    assert joint["both"] > max(joint["mb_svm"], joint["fb_mlp"])


def test_nan_rows_are_left_out_of_the_fit_and_counted() -> None:
    tables, labels = shadow()
    table = tables["overlap"]
    table.values[:5] = np.nan
    head = fit("mb_svm", tables, labels, seed=0)
    assert head.about["left_out"] == "5 shadow records without features"
    assert head.about["fitted_on"] == "117 shadow members, 118 shadow non-members"
    assert np.isnan(score_table(head, table).values).tolist() == [True] * 5 + [False] * 235


def test_nan_in_a_column_that_is_not_needed_does_not_matter() -> None:
    tables, labels = shadow()
    tables["overlap"].values[:, 5:] = tables["z"].values[:] = np.nan
    assert fit("mb_svm", tables, labels, seed=0).about["left_out"] == "0 shadow records without features"


def test_a_constant_column_does_no_harm() -> None:
    tables, labels = shadow(60)
    table = tables["z"]
    table.values[:, 0] = 0.1
    other = FeatureTable(table.ids, table.names, table.values.copy(), table.recipe)
    other.values[:, 0] = 1e6
    head = fit("fb_mlp", tables, labels, seed=0)
    assert np.allclose(score_table(head, other).values, score_table(head, table).values)


def test_the_same_seed_gives_the_same_head() -> None:
    tables, labels = shadow()
    one, two, other = (score_table(fit("fb_mlp", tables, labels, seed=s), tables["z"]).values for s in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_records_of_a_group_stay_in_one_fold() -> None:
    # Each picture four times, z pure noise: with copies in other folds the net would look good.
    rng = np.random.default_rng(0)
    z, labels = np.repeat(rng.normal(size=(120, 30)), 4, axis=0), np.repeat(np.arange(120) % 2 == 0, 4)
    ids = tuple(map(str, range(480)))
    table = FeatureTable(ids, tuple(f"z_{i}" for i in range(30)), z, "z")
    names = [f"g{i // 4}" for i in range(480)]
    head = fit("fb_mlp", {"z": table}, Membership(ids, labels), seed=0, groups=names)
    assert float(head.about["shadow_auc"].split()[0]) < 0.65


def test_features_of_another_recipe_are_refused() -> None:
    tables, labels = shadow()
    table = tables["overlap"]
    head = fit("mb_svm", tables, labels, seed=0)
    with pytest.raises(AuditError, match="recipe 'overlap', these are 'rouge-score'"):
        score_table(head, FeatureTable(table.ids, table.names, table.values, "rouge-score"))


def test_features_of_other_names_are_refused() -> None:
    tables, labels = shadow()
    table = tables["overlap"]
    head = fit("mb_svm", tables, labels, seed=0)
    with pytest.raises(AuditError, match="fitted on 'rouge_2', which these features lack"):
        score_table(head, FeatureTable(table.ids, ("rouge_1", "rouge_l"), table.values[:, :2], table.recipe))
    with pytest.raises(AuditError, match=r"wants \[N, 3\]"):
        head.score(np.zeros((4, 2)))


def test_columns_are_taken_by_name_and_not_by_place() -> None:
    tables, labels = shadow()
    table = tables["overlap"]
    head = fit("mb_svm", tables, labels, seed=0)
    turned = FeatureTable(table.ids, table.names[::-1], table.values[:, ::-1], table.recipe)
    assert np.array_equal(score_table(head, turned).values, score_table(head, table).values)


def test_one_class_or_too_few_records_are_refused() -> None:
    tables, labels = shadow()
    with pytest.raises(AuditError, match="240 shadow members and 0 non-members"):
        fit("mb_svm", tables, Membership(labels.ids, np.ones(240, np.bool_)), seed=0)
    tables["overlap"].values[10:] = np.nan
    with pytest.raises(AuditError, match=r"5 shadow members and 5 non-members \(230 more have no features\)"):
        fit("mb_svm", tables, labels, seed=0)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_whose_features_are_missing_is_refused_with_the_cure(name: str) -> None:
    tables, labels = shadow()
    for family in ATTACKS[name].needs:
        left = {each: table for each, table in tables.items() if each != family}
        with pytest.raises(AuditError, match=rf"'{name}' needs .* \('{family}'\), which this run lacks.*Run first"):
            fit(name, left, labels, seed=0)


def test_a_table_without_the_needed_column_is_refused() -> None:
    tables, labels = shadow()
    old = tables["overlap"]
    tables["overlap"] = FeatureTable(old.ids, OVERLAP[:2], old.values[:, :2], old.recipe)
    with pytest.raises(AuditError, match="needs the feature 'rouge_l', which these features lack"):
        fit("mb_threshold", tables, labels, seed=0)


def test_too_few_groups_for_the_folds_are_refused() -> None:
    tables, labels = shadow()
    with pytest.raises(AuditError, match="groups are too few"):
        fit("fb_mlp", tables, labels, seed=0, groups=[f"g{i % 4}" for i in range(240)])


def test_an_unknown_attack_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no attack 'lira'.*mb_threshold, mb_svm, fb_mlp, both"):
        fit("lira", *shadow(), seed=0)


def test_a_head_adds_its_terms_by_hand() -> None:
    hidden = Layer.of([[1.0, -1.0]], [0.0, 0.5])
    out = Layer.of([[2.0], [10.0]], [1.0])
    line = Layer.of([[3.0]], [0.0])
    head = Head("x", ("a", "b"), "r", 0.0, (Term((1,), (hidden, out)), Term((0,), (line,))))
    # b = 2: relu(2, -1.5) = (2, 0) -> 5; a = 1 -> 3.   b = -1: relu(-1, 1.5) = (0, 1.5) -> 16; a = 0 -> 0.
    assert head.score([[1.0, 2.0], [0.0, -1.0]]).tolist() == [8.0, 16.0]


def test_a_nan_in_a_feature_that_no_term_reads_gives_nan_all_the_same(tmp_path: Path) -> None:
    head = Head("x", ("a", "b"), "r", 0.0, (Term((1,), (Layer.of([[1.0]], [0.0]),)),))
    values = np.array([[np.nan, 2.0], [0.0, 2.0]])
    save_head(head, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    (scores,) = session.run(None, {"features": values.astype(np.float32)})
    assert np.isnan(head.score(values)).tolist() == [True, False]
    assert np.isnan(scores).tolist() == [True, False]
