"""A record knows the bytes of its picture, and notices when others lie under their name."""

from pathlib import Path

from m4i_fast.data.fingerprints import CHANGED, fingerprinted, image_digests
from m4i_fast.types import Record

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4, appendix: SHA-256 of "abc"


def test_digests_are_of_the_bytes_that_lie_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    steps: list[int] = []
    records = [
        Record("1", str(tmp_path / "a")),
        Record("2", str(tmp_path / "none")),
        Record("3", str(tmp_path / "a"), error="not to be opened"),
        Record("4", str(tmp_path)),
        Record("5", "a\0b"),
    ]
    assert image_digests(records, advance=lambda: steps.append(1)) == [ABC, None, None, None, None]
    assert len(steps) == 5
    assert image_digests([]) == []


def test_a_record_takes_its_digest_or_says_that_its_picture_has_changed() -> None:
    new, known, gone = Record("1", "a"), Record("2", "a", image_sha256=ABC), Record("3", "a", error="gone")
    assert fingerprinted([new, known, gone], [ABC, ABC, None]) == [
        Record("1", "a", image_sha256=ABC),
        known,
        gone,
    ]
    assert fingerprinted([known], ["0" * 64]) == [Record("2", "a", error=CHANGED, image_sha256=ABC)]
    assert fingerprinted([known], [None]) == [known], "why it cannot be opened is said where it is decoded"
