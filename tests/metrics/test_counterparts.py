"""Translators whose score is known: the truth itself, no change at all, one colour wrong, 3 px off."""

import json
from dataclasses import replace

import numpy as np
import pytest

from anime_keras import data, metrics
from anime_keras.data import people
from anime_keras.metrics import attributes, counterparts
from anime_keras.metrics.extractors import Extractor

COUNT = 64


def _coarse(x):
    """The picture in 4 x 4 squares: 48 features, so that 64 pictures have a covariance of full rank."""
    return x.reshape(len(x), 4, 16, 4, 16, 3).mean(axis=(2, 4)).reshape(len(x), -1)


COARSE = Extractor("coarse", _coarse, None, 48)


@pytest.fixture(scope="module")
def domains():
    drawn = counterparts.drawn(COUNT, 64, seed=3, album=96)
    return tuple(replace(domain, album=domain.album[:]) for domain in drawn)  # drawn once


def same(pictures):
    return pictures


def black(pictures):
    return np.zeros_like(pictures)


def lookup(questions, answers):
    """A translator that knows the answers by heart, and of anything else makes black."""
    known = {q.tobytes(): a for q, a in zip(questions, answers, strict=True)}
    black = np.zeros_like(answers[0])
    return lambda pictures: np.stack([known.get(picture.tobytes(), black) for picture in pictures])


def measure(there, back, domains):
    return counterparts.measure(there, back, *domains, extractor=COARSE)


@pytest.fixture(scope="module")
def unchanged(domains):
    return measure(same, same, domains)


def test_one_way(domains, unchanged):
    """Without a way back: the same scores of the way there, and none of the other or of the cycle."""
    found = measure(same, None, domains)
    assert found.y2x is None and list(found.to_dict()) == ["about", "x2y", "warnings"]
    both = [r for r in unchanged.x2y.results if not r.name.startswith("cycle")]
    assert [r.name for r in found.x2y.results] == [r.name for r in both]
    assert [r.value for r in found.x2y.results] == [r.value for r in both]
    assert "Anime to portraits" not in str(found)
    rows = {side.shape[0] for side in (found.sheet, unchanged.x2y.sheet)}
    assert len(rows) == 2 and found.sheet.shape == found.x2y.sheet.shape
    assert set(found.warnings) <= set(unchanged.warnings)


# --- the truth itself -----------------------------------------------------------------------------


def test_the_oracle_is_as_good_as_the_network_can_see(domains):
    x, y = domains
    there, back = lookup(x.pictures, y.pictures), lookup(y.pictures, x.pictures)
    found = measure(there, back, domains)
    for direction in (found.x2y, found.y2x):
        assert direction["L1"].value == direction["features"].value == 0
        assert direction["SSIM"].value == pytest.approx(1, abs=1e-6)
        assert all(direction[n].details["times nearer"] == np.inf for n in ("L1", "SSIM"))
        assert direction["cycle L1"].value == 0
        for name in ("landmarks, px", "yaw, degrees", "FID"):
            perfect = "true counterparts" if name == "FID" else "true counterpart"
            assert direction[name].value == pytest.approx(direction[name].details[perfect], 1e-9)
        assert all(kept.after.value == kept.ceiling for kept in direction.kept.values())
        assert direction.kept["style"].after.value == 1
    # the network's own card: hair 100%, expression at least 98% of clean drawings
    assert found.x2y.kept["hair_color"].after.value == 1
    assert found.x2y.kept["expression"].after.value >= 0.95
    assert found.x2y["landmarks, px"].value < 1.2
    # what is infinite is not in the file
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["x2y"]["results"][0]["details"]["times nearer"] is None


# --- no change at all -----------------------------------------------------------------------------


