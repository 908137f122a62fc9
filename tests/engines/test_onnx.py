import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from m4i_fast import engines
from m4i_fast.engines.metadata import KEY, EngineMetadata
from m4i_fast.engines.protocol import Captioner, Head, ImageEncoder, TextEncoder
from m4i_fast.errors import DataError, EngineError, RunFailed
from m4i_fast.types import Generations, ImageBatch


def _grey(values: list[int], errors: dict[int, str] | None = None) -> ImageBatch:
    pixels = np.empty((len(values), 4, 4, 3), np.uint8)
    pixels[:] = np.array(values, np.uint8)[:, None, None, None]
    reasons = tuple((errors or {}).get(row) for row in range(len(values)))
    return ImageBatch(tuple(str(row) for row in range(len(values))), pixels, reasons)


def _same(a: Generations, b: Generations) -> bool:
    return a.texts == b.texts and a.errors == b.errors and bool((a.tokens == b.tokens).all())


def test_a_captioner_says_what_its_graph_computes(graphs: Any) -> None:
    with engines.open_captioner(graphs.captioner()) as captioner:
        assert isinstance(captioner, Captioner)
        assert (captioner.image_size, captioner.provider, captioner.metadata.name) == (4, "cpu", "colours")
        said = captioner.generate(_grey([0, 1, 2, 9, 255]))
    assert said.texts == ("red", "green blue", "blue white black", "blue", "white")
    assert said.tokens.tolist() == [[4, 0, 0], [5, 6, 0], [6, 7, 8], [6, 0, 0], [7, 0, 0]]
    assert said.lengths.tolist() == [1, 2, 3, 1, 1]
    assert said.log_probs is not None
    assert said.log_probs.tolist()[1] == [-1 / 256, -1 / 256, 0]
    assert said.errors == (None,) * 5


def test_rows_with_an_error_keep_it_and_change_no_other_row(graphs: Any) -> None:
    with engines.open_captioner(graphs.captioner()) as captioner:
        said = captioner.generate(_grey([0, 1, 2], {1: "no picture"}))
        none = captioner.generate(_grey([0, 1], {0: "a", 1: "b"}))
        empty = captioner.generate(_grey([]))
    assert said.texts == ("red", "", "blue white black")
    assert said.errors == (None, "no picture", None)
    assert said.lengths.tolist() == [1, 0, 3]
    assert none.texts == ("", "")
    assert none.errors == ("a", "b")
    assert none.log_probs is not None, "else one bad batch would take the log-probabilities of a whole run"
    assert empty.texts == ()


def test_not_a_number_is_an_error_of_its_row(graphs: Any) -> None:
    with engines.open_captioner(graphs.captioner(poison=1)) as captioner:
        said = captioner.generate(_grey([0, 1, 2]))
    assert said.errors == (None, "the model gave a log-probability that is not a number", None)
    assert said.texts == ("red", "", "blue white black")
    assert said.log_probs is not None
    assert np.isfinite(said.log_probs).all()


def test_tokens_and_lengths_outside_the_declared_are_errors_of_their_rows(graphs: Any) -> None:
    path = graphs.captioner()
    model = onnx.load(path)
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    values["three"].CopyFrom(helper.make_tensor("three", TensorProto.INT32, [], [200]))  # lengths reach 200
    values["four"].CopyFrom(helper.make_tensor("four", TensorProto.INT32, [], [5]))  # tokens reach 11 of 0..10
    onnx.save(model, path)
    with engines.open_captioner(path) as captioner:
        said = captioner.generate(_grey([0, 6, 77]))
    assert said.errors == (
        None,
        "the model gave length 7, outside 0..3",
        "the model gave length 78, outside 0..3",
    )
    values["three"].CopyFrom(helper.make_tensor("three", TensorProto.INT32, [], [1]))
    onnx.save(model, path)
    with engines.open_captioner(path) as captioner:
        said = captioner.generate(_grey([0, 6, 13]))
    assert said.errors == (None, *["the model gave a token outside its vocabulary of 11"] * 2)
    assert said.texts == ("green", "", "")


