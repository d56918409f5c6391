"""Batches: a pure function of (seed, number), so that training can go on anywhere."""

import itertools
import json
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.trainers import data_adapters
from PIL import Image
from typer.testing import CliRunner

from anime_keras import checkpoints, data, plots, tasks
from anime_keras.cli import app
from anime_keras.data import edges, pipelines, records
from anime_keras.data.pipelines import Batches, Pairs, batches, normalize, stream
from anime_keras.data.records import Prepared

AUGMENTATION = {
    "flip": True,
    "rotation": 20.0,
    "translation": 0.1,
    "brightness": 0.2,
    "contrast": 0.3,
    "saturation": 0.4,
    "hue": 0.1,
    "cutout": 0.3,
}


@pytest.fixture
def images():
    """22 pictures, each told by its first pixel; the left and right halves differ."""
    pictures = np.zeros((22, 8, 8, 3), np.uint8)
    pictures[:, :, 4:] = 255
    pictures[:, 0, 0, 0] = np.arange(22) * 10
    pictures[:, 0, -1, 0] = np.arange(22) * 10
    return pictures


def which(batch):
    """The numbers of a batch's pictures, mirrored or not."""
    return np.round((batch[:, 0, 0, 0] + 1.0) * 127.5 / 10).astype(int).tolist()


def test_normalize():
    values = normalize(np.arange(256, dtype=np.uint8))
    assert values.dtype == np.float32
    assert (values[0], values[255]) == (-1.0, 1.0)
    np.testing.assert_allclose(np.diff(values), 1 / 127.5, atol=1e-6)
    np.testing.assert_array_equal(np.round((values + 1.0) * 127.5), np.arange(256))


def test_shape_and_range(images):
    batch = Batches(images, 4).batch(0)
    assert batch.shape == (4, 8, 8, 3) and batch.dtype == np.float32
    assert (batch.min(), batch.max()) == (-1.0, 1.0)


def test_a_batch_is_a_pure_function_of_its_number(images):
    numbers = [7, 0, 31, 3, 0, 7]
    asked = Batches(images, 4, seed=5, flip=True)
    first = {number: asked.batch(number) for number in numbers}
    for number in reversed(numbers):  # in another order, from another object
        np.testing.assert_array_equal(asked.batch(number), first[number])
        fresh = Batches(images, 4, seed=5, flip=True).batch(number)
        np.testing.assert_array_equal(fresh, first[number])


def test_an_epoch_shows_each_picture_at_most_once(images):
    stream = Batches(images, 4, seed=1)
    assert stream.per_epoch == 5  # 22 = 5 * 4 + 2
    epochs = [
        [number for place in range(5) for number in which(stream.batch(5 * epoch + place))]
        for epoch in range(100)
    ]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == 20
    assert len({tuple(epoch) for epoch in epochs}) == 100
    # Who is left out changes as well.
    assert set().union(*(set(range(22)) - set(epoch) for epoch in epochs)) == set(range(22))


def test_seeds_differ(images):
    orders = {tuple(which(Batches(images, 22, seed=seed).batch(0))) for seed in range(8)}
    assert len(orders) == 8


def test_exact_division(images):
    stream = Batches(images[:20], 4)
    assert sorted(number for batch in stream for number in which(batch)) == list(range(20))
    assert Batches(images[:20], 4, drop_remainder=False).per_epoch == 5


def test_flip_is_a_mirror_for_about_half(images):
    plain, flipped = Batches(images, 11, seed=2), Batches(images, 11, seed=2, flip=True)
    turned = []
    for number in range(20):
        for ours, theirs in zip(plain.batch(number), flipped.batch(number), strict=True):
            mirrored = np.array_equal(theirs, ours[:, ::-1])
            assert mirrored or np.array_equal(theirs, ours)
            turned.append(mirrored)
    assert np.mean(turned) == pytest.approx(0.5, abs=0.12)  # 220 draws: 3.5 standard errors


