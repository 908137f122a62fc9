"""A whole audit from one settings file: every stage in its order, each kept where its result already stands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m4i_fast.config import convert, merge, read_toml, write_toml
from m4i_fast.errors import ConfigError
from m4i_fast.extras import require
from m4i_fast.progress import say
from m4i_fast.runs import Run, StageReport, open_run, read_json, write_json
from m4i_fast.stages.settings import AuditSettings, DataSettings, EncoderSettings, EndpointSettings, SideSettings

__all__ = ["load_settings", "run_audit"]

PATHS = {"path", "images", "engine", "membership", "folder", "heads", "weights", "out", "key_file", "cache"}
"""Keys whose values are paths, relative to the settings file."""

ROLES = {"target_member", "target_nonmember", "shadow_member", "shadow_nonmember", "encoder"}
"""Keys of ``[split]`` that are paths too where its kind is ``lists`` or ``paper``."""


@dataclass(frozen=True, slots=True)
class _Side:
    """Where a side's records and labels come from; the encoders' records have no labels."""

    data: DataSettings
    membership: Path | None


def load_settings(path: Path, *overrides: Mapping[str, Any]) -> AuditSettings:
    """Read ``audit.toml``; later overrides win; relative paths of the file are taken from its folder.

    Raises:
        ConfigError: not TOML, or a key that is unknown, missing or of the wrong type.
    """
    base = read_toml(path)
    # The kind may stand in the file and an id list in a flag.
    split = merge(base, *overrides).get("split")
    lists = isinstance(split, Mapping) and split.get("kind") in {"lists", "paper"}
    here = path.resolve().parent
    merged = merge(
        _anchored(base, here, lists=lists), *(_anchored(each, Path.cwd(), lists=lists) for each in overrides)
    )
    return convert(merged, AuditSettings, where=path)


def run_audit(settings: AuditSettings) -> dict[str, Any]:
    """Run every stage into ``settings.out``; gives the content of ``result.json``.

    Raises:
        ConfigError: the settings name neither data nor engine for a side.
        M4IError: whatever a stage raises; what was finished stays.
    """
    from m4i_fast.stages.attack import score_stage
    from m4i_fast.stages.evaluate import evaluate_stage
    from m4i_fast.stages.report import report_stage

    _check(settings)
    plain = _plain(settings)
    with open_run(Path(settings.out)) as run:
        write_toml(run.path("settings.toml"), plain)
        write_json(
            run.path("command.json"), {"command": f"m4i-fast audit {_seen_from_here(run.path('settings.toml'))}"}
        )
        sides, counts = _sides(run, settings)
        encoders = _encoders(run, settings, sides)
        _ask(run, settings, sides["target"], _engine(run, settings, "target", sides), encoders)
        heads = Path(settings.attack.heads) if settings.attack.heads else _fit(run, settings, sides, encoders)
        _said(score_stage(run, heads))
        membership = sides["target"].membership
        assert membership is not None  # _check has seen to it
        _said(
            evaluate_stage(
                run,
                membership,
                settings.evaluate,
                seed=settings.seed,
                about={"settings": plain, "counts": counts},
            )
        )
        _said(report_stage(run))
        result: dict[str, Any] = read_json(run.path("result.json"))
        return result


def _sides(run: Run, settings: AuditSettings) -> tuple[dict[str, _Side], dict[str, int]]:
    """The target's, shadow's and encoders' records: a side's own data, else its part of the split."""
    from m4i_fast.stages.split import split_stage

    sides: dict[str, _Side] = {}
    counts: dict[str, int] = {}
    if settings.data is not None:
        done = split_stage(run, settings.data, settings.split, seed=settings.seed)
        _said(done)
        counts = {f"split_{name}": value for name, value in done.facts.items() if isinstance(value, int)}
        for name in ("target", "shadow", "encoder"):
            records = run.path(f"split/{name}/records.parquet")
            if records.exists():
                labels = run.path(f"split/{name}/membership.parquet")
                sides[name] = _Side(DataSettings(path=str(records)), labels if name != "encoder" else None)
    for name, side in (("target", settings.target), ("shadow", settings.shadow)):
        if side.data is not None:
            sides[name] = _Side(side.data, Path(side.membership) if side.membership else None)
    if settings.encoders is not None and settings.encoders.data is not None:
        sides["encoder"] = _Side(settings.encoders.data, None)
    for name in ("target",) if settings.attack.heads else ("target", "shadow"):
        if name not in sides:
            raise ConfigError(
                f"the split gave no records for the {name}",
                where=f"split.{name}_member",
                cure=f"Give split.{name}_member and split.{name}_nonmember, or [{name}.data] with its membership.",
            )
    return sides, counts


def _engine(run: Run, settings: AuditSettings, name: str, sides: Mapping[str, _Side]) -> str | EndpointSettings:
    """The side's model: the given engine or endpoint, or one trained and exported here."""
    side: SideSettings = getattr(settings, name)
    if side.endpoint is not None:
        return side.endpoint
    if side.engine is not None:
        return side.engine
    from m4i_fast.stages.export import export_stage
    from m4i_fast.stages.train import train_captioner_alone, train_stage

    assert side.train is not None  # _check has seen to it
    source, values, cache = sides[name], _plain(side.train), run.path("models/features")
    _said(train_stage(run, name, train_captioner_alone, source.data, values, membership=source.membership, cache=cache))
    engine = run.path(f"engines/{name}.onnx")
    _said(export_stage(run, f"export-{name}", run.path(f"models/{name}"), engine))
    return str(engine)


