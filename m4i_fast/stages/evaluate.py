"""Steps 8 and 9: the target's labels are opened, here and nowhere before, and the verdict is reached."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m4i_fast.runs import Run, StageReport, read_json, sha256_of, stage
from m4i_fast.stages.records import need_pictures
from m4i_fast.stages.settings import EvaluateSettings
from m4i_fast.stages.standing import made_by, need_scored
from m4i_fast.types import Estimate, Membership, MembershipScores, Record

if TYPE_CHECKING:
    from m4i_fast.validity.contamination import Contamination
    from m4i_fast.validity.judge import Judgement

__all__ = ["evaluate_stage"]

PACKAGES = ("m4i-fast", "numpy", "scikit-learn", "pyarrow", "pillow", "onnxruntime", "onnxruntime-gpu", "torch")


def evaluate_stage(
    run: Run,
    membership: Path,
    settings: EvaluateSettings,
    *,
    seed: int,
    again: bool = False,
    about: Mapping[str, Any] | None = None,
) -> StageReport:
    """Write ``result.json``, ``curves.parquet`` and ``judged.parquet`` (the labels, for the report).

    Args:
        run: the target's run, after ``attack score``.
        membership: the target's labels.
        settings: of the bootstrap.
        seed: of the bootstrap and the blind baselines.
        again: judge even where the same judgement already stands.
        about: further facts for the result: merged settings, counts of a split.

    Raises:
        AuditError: one class only, records without labels, nothing scored.
        DataError: the labels cannot be read.
        RunError: a stage before has not ended, its files are not of what now stands in the run, or pictures have
            changed since the model was asked about them.
    """
    from m4i_fast.data.labels import read_membership_file

    read_membership_file(membership)  # a fault in it is named before anything is done
    inputs = {
        "records": run.need("records.parquet", made_by=made_by(run, "query")),
        "scores": run.need("scores.parquet", made_by=made_by(run, "attack-score")),
        "membership": membership,
    }
    need_scored(run, "attack-score")
    for name in ("embeddings/image.parquet", "shadow/records.parquet"):
        if run.path(name).exists():
            inputs[name] = run.path(name)
    return stage(
        run,
        "evaluate",
        settings={"resamples": settings.resamples, "seed": seed, "about": dict(about or {})},
        inputs=inputs,
        outputs=["result.json", "curves.parquet", "judged.parquet"],
        work=lambda: _evaluate(run, membership, settings, seed, dict(about or {})),
        again=again,
    )


def _evaluate(
    run: Run, membership_file: Path, settings: EvaluateSettings, seed: int, about: dict[str, Any]
) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    from m4i_fast.data.labels import read_membership_file
    from m4i_fast.progress import progress
    from m4i_fast.report.curves import write_curves
    from m4i_fast.report.schema import result_from, write_result
    from m4i_fast.stats.set_level import set_level
    from m4i_fast.tables import read_records, read_scores, write_membership
    from m4i_fast.validity.judge import judge_audit
    from m4i_fast.validity.verdict import verdict

    started = time.perf_counter()
    records = read_records(run.path("records.parquet"))
    labels = _labels_of(records, read_membership_file(membership_file), membership_file)
    for side in (run, Run(run.path("shadow"))):
        if side.path("records.parquet").exists():
            need_pictures(side)  # they are looked at again here: for the blind baselines and for near-duplicates
    scores = read_scores(run.path("scores.parquet"))
    groups = [record.group for record in records]
    # One thread, as for the fits: the same sums everywhere, and no slower.
    with progress("evaluating", 4) as advance, threadpool_limits(1):
        blind = _blind(run, records, labels, seed)
        advance(note="blind baselines")
        shared = _contamination(run, records, labels)
        advance(note="near-duplicates")
        judgement = judge_audit(scores, blind, labels, groups, seed=seed, resamples=settings.resamples)
        scored = run.stamp("attack-score") or {"facts": {}}
        ruling = verdict(judgement, contamination=shared, fitted_here=scored["facts"].get("fitted_here", {}))
        sets = {each.attack: set_level(each, labels, groups, seed=seed) for each in scores}
        advance(note="intervals")
        results = [*judgement.attacks, *judgement.blind]
        result = result_from(
            judgement.attacks,
            judgement.blind,
            ruling,
            comparisons=_lead_over_strongest(judgement),
            counts=_counts(run, records, labels, shared) | about.get("counts", {}),
            recipes=_recipes(run),
            provenance=_provenance(run, seed, membership_file, started),
            sets=sets,
            unread=_unread(run, records),
            settings=about.get("settings", {}),
        )
        write_curves(run.path("curves.parquet"), {each.name: each.roc for each in results if each.roc is not None})
        write_membership(run.path("judged.parquet"), labels)
        write_result(run.path("result.json"), result)
        advance(note="written")
    return {"verdict": ruling.kind}


def _labels_of(records: Sequence[Record], membership: Membership, where: Path) -> Membership:
    """The labels of the run's records, in their order; labels of other records are left aside."""
    import numpy as np

    from m4i_fast.errors import AuditError

    index = {identity: row for row, identity in enumerate(membership.ids)}
    missing = [record.id for record in records if record.id not in index]
    if missing:
        raise AuditError(
            f"{len(missing)} of {len(records)} records have no label, the first is '{missing[0]}'",
            where=where,
            cure="Give a label for every record of the run, with the same ids.",
        )
    rows = np.fromiter((index[record.id] for record in records), np.int64, len(records))
    is_member = membership.is_member[rows]
    members = int(is_member.sum())
    if members in {0, len(records)}:
        raise AuditError(
            f"one class only: {members} members and {len(records) - members} non-members",
            where=where,
            cure="Put records of both kinds into the run: whether they can be told apart is the question.",
        )
    return Membership(tuple(record.id for record in records), is_member)