def test_no_change_is_the_identity_baseline(domains, unchanged):
    x, y = domains
    levels = np.abs(x.pictures.astype(float) - y.pictures).mean() / 255
    features = np.linalg.norm(COARSE(x.pictures)[0] - COARSE(y.pictures)[0], axis=1).mean()
    similar = np.asarray(metrics.ssim(y.pictures, x.pictures)).mean()
    expected = {"L1": levels, "features": features, "SSIM": similar}
    for direction in (unchanged.x2y, unchanged.y2x):
        for name, value in expected.items():
            result = direction[name]
            assert result.value == pytest.approx(value, rel=1e-4)
            assert result.details["itself"] == pytest.approx(value, rel=1e-4)
            assert result.details["times nearer"] <= 1
        assert direction["cycle L1"].value == 0
        assert direction["cycle SSIM"].value == pytest.approx(1, abs=1e-6)
        assert direction["FID"].details["share of that"] == pytest.approx(1)
        assert all(kept.after.value == kept.before for kept in direction.kept.values())
        assert direction.kept["style"].after.right == 0  # everything is kept, nothing translated
    assert unchanged.x2y["landmarks, px"].value == unchanged.x2y["landmarks, px"].details["itself"]


def test_fid_of_the_pictures_as_they_came(domains, unchanged):
    x, y = domains
    for direction, pictures, album in (
        (unchanged.x2y, x.pictures, y.album),
        (unchanged.y2x, y.pictures, x.album),
    ):
        expected = metrics.frechet_distance(COARSE(album)[0], COARSE(pictures)[0])
        assert direction["FID"].details["itself"] == pytest.approx(expected, rel=1e-6)
        perfect = y.pictures if pictures is x.pictures else x.pictures
        expected = metrics.kernel_distance(COARSE(album)[0], COARSE(perfect)[0])
        assert direction["KID"].details["true counterparts"] == pytest.approx(expected, abs=1e-9)


def test_floors_are_closed_forms(domains, unchanged):
    _, y = domains
    hair = y.truth.words["hair_color"]
    assert unchanged.x2y.kept["hair_color"].floor == max(np.bincount(hair)) / COUNT
    eyes = y.truth.words["eye_color"]
    assert unchanged.x2y.kept["eye_color"].after.count == (eyes >= 0).sum() < COUNT
    points = 64 * y.truth.landmarks
    off = np.linalg.norm(points - points.mean(axis=0), axis=-1).mean(axis=-1)
    assert unchanged.x2y["landmarks, px"].details["mean face"] == pytest.approx(np.median(off))
    yaw = y.truth.yaw
    assert unchanged.x2y["yaw, degrees"].details["mean face"] == pytest.approx(
        np.median(np.abs(yaw - yaw.mean())), rel=1e-5
    )


# --- half the way ---------------------------------------------------------------------------------


