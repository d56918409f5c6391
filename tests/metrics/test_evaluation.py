"""Whole evaluations: do metrics move as they should, are features kept, is what fails told?"""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from anime_keras import data, metrics
from anime_keras.data import collections
from anime_keras.metrics import corruptions, evaluation, extractors, kernel, references
from anime_keras.metrics.features import Features

DOSES = (0.1, 0.2, 0.4, 0.7, 1.0)


@pytest.fixture(scope="module")
def real():
    return data.render(1000, seed=810).images


@pytest.fixture(scope="module")
def real_features(real):
    return extractors.get("anime")(real)[0]


# --- the right way --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_each_corruption_raises_fid_and_kid_with_its_dose(kind, real_features):
    images = data.render(300, seed=811).images
    extractor = extractors.get("anime")
    fid, kid = [], []
    for dose in (0.0, *DOSES):
        features = extractor(corruptions.corrupt(images, kind, dose))[0]
        fid.append(metrics.frechet_distance(real_features, features))
        kid.append(metrics.kernel_distance(real_features, features))
    assert (np.diff(fid) > 0).all(), fid
    assert (np.diff(kid) > 0).all(), kid


def test_dropping_hair_colours_lowers_recall_and_coverage_in_order(real_features):
    faces = data.render(3700, seed=812)
    features = extractors.get("anime")(faces.images)[0]
    found = []
    for dropped in (0, 3, 6, 9):
        kept = features[faces.factors["hair_color"] >= dropped][:900]
        assert len(kept) == 900
        _, recall = metrics.precision_recall(real_features[:900], kept)
        _, coverage = metrics.density_coverage(real_features[:900], kept)
        found.append((recall, coverage))
    recall, coverage = np.transpose(found)
    assert (np.diff(recall) < 0).all(), recall
    assert (np.diff(coverage) < 0).all(), coverage
    assert recall[0] > 0.8 and recall[-1] < 0.7 * recall[0]  # of 12 colours three are left
    assert coverage[0] > 0.9 > coverage[-1]


@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_corruptions_grow_and_keep_their_kind(kind):
    images = data.render(20, seed=813).images
    assert (corruptions.corrupt(images, kind, 0) == images).all()
    off = [
        np.abs(corruptions.corrupt(images, kind, dose).astype(int) - images).mean()
        for dose in DOSES
    ]
    assert (np.diff(off) > 0).all(), off
    once, again = (corruptions.corrupt(images, kind, 0.5, seed=3) for _ in range(2))
    assert (once == again).all() and once.dtype == np.uint8


