"""The verdict: ``leak``, ``no_evidence`` or ``invalid``, with its reasons in plain words.

Asked in this order; the first that holds decides.

0. ``invalid``: an attack's head was fitted on records of this very run. It has seen their labels.
1. ``invalid``: fewer than ``LEAST_GROUPS`` images of a class. No figure would mean anything.
2. ``invalid``: the interval of a blind baseline lies above ``BLIND_CEILING``. The sets come from different sources,
   and a better attack may be no more than a better telling of the sources: every blind baseline is only a lower bound
   of what can be told without the model.
3. ``leak``: the interval of an attack lies above 0.5, and that of its paired difference to EVERY blind baseline above
   0. Where a blind baseline separates (its 95 % interval lies above ``BLIND_MARGIN``) the attack's whole interval
   must also lie above those of all blind baselines. To beat each baseline needs no correction for their number (an
   intersection of tests); that one of several attacks may do it does: their intervals are at 1 - 0.05 / attacks
   (Bonferroni), or at 95 % for a primary attack that was named beforehand.
4. ``invalid``: a blind baseline separates, and no attack is better than it.
5. ``invalid``: the interval of an attack lies below 0.5. Its scores do tell the sets apart, upside down: a sign that
   was flipped, a shadow that differs from the target, or sets drawn differently. 'No evidence' would be false
   comfort.
6. ``no_evidence``, with the smallest AUC that this sample could have shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

from m4i_fast.errors import AuditError
from m4i_fast.stats.intervals import smallest_detectable_auc
from m4i_fast.types import AttackResult, Estimate, Verdict
from m4i_fast.validity.contamination import Contamination
from m4i_fast.validity.judge import Comparison, Judgement

__all__ = ["BLIND_CEILING", "BLIND_MARGIN", "KNOWN", "LEAST_GROUPS", "verdict"]

BLIND_MARGIN = 0.55
"""A blind baseline separates where its interval lies above this. 0.5 + a margin for shifts too small to matter, and for
the spread of cross-validation that the interval, which takes the scores as given, does not see."""

BLIND_CEILING = 0.8
"""Where a blind baseline's interval lies above this, no attack can give a verdict."""

KNOWN = 0.05
"""Share of the rows that a head was fitted on and that it is asked about again, above which it knows the answers."""

LEAST_GROUPS = 30
"""Images of each class below which nothing is judged: not even an AUC of 0.69 would show (power 80 %)."""


def verdict(
    judgement: Judgement,
    *,
    contamination: Contamination | None = None,
    fitted_here: Mapping[str, float] | None = None,
) -> Verdict:
    """Draw the verdict.

    Args:
        judgement: of ``judge_audit``.
        contamination: what the sets share; said in the reasons.
        fitted_here: by attack, the share of the rows its head was fitted on that stand in the judged run too.

    Returns:
        kind and reasons; the first reason is the headline.

    Raises:
        AuditError: no attack, or no blind baseline to hold it against.
    """
    if not judgement.comparisons:
        raise AuditError("no attack gave scores", cure="Run first: m4i-fast attack score")
    if not judgement.blind:
        raise AuditError(
            "no blind baseline was judged, so nobody knows whether the sets differ by themselves",
            cure="Give references or pictures for one; statistics of the pictures always work.",
        )
    strongest = max(judgement.blind, key=lambda each: each.auc.value)
    highest = max(each.auc.high for each in judgement.blind)
    separating = [each for each in judgement.blind if each.auc.low > BLIND_MARGIN]
    leaking = [each for each in judgement.comparisons if _leaks(each, bool(separating), highest)]
    flipped = [each for each in judgement.comparisons if each.auc.high < 0.5]
    known = [name for name, share in (fitted_here or {}).items() if share > KNOWN]
    if known:
        kind, reasons = "invalid", _told(known)
    else:
        kind, reasons = _decide(judgement, strongest, separating, leaking, flipped)
    reasons += [_upside_down(each) for each in flipped if kind == "leak"]
    if contamination is not None:
        reasons += contamination.sentences
    return Verdict(kind, tuple(reasons))


