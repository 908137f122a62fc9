"""What the report says in words: each verdict for readers without statistics, names of attacks, figures as text."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "VerdictWords",
    "count_label",
    "in_hundred",
    "label_of",
    "number",
    "percent",
    "rate_label",
    "share",
    "words_of",
]


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """A verdict explained.

    Attributes:
        stamp: two or three words for the banner.
        headline: one sentence.
        means: what follows from it.
        not_means: what does not follow.
        next_steps: what to do now.
    """

    stamp: str
    headline: str
    means: tuple[str, ...]
    not_means: tuple[str, ...]
    next_steps: tuple[str, ...]


_VERDICTS = {
    "leak": VerdictWords(
        stamp="Leak",
        headline="This model gives away which records it was trained on.",
        means=(
            "Whoever may ask the model for captions, and holds a record, can find out whether it was trained on it.",
            "That is surer than guessing, and surer than what the records show without asking the model.",
            "The figures are a lower bound: a better attack may reach more.",
        ),
        not_means=(
            "The model does not hand out pictures or texts to people who do not have them.",
            "Not every record is recognised: the table says how many are, and at how many false alarms.",
            "One record called a member is a suspicion with an error rate, not a proof.",
        ),
        next_steps=(
            "Guard access to the model as you would guard the list of its training records.",
            "Train for less long, on more data or with a defence; then audit again with the same settings.",
        ),
    ),
    "no_evidence": VerdictWords(
        stamp="No evidence",
        headline="No attack found the training records of this model.",
        means=(
            "Asking the model told members from non-members no better than guessing, or than not asking it at all.",
            "A leak that is large enough would most likely have shown. The reasons above say how large that is.",
        ),
        not_means=(
            "It is no proof of privacy: a smaller leak, a stronger attack or more queries are not ruled out.",
            "It says nothing about other data, other models or other ways of asking.",
        ),
        next_steps=(
            "More records of both sorts narrow the intervals and let smaller leaks show.",
            "Audit again whenever the model is trained again or fine-tuned.",
        ),
    ),
    "invalid": VerdictWords(
        stamp="Invalid",
        headline="This audit cannot show whether the model leaks.",
        means=(
            "A check of the audit itself failed; the reasons above say which.",
            "So whatever the attacks score, high or low, is no statement about the model.",
        ),
        not_means=(
            "It does not mean that the model leaks.",
            "Nor does it mean that the model is safe. The question stays open.",
        ),
        next_steps=(
            "Mend what the reasons name.",
            "Then audit again.",
        ),
    ),
    "invalid_sets": VerdictWords(
        stamp="Invalid",
        headline="This comparison cannot show whether the model leaks.",
        means=(
            "Members and non-members differ by themselves: a test that never asks the model tells them apart.",
            "So a high score of an attack may come from the data and not from the model.",
            "That happens when the two come from different sources, times or styles.",
        ),
        not_means=(
            "It does not mean that the model leaks, however high the attacks score.",
            "Nor does it mean that the model is safe. The question stays open.",
        ),
        next_steps=(
            "Take non-members from the same source as the members: set records aside at random before training.",
            "Then audit again.",
        ),
    ),
}

_LABELS = {
    "mb_threshold": "Caption overlap, threshold",
    "mb_svm": "Caption overlap, linear SVM",
    "fb_mlp": "Image and caption features, MLP",
    "both": "Overlap and features together",
    "cosine": "Angle between picture and caption",
    "confidence": "The model's own certainty",
    "consistency": "Captions of changed pictures",
    "repeats": "Several captions, alike",
    "pseudo": "Several captions, overlap",
    "pictures_only": "All that needs no known caption",
    "ensemble": "All together",
    "text": "Words of the known captions",
    "image": "Pictures",
    "text+image": "Words and pictures",
    "file": "Size and form of the picture files",
}

_COUNTS = {
    "records": "records in all",
    "members": "members of the target",
    "non_members": "non-members of the target",
    "unreadable": "could not be read",
    "without_reference": "without a known caption",
    "near_duplicate_pairs_across_sets": "near-duplicate pairs across sets",
    "split_target_member": "drawn as members of the target",
    "split_target_nonmember": "drawn as non-members of the target",
    "split_shadow_member": "drawn as members of the shadow",
    "split_shadow_nonmember": "drawn as non-members of the shadow",
    "split_encoder": "drawn for the encoders",
}


def words_of(kind: str, *, sets_differ: bool) -> VerdictWords:
    """The words for a verdict; an invalid one has others where a blind baseline tells the two sets apart."""
    return _VERDICTS["invalid_sets" if kind == "invalid" and sets_differ else kind]


def label_of(name: str) -> str:
    """A reader's name for an attack or baseline; unknown ones are taken at their word."""
    return _LABELS.get(name, name.replace("_", " "))


def count_label(name: str) -> str:
    """A reader's name for a count."""
    return _COUNTS.get(name, name.replace("_", " "))


def number(value: float, digits: int = 3) -> str:
    """A figure with a true minus sign."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text.removeprefix("-")


def percent(value: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{number(100 * value, 1)}\u00a0%"


def in_hundred(value: float) -> str:
    """A chance as times in 100; certainty is said only where it is certain."""
    nearest = round(100 * value)
    if nearest == 100 and value < 1:
        return "more than 99"
    if nearest == 0 and value > 0:
        return "less than 1"
    return str(nearest)


def rate_label(rate: str) -> str:
    """``"0.01"`` as ``1 %``."""
    return f"{100 * float(rate):g}\u00a0%"


def share(false_alarms: int | None, non_members: int) -> str:
    """At which false-positive rate a score like this calls a member, in words."""
    if false_alarms is None or not non_members:
        return "unknown without labels"
    if not false_alarms:
        return f"under {100 / non_members:.2g}\u00a0% (none of {non_members:,} non-members scores as high)"
    return f"{100 * false_alarms / non_members:.3g}\u00a0% ({false_alarms:,} of {non_members:,} non-members)"
