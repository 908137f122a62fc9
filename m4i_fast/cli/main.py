"""The command line: one file a command; arguments in, one call, rendering out.

Nothing heavy is imported here or at the top of a command's file: ``--help`` must answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn

import typer

from m4i_fast.cli import (
    attack,
    audit,
    bench,
    data,
    demo,
    doctor,
    encode,
    evaluate,
    export,
    overlap,
    query,
    report,
    score,
    train,
)
from m4i_fast.errors import M4IError, UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="m4i-fast",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Does a captioning model give away what it was trained on? "
    "Start with 'm4i-fast demo', or audit a model of your own: 'm4i-fast audit audit.toml'.",
    epilog="Audit only models that you own or may audit.",
)


def _version(asked: bool) -> None:
    if asked:
        from m4i_fast import __version__

        print(f"m4i-fast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


app.command("demo", short_help="See it work: three audits of captioners trained here.")(demo.demo)
app.command("audit", short_help="A whole audit from one settings file.")(audit.audit)
app.command("query", short_help="Ask a captioner about every image.")(query.query)
app.command("overlap", short_help="Score captions with ROUGE and BLEU.")(overlap.overlap)
app.command("score", short_help="ROUGE and BLEU of captions in files.")(score.score)
app.command("encode", short_help="Turn images and captions into vectors.")(encode.encode)
app.add_typer(attack.app, name="attack")
app.command("evaluate", short_help="Open the labels and reach the verdict.")(evaluate.evaluate)
app.command("report", short_help="Write report.html and scores.csv.")(report.report)
app.add_typer(train.app, name="train")
app.command("export", short_help="Export a checkpoint to ONNX.")(export.export)
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
app.command("doctor", short_help="What is installed and what really runs.")(doctor.doctor)


GOES_ON: Final = frozenset({"attack", "audit", "demo", "encode", "evaluate", "overlap", "query", "report", "train"})
"""Commands that work in a folder where what was finished stands, so that the same command goes on there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit code 0, 1 (the machine or a model failed), 2 (the user can mend it), 130 (Ctrl-C)."""
    _print_utf8()
    try:
        try:
            app(None if arguments is None else list(arguments), prog_name="m4i-fast")
        finally:
            sys.stdout.flush()  # a reader that has gone shows here at the latest, not when Python ends
    except M4IError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _reader_gone()
    except OSError as error:
        # A path that no check foresaw: a name too long, a loop of links, no right to read. Without a path it is ours.
        if error.filename is None:
            raise
        _complain(
            UserError(
                f"cannot be opened ({error.strerror})",
                where=os.fsdecode(error.filename),
                cure="Check the path, and that you may read or write there.",
            )
        )
        sys.exit(UserError.exit_code)
    except KeyboardInterrupt:  # before or after Typer looks out for it
        print(_interrupted(sys.argv[1:] if arguments is None else arguments), file=sys.stderr)
        sys.exit(130)
    except SystemExit as end:
        # Typer ends the process itself for these two, without a word that would help.
        if end.code == 130:
            print(_interrupted(sys.argv[1:] if arguments is None else arguments), file=sys.stderr)
        elif isinstance(end.__context__, BrokenPipeError):
            _reader_gone()
        raise


def _interrupted(arguments: Sequence[str]) -> str:
    command = next((each for each in arguments if not each.startswith("-")), "")
    if command in GOES_ON:
        return "interrupted; what was finished is kept: go on with the same command"
    return "interrupted; nothing of it is kept: the same command begins anew"


def _reader_gone() -> NoReturn:
    """End in silence: that nobody reads on (``| head``) is no error of ours."""
    # What Python would flush at its end goes nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(0)


def _complain(error: M4IError) -> None:
    place = f"{error.where}: " if error.where else ""
    print(f"error: {_visible(place + error.what)}.", file=sys.stderr)
    if error.cure:
        print(f"       {_visible(error.cure)}", file=sys.stderr)


def _visible(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def _print_utf8() -> None:
    # A C locale must not turn a caption into a crash.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
