"""Every module that needs no extra imports where no extra is; and the command line's help needs next to nothing."""

import pkgutil
import subprocess
import sys

import m4i_fast

BLOCKED = (
    "torch",
    "onnxruntime",
    "onnx",
    "onnxscript",
    "safetensors",
    "matplotlib",
    "sklearn",
    "faiss",
    "ray",
    "tensorrt",
    "tensorrt_rtx",
    "triton",
    "aiohappyeyeballs",
    "httptools",
    "uvloop",
    "grpc",
)
HEAVY = ("torch", "onnxruntime", "onnx", "sklearn", "scipy", "pyarrow", "matplotlib", "numpy", "PIL")

NEEDS_AN_EXTRA = (
    *("m4i_fast.nets", "m4i_fast.train", "m4i_fast.export", "m4i_fast.bench"),
    *("m4i_fast.report.plots", "m4i_fast.kernels.gpu", "m4i_fast.engines.endpoints.http1"),
)
"""Rooms whose modules may import what an extra brings at their top. m4i_fast.__main__ runs when it is imported."""

BARE = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
failed = []
for name in {names!r}:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed.append(f"{{name}}: {{type(error).__name__}}: {{error}}")
print("\\n".join(failed), end="")
"""


def _modules() -> list[str]:
    found = [each.name for each in pkgutil.walk_packages(m4i_fast.__path__, "m4i_fast.")]
    bare = [
        name
        for name in found
        if name != "m4i_fast.__main__"
        and not name.endswith("._core")  # compiled where a compiler stood
        and not any(name == room or name.startswith((f"{room}.", f"{room}_")) for room in NEEDS_AN_EXTRA)
    ]
    return ["m4i_fast", *bare]


def _python(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_every_module_without_an_extra_imports_without_one() -> None:
    names = _modules()
    assert {"m4i_fast.engines.metadata", "m4i_fast.query.runner", "m4i_fast.doctor", "m4i_fast.cli.main"} <= set(names)
    assert _python(BARE.format(blocked=BLOCKED, names=names)) == ""


def test_the_blocker_really_blocks() -> None:
    said = _python(BARE.format(blocked=BLOCKED, names=["onnx", "torch.nn", "m4i_fast.errors"]))
    assert [line.split(":")[0] for line in said.splitlines()] == ["onnx", "torch.nn"]


def test_engines_name_the_line_to_run_where_their_extra_is_absent() -> None:
    script = BARE.format(blocked=BLOCKED, names=[]) + (
        "from m4i_fast.engines import open_captioner\nfrom m4i_fast.errors import ExtraMissing\n"
        "try:\n    open_captioner('x.onnx').__enter__()\nexcept ExtraMissing as error:\n    print(error.cure)\n"
    )
    assert _python(script).startswith("Run: pip install -c constraints.txt '.[cpu]'")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import contextlib, io, sys\nfrom m4i_fast.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n    main(['--help'])\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    assert _python(script) == "[]\n"