def test_what_cannot_be_corrupted():
    images = data.render(1).images
    with pytest.raises(ValueError, match="no corruption 'rain'"):
        corruptions.corrupt(images, "rain", 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        corruptions.corrupt(images, "blur", 1.5)


# --- features that are kept -----------------------------------------------------------------------


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """An extractor that counts the pictures it looks at, and a cache of its own."""
    monkeypatch.setenv("ANIME_KERAS_CACHE", str(tmp_path / "cache"))
    seen = SimpleNamespace(count=0)

    def network(x):
        seen.count += len(x)
        return x.mean(axis=(1, 2))

    extractor = extractors.Extractor("means", network, None, 3, fingerprint="1")
    return extractor, seen, tmp_path / "cache"


def test_reference_features_are_computed_once(counted):
    extractor, seen, cache = counted
    images = data.render(60, size=32).images
    first = references.reference(images, extractor)
    again = references.reference(images.copy(), extractor)
    assert seen.count == 60
    assert (first.sample == again.sample).all() and first.count == again.count == 60
    changed = images.copy()
    changed[3, 4, 5, 0] ^= 1  # one bit of one pixel
    references.reference(changed, extractor)
    assert seen.count == 120
    references.reference(
        images, extractors.Extractor("means", extractor.network, None, 3, fingerprint="2")
    )
    assert seen.count == 180  # other weights
    for file in (cache / "features").iterdir():
        file.write_bytes(file.read_bytes()[:100])  # a full disk, a cut session
    broken = references.reference(images, extractor)
    assert seen.count == 240 and (broken.sample == first.sample).all()


def test_nothing_is_kept_where_nothing_shall_be(counted, monkeypatch):
    extractor, seen, cache = counted
    monkeypatch.setenv("ANIME_KERAS_CACHE", "")
    for _ in range(2):
        references.reference(data.render(8, size=32).images, extractor)
    assert seen.count == 16 and not cache.exists()


def test_memory_does_not_grow_with_the_pictures(counted):
    """A collection that would fill a disk is never asked for more than a chunk."""
    asked = []

    class Endless:
        shape, dtype = (3000, 32, 32, 3), np.dtype(np.uint8)

        def __len__(self):
            return 3000

        def __getitem__(self, rows):
            asked.append(len(range(*rows.indices(3000))))
            return np.zeros((asked[-1], 32, 32, 3), np.uint8)

    features = references.collect(Endless(), counted[0], capacity=100)
    assert features.count == 3000 and features.sample.shape == (100, 3)
    assert max(asked) <= references.CHUNK


# --- collections ----------------------------------------------------------------------------------


def test_rendered_collection_is_what_render_draws():
    drawn = collections.Rendered(40, 32, seed=5, start=7)
    expected = data.render(40, 32, seed=5, start=7).images
    assert (drawn[10:20] == expected[10:20]).all() and (drawn[-3:] == expected[-3:]).all()
    assert (drawn[1:9:2] == expected[1:9:2]).all() and len(drawn[40:50]) == 0
    assert drawn.fingerprint() == collections.Rendered(40, 32, seed=5, start=7).fingerprint()
    assert drawn.fingerprint() != collections.Rendered(40, 32, seed=6, start=7).fingerprint()


def test_folder_with_labels_and_broken_files(tmp_path):
    from anime_keras import plots

    faces = data.render(4, size=32)
    for index, image in enumerate(faces.images):
        plots.save(tmp_path / "images" / f"{index}.png", image)
    plots.save(tmp_path / "sheet.png", plots.grid(faces.images))  # beside the images: not one
    (tmp_path / "images" / "9.png").write_bytes(b"no picture")
    (tmp_path / "labels.csv").write_text(
        "file,hair_color,mood\n0.png,blue,merry\n2.png,red,\n3.png,,sad\n"
    )
    folder = collections.Folder(tmp_path)
    assert folder.shape == (4, 32, 32, 3) and (folder[:] == faces.images).all()
    assert [p.name for p in folder.rejected] == ["9.png"]
    hair = data.FACTORS["hair_color"]
    assert list(folder.labels()) == ["hair_color"]
    assert folder.labels()["hair_color"].tolist() == [hair.index("blue"), -1, hair.index("red"), -1]
    (tmp_path / "labels.csv").write_text("file,hair_color\n0.png,mauve\n")
    with pytest.raises(ValueError, match=r"labels.csv says hair_color 'mauve' of images/0.png"):
        folder.labels()


def test_folders_that_cannot_be_measured(tmp_path):
    from anime_keras import plots

    with pytest.raises(FileNotFoundError, match="There is no folder"):
        collections.Folder(tmp_path / "none")
    with pytest.raises(ValueError, match="no pictures in"):
        collections.Folder(tmp_path)
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"no pictures in .* 1 files such as .*a\.png"):
        collections.Folder(tmp_path)
    plots.save(tmp_path / "b.png", np.zeros((20, 20, 3), np.uint8))
    plots.save(tmp_path / "c.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(ValueError, match=r"mixed sizes: b.png is 20x20, c.png 30x20.*data prepare"):
        collections.Folder(tmp_path)


# --- all together ---------------------------------------------------------------------------------


def test_an_evaluation_of_real_against_real_finds_little(real, tmp_path):
    other = collections.Rendered(600, seed=814)
    chosen = ("fid", "kid", "is", "prdc", "neighbours", "attributes")
    done = []
    found = evaluation.evaluate(
        real[:600], other, chosen, held_out=real[600:900], progress=lambda *a: done.append(a)
    )
    by_name = {result.name: result for result in found.results}
    assert abs(by_name["KID"].value) < 3 * by_name["KID"].spread
    assert by_name["precision"].value > 0.6 and by_name["recall"].value > 0.6
    assert by_name["memorisation"].value == pytest.approx(0.5, abs=0.06)
    assert found.comparison.covered == pytest.approx(found.comparison.possible, abs=0.05)
    assert all(result.extractor == "anime-features" for result in found.results)
    assert {what for what, *_ in done} >= {"real pictures", "generated pictures"}

    path = found.write(tmp_path)
    written = json.loads(path.read_text())
    assert {row["name"] for row in written["results"]} == set(by_name)
    assert written["about"]["real"] == written["about"]["fake"] == 600
    assert np.sum(written["attributes"]["combinations"]["fake"]) == 600
    for name in ("attributes.png", "neighbours.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    # the next evaluation, of less, leaves no pictures of this one behind
    evaluation.Evaluation(about=found.about).write(tmp_path)
    assert not (tmp_path / "attributes.png").exists()


def test_copies_of_the_training_set_are_found(real):
    found = evaluation.evaluate(real[:400], real[:400], ("neighbours",), held_out=real[400:800])
    assert found.results[0].value > 0.99
    sheet = found.nearest  # two rows, each picture above its copy
    assert (sheet[2:66, 2:66] == sheet[68:132, 2:66]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ("fid", "beauty")}, "no metric 'beauty': choose from fid"),
        ({"metrics": ()}, "Name a metric"),
        ({"metrics": ("ppl",)}, "Path lengths need the generator"),
        ({"fake": 10}, "10 generated pictures; below 50"),
        ({"metrics": ("swd",), "size": 32}, "one size, not 64x64 and 32x32"),
    ],
)
def test_evaluations_that_cannot_be(arguments, message, real):
    fake = data.render(arguments.pop("fake", 60), arguments.pop("size", 64)).images
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(real[:60], fake, **arguments)