def test_times_nearer_and_its_interval(domains):
    """A picture half-way between portrait and truth, against ratios of pictures drawn again."""
    x, y = domains
    middle = ((x.pictures.astype(int) + y.pictures) // 2).astype("uint8")
    found = measure(lookup(x.pictures, middle), black, domains).x2y["L1"]
    assert found.value == pytest.approx(found.details["itself"] / 2, rel=0.02)
    own, transferred = (
        np.abs(pictures.astype(float) - y.pictures).mean(axis=(1, 2, 3)) / 255
        for pictures in (
            middle,
            counterparts.color_transfer(
                x.pictures, *map(counterparts.Palette.of, (x.album, y.album))
            ),
        )
    )
    assert found.details["colour transfer"] == pytest.approx(transferred.mean(), rel=1e-4)
    others = (found.details[name] for name in counterparts.BASELINES)
    assert min(others) == found.details["colour transfer"]
    assert found.details["times nearer"] == pytest.approx(transferred.mean() / own.mean(), 1e-4)
    rows = np.random.default_rng(0).integers(0, COUNT, (4000, COUNT))
    again = transferred[rows].mean(axis=1) / own[rows].mean(axis=1)
    assert found.details["±"] == pytest.approx(1.96 * again.std(), rel=0.1)


def test_the_nearest_is_of_the_other_album(domains, unchanged):
    x, y = domains
    gaps = np.linalg.norm(COARSE(x.pictures)[0][:, None] - COARSE(y.album)[0][None], axis=-1)
    nearest = y.album[gaps.argmin(axis=1)]
    expected = np.abs(nearest.astype(float) - y.pictures).mean() / 255
    assert unchanged.x2y["L1"].details["nearest"] == pytest.approx(expected, rel=1e-4)


# --- one thing wrong ------------------------------------------------------------------------------


def test_hair_of_the_next_colour_on_every_other_face(domains):
    x, y = domains
    hair = data.FACTORS["hair_color"]
    changed = y.pictures.copy()
    for row in range(0, COUNT, 2):
        word = hair[(y.truth.words["hair_color"][row] + 1) % len(hair)]
        seed = counterparts.HELD_OUT + 3
        changed[row] = data.render(1, 64, seed=seed, start=row, where={"hair_color": word}).images
    found = measure(lookup(x.pictures, changed), black, domains).x2y
    kept = found.kept["hair_color"].after
    assert (kept.right, kept.count) == (COUNT // 2, COUNT)
    assert np.trace(np.roll(kept.confusion, -1, axis=1)) == COUNT // 2  # the next word, always
    # Wilson 1927 at one half: 1/2 ± z / (2 sqrt(n + z²))
    half = 1.96 / 2 / np.sqrt(COUNT + 1.96**2)
    assert kept.low == pytest.approx(0.5 - half, abs=1e-4)
    assert kept.high == pytest.approx(0.5 + half, abs=1e-4)
    for other in ("expression", "gender", "clothes", "glasses"):
        assert abs(found.kept[other].after.value - found.kept[other].ceiling) <= 2 / COUNT


def test_three_pixels_to_the_right(domains):
    x, y = domains
    moved = np.roll(y.pictures, 3, axis=2)
    moved[:, :, :3] = moved[:, :, 3:4]
    found = measure(lookup(x.pictures, moved), black, domains).x2y
    assert found["landmarks, px"].value == pytest.approx(3, abs=0.25)
    assert found["landmarks, px"].details["mean"] == pytest.approx(3, abs=0.25)
    assert found["L1"].value == pytest.approx(
        np.abs(moved.astype(float) - y.pictures).mean() / 255, rel=1e-4
    )
    # black pictures come back
    assert found["cycle L1"].value == pytest.approx(x.pictures.mean() / 255, rel=1e-4)


# --- without the truth ----------------------------------------------------------------------------


def test_without_counterparts_readings_are_compared_with_each_other(domains):
    pair = counterparts.unpaired(domains[0].pictures, domains[1].album, 48, ("people", "toons"))
    assert [len(domain.pictures) for domain in pair] == [48, 48]
    found = measure(same, lambda pictures: pictures[:, :, ::-1], pair)
    straight, mirrored = found.x2y, found.y2x
    assert (straight.source, straight.target, straight.paired) == ("people", "toons", False)
    assert {r.name for r in straight.results} == {
        *("landmarks, px", "yaw, degrees", "cycle L1", "cycle SSIM", "FID", "KID")
    }
    assert straight["landmarks, px"].value == 0
    assert "true counterparts" not in straight["FID"].details
    for name, kept in straight.kept.items():
        assert kept.ceiling is None
        assert kept.after.value == kept.before == (0 if name == "style" else 1)
    # a mirrored face looks the other way, and keeps its colours
    before = attributes.read(domains[1].album[:48])
    assert mirrored["yaw, degrees"].value == pytest.approx(
        2 * np.median(np.abs(before.angles[:, 0])), rel=0.15
    )
    assert mirrored.kept["hair_color"].after.value > 0.95
    swept = [data.FACTORS["fringe"].index(f"swept {side}") for side in ("left", "right")]
    confusion = mirrored.kept["fringe"].after.confusion[np.ix_(swept, swept)]
    assert np.trace(confusion) == 0 < confusion.sum()
    assert "the truth is not known" in str(found) and "against the truth" not in str(found)


# --- the baselines, the pairs, the page -----------------------------------------------------------


def test_color_transfer_moves_mean_and_spread():
    random = np.random.default_rng(0)
    own = np.clip(random.normal((150, 110, 90), (20, 15, 12), (9, 32, 32, 3)), 0, 255).astype("u1")
    other = np.clip(random.normal((90, 120, 140), (9, 12, 14), (9, 32, 32, 3)), 0, 255).astype("u1")
    palettes = [counterparts.Palette.of(some) for some in (own, other)]
    moved = counterparts.color_transfer(own, *palettes)
    lab, wanted = (counterparts._lab(some).reshape(-1, 3) for some in (moved, other))
    assert lab.mean(axis=0) == pytest.approx(wanted.mean(axis=0), abs=0.3)  # some are clipped
    assert lab.std(axis=0) == pytest.approx(wanted.std(axis=0), rel=0.02)
    assert (
        np.abs(counterparts.color_transfer(own, palettes[0], palettes[0]).astype(int) - own).max()
        <= 1
    )


def test_pairs_are_the_same_people_and_the_albums_others(domains):
    x, y = domains
    seed = counterparts.HELD_OUT + 3
    assert seed >= 2**33 > 2**32 + 2**32 - 1  # beyond the seeds of commands, and of surveys
    faces = data.render(COUNT, 64, seed=seed)
    assert (y.pictures == faces.images).all()
    assert (x.pictures[:4] == data.render(4, 64, "portrait", seed).images).all()
    assert y.truth.landmarks == pytest.approx(faces.landmarks / 64)
    assert (x.truth.words["hair_color"] == faces.factors["hair_color"]).all()
    hidden = y.truth.words["eye_color"] < 0
    laughing = faces.factors["expression"] == people.FACTORS["expression"].index("laugh")
    assert hidden.any() and (laughing | ~hidden).all()
    seen = attributes.read(y.pictures)
    assert (seen.words["eyes"] == hidden).all()
    gaps = np.abs(y.album[:, None].astype("i2") - y.pictures[None, :32]).mean(axis=(2, 3, 4))
    assert gaps.min() > 5


def test_tables_say_all_that_the_file_says(unchanged):
    text = str(unchanged)
    for word in (
        "Portraits to anime: there and back",
        "colour transfer",
        "times nearer",
        "hair color",
    ):
        assert word in text
    written = json.loads(json.dumps(unchanged.to_dict(), allow_nan=False))
    assert "\n".join(map(str, counterparts.tables(written))) in text.replace("\n\n", "\n")
    assert written["about"]["pictures"] == [COUNT, COUNT]
    # eight faces of either direction: as it came, translated, true, best answer, and back
    assert unchanged.sheet.shape == (2 * (5 * 66 + 2), 8 * 66 + 2, 3)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (lambda pictures: pictures / 255.0, "gives float64"),
        (
            lambda pictures: pictures[:, ::2, ::2],
            r"portraits to anime, gives uint8 \(64, 32, 32, 3",
        ),
    ],
)
def test_translators_that_give_something_else(there, message, domains):
    with pytest.raises(ValueError, match=message):
        measure(there, same, domains)


def test_pictures_that_cannot_be_compared(domains):
    x, y = domains
    few = counterparts.unpaired(x.pictures[:3], y.pictures)
    with pytest.raises(ValueError, match="at least 4 pictures of each kind, not 3"):
        measure(same, same, few)
    with pytest.raises(ValueError, match="64 and 60 pictures cannot be pairs"):
        measure(same, same, (x, replace(y, pictures=y.pictures[:60])))
    with pytest.raises(ValueError, match=r"one size, not \(64, 64\) and \(32, 32\)"):
        measure(same, same, (x, replace(y, pictures=y.pictures[:, ::2, ::2])))
