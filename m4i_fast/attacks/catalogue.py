"""What there is to look at (families of features), and the attacks that look at it.

All but one ask the target for text alone: ``confidence`` needs the model's own probabilities, which few deployed models
give. Its family stands in no ensemble, so that what those reach is reached with text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from m4i_fast.errors import AuditError, ConfigError

__all__ = ["ATTACKS", "FAMILIES", "Attack", "Family", "attack_named", "families_of", "possible"]


@dataclass(frozen=True, slots=True)
class Family:
    """Features that come together.

    Attributes:
        what: they are, in a few words.
        cure: what must be run so that a run has them.
        references: whether they need ground-truth captions.
    """

    what: str
    cure: str
    references: bool = False


FAMILIES: dict[str, Family] = {
    "overlap": Family("ROUGE and BLEU of the caption", "m4i-fast overlap RUN", references=True),
    "z": Family("the difference of picture and caption vectors", "m4i-fast encode RUN --encoders FOLDER"),
    "alignment": Family("the angle between picture and caption vectors", "m4i-fast encode RUN --encoders FOLDER"),
    "answer": Family("the model's own probabilities of its words", "a query of an engine that gives them"),
    "views": Family("captions of changed pictures", "m4i-fast query ... --augment flip,crop"),
    "samples": Family("several captions of one picture", "m4i-fast query ... --samples 5 --temperature 1"),
    "pseudo": Family(
        "several captions of one picture, against the references",
        "m4i-fast query ... --samples 5 --temperature 1",
        references=True,
    ),
}
"""Every family by name, in the order of tables; made by ``m4i_fast.features``."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What an attack needs and does.

    Attributes:
        description: one line.
        model: what is learned on the shadow: a ``threshold`` on one column, a linear ``svm``, an ``mlp``, a
            ``logistic`` regression, or a ``stack``: logistic on all but z and on the MLP's score of z.
        queries: captions asked of the target, a record.
        needs: families that it cannot do without.
        takes: families that it uses too where they are.
        one_of: of these at least one must be there.
        columns: of the features that it looks at; empty: all of its families.
        by_default: whether it is fitted where none is named.
    """

    description: str
    model: Literal["threshold", "svm", "mlp", "logistic", "stack"]
    queries: str = "1"
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    by_default: bool = True

    @property
    def references(self) -> bool:
        """Whether it needs ground-truth captions."""
        return any(FAMILIES[family].references for family in self.needs)


_REPEATED = ("views", "samples")

ATTACKS: dict[str, Attack] = {
    "mb_threshold": Attack(
        "ROUGE-L of the caption against a threshold", "threshold", needs=("overlap",), columns=("rouge_l",)
    ),
    "mb_svm": Attack(
        "linear SVM on ROUGE-1, ROUGE-2 and ROUGE-L",
        "svm",
        needs=("overlap",),
        columns=("rouge_1", "rouge_2", "rouge_l"),
    ),
    "fb_mlp": Attack("MLP on the difference of picture and caption vectors", "mlp", needs=("z",)),
    "both": Attack("logistic regression on all overlap scores and the fb_mlp score", "stack", needs=("overlap", "z")),
    "cosine": Attack(
        "cosine of picture and caption vectors",
        "threshold",
        needs=("alignment",),
        columns=("cosine",),
        by_default=False,
    ),
    "confidence": Attack(
        "mean log-probability that the model gave its own words",
        "threshold",
        needs=("answer",),
        columns=("log_prob_mean",),
        by_default=False,
    ),
    "consistency": Attack(
        "how far captions of the changed picture say the same", "logistic", "1 + variants", needs=("views",)
    ),
    "repeats": Attack(
        "how far several captions of the picture say the same",
        "threshold",
        "samples",
        needs=("samples",),
        columns=("repeat_rouge_l",),
    ),
    "pseudo": Attack(
        "mean ROUGE-1 of several captions against the references",
        "threshold",
        "samples",
        needs=("pseudo",),
        columns=("pseudo_rouge_1",),
    ),
    "pictures_only": Attack(
        "logistic regression on all that needs no reference caption",
        "stack",
        "all that were asked",
        takes=("z", "alignment", *_REPEATED),
        one_of=_REPEATED,
    ),
    "ensemble": Attack(
        "logistic regression on all texts that are there",
        "stack",
        "all that were asked",
        takes=("overlap", "z", "alignment", *_REPEATED, "pseudo"),
        one_of=_REPEATED,
    ),
}
"""Every attack by name, in the order of tables."""


def attack_named(name: str, where: str | None = None) -> Attack:
    """An attack.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in ATTACKS:
        raise ConfigError(f"no attack '{name}'", where=where, cure=f"Choose from: {', '.join(ATTACKS)}.")
    return ATTACKS[name]


def families_of(name: str, has: Collection[str]) -> tuple[str, ...]:
    """The families that an attack looks at, of those that a run has, in the order of ``FAMILIES``.

    Raises:
        AuditError: one that it needs is missing; says how to get it.
        ConfigError: no such attack.
    """
    attack = attack_named(name)
    missing = [family for family in attack.needs if family not in has]
    if not missing and attack.one_of and not set(attack.one_of) & set(has):
        missing = [attack.one_of[0]]
    if missing:
        family = FAMILIES[missing[0]]
        raise AuditError(
            f"the attack '{name}' needs {family.what} ('{missing[0]}'), which this run lacks",
            cure=f"Run first: {family.cure}",
        )
    return tuple(family for family in FAMILIES if family in has and family in (*attack.needs, *attack.takes))


def possible(has: Collection[str]) -> list[str]:
    """The attacks that are fitted where none is named, on a run with these families."""
    return [
        name
        for name, attack in ATTACKS.items()
        if attack.by_default and set(attack.needs) <= set(has) and (not attack.one_of or set(attack.one_of) & set(has))
    ]