def _decide(
    judgement: Judgement,
    strongest: AttackResult,
    separating: list[AttackResult],
    leaking: list[Comparison],
    flipped: list[Comparison],
) -> tuple[str, list[str]]:
    best = max(judgement.comparisons, key=lambda each: each.auc.value)
    fewest = min(min(each.members, each.non_members) for each in judgement.comparisons)
    blind = f"the blind baseline '{strongest.name}', which never asks the model, reaches AUC {_said(strongest.auc)}"
    if fewest < LEAST_GROUPS:
        return "invalid", [
            (
                f"This audit cannot be judged: only {fewest} images of one class have scores, and at least "
                f"{LEAST_GROUPS} are needed."
            ),
            "Give more known members and non-members; some thousands of each make a sharp verdict.",
        ]
    above = [each for each in judgement.blind if each.auc.low > BLIND_CEILING]
    if above:
        return "invalid", [
            (
                "This audit is invalid: members and non-members differ so much that a classifier which never asks the "
                f"model tells them apart (baseline '{strongest.name}': AUC {_said(strongest.auc)})."
            ),
            (
                f"The best attack, '{best.attack}', reaches AUC {_said(best.auc, best.level)}. Above a blind AUC of "
                f"{BLIND_CEILING} nobody can say whether that is training or only the difference between the sets."
            ),
            "Draw members and non-members from one source, at random, and audit again.",
        ]
    if leaking:
        first = max(leaking, key=lambda each: each.auc.value)
        lead = first.differences[strongest.name]
        reasons = [
            (
                f"The model leaks its training data: the attack '{first.attack}' tells members from non-members with "
                f"AUC {_said(first.auc, first.level)}; guessing is 0.5."
            ),
            (
                f"The difference between the sets does not explain it: {blind}; the attack is better by "
                f"{_said(lead, first.level, signed=True)} on the same records."
            ),
            *_others(leaking, first),
        ]
        if separating:
            reasons.append(
                f"Caution: the sets do differ by themselves (baseline '{strongest.name}' lies above {BLIND_MARGIN}), "
                "so the attack's AUC overstates the leak. Repeat with members and non-members of one source."
            )
        return "leak", reasons
    if separating:
        lead = best.differences[strongest.name]
        return "invalid", [
            f"This audit is invalid: {blind}, and no attack is surely better.",
            (
                f"The best attack, '{best.attack}', reaches AUC {_said(best.auc, best.level)}, a difference of "
                f"{_said(lead, best.level, signed=True)}. Whatever it finds may be the difference between the sets."
            ),
            "Draw members and non-members from one source, at random, and audit again.",
        ]
    if flipped:
        return "invalid", [_upside_down(flipped[0]), f"For comparison, {blind}.", *map(_upside_down, flipped[1:])]
    visible = _visible(best, judgement.blind)
    reasons = [
        (
            f"No evidence of a leak: the best attack, '{best.attack}', reaches AUC {_said(best.auc, best.level)}; "
            f"guessing is 0.5. A leak of AUC {visible:.3f} or more would have been seen in four of five such audits."
        ),
        (
            f"This is no proof that nothing leaks: smaller leaks, and attacks that were not tried, would not show with "
            f"{best.members} member and {best.non_members} non-member images."
        ),
    ]
    if best.auc.low > 0.5:
        reasons.append(
            f"'{best.attack}' lies above 0.5, but not surely above every blind baseline: {blind}; difference "
            f"{_said(best.differences[strongest.name], best.level, signed=True)}."
        )
    else:
        reasons.append(f"For comparison, {blind}.")
    return "no_evidence", reasons


def _told(known: list[str]) -> list[str]:
    named = ", ".join(f"'{name}'" for name in known)
    return [
        (
            f"This audit is invalid: the attacks {named} were fitted on records of this very run, with their labels; "
            "that they know them again says nothing about the model."
        ),
        "Fit the attacks on a shadow model and its own records: m4i-fast attack fit SHADOW_RUN --membership LABELS",
    ]


def _visible(attack: Comparison, blind: list[AttackResult]) -> float:
    """Smallest AUC that rule 3 would have found in four of five samples, the blind baselines being as they are."""
    alone = smallest_detectable_auc(attack.members, attack.non_members, level=attack.level)
    normal = NormalDist()
    error = (attack.auc.value - attack.auc.low) / normal.inv_cdf(0.5 + attack.level / 2)
    leads = {name: each.value - each.low for name, each in attack.differences.items()}
    beside = max(each.auc.value + leads[each.name] for each in blind) + normal.inv_cdf(0.8) * error
    return min(max(alone, beside), 1.0)


def _leaks(attack: Comparison, separated: bool, highest: float) -> bool:
    if attack.auc.low <= 0.5 or any(lead.low <= 0 for lead in attack.differences.values()):
        return False
    return not separated or attack.auc.low > highest


def _others(leaking: list[Comparison], first: Comparison) -> list[str]:
    rest = [f"'{each.attack}' (AUC {_said(each.auc, each.level)})" for each in leaking if each is not first]
    return [f"So do: {', '.join(rest)}."] if rest else []


def _upside_down(attack: Comparison) -> str:
    return (
        f"Something is wrong with the attack '{attack.attack}': its AUC is {_said(attack.auc, attack.level)}, surely "
        "below 0.5. It tells the sets apart upside down: look for a flipped label or sign, a shadow unlike the target, "
        "or sets drawn differently."
    )


def _said(figure: Estimate, level: float = 0.95, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    percent = f"{100 * level:.2f}".rstrip("0").rstrip(".")
    return f"{figure.value:{sign}.3f} ({percent} % interval {figure.low:{sign}.3f} to {figure.high:{sign}.3f})"
