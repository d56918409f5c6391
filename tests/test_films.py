"""Films: read and written frame by frame, at the same pace, and whole after Ctrl-C."""

import weakref

import cv2
import numpy as np
import pytest
from PIL import Image

from anime_keras import films
from anime_keras.data.reading import Unreadable


def same(frame):
    return frame


def colours(count, height=48, width=64):
    """Frames of one colour each, of which a codec keeps nearly all."""
    values = np.random.default_rng(0).integers(20, 236, (count, 1, 1, 3), np.uint8)
    return np.broadcast_to(values, (count, height, width, 3))


def write(path, frames, fps=12.5):
    writer = (films.GifWriter if path.suffix == ".gif" else films.VideoWriter)(path)
    for frame in frames:
        writer.add(frame, 1 / fps)
    writer.close()
    return path


def read(path):
    return np.stack([frame for frame, _ in films.Film(path)])


@pytest.fixture(params=[".mp4", ".gif"])
def suffix(request):
    return request.param


class TestConvert:
    def test_every_frame_is_changed(self, tmp_path, suffix):
        frames = colours(9)
        film = films.Film(write(tmp_path / f"in{suffix}", frames))
        done = []
        result = films.convert(
            film, tmp_path / "new" / f"out{suffix}", lambda f: 255 - f, done.append
        )
        assert result == films.Converted(tmp_path / "new" / f"out{suffix}", 9, False)
        assert done == list(range(1, 10)) and film.frames == 9
        np.testing.assert_allclose(read(result.path).astype(int), 255 - frames.astype(int), atol=4)
        assert [p.name for p in (tmp_path / "new").iterdir()] == [f"out{suffix}"]

    def test_same_pace(self, tmp_path, suffix):
        film = films.Film(write(tmp_path / f"in{suffix}", colours(5), fps=12.5))
        films.convert(film, tmp_path / f"out{suffix}", same)
        seconds = [s for _, s in films.Film(tmp_path / f"out{suffix}")]
        np.testing.assert_allclose(seconds, [0.08] * 5, rtol=1e-6)

    def test_frames_of_a_gif_keep_their_durations(self, tmp_path):
        pictures = [Image.fromarray(frame) for frame in colours(4)]
        durations = [40, 500, 120, 1000]
        pictures[0].save(
            tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=durations
        )
        films.convert(films.Film(tmp_path / "in.gif"), tmp_path / "out.gif", same)
        with Image.open(tmp_path / "out.gif") as gif:
            assert gif.n_frames == 4 and gif.info["loop"] == 0
            found = []
            for number in range(4):
                gif.seek(number)
                found.append(gif.info["duration"])
        assert found == durations

    def test_another_size(self, tmp_path, suffix):
        film = films.Film(write(tmp_path / f"in{suffix}", colours(3)))
        films.convert(film, tmp_path / f"out{suffix}", lambda f: f[:32, :32])
        assert read(tmp_path / f"out{suffix}").shape == (3, 32, 32, 3)

    @pytest.mark.parametrize(
        ("height", "width", "shape"), [(49, 65, (50, 66)), (1, 1, (2, 2)), (48, 65, (48, 66))]
    )
    def test_odd_sides_of_a_video(self, tmp_path, height, width, shape):
        frames = colours(3, height, width)
        found = read(write(tmp_path / "odd.mp4", frames))
        assert found.shape == (3, *shape, 3)
        np.testing.assert_allclose(found.astype(int), frames[:, :1, :1].astype(int) + 0 * found, 4)

    def test_ctrl_c_leaves_what_is_done(self, tmp_path, suffix):
        frames = colours(12)
        film = films.Film(write(tmp_path / f"in{suffix}", frames))
        seen = []

        def stop_at_six(frame):
            if len(seen) == 5:
                raise KeyboardInterrupt
            seen.append(1)
            return frame

        result = films.convert(film, tmp_path / "out" / f"a.b{suffix}", stop_at_six)
        assert result == films.Converted(tmp_path / "out" / f"a.b.stopped{suffix}", 5, True)
        np.testing.assert_allclose(read(result.path).astype(int), frames[:5], atol=10)
        assert [p.name for p in (tmp_path / "out").iterdir()] == [f"a.b.stopped{suffix}"]

    def test_ctrl_c_before_the_first_frame(self, tmp_path, suffix):
        def stop(frame):
            raise KeyboardInterrupt

        film = films.Film(write(tmp_path / f"in{suffix}", colours(2)))
        assert films.convert(film, tmp_path / "out" / f"a{suffix}", stop).path is None
        assert not list((tmp_path / "out").iterdir())

    def test_an_error_leaves_nothing_behind(self, tmp_path, suffix):
        count = iter(range(3))

        def fail_later(frame):
            if next(count) == 2:
                raise MemoryError("too much")
            return frame

        film = films.Film(write(tmp_path / f"in{suffix}", colours(5)))
        with pytest.raises(MemoryError):
            films.convert(film, tmp_path / "out" / f"a{suffix}", fail_later)
        assert not list((tmp_path / "out").iterdir())

    def test_few_frames_in_memory(self, tmp_path, suffix):
        film = films.Film(write(tmp_path / f"in{suffix}", colours(40)))
        held, most = [], []

        def watch(frame):
            held.append(weakref.ref(frame))
            most.append(sum(one() is not None for one in held))
            return frame.copy()

        films.convert(film, tmp_path / f"out{suffix}", watch)
        assert len(held) == 40 and max(most) <= 3

    def test_wrong_suffix(self, tmp_path):
        film = films.Film(write(tmp_path / "in.gif", colours(2)))
        with pytest.raises(ValueError, match=r"out.mp4 must end in .gif"):
            films.convert(film, tmp_path / "out.mp4", same)

    def test_where_nothing_can_be_written(self, tmp_path, monkeypatch):
        class Closed:
            def __init__(self, *args):
                pass

            def isOpened(self):
                return False

            def release(self):
                pass

        monkeypatch.setattr(cv2, "VideoWriter", type("V", (Closed,), {"fourcc": lambda *a: 0}))
        with pytest.raises(RuntimeError, match="cannot write a video of 64x48 pixels"):
            films.VideoWriter(tmp_path / "a.mp4").add(colours(1)[0], 0.04)