def _encoders(run: Run, settings: AuditSettings, sides: Mapping[str, _Side]) -> Path | None:
    """The folder of the two towers, trained here if asked for; None: only metric-based attacks are made."""
    wanted: EncoderSettings | None = settings.encoders
    if wanted is None:
        return None
    if wanted.folder is not None:
        return Path(wanted.folder)
    from m4i_fast.stages.export import export_stage
    from m4i_fast.stages.train import train_encoders_alone, train_stage

    assert wanted.train is not None  # _check has seen to it
    if "encoder" not in sides:
        raise ConfigError(
            "there are no records to train the encoders on",
            where="encoders.train",
            cure="Give split.encoder = COUNT, or [encoders.data].",
        )
    values, cache = _plain(wanted.train), run.path("models/features")
    _said(train_stage(run, "encoders", train_encoders_alone, sides["encoder"].data, values, cache=cache))
    folder = run.path("engines/encoders")
    _said(export_stage(run, "export-encoders", run.path("models/encoders"), folder))
    return folder


def _ask(run: Run, settings: AuditSettings, side: _Side, model: str | EndpointSettings, encoders: Path | None) -> None:
    """Records, query, overlap, encode: all that a run gets before anybody scores it."""
    from m4i_fast.stages.encode import encode_stage
    from m4i_fast.stages.overlap import overlap_stage
    from m4i_fast.stages.query import query_stage
    from m4i_fast.stages.records import records_stage

    records = records_stage(run, side.data)
    _said(query_stage(run, model, settings.query), run)
    if any(record.references for record in records):
        _said(overlap_stage(run, settings.overlap), run)
    if encoders is not None:
        _said(encode_stage(run, encoders, settings.query), run)


def _fit(run: Run, settings: AuditSettings, sides: Mapping[str, _Side], encoders: Path | None) -> Path:
    """Ask the shadow, fit the heads on its answers."""
    from m4i_fast.stages.attack import fit_stage

    source = sides["shadow"]
    if source.membership is None:
        raise ConfigError("the shadow's labels are missing", where="shadow.membership", cure="Give a file of labels.")
    heads = run.path("heads")
    with open_run(run.path("shadow")) as shadow:
        _ask(shadow, settings, source, _engine(run, settings, "shadow", sides), encoders)
        _said(fit_stage(shadow, source.membership, heads, settings.attack, seed=settings.seed))
    return heads


