"""Pictures of any size through a network of one size: tiles, faces, and faces put back."""

import numpy as np
import pytest

from anime_keras import data, translating
from anime_keras.data import faces
from anime_keras.translating import (
    EYES,
    at_once,
    each_face,
    mean_eyes,
    middle,
    paste,
    side_by_side,
    whole,
)

random = np.random.default_rng(0)


def noise(height, width):
    return random.integers(0, 256, (height, width, 3), np.uint8)


def same(images):
    return images


def negative(images):
    return 255 - images


class Fixed:
    """A detector that knows the faces."""

    def __init__(self, *eyes):
        self.eyes = eyes

    def find(self, image):
        return [faces.Face((0, 0, 1, 1), 1.0, np.array(eyes, np.float32)) for eyes in self.eyes]


class TestWhole:
    SIZES = (
        *((1, 1), (1, 200), (70, 3), (31, 32), (32, 32), (33, 32)),
        *((48, 64), (100, 257), (20, 3000)),
    )

    @pytest.mark.parametrize(("height", "width"), SIZES)
    @pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
    def test_nothing_changed_is_nothing_changed(self, height, width, overlap):
        image = noise(height, width)
        before = image.copy()
        result = whole(image, same, 32, overlap)
        assert result.dtype == np.uint8
        np.testing.assert_array_equal(result, before)
        np.testing.assert_array_equal(image, before)

    @pytest.mark.parametrize(("height", "width"), SIZES)
    def test_a_constant_is_that_constant(self, height, width):
        image = noise(height, width) // 2
        np.testing.assert_array_equal(whole(image, lambda t: t + 100, 32), image + 100)

    def test_tiles_fade_into_each_other(self):
        """Two tiles, black and bright, half of each over the other: a squared sine in between."""

        def by_place(tiles):
            return np.where(tiles[:, :, :1] == 32, 200, 0).astype(np.uint8) + np.zeros_like(tiles)

        image = np.zeros((64, 96, 3), np.uint8) + np.arange(96, dtype=np.uint8)[:, None]
        result = whole(image, by_place, 64)  # the second tile begins with the pixel 32
        inner = 200 * np.sin(np.pi * (np.arange(32) + 0.5) / 64) ** 2
        wanted = np.rint(np.concatenate([np.zeros(32), inner, np.full(32, 200)]))
        np.testing.assert_allclose(
            result, np.broadcast_to(wanted[:, None], result.shape), atol=0.501
        )

    @pytest.mark.parametrize("overlap", [0.25, 0.5])
    def test_no_seam(self, overlap):
        """Tiles of quite different brightness leave no step between neighbouring pixels."""
        values = np.random.default_rng(1)

        def moody(tiles):
            return np.zeros_like(tiles) + values.integers(0, 256, (len(tiles), 1, 1, 1), np.uint8)

        result = whole(np.zeros((200, 333, 3), np.uint8), moody, 64, overlap).astype(int)
        steps = max(abs(np.diff(result, axis=axis)).max() for axis in (0, 1))
        # All of the range within the pixels that two tiles share, at twice the mean slope and more.
        assert 5 < steps < 2.2 * 255 / (overlap * 64)

    def test_overlap_of_tiles(self):
        """Tiles are parts of the picture and no less than the asked share is the neighbour's too."""
        seen = []

        def watch(tiles):
            seen.extend(tuple(int(v) for v in tile[0, 0, :2]) for tile in tiles)
            return tiles

        y, x = np.mgrid[0:100, 0:250]
        whole(np.stack([y, x, x], axis=-1).astype(np.uint8), watch, 32, 0.25)
        rows, columns = (sorted(set(part)) for part in zip(*seen, strict=True))
        assert len(seen) == len(rows) * len(columns) == 4 * 11
        for starts, length in ((rows, 100), (columns, 250)):
            assert starts[0] == 0 and starts[-1] == length - 32
            assert max(np.diff(starts)) <= 24

    def test_what_is_smaller_than_a_tile_is_mirrored(self):
        seen = []
        whole(np.uint8([[[1] * 3, [2] * 3]]), lambda t: seen.append(t) or t, 6)
        row = [2, 1, 1, 2, 2, 1]
        np.testing.assert_array_equal(seen[0][0, :, :, 0], [row] * 6)

    def test_progress(self):
        calls = []
        whole(noise(64, 700), same, 32, progress=lambda *args: calls.append(args))
        assert calls[-1] == (3 * 43, 3 * 43)
        assert [done for done, _ in calls] == sorted({done for done, _ in calls})

    def test_refused(self):
        with pytest.raises(ValueError, match=r"overlap must be in \[0, 1\), not 1"):
            whole(noise(8, 8), same, 8, overlap=1)
        with pytest.raises(ValueError, match=r"\(height, width, 3\), not float64"):
            whole(noise(8, 8) / 255, same, 8)
        with pytest.raises(ValueError, match=r"must give uint8 \(1, 8, 8, 3\).*not float64"):
            whole(noise(8, 8), lambda t: t / 255, 8)