class TestFilm:
    @pytest.mark.parametrize("name", ["clip%02d.mp4", "12:30.mp4", "顔 [bold].mp4"])
    def test_awkward_names(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        write(tmp_path / name, colours(3))
        assert len(read(name)) == 3

    def test_transparent_gif_is_laid_over_white(self, tmp_path):
        pictures = [Image.new("RGBA", (8, 8), (255, 0, 0, 0)) for _ in range(2)]
        pictures[1].paste((0, 0, 255, 255), (0, 0, 4, 8))
        pictures[0].save(
            tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=50, disposal=2
        )
        frames = read(tmp_path / "a.gif")
        assert (frames[0] == 255).all()
        assert (frames[1, :, 4:] == 255).all() and (frames[1, :, :4] == (0, 0, 255)).all()

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("a.mp4", b"", "the file is empty"),
            ("a.mp4", b"not a film at all" * 99, "no video that OpenCV can read"),
            ("a.gif", b"GIF89a??", "a damaged GIF"),
        ],
    )
    def test_unreadable(self, tmp_path, name, content, reason):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Unreadable, match=reason):
            films.Film(tmp_path / name)

    def test_missing(self, tmp_path):
        with pytest.raises(Unreadable, match="there is no such file"):
            films.Film(tmp_path / "a.mp4")

    def test_which_are_films(self, tmp_path):
        write(tmp_path / "film.gif", colours(2))
        write(tmp_path / "picture.gif", colours(1))
        (tmp_path / "broken.gif").write_bytes(b"GIF89a")
        found = {
            name: films.is_film(tmp_path / name)
            for name in ("film.gif", "picture.gif", "broken.gif", "a.MP4", "a.webm", "a.png", "a")
        }
        wanted = {"film.gif", "a.MP4", "a.webm"}
        assert {name for name, film in found.items() if film} == wanted

    def test_other_containers(self, tmp_path):
        """AVI (MJPEG) and WebM (VP9), which others write."""
        for name, code in (("a.avi", "MJPG"), ("a.webm", "VP90")):
            video = cv2.VideoWriter(
                str(tmp_path / name), cv2.VideoWriter.fourcc(*code), 10.0, (64, 48)
            )
            for frame in colours(6):
                video.write(frame[..., ::-1].copy())
            video.release()
            film = films.Film(tmp_path / name)
            assert film.suffix == ".mp4"
            films.convert(film, tmp_path / "out.mp4", same)
            np.testing.assert_allclose(read(tmp_path / "out.mp4").astype(int), colours(6), atol=10)
            assert next(iter(films.Film(tmp_path / "out.mp4")))[1] == pytest.approx(0.1)
