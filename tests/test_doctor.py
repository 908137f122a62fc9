"""The doctor: true about this machine, and right about machines that are ill in known ways."""

import json
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from m4i_fast import doctor
from m4i_fast.doctor import ProviderTrial, examine

REQUIREMENTS = [
    "numpy>=2.0",
    'onnx>=1.21; extra == "cpu"',
    'onnxruntime>=1.24; extra == "cpu"',
    'onnx>=1.21; extra == "gpu"',
    'onnxruntime-gpu>=1.24; extra == "gpu"',
    "torch>=2.10; extra == 'train'",
]


def _trials(**reasons: str) -> tuple[ProviderTrial, ...]:
    return tuple(
        ProviderTrial(name, starts=reasons.get(name) == "", reason=reasons.get(name, "not in this build"))
        for name in ("cpu", "cuda", "tensorrt")
    )


def test_this_machine_is_described_truly() -> None:
    import torch

    diagnosis = examine()
    trials = {each.name: each.starts for each in diagnosis.providers}
    assert trials["cpu"] is True
    assert diagnosis.packages["onnx"] == onnx.__version__
    assert diagnosis.torch["version"] == torch.__version__
    assert diagnosis.cores >= 1
    assert diagnosis.memory_gib is None or diagnosis.memory_gib > 0.5
    assert sys.executable in diagnosis.python
    assert [each.name for each in diagnosis.extras][:3] == ["cpu", "gpu", "train"]
    told = diagnosis.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["providers"]["cpu"] == "starts"