def test_an_extractor_without_classes_has_no_inception_score(real):
    plain = extractors.Extractor("means", lambda x: x.mean(axis=(1, 2)), None, 3)
    with pytest.raises(ValueError, match="class probabilities"):
        evaluation.evaluate(real[:60], real[60:120], ("is",), plain)


def test_other_preprocessing_is_warned_of(real):
    large = data.render(80, 96, seed=815).images
    found = evaluation.evaluate(real[:80], large, ("kid",))
    assert any("96 to 64 px" in text for text in found.warnings)


def test_skipped_pixels_are_warned_of(real):
    skipping = extractors.Extractor("means", lambda x: x.mean(axis=(1, 2)), 16, 3, antialias=False)
    found = evaluation.evaluate(real[:60], real[60:120], ("kid",), skipping)
    assert any("without anti-aliasing" in text for text in found.warnings)
    skipping.antialias = True
    found = evaluation.evaluate(real[:60], real[60:120], ("kid",), skipping)
    assert not any("aliasing" in text for text in found.warnings)


def test_path_length_through_the_extractor():
    """A generator that turns latents into a flat colour, against many slerps written down anew."""
    means = extractors.Extractor("means", lambda x: x.mean(axis=(1, 2)), None, 3)
    spin = np.random.default_rng(0).normal(0, 0.1, (4, 3)).astype("float32")

    def draw(points):
        return np.broadcast_to((points @ spin)[:, None, None], (len(points), 8, 8, 3))

    generator = evaluation.Generator(draw, 4)
    found = evaluation.evaluate(
        np.zeros((60, 8, 8, 3), np.uint8),
        np.zeros((60, 8, 8, 3), np.uint8),
        ("ppl",),
        means,
        generator=generator,
    )
    one, other = np.random.default_rng(1).normal(size=(2, 20000, 4))
    assert found.results[0].value == pytest.approx(_expected(one, other, spin), rel=0.25)
    assert found.results[0].extractor == "means"


def _expected(one, other, spin, t=0.5, step=1e-4):
    def at(t):
        first, last = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (one, other))
        angle = np.arccos(np.clip((first * last).sum(axis=1, keepdims=True), -1, 1))
        way = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / np.sin(angle)
        length = [np.linalg.norm(v, axis=1, keepdims=True) for v in (one, other)]
        return way * ((1 - t) * length[0] + t * length[1]) @ spin

    change = ((at(t + step) - at(t)) ** 2).sum(axis=1) / step**2
    low, high = np.percentile(change, [1, 99])
    return change[(change >= low) & (change <= high)].mean()


def test_meters_of_references_are_those_of_arrays(real, real_features):
    features = references.collect(real[:300], "anime")
    assert isinstance(features, Features)
    assert np.allclose(features.moments.mean, real_features[:300].mean(axis=0), atol=1e-4)
    halves = [references.collect(real[a:b], "anime") for a, b in ((0, 700), (700, 1400))]
    assert kernel.measure(*halves).value == pytest.approx(0, abs=0.01)