def test_flip_leaves_the_originals(images):
    before = images.copy()
    list(Batches(images, 11, flip=True))
    np.testing.assert_array_equal(images, before)


def test_iterates_over_one_epoch(images):
    stream = Batches(images, 4, seed=3)
    for number, batch in enumerate(stream):
        np.testing.assert_array_equal(batch, stream.batch(number))
    assert number == 4


@pytest.mark.parametrize("start", [0, 3, 5, 13])
@pytest.mark.parametrize("augmentation", [{}, {"flip": True}])
def test_dataset_starts_anywhere(images, start, augmentation):
    """`tf.data` gives what `batch` gives, over the end of an epoch and on."""
    stream = Batches(images, 4, seed=3, **augmentation)
    dataset = stream.dataset(start)
    assert dataset.element_spec.shape == (4, 8, 8, 3)
    assert dataset.element_spec.dtype == tf.float32
    for number, batch in zip(range(start, start + 12), dataset, strict=False):
        np.testing.assert_array_equal(batch.numpy(), stream.batch(number))


@pytest.mark.parametrize("size", [0, -1, 23])
def test_batch_size(images, size):
    with pytest.raises(ValueError, match=f"A batch of {size} cannot be made from 22 pictures"):
        Batches(images, size)
    assert Batches(images, 22).per_epoch == 1


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((4, 8, 8), np.uint8),
        np.zeros((4, 8, 8, 4), np.uint8),
    ],
)
def test_wrong_pictures(wrong):
    with pytest.raises(ValueError, match=r"must be uint8 of shape \(count, height, width, 3\)"):
        Batches(wrong, 2)


# --- what a batch may be --------------------------------------------------------------------------


def test_ranges(images):
    ends = np.zeros((2, 4, 4, 3), np.uint8)
    ends[1] = 255
    for value_range in ((-1, 1), (0, 1)):
        for augmentation in ({}, {"flip": True}):
            batch = Batches(ends, 2, value_range=value_range, **augmentation).batch(0)
            assert batch.dtype == np.float32
            assert (batch.min(), batch.max()) == value_range
            assert set(np.unique(batch)) == set(value_range)
    unit = Batches(images, 4, value_range=(0, 1)).batch(2)
    np.testing.assert_allclose(unit * 2 - 1, Batches(images, 4).batch(2), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"value_range must be \(-1, 1\) or \(0, 1\), not \(0, 255"
    ):
        Batches(images, 4, value_range=(0, 255))


def test_in_order_and_to_the_last(images):
    """As evaluation wants it: every picture once, and the last batch may be smaller."""
    stream = Batches(images, 4, shuffle=False, drop_remainder=False)
    assert stream.per_epoch == 6
    assert [which(batch) for batch in stream] == [
        list(range(start, min(start + 4, 22))) for start in range(0, 22, 4)
    ]
    once = [batch.numpy() for batch in stream.dataset().take(stream.per_epoch)]
    assert [len(batch) for batch in once] == [4, 4, 4, 4, 4, 2]
    assert stream.dataset().element_spec.shape.as_list() == [None, 8, 8, 3]
    np.testing.assert_array_equal(np.concatenate(once), normalize(images))
    small = Batches(images, 50, drop_remainder=False)
    assert small.per_epoch == 1 and sorted(which(small.batch(3))) == list(range(22))
    assert [which(b) for b in Batches(images, 4, shuffle=False)] == [
        list(range(start, start + 4)) for start in range(0, 20, 4)
    ]


def test_smaller_last_batch_with_augmentation(images):
    stream = Batches(images, 4, drop_remainder=False, **AUGMENTATION)
    for number, batch in enumerate(stream.dataset().take(7)):
        assert len(batch) == (2 if number == 5 else 4)
        np.testing.assert_allclose(batch.numpy(), stream.batch(number), atol=1e-5)


