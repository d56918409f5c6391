"""How results print and what goes into metrics.json."""

import json

import pytest

from anime_keras.metrics import Result


def test_prints_what_one_must_know():
    result = Result("FID", 23.41, 0.58, "anime-features", 10_000, 10_000, 0)
    assert str(result) == "FID 23.4 ± 0.6 (anime-features, 10,000 vs 10,000 pictures, seed 0)"


def test_prints_only_what_there_is():
    assert str(Result("SSIM", 0.5)) == "SSIM 0.5"
    assert str(Result("IS", 2.0, 0.25, "net", fake=50)) == "IS 2.0 ± 0.2 (net, 50 pictures)"


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [
        (23.4567, None, "23.46"),
        (0.00838861, None, "0.008389"),
        (12345.6, None, "12,346"),
        (23.4567, 0.6, "23.5 ± 0.6"),
        (23.4567, 0.123, "23.46 ± 0.12"),
        (23.4567, 0.0999, "23.46 ± 0.10"),
        (23.4567, 0.196, "23.5 ± 0.2"),
        (23.4567, 7.7, "23 ± 8"),
        (12345.6, 234.0, "12,300 ± 200"),
        (0.00838861, 0.0004, "0.0084 ± 0.0004"),
        (-0.0000012, 0.0000034, "-1.2e-06 ± 3.4e-06"),
        (1.0, 0.0, "1 ± 0"),
        (float("nan"), 0.1, "nan"),
        (float("inf"), None, "inf"),
    ],
)
def test_digits_follow_the_spread(value, spread, expected):
    assert Result("FID", value, spread).number == expected


def test_goes_into_json():
    result = Result(
        "PSNR", float("inf"), None, "net", 3, 4, 5, "64 px", {"a": float("nan"), "b": 1}, ("few",)
    )
    row = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert row == {
        "name": "PSNR",
        "value": None,
        "spread": None,
        "extractor": "net",
        "real": 3,
        "fake": 4,
        "seed": 5,
        "preprocessing": "64 px",
        "details": {"a": None, "b": 1.0},
        "warnings": ["few"],
        "better": "lower",
    }
