import pytest

from m4i_fast.errors import ConfigError
from m4i_fast.query.asks import PLAIN, Ask, Asks


def test_the_picture_itself_is_asked_first_then_its_samples_then_the_variants() -> None:
    assert list(Asks()) == [PLAIN] == [Ask("", 0)]
    assert list(Asks(("flip", "crop"), 2)) == [
        Ask("", 0),
        Ask("", 1),
        Ask("flip", 0),
        Ask("flip", 1),
        Ask("crop", 0),
        Ask("crop", 1),
    ]
    assert [len(Asks()), len(Asks((), 3)), len(Asks(("blur",))), len(Asks(("flip", "crop"), 2))] == [1, 3, 2, 6]
    assert Asks(("flip",), 2).to_json() == {"variants": ["flip"], "samples": 2}


@pytest.mark.parametrize(
    ("variants", "samples", "says"),
    [
        ((), 0, r"samples: 0 samples\. Give 1 or more"),
        (("turn",), 1, r"augment: unknown variant 'turn'\. Of: crop, flip, blur, noise"),
        (("",), 1, "unknown variant ''"),
        (("flip", "crop", "flip"), 1, "a variant is named twice"),
    ],
)
def test_what_cannot_be_asked_is_refused(variants: tuple[str, ...], samples: int, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Asks(variants, samples)