def test_nobody_waits_for_tuning(images):
    """With TensorFlow's tuning on, the end of `fit` waited until that woke."""
    endless = [
        Batches(images, 4).dataset(),
        Pairs(images, images, 4).dataset(),
        edges.WithBlurredEdges(images, images, 4).dataset(),
        pipelines.repeated(images),
    ]
    assert [dataset.options().autotune.enabled for dataset in endless] == [False] * 4


def test_the_same_batch_again(images, monkeypatch):
    batch = images[:2].astype("float32")
    for there in (True, False):
        monkeypatch.setattr(pipelines, "tensorflow_is_there", lambda there=there: there)
        stream = pipelines.repeated(batch)
        data_adapters.get_data_adapter(stream)  # or `fit` would not take it
        for _, found in zip(range(3), stream, strict=False):
            np.testing.assert_array_equal(found if there else found[0], batch)


@pytest.mark.parametrize("augmentation", [{}, {"flip": True}])
def test_labels_follow_their_pictures(images, augmentation):
    labels = {"number": np.arange(22), "half": np.arange(22) // 2}
    stream = Batches(images, 4, seed=2, labels=labels, **augmentation)
    pictures, spec = stream.dataset().element_spec
    assert pictures.shape == (4, 8, 8, 3) and spec["number"].shape == (4,)
    for number, (batch, found) in zip(range(7, 17), stream.dataset(7), strict=False):
        assert which(batch.numpy()) == found["number"].numpy().tolist()
        np.testing.assert_array_equal(found["half"], found["number"].numpy() // 2)
        np.testing.assert_array_equal(stream.batch(number)[1]["number"], found["number"])


def test_labels_must_fit(images):
    with pytest.raises(ValueError, match=r"one label 'x' for each of the 22 pictures.*\(21,\)"):
        Batches(images, 4, labels={"x": np.zeros(21, int)})


def test_model_learns_from_it(images):
    """`fit` and `evaluate` take it as it is."""
    labels = {"hair": np.arange(22) % 2}
    stream = Batches(images, 4, labels=labels, flip=True)
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(2, name="hair")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, {"hair": outputs})
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(stream.dataset(), steps_per_epoch=5, epochs=2, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 10
    loss = model.evaluate(stream.dataset().take(stream.per_epoch), verbose=0)
    assert 0 < loss < 10


# --- position -------------------------------------------------------------------------------------


def test_going_on_in_mid_epoch_is_exact():
    """With every change at once: the batches from number n on, and those after a restart there."""
    faces = data.render(40, size=32, seed=1)
    options = {"labels": True, "seed": 9, **AUGMENTATION}
    whole = batches(faces, 8, **options)
    assert whole.per_epoch == 5
    stream = list(itertools.islice(whole.dataset(), 13))
    for start in (3, 7):
        resumed = batches(faces, 8, **options).dataset(start)
        for (images, labels), (again, theirs) in zip(stream[start:], resumed, strict=False):
            np.testing.assert_array_equal(again.numpy(), images.numpy())
            for name, values in labels.items():
                np.testing.assert_array_equal(theirs[name].numpy(), values.numpy())
    for number in (12, 0, 6):
        np.testing.assert_allclose(whole.batch(number)[0], stream[number][0].numpy(), atol=1e-5)


def test_no_epoch_repeats_the_changes_of_another():
    """Nothing random is cached: the same picture comes changed anew."""
    faces = data.render(8, size=32, seed=1)
    stream = batches(faces, 8, shuffle=False, **AUGMENTATION)
    assert stream.per_epoch == 1
    epochs = [batch.numpy() for batch in stream.dataset().take(6)]
    for one, other in itertools.combinations(epochs, 2):
        assert (np.abs(one - other).mean(axis=(1, 2, 3)) > 0.02).all()
    plain = [batch.numpy() for batch in batches(faces, 8, shuffle=False).dataset().take(2)]
    np.testing.assert_array_equal(*plain)


def test_seeds_change_the_changes():
    faces = data.render(8, size=32, seed=1)
    one, other = (batches(faces, 8, shuffle=False, seed=s, **AUGMENTATION).batch(0) for s in (0, 1))
    assert (np.abs(one - other).mean(axis=(1, 2, 3)) > 0.02).all()


# --- sources --------------------------------------------------------------------------------------


@pytest.fixture
def prepared(tmp_path, images):
    """The 22 pictures as two shards of the training split, three of them for validation."""
    words = ("even", "odd")

    def record(number):
        labels = {"parity": words[number % 2]} if number != 5 else {}
        return records.Record(images[number], f"{number}.png", f"{number:064x}", labels)

    splits = {
        "train": (19, (record(number) for number in range(19))),
        "val": (3, (record(number) for number in range(19, 22))),
    }
    folder = tmp_path / "prepared"
    folder.mkdir()
    return records.write(folder, splits, 8, {"parity": words}, {}, shard_bytes=10 * 8 * 8 * 3)


def test_array(images):
    np.testing.assert_array_equal(
        batches(images, 4, seed=2).batch(7), Batches(images, 4, seed=2).batch(7)
    )


def test_prepared(prepared, images):
    """From disk as from memory, with the labels; a path does as well."""
    assert len(prepared.shards("train")) == 2
    ours = batches(prepared, 4, seed=2, labels=True, flip=True)
    theirs = batches(images[:19], 4, seed=2, flip=True)
    assert ours.per_epoch == 4
    for number, (batch, labels) in zip(range(3, 10), ours.dataset(3), strict=False):
        np.testing.assert_array_equal(batch.numpy(), theirs.batch(number))
        numbers = theirs.chosen(number)
        np.testing.assert_array_equal(labels["parity"], np.where(numbers == 5, -1, numbers % 2))
    path = batches(str(prepared.folder), 4, seed=2, flip=True, labels=["parity"])
    np.testing.assert_array_equal(path.batch(5)[0], ours.batch(5)[0])
    validation = batches(prepared.folder, 3, split="val", shuffle=False)
    assert which(validation.batch(0)) == [19, 20, 21]


def test_prepared_pictures_stay_on_disk(prepared):
    stream = batches(prepared, 4)
    assert not isinstance(stream.images, np.ndarray)
    assert stream.batch(0).shape == (4, 8, 8, 3)


def test_faces():
    faces = data.render(12, size=32, seed=4)
    batch, labels = batches(faces, 12, labels=("hair_color", "glasses")).batch(0)
    chosen = batches(faces, 12).chosen(0)
    assert list(labels) == ["hair_color", "glasses"]
    np.testing.assert_array_equal(batch, normalize(faces.images[chosen]))
    np.testing.assert_array_equal(labels["hair_color"], faces.factors["hair_color"][chosen])
    np.testing.assert_array_equal(labels["glasses"], faces.factors["glasses"][chosen])
    assert list(batches(faces, 12, labels=True).batch(0)[1]) == list(faces.factors)
    assert list(batches(faces, 12, labels="glasses").batch(0)[1]) == ["glasses"]


def test_plain_folder(tmp_path):
    for number in range(5):
        Image.fromarray(np.full((20, 20, 3), 50 * number, np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    stream = batches(tmp_path, 5, size=16, value_range=(0, 1))
    batch = stream.batch(0)
    assert batch.shape == (5, 16, 16, 3)
    np.testing.assert_allclose(batch[:, 3, 3, 0] * 5.1, stream.chosen(0), atol=1e-5)
    assert batches(str(tmp_path), 5).batch(0).shape == (5, 64, 64, 3)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.warns(
        UserWarning, match=r"Left out 1 of .* cannot be read, such as .*broken\.png: "
    ):
        assert batches(tmp_path, 5).per_epoch == 1


def test_wrong_requests(tmp_path, images, prepared):
    with pytest.raises(ValueError, match=r"no labels 'hair'\. There are parity\."):
        batches(prepared, 4, labels=["hair"])
    with pytest.raises(ValueError, match=r"no labels 'hair'\. There are none at all"):
        batches(images, 4, labels="hair")
    with pytest.raises(ValueError, match=r"no split 'test' in .*, but train, val"):
        batches(prepared, 4, split="test")
    with pytest.raises(ValueError, match=r"Only prepared pictures are split; .* 'val'"):
        batches(images, 4, split="val")
    with pytest.raises(ValueError, match="pictures are 8x8 pixels, not 64x64"):
        batches(prepared, 4, size=64)
    with pytest.raises(FileNotFoundError, match="no folder"):
        batches(tmp_path / "nowhere", 4)
    with pytest.raises(TypeError, match="shear"):
        batches(images, 4, shear=1)
    with pytest.raises(ValueError, match="rotation must be between 0 and 180"):
        batches(images, 4, rotation=200)
    manifest = json.loads((prepared.folder / records.MANIFEST).read_text())
    shard = prepared.folder / manifest["splits"]["train"]["shards"][0]["file"]
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(ValueError, match=f"{shard.name} is damaged"):
        batches(prepared.folder, 4)


class TestPairs:
    @pytest.fixture
    def pairs(self, images):
        return data.Pairs(images[:6], images[6:16], batch_size=2, seed=5)

    def test_each_domain_in_an_order_of_its_own(self, pairs):
        """Y's ten pictures go round once in an epoch's five batches; X's six begin anew meanwhile."""
        assert pairs.per_epoch == 5
        epochs = [[pairs.batch(5 * epoch + place) for place in range(5)] for epoch in range(2)]
        for epoch in epochs:
            assert sorted(number for _, y in epoch for number in which(y)) == list(range(6, 16))
        x = [number for epoch in epochs for x, _ in epoch for number in which(x)]
        assert [sorted(x[i : i + 6]) for i in (0, 6, 12)] == [list(range(6))] * 3
        # Who meets whom changes from epoch to epoch.
        meetings = [{(*which(x), *which(y)) for x, y in epoch} for epoch in epochs]
        assert not meetings[0] & meetings[1]

    def test_equal_pictures_hardly_meet_themselves(self, images):
        pairs = data.Pairs(images, images, seed=0)
        met = [which(x) == which(y) for x, y in map(pairs.batch, range(10 * pairs.per_epoch))]
        assert 0 <= np.mean(met) < 0.12  # 1/22 by chance

    def test_dataset_starts_anywhere(self, pairs):
        for number, elements in zip(range(3, 8), pairs.dataset(3)):  # noqa: B905
            for ours, theirs in zip(elements, pairs.batch(number), strict=True):
                np.testing.assert_array_equal(ours.numpy(), theirs)

    def test_sizes_must_agree(self, images):
        with pytest.raises(ValueError, match="X is 8x8, Y 4x8 pixels"):
            data.Pairs(images, images[:, :, :4])


class TestTraining:
    """`train dcgan --data FOLDER` where the folder is prepared."""

    @pytest.fixture
    def folder(self, tmp_path):
        faces = data.render(20, size=32, seed=2).images
        entries = [records.Record(image, f"{i}", f"{i:064x}", {}) for i, image in enumerate(faces)]
        splits = {"train": (16, entries[:16]), "val": (4, entries[16:])}
        (tmp_path / "faces").mkdir()
        records.write(tmp_path / "faces", splits, 32, {}, {}, shard_bytes=6 * 32 * 32 * 3)
        return tmp_path / "faces"

    def train(self, folder, out, *options):
        start = ["train", "dcgan", "--data", str(folder), "--out", str(out)]
        tiny = ["--width", "4", "--latent-dim", "8", "--precision", "float32"]
        short = ["--batch-size", "4", "--epochs", "1"]
        return CliRunner().invoke(app, [*start, *tiny, *short, *options])

    def test_on_its_training_split(self, folder, tmp_path):
        result = self.train(folder, tmp_path / "run", "--size", "32", "--flip")
        assert result.exit_code == 0, result.output
        assert "Found 16 prepared pictures" in result.output
        sheet = plots.grid(Prepared.open(folder).images("train"))
        np.testing.assert_array_equal(plots.load(tmp_path / "run" / "real.png"), sheet)
        assert checkpoints.available(tmp_path / "run" / "checkpoints")

    def test_only_some(self, folder, tmp_path):
        result = self.train(folder, tmp_path / "run", "--size", "32", "--count", "9")
        assert "Found 9 prepared pictures" in result.output, result.output

    def test_of_another_size(self, folder, tmp_path):
        result = self.train(folder, tmp_path / "run")
        assert result.exit_code == 1
        assert "are of 32 px, not 64: say --size 32" in result.output
        assert not (tmp_path / "run").exists()

    def test_checksum_is_that_of_all_pictures(self, tmp_path):
        """So a run resumes only on the pictures that it was trained on, in memory or not."""
        images = np.random.default_rng(0).integers(0, 256, (2500, 4, 4, 3), np.uint8)
        entries = (records.Record(image, f"{i}", "", {}) for i, image in enumerate(images))
        prepared = records.write(tmp_path, {"train": (2500, entries)}, 4, {}, {})
        expected = zlib.crc32(images.tobytes())
        assert tasks.checksum(prepared.pictures("train")) == expected
        assert tasks.checksum(images) == expected
        assert tasks.checksum(images[:, ::-1]) != expected


# --- without TensorFlow ---------------------------------------------------------------------------


def test_stream_gives_the_batches_of_dataset(images):
    """From any number on, and over the end of an epoch: five batches of four are one."""
    feeds = Batches(images, 4, seed=3), Pairs(images, images[:9], 4, seed=3)
    for feed in feeds:
        ours = list(itertools.islice(stream(feed, start=3), 6))
        theirs = [
            batch if isinstance(batch, tuple) else (batch,)
            for batch in feed.dataset(3).take(6).as_numpy_iterator()
        ]
        keras.tree.map_structure(np.testing.assert_array_equal, ours, theirs)
    assert feeds[0].per_epoch == 5


def test_stream_raises_what_a_batch_raises(images):
    class Broken(Batches):
        def batch(self, number):
            if number == 2:
                raise OSError("picture 2 is gone")
            return super().batch(number)

    batches_then = stream(Broken(images, 4))
    assert [next(batches_then)[0].shape[0] for _ in range(2)] == [4, 4]
    with pytest.raises(OSError, match="picture 2 is gone"):
        next(batches_then)


def test_feed_does_without_tensorflow(images, monkeypatch):
    for feed in (Batches(images, 4, seed=3), Pairs(images, images, 4, seed=3)):
        assert isinstance(feed.feed(), tf.data.Dataset)
        with monkeypatch.context() as patch:
            patch.setattr("anime_keras.data.pipelines.tensorflow_is_there", lambda: False)
            first = next(feed.feed(7))
        expected = feed.batch(7)
        expected = expected if isinstance(expected, tuple) else (expected,)
        keras.tree.map_structure(np.testing.assert_array_equal, first, expected)


def test_mirrored_without_tensorflow(images, monkeypatch):
    """By NumPy: half of the pictures, and batch n is the same every time; other changes are refused."""
    monkeypatch.setattr("anime_keras.data.augmentation.tensorflow_is_there", lambda: False)
    batches = Batches(images, 4, seed=3, flip=True)
    plain = Batches(images, 4, seed=3)
    mirrored = []
    for number in range(8):
        batch, bare = batches.batch(number), plain.batch(number)
        np.testing.assert_array_equal(batch, batches.batch(number))
        for one, other in zip(batch, bare, strict=True):
            turned = np.abs(one - other).max() > 0.01
            np.testing.assert_allclose(one, other[:, ::-1] if turned else other, atol=1e-6)
            mirrored.append(turned)
    assert 6 < sum(mirrored) < 26  # of 32: 99.9% of the time
    with pytest.raises(ValueError, match=r"rotation .* TensorFlow, which is not installed"):
        Batches(images, 4, rotation=10.0)