def test_the_tiny_model_is_valid_and_adds() -> None:
    model = onnx.ModelProto()
    model.ParseFromString(bytes.fromhex(doctor.TINY_MODEL))
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Add"]


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_in_the_build_does_not_start(name: str) -> None:
    import onnxruntime

    if doctor.PROVIDERS[name] in onnxruntime.get_available_providers():
        pytest.skip("this build has it")
    assert doctor._try_provider(name) == ProviderTrial(name, starts=False, reason="not in this build of ONNX Runtime")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"in_build": True, "started": "CPUExecutionProvider", "sum": 2.0}, "fell back in silence to CPU"),
        ({"in_build": True, "started": "CUDAExecutionProvider", "sum": 0.0}, "it says that 1 + 1 = 0.0"),
        ({"failed": "the process died of signal 11"}, "the process died of signal 11"),
        ({}, "not in this build"),
    ],
)
def test_a_provider_that_only_seems_to_start_does_not(
    answer: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_ask", lambda *_: answer)
    trial = doctor._try_provider("cuda")
    assert not trial.starts
    assert trial.reason.startswith(reason)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the process died of signal 11"),
        ("raise OSError('libcuda.so.1 is missing')", "OSError: libcuda.so.1 is missing"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("print('no json')", "JSONDecodeError"),
        ("pass", "IndexError"),
        ("print('[1]')", "it gave no answer"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
    ],
)
def test_crash_silence_and_nonsense_of_a_trial_are_answers(
    script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "TIMEOUT_S", 1.0 if "sleep" in script else 60.0)
    assert str(doctor._ask(script)["failed"]).startswith(reason)


def test_chatter_before_the_answer_is_passed_over() -> None:
    assert doctor._ask("print('hello'); print('{\"a\": 1}')") == {"a": 1}


def test_a_folder_in_the_working_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert doctor._try_provider("cpu").starts


BOTH = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.0"}


@pytest.mark.parametrize(
    ("builds", "trials", "gpu", "says"),
    [
        ({"onnxruntime": "1.32.0"}, _trials(cpu=""), False, ()),
        ({"onnxruntime-gpu": "1.31.0"}, _trials(cpu="", cuda=""), True, ()),
        ({}, _trials(), False, ("is not installed", "'.[cpu]'")),
        ({}, _trials(), True, ("is not installed", "'.[gpu]'")),
        ({}, _trials(cpu=""), False, ()),  # built from source: no distribution by either name
        (BOTH, _trials(cpu=""), False, ("Both builds", "pip uninstall -y onnxruntime onnxruntime-gpu", "'.[cpu]'")),
        (BOTH, _trials(cpu="", cuda=""), True, ("Both builds", "'.[gpu]'")),
        ({"onnxruntime": "1.32.0"}, _trials(cpu="ImportError"), False, ("does not start (ImportError)", "'.[cpu]'")),
        ({"onnxruntime": "1.32.0"}, _trials(cpu=""), True, ("A GPU is here", "'.[gpu]'")),
        (
            {"onnxruntime-gpu": "1"},
            _trials(cpu="", cuda="no cudnn"),
            True,
            ("CUDA does not start (no cudnn)", "cudnn]"),
        ),
        ({"onnxruntime-gpu": "1"}, _trials(cpu="", cuda="x"), False, ("No GPU is here", "'.[cpu]'")),
    ],
)
def test_each_fault_of_onnx_runtime_has_one_line(
    builds: dict[str, str], trials: tuple[ProviderTrial, ...], gpu: bool, says: tuple[str, ...]
) -> None:
    advice = doctor._runtime_advice(builds, trials, gpu=gpu)
    assert len(advice) == (1 if says else 0)
    assert all(part in advice[0] for part in says)


def test_extras_say_what_they_lack_and_which_line_brings_it() -> None:
    installed = {"numpy": "2.4.6", "onnx": "1.20.9", "onnxruntime": "1.24", "torch": "2.13.0+cpu"}
    cpu, gpu, train = doctor._extras(REQUIREMENTS, installed.get)
    assert cpu.missing == ("onnx >= 1.21 (is 1.20.9)",)
    assert gpu.missing == ("onnx >= 1.21 (is 1.20.9)", "onnxruntime-gpu")
    assert gpu.cure.startswith("pip uninstall -y onnxruntime onnxruntime-gpu && pip install")
    assert train.missing == ()
    assert doctor._lacking(REQUIREMENTS, None, installed.get) == ()
    assert doctor._lacking(REQUIREMENTS, None, lambda _: None) == ("numpy",)
    bare = doctor._extras(REQUIREMENTS, lambda _: None)
    assert [each.cure for each in bare] == [
        f"pip install -c constraints.txt '.[{name}]'" for name in ("cpu", "gpu", "train")
    ]


@pytest.mark.parametrize(
    ("there", "minimum", "enough"),
    [
        ("1.9", "1.21", False),
        ("1.21", "1.21.0", True),
        ("1.21.0", "1.21", True),
        ("2.13.0+cpu", "2.10", True),
        ("3.0.0rc1", "2.10", True),
        ("unknown", "1", False),
        ("1", "", True),
    ],
)
def test_versions_compare_by_number(there: str, minimum: str, enough: bool) -> None:
    assert (doctor._lacking([f"x>={minimum}" if minimum else "x"], None, lambda _: there) == ()) == enough


def test_a_wrong_kernel_setting_is_an_advice_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M4I_FAST_KERNELS", "abacus")
    kernels, advice = doctor._kernels()
    assert kernels.startswith("no: ")
    assert "abacus" in advice[0]
    monkeypatch.setenv("M4I_FAST_KERNELS", "reference")
    assert doctor._kernels() == ("reference, as M4I_FAST_KERNELS says", ())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"version": "3.7.1", "shared": 3, "where": "on NVIDIA H100"}, "3.7.1, counts on NVIDIA H100"),
        ({"version": "3.7.1", "reason": "no GPU that CUDA knows is here"}, "3.7.1, counts nothing: no GPU"),
        ({"version": "3.7.1", "shared": 2, "where": "on X"}, "no: it says that 1 9 3 4 and 1 2 3 4 share 2"),
        ({"failed": "the process died of signal 11"}, "no: the process died of signal 11"),
    ],
)
def test_triton_counts_or_says_why_not(answer: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setattr(doctor, "_ask", lambda *_: answer)
    assert doctor._triton().startswith(says)


def test_triton_really_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    triton = pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert doctor._triton() == f"{triton.__version__}, counts in its interpreter"


def test_what_another_system_needs_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ['triton>=3.7; platform_system == "Linux" and extra == "triton"']
    for system, missing in (("Linux", ("triton",)), ("Darwin", ())):
        monkeypatch.setattr(doctor.platform, "system", lambda system=system: system)
        assert doctor._lacking(needs, "triton", lambda _: None) == missing


def test_nothing_that_fails_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("ill")

    for name in ("_requirements", "_version", "_cores", "_memory_gib", "onnxruntime_builds", "_torch", "_triton"):
        monkeypatch.setattr(doctor, name, broken)
    monkeypatch.setattr("m4i_fast.doctor.subprocess.run", broken)
    diagnosis = examine()
    assert not any(each.starts for each in diagnosis.providers)
    assert diagnosis.advice
    json.dumps(diagnosis.to_dict())