def _check(settings: AuditSettings) -> None:
    """Faults of the settings as a whole, named before anything is done."""
    needed = (
        {"target": settings.target}
        if settings.attack.heads
        else {
            "target": settings.target,
            "shadow": settings.shadow,
        }
    )
    for name, side in needed.items():
        given = [word for word in ("engine", "endpoint", "train") if getattr(side, word) is not None]
        if len(given) != 1:
            said = f"two models: {' and '.join(given)}" if given else "no model"
            raise ConfigError(
                f"the {name} has {said}",
                where=name,
                cure=f"Give one of {name}.engine, [{name}.endpoint] and [{name}.train].",
            )
        if side.data is None and settings.data is None:
            raise ConfigError(
                f"there are no records for the {name}",
                where=name,
                cure=f"Give [data] with a [split], or [{name}.data] and {name}.membership.",
            )
        if side.data is not None and side.membership is None:
            raise ConfigError("its labels are missing", where=f"{name}.membership", cure="Give a file of labels.")
        if side.endpoint is not None:
            from m4i_fast.stages.query import check_endpoint

            check_endpoint(side.endpoint, settings.query)
    encoders = settings.encoders
    if encoders is not None and (encoders.folder is None) == (encoders.train is None):
        raise ConfigError("give a folder or a training", where="encoders", cure="encoders.folder or [encoders.train].")
    _check_names(settings)
    _check_files(settings, needed)
    if any(side.train is not None for side in needed.values()) or (encoders is not None and encoders.train is not None):
        for package in ("torch", "onnxscript", "onnx"):
            require(package, why="training within the audit")
    require("onnxruntime", why="asking the captioner")


def _check_names(settings: AuditSettings) -> None:
    """Names that only a late stage would look up: a misspelt one must not cost a night of training."""
    from m4i_fast.attacks.catalogue import attack_named
    from m4i_fast.text.recipes import recipe_named

    recipe_named(settings.overlap.recipe, reduce=settings.overlap.reduce)
    for name in settings.attack.names:
        needs = set(attack_named(name, where="attack.names").needs)
        if needs & {"z", "alignment"} and settings.encoders is None:
            raise ConfigError(
                f"the attack '{name}' needs encoders",
                where="attack.names",
                cure="Give [encoders] a folder or a training, or leave the attack out.",
            )
        asked = settings.query
        if (needs & {"samples", "pseudo"} and asked.samples < 2) or ("views" in needs and not asked.augment):
            raise ConfigError(
                f"the attack '{name}' needs further answers",
                where="attack.names",
                cure="Give query.samples = 5 (samples, pseudo) or query.augment = ['flip', 'crop'] (views).",
            )


def _check_files(settings: AuditSettings, sides: Mapping[str, SideSettings]) -> None:
    """Files that the settings name and a late stage reads; their contents are checked where they are read."""
    files = {"data.path": settings.data.path if settings.data else None, "attack.heads": settings.attack.heads}
    for name, side in sides.items():
        files[f"{name}.data.path"] = side.data.path if side.data else None
        files[f"{name}.membership"] = side.membership
        files[f"{name}.engine"] = side.engine if side.engine and "://" not in side.engine else None
        files[f"{name}.train.weights"] = side.train.weights if side.train else None
    encoders = settings.encoders
    if encoders is not None:
        files["encoders.folder"] = encoders.folder
        files["encoders.data.path"] = encoders.data.path if encoders.data else None
        files["encoders.train.weights"] = encoders.train.weights if encoders.train else None
    for key, file in files.items():
        by_pattern = key.endswith("data.path") and file is not None and any(sign in file for sign in "{*?[")
        if file is not None and "://" not in file and not by_pattern and not Path(file).exists():
            raise ConfigError(f"no such file or folder: {file}", where=key, cure="Check the path in the settings.")


def _anchored(values: Mapping[str, Any], base: Path, *, lists: bool, table: str = "") -> dict[str, Any]:
    """``values`` with its paths taken from ``base``; ``lists``: the roles of ``[split]`` are files of ids."""
    anchored: dict[str, Any] = {}
    for key, value in values.items():
        is_path = key in PATHS or (lists and table == "split" and key in ROLES)
        if isinstance(value, Mapping):
            anchored[key] = _anchored(value, base, lists=lists, table=key)
        elif is_path and isinstance(value, str) and "://" not in value:
            anchored[key] = str(base / Path(value).expanduser())
        else:
            anchored[key] = value
    return anchored


def _seen_from_here(path: Path) -> str:
    """The path as a shell wants it, short where it lies below the working folder: reports travel, homes do not."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _plain(settings: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(settings)
    return plain


def _said(done: StageReport, run: Run | None = None) -> None:
    if done.kept:
        where = f" ({run.root.name})" if run is not None else ""
        say(f"{done.name}{where}: already done, kept")