def test_a_graph_of_a_fixed_batch_is_fed_in_pieces(graphs: Any) -> None:
    free, fixed = graphs.captioner(), graphs.captioner("fixed.onnx", batch=2)
    batch = _grey([0, 1, 2, 9, 255])
    with engines.open_captioner(free) as a, engines.open_captioner(fixed) as b:
        assert _same(a.generate(batch), b.generate(batch))
        assert _same(a.generate(_grey([3])), b.generate(_grey([3])))


def test_without_log_probs_there_are_none(graphs: Any) -> None:
    with engines.open_captioner(graphs.captioner(log_probs=False)) as captioner:
        assert captioner.generate(_grey([0])).log_probs is None


def test_encoders_and_head_compute_what_their_graphs_say(graphs: Any) -> None:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[0, :, :, 0], pixels[1, :, :, 2] = 8, 100
    with engines.open_image_encoder(graphs.image_encoder(poison=8.0)) as image:
        assert isinstance(image, ImageEncoder)
        np.testing.assert_array_equal(image.encode(pixels), [[np.nan] * 3, [0, 0, 100]])
        assert image.encode(pixels[:0]).shape == (0, 3)
    with engines.open_text_encoder(graphs.text_encoder()) as text:
        assert isinstance(text, TextEncoder)
        assert text.encode(["Red GREEN!", "", "cat", "blue blue blue blue"]).tolist() == [
            [4, 5, 0],
            [0, 0, 0],
            [3, 0, 0],
            [6, 6, 6],
        ]
        assert text.encode([]).shape == (0, 3)
    with engines.open_head(graphs.head()) as head:
        assert isinstance(head, Head)
        values = np.array([[1.0, 3.0], [np.nan, 1.0], [-4.0, 1.0], [1e300, 1.0], [0.0, 0.0]])
        np.testing.assert_array_equal(head.score(values), [2, np.nan, np.nan, np.nan, 0])
        assert head.score(np.zeros((0, 2))).shape == (0,)
        with pytest.raises(DataError, match=r"do not fit a head that takes \[N, 2\]: a, b"):
            head.score(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "pixels", [np.zeros((1, 5, 4, 3), np.uint8), np.zeros((1, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8)]
)
def test_pictures_of_another_shape_or_type_are_refused(graphs: Any, pixels: np.ndarray[Any, Any]) -> None:
    with engines.open_captioner(graphs.captioner()) as captioner, pytest.raises(DataError, match="do not fit"):
        captioner.generate(ImageBatch(("a",), pixels, (None,)))


def test_an_engine_is_closed_after_its_block(graphs: Any) -> None:
    with engines.open_captioner(graphs.captioner()) as captioner:
        pass
    with pytest.raises(RunFailed, match="closed already"):
        captioner.generate(_grey([0]))


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_absent_is_an_error_and_with_leave_a_warning(graphs: Any, provider: str) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this build of ONNX Runtime has CUDA")
    path = graphs.captioner()
    with pytest.raises(EngineError, match=rf"provider '{provider}' was asked for.*does not have it") as caught:
        engines.open_captioner(path, provider=provider).__enter__()
    assert "--provider cpu" in str(caught.value.cure)
    with (
        pytest.warns(RuntimeWarning, match="did not start"),
        engines.open_captioner(path, provider=provider, allow_fallback=True) as captioner,
    ):
        assert captioner.provider == "cpu"


def test_a_silent_fall_back_is_seen(graphs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that lists CUDA and, with no GPU, makes a session on the CPU without a word."""
    real = onnxruntime.InferenceSession

    def silent(content: bytes, options: Any, **_: Any) -> Any:
        return real(content, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", silent)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises(EngineError, match="did not start: ONNX Runtime fell back to cpu"):
        engines.open_captioner(graphs.captioner(), provider="cuda").__enter__()


def test_a_provider_that_fails_is_told_from_a_file_that_is_broken(graphs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = onnxruntime.InferenceSession

    def failing(content: bytes, options: Any, *, providers: list[str], **_: Any) -> Any:
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("libcudnn.so.9: cannot open shared object file")
        return real(content, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", failing)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises(EngineError, match=r"'cuda' was asked for and did not start \(libcudnn"):
        engines.open_captioner(graphs.captioner(), provider="cuda").__enter__()
    with (
        pytest.warns(RuntimeWarning, match="libcudnn"),
        engines.open_captioner(graphs.captioner(), provider="cuda", allow_fallback=True) as captioner,
    ):
        assert captioner.provider == "cpu"


def test_unknown_provider_and_negative_threads_are_refused(graphs: Any) -> None:
    with pytest.raises(EngineError, match="One of: cpu, cuda, tensorrt"):
        engines.open_captioner(graphs.captioner(), provider="gpu").__enter__()
    with pytest.raises(EngineError, match="-1 threads"):
        engines.open_captioner(graphs.captioner(), threads=-1).__enter__()


def test_metadata_is_asked_for(graphs: Any) -> None:
    with pytest.raises(EngineError, match=r"no metadata.*m4i-fast export"):
        engines.open_captioner(graphs.captioner(metadata=None)).__enter__()
    with pytest.raises(EngineError, match="wrong kind: head"):
        engines.open_captioner(graphs.head()).__enter__()


def _with_words(words: list[str], size: int = 4) -> EngineMetadata:
    return EngineMetadata(kind="captioner", name="x", image_size=size, vocabulary=words, max_tokens=3)


def test_a_vocabulary_must_start_with_the_specials_and_say_no_word_twice(graphs: Any) -> None:
    with pytest.raises(EngineError, match="does not start with <pad>"):
        engines.open_captioner(graphs.captioner(metadata=_with_words(["a", "b", "c", "d"]))).__enter__()
    twice = ["<pad>", "<start>", "<end>", "<unk>", "a", "a"]
    with pytest.raises(EngineError, match="stands twice"):
        engines.open_captioner(graphs.captioner(metadata=_with_words(twice))).__enter__()


def test_a_graph_of_another_picture_size_than_its_metadata_is_refused(graphs: Any) -> None:
    words = ["<pad>", "<start>", "<end>", "<unk>", "a"]
    with pytest.raises(EngineError, match=r"takes \[4, 4, 3\] a row, and its metadata says \[8, 8, 3\]"):
        engines.open_captioner(graphs.captioner(metadata=_with_words(words, 8))).__enter__()


def _spoil(path: Path, change: Any) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def _rename(model: Any, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for port in [*model.graph.input, *model.graph.output]:
        port.name = new if port.name == old else port.name


def _float_input(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _extra_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("temperature", TensorProto.FLOAT, []))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda model: _rename(model, "pixels", "images"), "input 'pixels' is missing; there is 'images'"),
        (lambda model: _rename(model, "tokens", "ids"), "output 'tokens' is missing"),
        (_float_input, r"input 'pixels' is tensor\(float\), and must be tensor\(uint8\)"),
        (_extra_input, "an input 'temperature' that nobody can give"),
        (lambda model: model.graph.node.add(op_type="NoSuchOp", output=["z"]), "does not accept it"),
    ],
)
def test_wrong_ports_are_named(graphs: Any, change: Any, says: str) -> None:
    with pytest.raises(EngineError, match=says) as caught:
        engines.open_captioner(_spoil(graphs.captioner(), change)).__enter__()
    assert "xport" in str(caught.value.cure)


def test_an_output_of_the_wrong_shape_is_an_error_at_the_run(graphs: Any) -> None:
    def drop_rows(model: Any) -> None:
        """The lengths of all but the first row are lost, behind a shape that says nothing."""
        _rename(model, "lengths", "all_lengths")
        next(port for port in model.graph.output if port.name == "all_lengths").name = "lengths"
        model.graph.output[1].type.tensor_type.ClearField("shape")
        model.graph.initializer.append(helper.make_tensor("first", TensorProto.INT64, [1], [0]))
        model.graph.node.append(helper.make_node("Gather", ["all_lengths", "first"], ["lengths"]))

    with engines.open_captioner(_spoil(graphs.captioner(), drop_rows)) as captioner:
        assert captioner.generate(_grey([0])).texts == ("red",)
        with pytest.raises(EngineError, match=r"output 'lengths' came back as int32 \[1\], where int32 \[2\] was due"):
            captioner.generate(_grey([0, 1]))


def test_a_graph_that_fails_at_run_time_is_a_failed_run(graphs: Any) -> None:
    def gather_outside(model: Any) -> None:
        _rename(model, "beyond", "index")
        model.graph.initializer.append(helper.make_tensor("table", TensorProto.INT32, [1], [0]))
        model.graph.node.insert(9, helper.make_node("Gather", ["table", "index"], ["beyond"]))
        model.graph.node[10].input[0] = "beyond"

    with engines.open_captioner(_spoil(graphs.captioner(), gather_outside)) as captioner:
        assert captioner.generate(_grey([0])).texts == ("red",)
        with pytest.raises(RunFailed, match="ONNX Runtime failed on a batch of 1"):
            captioner.generate(_grey([1]))


@pytest.mark.parametrize("cut", [1, 10, 200, -1, -30])
def test_a_truncated_file_is_refused(graphs: Any, cut: int) -> None:
    path = graphs.captioner()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(EngineError) as caught:
        engines.open_captioner(path).__enter__()
    assert caught.value.where == str(path)
    assert caught.value.cure


def test_weights_beside_the_graph_are_loaded_from_there_and_from_nowhere_else(
    graphs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = graphs.captioner()
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with engines.open_captioner(path) as captioner:
        assert captioner.generate(_grey([2])).texts == ("blue white black",)


def test_other_endings_are_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"cannot run TensorRT plans yet.*tensorrt package"):
        engines.open_captioner(tmp_path / "x.plan")
    for url in ("https://example.org/caption", Path("https://example.org/caption")):
        with pytest.raises(EngineError, match="URL yet"):
            engines.open_captioner(url)
    with pytest.raises(EngineError, match=r"no engine is known by the ending '\.pt'"):
        engines.open_head("x.pt")
    with pytest.raises(EngineError, match="no ending"):
        engines.open_head("x")
    with pytest.raises(EngineError, match="no such engine file"):
        engines.open_text_encoder(tmp_path / "x.onnx").__enter__()


def test_the_same_pictures_give_the_same_answer_in_any_company(graphs: Any) -> None:
    values = np.random.default_rng(3).integers(0, 256, 50).tolist()
    with (
        engines.open_captioner(graphs.captioner(), threads=1) as one,
        engines.open_captioner(graphs.captioner()) as all_,
    ):
        whole = one.generate(_grey(values))
        again = all_.generate(_grey(values))
        assert _same(whole, again)
        for row in range(0, 50, 7):
            assert one.generate(_grey([values[row]])).texts[0] == whole.texts[row]


def test_nothing_is_printed_by_the_runtime(graphs: Any) -> None:
    """A process of its own: the runtime writes past Python's streams."""
    path = graphs.captioner()
    script = (
        "import sys, numpy as np\nfrom m4i_fast.engines import open_captioner\nfrom m4i_fast.types import ImageBatch\n"
        "with open_captioner(sys.argv[1]) as c:\n"
        "    c.generate(ImageBatch(('a',), np.zeros((1, 4, 4, 3), np.uint8), (None,)))\n"
        "try:\n    open_captioner(sys.argv[2]).__enter__()\nexcept Exception as e:\n    print(type(e).__name__)\n"
    )
    broken = path.with_name("broken.onnx")
    broken.write_bytes(path.read_bytes().replace(b"Floor", b"Flooq"))
    done = subprocess.run(
        [sys.executable, "-c", script, path, broken], capture_output=True, text=True, check=True, env=os.environ
    )
    assert (done.stdout, done.stderr) == ("EngineError\n", "")


def test_metadata_key_is_the_documented_one(graphs: Any) -> None:
    properties = {entry.key for entry in onnx.load(graphs.head()).metadata_props}
    assert properties == {KEY} == {"m4i_fast"}


def test_captions_longer_than_the_engine_says_are_refused(graphs: Any) -> None:
    words = ["<pad>", "<start>", "<end>", "<unk>", *"abcdefg"]
    about = EngineMetadata(kind="captioner", name="x", image_size=4, vocabulary=words, max_tokens=2)
    with (
        engines.open_captioner(graphs.captioner(metadata=about)) as captioner,
        pytest.raises(EngineError, match=r"'tokens' has 3 columns, and its metadata says that no .* longer than 2"),
    ):
        captioner.generate(_grey([0]))
