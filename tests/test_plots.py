"""Pictures: where each lands on a sheet, what comes back from a file, how long a GIF rests."""

import numpy as np
import pytest
from PIL import Image

from anime_keras import plots


def plain(*values, size=4):
    """One-coloured pictures."""
    return np.uint8([np.full((size, size, 3), value) for value in values])


class TestGrid:
    def test_places(self):
        sheet = plots.grid(plain(10, 20, 30, 40, 50), columns=3, gap=2)
        assert sheet.shape == (2 * 6 + 2, 3 * 6 + 2, 3) and sheet.dtype == np.uint8
        for index, value in enumerate((10, 20, 30, 40, 50)):
            top, left = 2 + 6 * (index // 3), 2 + 6 * (index % 3)
            assert (sheet[top : top + 4, left : left + 4] == value).all()
        assert (sheet == 255).sum() == sheet.size - 5 * 4 * 4 * 3  # all else is white

    def test_fewer_than_a_row(self):
        assert plots.grid(plain(1, 2)).shape == (8, 14, 3)

    def test_no_gap(self):
        np.testing.assert_array_equal(plots.grid(plain(7), gap=0)[None], plain(7))

    def test_scale_has_hard_pixels(self):
        image = np.random.default_rng(0).integers(0, 255, (1, 4, 4, 3), np.uint8)
        large = plots.grid(image, gap=0, scale=3)
        assert large.shape == (12, 12, 3)
        for row in range(3):
            np.testing.assert_array_equal(large[row::3, row::3], image[0])

    @pytest.mark.parametrize(
        "wrong", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8)]
    )
    def test_wrong_pictures(self, wrong):
        with pytest.raises(ValueError, match="A grid takes uint8"):
            plots.grid(wrong)


class TestFiles:
    def test_png_is_exact_and_rgb(self, tmp_path):
        image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
        path = plots.save(tmp_path / "new" / "顔.png", image)
        np.testing.assert_array_equal(plots.load(path), image)
        with Image.open(path) as picture:  # somebody else's reader sees the same colours
            np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), image)
        assert [p.name for p in path.parent.iterdir()] == ["顔.png"]

    def test_jpg(self, tmp_path):
        image = plain(90, size=16)[0]
        image[:, :, 0] = 200
        loaded = plots.load(plots.save(tmp_path / "a.jpg", image))
        assert np.abs(loaded.astype(int) - image).max() <= 4

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(ValueError, match=r"cannot be written as '\.xyz': use \.png or \.jpg"):
            plots.save(tmp_path / "a.xyz", plain(1)[0])


def test_fit_width():
    image = np.zeros((40, 100, 3), np.uint8)
    assert plots.fit_width(image, 50).shape == (20, 50, 3)
    assert plots.fit_width(image, 100) is image
    assert plots.fit_width(image, 300) is image


class TestGif:
    def test_frames_and_times(self, tmp_path):
        frames = plain(0, 100, 200, size=8)
        frames[-1, :4] = (255, 0, 0)
        path = plots.gif(tmp_path / "new" / "a.gif", frames, seconds=0.2, hold=1.5)
        with Image.open(path) as animation:
            assert animation.n_frames == 3
            assert animation.info["loop"] == 0  # for ever
            durations = []
            for index in range(3):
                animation.seek(index)
                durations.append(animation.info["duration"])
        assert durations == [200, 200, 1500]

    def test_last_frame_keeps_its_colours(self, tmp_path):
        frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
        with Image.open(plots.gif(tmp_path / "a.gif", frames)) as animation:
            animation.seek(1)
            shown = np.asarray(animation.convert("RGB")).astype(int)
        assert np.abs(shown - frames[1]).mean() < 3

    def test_one_frame(self, tmp_path):
        with Image.open(plots.gif(tmp_path / "a.gif", plain(9))) as animation:
            assert animation.n_frames == 1

    def test_none(self, tmp_path):
        with pytest.raises(ValueError, match="at least one frame"):
            plots.gif(tmp_path / "a.gif", [])


def test_curves(tmp_path):
    history = {
        "epoch": [1, 2, 3],
        "d_loss": [1.4, 1.2, 1.1],
        "g_loss": [0.7, 0.9, 1.0],
        "real_score": [0.5, 0.6, 0.7],
        "fake_score": [0.5, 0.4, 0.3],
    }
    figure = plots.curves(history, title="three epochs")
    lines = {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for axes in figure.axes
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }
    assert lines == {
        "discriminator": ([1, 2, 3], history["d_loss"]),
        "generator": ([1, 2, 3], history["g_loss"]),
        "real pictures": ([1, 2, 3], history["real_score"]),
        "generated pictures": ([1, 2, 3], history["fake_score"]),
    }
    assert figure.axes[1].get_ylim() == (0, 1)
    figure.savefig(tmp_path / "curves.png")
    assert plots.load(tmp_path / "curves.png").std() > 5


def test_doses_show_every_picture_and_every_value():
    pictures = [plain(10 * dose, 99) for dose in range(3)]
    panels = {
        "far?": {"FID": [1, 2, 40]},
        "true?": {"precision": [0.9, 0.8, 0.1], "density": [1, 1, 0.5]},
    }
    figure = plots.doses(pictures, ["none", "some", "much"], panels, "strength")
    above, below = figure.subfigs
    assert [axes.get_title() for axes in above.axes] == ["none", "some", "much"]
    drawn = {line.get_label(): list(line.get_ydata()) for a in below.axes for line in a.get_lines()}
    assert drawn == {"FID": [1, 2, 40], "precision": [0.9, 0.8, 0.1], "density": [1, 1, 0.5]}
    assert [axes.get_title() for axes in below.axes] == list(panels)
    assert below.axes[1].get_ylim() == (0, 1.05)


def test_scoreboard_puts_numbers_beside_pictures():
    rows = {
        "good": np.full((2, 8, 8, 3), 50, np.uint8),
        "bad": np.full((2, 8, 8, 3), 200, np.uint8),
    }
    alarm = np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 0.2]])
    texts = [["1", "2", "3"], ["10", "20", "30"]]
    left, right = plots.scoreboard(rows, ["FID", "IS", "KID"], texts, alarm).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["good", "bad"]
    assert {t.get_text(): t.get_position() for t in right.texts}["20"] == (1, 1)
    colours = [tuple(right.images[0].to_rgba(alarm)[1, column]) for column in range(2)]
    assert colours[0][0] > colours[0][2] and colours[1][2] > colours[1][0]  # red alarm, blue praise


def test_pixels_of_a_figure():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    assert (plots.pixels(figure, dpi=50) == np.full((50, 100, 3), 255)).all()
    figure.patch.set_facecolor((1, 0, 0))
    assert (
        plots.pixels(figure).dtype == np.uint8 and (plots.pixels(figure)[0, 0] == [255, 0, 0]).all()
    )


def test_confusion():
    """A row adds up to 100%; where nothing was asked for, or nothing read, no number stands."""
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 6]])
    figure = plots.confusion(counts, ("a", "b", "c"), title="T")
    (axes,) = figure.axes
    texts = {tuple(map(round, t.get_position())): t.get_text() for t in axes.texts}
    assert texts == {(0, 0): "75%", (1, 0): "25%", (1, 2): "25%", (2, 2): "75%"}
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()).sum(axis=1), [1, 0, 1])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("read", "asked for")
