"""Edge-blurred drawings: what is blurred, by how much, and that batches of them can be counted on."""

import numpy as np
import pytest

from anime_keras import data
from anime_keras.data import edges, pipelines

GAUSSIAN = np.array([1, 4, 6, 4, 1]) / 16  # what OpenCV takes for 5 pixels and no sigma


def faces(count=12, size=64, seed=1):
    return data.render(count, size, "anime", seed).images


def as_the_reference(image, near):
    """Pixel by pixel, as `edge_smooth.py` has it: the mirrored picture's 5 x 5 pixels, weighted."""
    framed = np.pad(image.astype("float64"), ((2, 2), (2, 2), (0, 0)), mode="reflect")
    soft = image.astype("float64")
    weights = np.outer(GAUSSIAN, GAUSSIAN)[..., None]
    for row, column in np.argwhere(near):
        soft[row, column] = (framed[row : row + 5, column : column + 5] * weights).sum(axis=(0, 1))
    return soft


class TestBlurEdges:
    def test_is_the_references(self):
        for image in faces(3):
            near = edges.find_edges(image)
            found = edges.blur_edges(image[None])[0]
            assert np.abs(found - as_the_reference(image, near)).max() <= 1  # a rounded grey level
            np.testing.assert_array_equal(found[~near], image[~near])
            assert 0.1 < near.mean() < 0.9 and (found[near] != image[near]).mean() > 0.3

    def test_one_edge(self):
        """A step from black to white: five columns are blurred, by the Gaussian's running sum."""
        image = np.zeros((1, 16, 16, 3), np.uint8)
        image[:, :, 8:] = 255
        found = edges.blur_edges(image)[0, 8, :, 0].astype(int)
        soft = np.round(255 * np.cumsum(GAUSSIAN)).astype(int)
        near = np.flatnonzero(edges.find_edges(image[0])[8])
        assert len(near) == 5 and near[0] in (5, 6)
        assert np.abs(found[6:10] - soft[:4]).max() <= 1
        assert set(found[:5]) == {0} and set(found[11:]) == {255}

    def test_without_edges(self):
        image = np.full((2, 16, 16, 3), 90, np.uint8)
        np.testing.assert_array_equal(edges.blur_edges(image), image)
        assert edges.blur_edges(image[:0]).shape == (0, 16, 16, 3)

    @pytest.mark.parametrize("images", [np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8)])
    def test_what_is_no_picture(self, images):
        with pytest.raises(ValueError, match="must be uint8 of shape"):
            edges.blur_edges(images)


class TestEdgeBlurred:
    def test_looks_like_pictures(self):
        images = faces()
        view = edges.EdgeBlurred(images)
        assert (len(view), view.shape, view.dtype) == (12, images.shape, np.uint8)
        whole = edges.blur_edges(images)
        np.testing.assert_array_equal(view[2:5], whole[2:5])
        np.testing.assert_array_equal(view[np.array([7, 0])], whole[[7, 0]])


class TestWithBlurredEdges:
    def test_batches(self):
        x, y = faces(10, seed=3), faces(12)
        triples = edges.WithBlurredEdges(x, y, batch_size=4, seed=5)
        pairs = pipelines.Pairs(x, y, batch_size=4, seed=5)
        blurred = pipelines.normalize(edges.blur_edges(y))
        for number in (0, 7):
            first, second, third = triples.batch(number)
            for ours, theirs in zip((first, second), pairs.batch(number), strict=True):
                np.testing.assert_array_equal(ours, theirs)
            assert third.dtype == np.float32 and third.shape == second.shape
            assert all((picture == blurred).all(axis=(1, 2, 3)).any() for picture in third)
        rows = [set(triples.blurred.chosen(n)) for n in range(3)]
        assert set.union(*rows) == set(range(12))  # all in an epoch
        assert any(set(triples.y.chosen(n)) != rows[n] for n in range(3))

    @pytest.mark.parametrize("flip", [False, True])
    def test_every_way_of_feeding_is_the_same(self, flip):
        triples = edges.WithBlurredEdges(faces(8, seed=3), faces(8), 4, seed=2, flip=flip)
        dataset, stream = iter(triples.dataset(3)), pipelines.stream(triples, 3)
        for number in (3, 4):
            for ours in (next(dataset), next(stream)):
                assert len(ours) == 3
                for one, expected in zip(ours, triples.batch(number), strict=True):
                    np.testing.assert_array_equal(np.asarray(one), expected)
        if flip:
            pictures = pipelines.normalize(edges.blur_edges(faces(8)))
            both = np.concatenate([pictures, pictures[:, :, ::-1]])
            for picture in triples.batch(0)[2]:
                assert np.abs(both - picture).max(axis=(1, 2, 3)).min() < 1e-5