def _blind(run: Run, records: Sequence[Record], labels: Membership, seed: int) -> list[MembershipScores]:
    """Baselines that never ask the target: words of the references, the pictures, both, and the pictures' files."""
    import numpy as np

    from m4i_fast.data.images import decode
    from m4i_fast.data.traits import file_traits
    from m4i_fast.tables import read_embeddings
    from m4i_fast.text.words import words
    from m4i_fast.validity.blind import blind_both, blind_scores, blind_text, image_statistics

    ids = [record.id for record in records]
    groups = [record.group for record in records]
    references = [record.references for record in records]
    if run.path("embeddings/image.parquet").exists():
        features = read_embeddings(run.path("embeddings/image.parquet"))[0].values.astype(np.float64)
    else:
        pixels, errors = decode([record.image for record in records], 64, threads=2)
        features = image_statistics(pixels)
        features[np.array([error is not None for error in errors])] = np.nan
    found = [blind_scores("image", features, labels.is_member, groups, ids=ids, seed=seed)]
    if any(words(caption) for captions in references for caption in captions):
        found.insert(0, blind_text(references, labels.is_member, groups, ids=ids, seed=seed))
        found.append(blind_both(references, features, labels.is_member, groups, ids=ids, seed=seed))
    traits = file_traits([record.image for record in records])
    found.append(blind_scores("file", traits, labels.is_member, groups, ids=ids, seed=seed, trees=True))
    return found


def _contamination(run: Run, records: Sequence[Record], labels: Membership) -> Contamination:
    """Near-duplicate pictures across members, non-members and (where it stands in the run) the shadow's records."""
    from itertools import combinations

    from m4i_fast.data.duplicates import image_groups
    from m4i_fast.tables import read_records
    from m4i_fast.validity.contamination import contamination

    roles: dict[str, list[str]] = {"target_member": [], "target_nonmember": []}
    for record, member in zip(records, labels.is_member, strict=True):
        roles["target_member" if member else "target_nonmember"].append(f"target {record.id}")
    paths, keys = [record.image for record in records], [f"target {record.id}" for record in records]
    if run.path("shadow/records.parquet").exists():
        shadow = read_records(run.path("shadow/records.parquet"))
        roles["shadow"] = [f"shadow {record.id}" for record in shadow]
        paths += [record.image for record in shadow]
        keys += roles["shadow"]
    alike: dict[int, list[str]] = {}
    for key, group in zip(keys, image_groups(paths, threads=2).tolist(), strict=True):
        alike.setdefault(group, []).append(key)
    pairs = [pair for together in alike.values() for pair in combinations(together, 2)]
    return contamination(roles, pairs)


def _lead_over_strongest(judgement: Judgement) -> dict[str, Estimate]:
    """By attack, its AUC minus that of the blind baseline it beats by least."""
    return {
        each.attack: min(each.differences.values(), key=lambda difference: difference.value)
        for each in judgement.comparisons
        if each.differences
    }


def _counts(run: Run, records: Sequence[Record], labels: Membership, shared: Contamination) -> dict[str, int]:
    members = int(labels.is_member.sum())
    return {
        "records": len(records),
        "members": members,
        "non_members": len(records) - members,
        "unreadable": len(_unread(run, records)),
        "without_reference": sum(not record.references for record in records),
        "near_duplicate_pairs_across_sets": sum(shared.near.values()),
    }


def _unread(run: Run, records: Sequence[Record]) -> dict[str, str]:
    from m4i_fast.stages.join import generations_of

    asked = generations_of(run, records).errors if run.path("generations").exists() else [None] * len(records)
    reasons = [(record.id, record.error or error) for record, error in zip(records, asked, strict=True)]
    return {identity: reason for identity, reason in reasons if reason}


def _recipes(run: Run) -> dict[str, str]:
    import pyarrow.parquet as pq

    found = {}
    for path in (run.path("overlap.parquet"), *sorted(run.path("features").glob("*.parquet"))):
        if path.exists():
            found[path.stem] = (pq.read_metadata(path).metadata or {}).get(b"recipe", b"").decode()
    return found


def _provenance(run: Run, seed: int, membership: Path, started: float) -> Any:
    from m4i_fast.report.schema import Provenance

    hashes: dict[str, str] = {}
    wall: dict[str, float] = {}
    folders = {"": run.root, "shadow ": run.path("shadow"), "heads ": run.path("heads")}
    for side, folder in folders.items():
        for name, stamp in (Run(folder).stamps() if folder.exists() else {}).items():
            wall[f"{side}{name}"] = stamp["wall_s"]
            hashes |= {f"{side}{name}: {role}": digest for role, digest in stamp["inputs"].items()}
    # This stage has no stamp yet.
    hashes["evaluate: membership"] = sha256_of(membership)
    wall["evaluate"] = round(time.perf_counter() - started, 3)
    command = run.path("command.json")
    return Provenance(
        seed=seed,
        versions={name: version for name in PACKAGES if (version := _version(name))}
        | {"python": sys.version.split()[0]},
        hashes=hashes,
        wall_s=wall,
        machine=f"{platform.system()} {platform.machine()}",
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command=str(read_json(command)["command"]) if command.exists() else "",
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