class TestAtOnce:
    @pytest.mark.parametrize(("height", "width"), TestWhole.SIZES)
    def test_any_size(self, height, width):
        """The translator is given multiples of 4 from 8 on; what it drew comes back in its place."""
        seen = []

        def watch(images):
            seen.append(images.shape)
            return 255 - images

        image = noise(height, width)
        np.testing.assert_array_equal(at_once(image, watch), 255 - image)
        ((count, *sides, colors),) = seen
        assert (count, colors) == (1, 3)
        for side, asked in zip(sides, (height, width), strict=True):
            assert side % 4 == 0 and side >= 8 and side - max(asked, 8) < 4

    def test_goes_on_as_its_mirror_image(self):
        seen = []
        row = np.arange(1, 10, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
        at_once(row, lambda images: seen.append(images) or images)
        np.testing.assert_array_equal(
            seen[0][0, :, :, 0], [[1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 8, 7]] * 8
        )

    def test_refused(self):
        with pytest.raises(ValueError, match=r"2000x1001 pixels are too many.*--longest 1400"):
            at_once(np.zeros((1001, 2000, 3), np.uint8), same)
        with pytest.raises(ValueError, match=r"must give uint8 \(1, 8, 8, 3\)"):
            at_once(noise(8, 8), lambda images: images[:, :4])


class TestEachFace:
    def test_eyes_come_where_they_are_wanted(self):
        """On a picture that tells its own coordinates, tilted eyes lie level and in their places."""
        y, x = np.mgrid[0:200, 0:220]
        image = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
        eyes = ((80.0, 100.0), (110.0, 85.0))
        wanted = ((0.375, 0.5), (0.625, 0.5))
        (found,) = each_face(image, negative, 64, wanted, Fixed(eyes))
        for (u, v), place in zip(wanted, eyes, strict=True):
            column, row = int(64 * u), int(64 * v)
            around = found.before[row - 1 : row + 1, column - 1 : column + 1, :2].mean(axis=(0, 1))
            np.testing.assert_allclose(around + 0.5, place, atol=0.6)
        np.testing.assert_array_equal(found.after, 255 - found.before)

    def test_cut_as_align_cuts(self):
        image = data.render_scene(200, seed=3).image
        (found,) = each_face(image, same, 48, faces.EYES, Fixed(((90, 100), (112, 93))))
        np.testing.assert_array_equal(found.before, faces.align(image, found.face, 48))

    def test_edge_goes_on_beyond_the_edge(self):
        """A mark near the edge is seen once: a mirror would show it twice."""
        image = np.zeros((100, 100, 3), np.uint8)
        image[90:94, 48:52] = 255
        image[-1] = 90
        # Eyes at 48.5, as `align` has them, instead of 65.5: all goes up by 17 pixels.
        (found,) = each_face(image, same, 100, faces.EYES, Fixed(((35.5, 65.5), (64.5, 65.5))))
        column = found.before[:, 50, 0]
        assert np.flatnonzero(column == 255).tolist() == [73, 74, 75, 76]
        assert (column[82:] == 90).all()

    def test_drawn_scene(self):
        scene = data.render_scene(320, 240, faces=3, seed=5)
        found = each_face(scene.image, negative, 64)
        assert len(found) == len(scene.boxes) == 3
        assert [f.face.score for f in found] == sorted((f.face.score for f in found), reverse=True)
        true = scene.landmarks[:, [0, 5]]
        for one in found:
            eyes = true[np.argmin(abs(true - one.face.landmarks).sum(axis=(1, 2)))]
            there = eyes - 0.5
            there = there @ one.move[:, :2].T + one.move[:, 2] + 0.5
            np.testing.assert_allclose(there / 64, EYES["portrait"], atol=0.05)
        assert len(each_face(scene.image, negative, 64, limit=2)) == 2

    def test_no_face(self):
        def never(images):
            raise AssertionError("there was nothing to translate")

        assert each_face(np.full((90, 120, 3), 127, np.uint8), never, 64) == []

    @pytest.mark.parametrize("style", ["portrait", "anime"])
    def test_framing_of_drawn_faces(self, style):
        drawn = data.render(400, 32, style, seed=11)
        places = [drawn.landmark_names.index(f"{side}_eye_centre") for side in ("left", "right")]
        mean = drawn.landmarks[:, places].mean(axis=0) / 32
        np.testing.assert_allclose(mean, EYES[style], atol=0.005)  # standard error 0.002

    def test_mean_eyes_finds_that_framing(self):
        drawn = data.render(24, 96, "anime", seed=2).images
        np.testing.assert_allclose(mean_eyes(drawn), EYES["anime"], atol=0.03)
        with pytest.raises(ValueError, match="No face was found on 1 pictures"):
            mean_eyes([np.full((64, 64, 3), 127, np.uint8)])

    def test_middle(self):
        before, after = middle(noise(40, 64), negative, 20)
        assert before.shape == (20, 20, 3)
        np.testing.assert_array_equal(after, 255 - before)


class TestPaste:
    def softness(self, size):
        place = (np.arange(size) + 0.5) / size
        inside = np.clip(np.minimum(place, 1 - place) / 0.2, 0, 1)
        one = 3 * inside**2 - 2 * inside**3
        return np.outer(one, one)

    def white(self, image, *eyes, size=32):
        """A picture whose faces have become white."""
        return paste(
            image, each_face(image, lambda t: np.full_like(t, 255), size, faces.EYES, Fixed(*eyes))
        )

    def test_soft_square(self):
        """Level eyes 0.29 of 50 pixels apart: a white square of 50 pixels with soft edges."""
        image = np.zeros((120, 140, 3), np.uint8)
        result = self.white(image, ((60 + 17.75, 40 + 24.25), (60 + 32.25, 40 + 24.25)))
        wanted = np.zeros((120, 140))
        wanted[40:90, 60:110] = 255 * self.softness(50)
        np.testing.assert_allclose(result, wanted[..., None].repeat(3, 2), atol=0.51)
        assert not image.any()

    def test_tilted_by_a_right_angle(self):
        image = np.zeros((120, 140, 3), np.uint8)
        upright = self.white(image, ((40, 60), (50, 60)))
        turned = self.white(image.transpose(1, 0, 2), ((60, 50), (60, 40)))
        assert upright.any()
        # A transposed picture is a mirror image, in which left and right eye change places.
        np.testing.assert_allclose(turned.astype(int), upright.transpose(1, 0, 2), atol=1)

    @pytest.mark.parametrize(("size", "most"), [(32, 5.0), (128, 1.0), (512, 0.4)])
    def test_nothing_changed_changes_little(self, size, most):
        """Cut out and put back at any scale, tilted; what a small crop cannot hold is lost."""
        image = data.render_scene(300, 260, faces=4, seed=1).image
        eyes = ((70.0, 90.0), (92.0, 84.0)), ((210.0, 150.0), (226.0, 156.0))
        found = each_face(image, same, size, EYES["portrait"], Fixed(*eyes))
        change = abs(paste(image, found).astype(int) - image).max(axis=-1)
        far = np.ones(change.shape, bool)
        y, x = np.mgrid[0:260, 0:300]
        for pair, one in zip(eyes, found, strict=True):
            middle = np.mean(pair, axis=0)
            side = size / np.sqrt(np.linalg.det(one.move[:, :2]))
            assert side == pytest.approx(np.hypot(*np.subtract(*pair)) / 0.216)
            far &= np.hypot(x - middle[0], y - middle[1]) > 0.75 * side
        assert 0.3 < far.mean() < 0.9 and not change[far].any()
        assert change[~far].mean() < most

    def test_over_the_edge_and_beyond(self):
        image = np.zeros((60, 80, 3), np.uint8)
        result = self.white(image, ((-3.0, 2.0), (7.0, 2.0)))
        assert result[0, 0].min() > 200 and not result[40:, 40:].any()
        assert not self.white(image, ((-300.0, 2.0), (-290.0, 2.0))).any()

    def test_surest_on_top(self):
        image = np.zeros((100, 100, 3), np.uint8)
        eyes = ((45.0, 50.0), (55.0, 50.0))

        def one_by_one(crops):
            return np.stack([np.full_like(c, v) for c, v in zip(crops, (200, 90), strict=True)])

        found = each_face(image, one_by_one, 32, faces.EYES, Fixed(eyes, eyes))
        assert (paste(image, found)[50, 50] == 200).all()


class TestSideBySide:
    def test_pictures_keep_their_shape(self):
        wide, tall = np.zeros((10, 40, 3), np.uint8), np.full((40, 10, 3), 9, np.uint8)
        pair = side_by_side(wide, tall, side=40)
        assert pair.shape == (40, 82, 3)
        wanted = np.full((40, 82, 3), 255)
        wanted[15:25, :40] = 0
        wanted[:, 42 + 15 : 42 + 25] = 9
        np.testing.assert_array_equal(pair, wanted)

    def test_one_pixel_high(self):
        image = np.zeros((1, 3000, 3), np.uint8)
        assert (side_by_side(image, image, side=64) == 0).sum() == 2 * 64 * 3


def test_knows_no_model():
    source = translating.__loader__.get_source("anime_keras.translating")
    assert "import keras" not in source and "anime_keras.models" not in source
