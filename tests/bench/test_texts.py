"""What is scored: made captions are like Flickr8k's in what costs time; the user's own are read from anything."""

from __future__ import annotations

import json
import statistics
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from m4i_fast.bench.texts import Texts, in_many_letters, made_captions, made_duplicates, made_reports, read_captions
from m4i_fast.errors import DataError
from m4i_fast.kernels.backend import overlap_statistics
from m4i_fast.text.words import words


def test_made_captions_are_like_those_of_flickr8k() -> None:
    texts = made_captions(2000)
    captions = texts.all_references()
    sizes = [len(text.split(" ")) for text in captions]
    # Counted over the 40,455 captions of Flickr8k: 11.78 tokens, of a deviation of 3.89; 55.1 characters.
    assert statistics.mean(sizes) == pytest.approx(11.78, abs=0.15)
    assert statistics.pstdev(sizes) == pytest.approx(3.89, abs=0.25)
    assert statistics.mean(map(len, captions)) == pytest.approx(55.1, abs=3)
    found = Counter(word for text in captions for word in words(text))
    total = found.total()
    # There "a" is 14 % of the words, and 3 % are longer than eight letters, which a key does not hold.
    assert found["a"] / total == pytest.approx(0.144, abs=0.01)
    assert sum(count for word, count in found.items() if len(word) > 8) / total == pytest.approx(0.03, abs=0.015)
    # A caption and one of the next picture share 2.01 words and 0.20 bigrams; two of one picture 4.11 and 1.30.
    apart = overlap_statistics(texts.hypotheses, texts.references, tokeniser="words").matches.mean(axis=0)
    assert np.round(apart[:2], 2).tolist() == pytest.approx([2.01, 0.2], abs=0.1)
    own = overlap_statistics(
        [row[0] for row in texts.references], [row[1:] for row in texts.references], tokeniser="words"
    ).matches.mean(axis=0)
    assert own[:3].tolist() == pytest.approx([4.11, 1.3, 0.47], rel=0.15)


def test_made_texts_are_the_same_every_time() -> None:
    assert made_captions(30) == made_captions(30)
    assert made_reports(5) == made_reports(5)
    assert made_captions(30).source.startswith("made captions: 30 rows with 5 references, sha256 ")
    assert made_captions(30).source != made_captions(29).source.replace("29", "30")


def test_the_hypothesis_is_the_first_caption_of_the_next_picture() -> None:
    texts = made_captions(3)
    assert texts.hypotheses == [texts.references[1][0], texts.references[2][0], texts.references[0][0]]
    assert texts.hypothesis_of_each()[4:6] == texts.hypotheses[:2]
    assert texts.all_references()[5] == texts.references[1][0]
    assert (len(texts), texts.pairs) == (3, 15)


def test_some_rows_are_spread_over_all() -> None:
    texts = made_captions(10)
    some = texts.some(3)
    assert some.hypotheses == [texts.hypotheses[i] for i in (0, 3, 6)]
    assert some.references == [texts.references[i] for i in (0, 3, 6)]
    assert texts.some(99).hypotheses == texts.hypotheses


def test_many_letters_are_the_same_words_spelt_otherwise() -> None:
    texts = Texts(["A dog"], [["a dog in the water", "Dog  Cat"]], "by hand")
    spelt = in_many_letters(texts)
    assert spelt.hypotheses == ["A дог"]
    assert spelt.references == [["a дог in the water", "Дог  Càt"]]
    assert spelt.source == "by hand, in many letters"
    made = made_captions(300)
    counts, others = (
        overlap_statistics(each.hypotheses, each.references, tokeniser="words")
        for each in (made, in_many_letters(made))
    )
    np.testing.assert_array_equal(others.matches, counts.matches)
    known = {word for text in in_many_letters(made).all_references() for word in words(text)}
    assert 0.4 < np.mean([not word.isascii() for word in known]) < 0.6


def test_reports_and_duplicates_are_long() -> None:
    for made in (made_reports(40), made_duplicates(40)):
        sizes = [len(row[0].split()) for row in made.references]
        assert min(sizes) >= 60
        assert max(sizes) <= 300
        assert max(sizes) > 200
    assert {token for row in made.references for token in row[0].split()} == {"a"}


def _coco(folder: Path, counts: list[int]) -> Path:
    notes = [{"image_id": i, "caption": f"caption {n} of {i}"} for i, count in enumerate(counts) for n in range(count)]
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(len(counts))]
    path = folder / "captions.json"
    path.write_text(json.dumps({"images": images, "annotations": notes}), encoding="utf-8")
    return path


def test_the_users_own_captions(tmp_path: Path) -> None:
    path = _coco(tmp_path, [5, 3, 6, 5])
    texts = read_captions(path)
    assert [row[0] for row in texts.references] == ["caption 0 of 0", "caption 0 of 2", "caption 0 of 3"]
    assert {len(row) for row in texts.references} == {5}
    assert texts.source.startswith(f"{tmp_path.name}/captions.json: 3 rows")
    assert len(read_captions(path, rows=2)) == 2
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(path, "set/captions.json")
    assert read_captions(tmp_path / "data.tar").references == texts.references


def test_captions_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 2 records have 5 captions"):
        read_captions(_coco(tmp_path, [5, 3]))
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(tmp_path / "captions.json", "a.json")
    with pytest.raises(DataError, match="holds 0 files named"):
        read_captions(tmp_path / "data.tar")
    with pytest.raises(DataError):
        read_captions(tmp_path / "absent.json")
