"""`translate`: photos, folders and films through a run, and what is said of those that cannot go."""

import dataclasses
import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image
from test_cli import fails, invoke, run

from anime_keras import checkpoints, data, films, plots
from anime_keras.cli import translate as command
from anime_keras.runs import Run, Settings
from anime_keras.translating import EYES

SIZE = 32


class Negative:
    """Stands for a CycleGAN: inverts colours one way, and darkens the other."""

    image_size = SIZE

    def translate(self, images, direction="x2y"):
        assert images.shape[1:] == (SIZE, SIZE, 3)
        return 255 - images if direction == "x2y" else images // 2


@pytest.fixture(autouse=True)
def shipped(monkeypatch):
    monkeypatch.setattr(command, "load_shipped", Negative)


@pytest.fixture(scope="module")
def scene():
    """Three people, whom the finder finds."""
    return data.render_scene(320, 240, faces=3, seed=5).image


@pytest.fixture(scope="module")
def portraits():
    return data.render(6, 64, "portrait", seed=1).images


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def checksums(folder):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def film(path, frames):
    writer = (films.GifWriter if path.suffix == ".gif" else films.VideoWriter)(path)
    for frame in frames:
        writer.add(frame, 0.1)
    writer.close()
    return path


class TestPicture:
    def test_each_face_becomes_a_file(self, tmp_path, scene):
        photo = save(tmp_path / "in" / "we [three].png", scene)
        before = checksums(photo.parent)
        output = run("translate", "--input", photo, "--out", tmp_path / "out")
        assert "1 picture, 3 faces, translated into" in output
        names = ["sheet.png", "we [three]-2.png", "we [three]-3.png", "we [three].png"]
        assert files(tmp_path / "out") == names
        for name in names[1:]:
            assert plots.load(tmp_path / "out" / name).shape == (SIZE, SIZE, 3)
        assert checksums(photo.parent) == before

    def test_paste(self, tmp_path, scene):
        photo = save(tmp_path / "in" / "a.png", scene)
        run("translate", "--input", photo, "--paste", "--out", tmp_path / "out")
        assert files(tmp_path / "out") == ["a.png", "sheet.png"]
        result = plots.load(tmp_path / "out" / "a.png").astype(int)
        changed = (result != scene).any(axis=-1)
        assert result.shape == scene.shape and 0.02 < changed.mean() < 0.8

    @pytest.mark.parametrize("shape", [(1, 1), (20, 300), (75, 41)])
    def test_whole(self, tmp_path, shape):
        image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        photo = save(tmp_path / "in" / "a.png", image)
        run("translate", "--input", photo, "--whole", "--out", tmp_path / "out")
        np.testing.assert_array_equal(plots.load(tmp_path / "out" / "a.png"), 255 - image)

    def test_whole_shrunk(self, tmp_path, scene):
        photo = save(tmp_path / "in" / "a.png", scene)
        run("translate", "--input", photo, "--whole", "--longest", 80, "--out", tmp_path / "out")
        assert plots.load(tmp_path / "out" / "a.png").shape == (60, 80, 3)

    def test_already_faces(self, tmp_path):
        image = np.random.default_rng(0).integers(0, 256, (SIZE, 50, 3), np.uint8)
        photo = save(tmp_path / "in" / "a.png", image)
        run("translate", "--input", photo, "--already-faces", "--out", tmp_path / "out")
        result = plots.load(tmp_path / "out" / "a.png")
        np.testing.assert_array_equal(result, 255 - image[:, 9:41])

    def test_direction(self, tmp_path, scene):
        photo = save(tmp_path / "in" / "a.png", scene)
        options = ("--input", photo, "--whole", "--direction", "y2x", "--out", tmp_path / "out")
        run("translate", *options)
        np.testing.assert_array_equal(plots.load(tmp_path / "out" / "a.png"), scene // 2)

    def test_framed_as_the_direction_wants(self, tmp_path, portraits):
        """Anime faces are framed tighter: the same photo is cut out in two ways."""
        photo = save(tmp_path / "in" / "a.png", portraits[0])
        run("translate", "--input", photo, "--out", tmp_path / "x")
        run("translate", "--input", photo, "--direction", "y2x", "--out", tmp_path / "y")
        x, y = (plots.load(tmp_path / name / "a.png").astype(float) for name in "xy")
        # x was drawn in this framing; what is seen of it after inversion is nearly the whole.
        small = cv2.resize(portraits[0], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        assert abs(255 - x - small).mean() < 0.6 * abs(2 * y - small).mean()

    def test_sheet_shows_before_and_after(self, tmp_path):
        photo = save(tmp_path / "in" / "a.png", np.full((40, 40, 3), 55, np.uint8))
        run("translate", "--input", photo, "--whole", "--out", tmp_path / "out")
        sheet = plots.load(tmp_path / "out" / "sheet.png")
        assert sheet.shape == (192 + 24, 2 * 192 + 2 + 24, 3)
        assert (sheet[100, 100] == 55).all() and (sheet[100, 300] == 200).all()

    def test_beside_the_picture_but_not_among_its_like(self, tmp_path, monkeypatch, portraits):
        monkeypatch.chdir(tmp_path)
        save(tmp_path / "a.png", portraits[0])
        run("translate", "--input", "a.png", "--already-faces", "--out", "anime")
        assert files(tmp_path) == ["a.png", "anime/a.png", "anime/sheet.png"]
        for out in (".", tmp_path, "anime/.."):
            line = fails("translate", "--input", "a.png", "--overwrite", "--out", out)
            assert "where the originals are" in line
        np.testing.assert_array_equal(plots.load(tmp_path / "a.png"), portraits[0])

    def test_upright_and_opaque(self, tmp_path):
        """A photo that lies on its side by its EXIF, and one that can be seen through."""
        image = np.zeros((20, 30, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6
        (tmp_path / "in").mkdir()
        Image.fromarray(image).save(tmp_path / "in" / "side.png", exif=exif)
        clear = np.zeros((8, 8, 4), np.uint8)
        Image.fromarray(clear).save(tmp_path / "in" / "clear.png")
        Image.fromarray(image).convert("CMYK").save(tmp_path / "in" / "inks.jpg")
        run("translate", "--input", tmp_path / "in", "--whole", "--out", tmp_path / "out")
        assert plots.load(tmp_path / "out" / "side.png").shape == (30, 20, 3)
        assert not plots.load(tmp_path / "out" / "clear.png").any()
        assert plots.load(tmp_path / "out" / "inks.png").shape == (20, 30, 3)


class TestFolder:
    @pytest.fixture
    def album(self, tmp_path, scene, portraits):
        folder = tmp_path / "in"
        save(folder / "a.png", portraits[0])
        save(folder / "a.jpg", portraits[1])
        save(folder / "deep" / "er" / "b.webp", portraits[2])
        save(folder / "scene.png", scene)
        save(folder / "empty room.png", np.full((64, 64, 3), 127, np.uint8))
        (folder / "broken [bold].jpg").write_bytes(b"not a picture")
        (folder / "notes.txt").write_text("passed over")
        (folder / ".hidden.png").write_bytes(b"passed over")
        return folder

    def test_goes_through(self, tmp_path, album):
        before = checksums(album)
        output = run("translate", "--input", album, "--out", tmp_path / "out")
        assert files(tmp_path / "out") == [
            *("a.jpg.png", "a.png.png", "deep/er/b.png"),
            *("scene-2.png", "scene-3.png", "scene.png", "sheet.png"),
        ]
        assert "left out broken [bold].jpg: text, not a picture" in output
        assert "no face found on empty room.png" in output
        assert "--whole" in output and "--already-faces" in output
        assert "4 pictures, 6 faces, translated" in output
        assert checksums(album) == before

    def test_goes_on_where_it_was(self, tmp_path, album, monkeypatch):
        out, calls = tmp_path / "out", []

        class Counting(Negative):
            def translate(self, images, direction):
                calls.append(len(images))
                if stop and len(calls) == 3:
                    raise KeyboardInterrupt
                return super().translate(images, direction)

        monkeypatch.setattr(command, "load_shipped", Counting)
        stop = True
        line = fails("translate", "--input", album, "--out", out)
        assert "Stopped." in line and "goes on from there" in line
        first = checksums(out)
        assert len(first) == 3  # two pictures and the sheet
        stop = False
        output = run("translate", "--input", album, "--out", out)
        assert "2 files translated before stay as they are" in output
        assert len(calls) == 3 + 2
        assert {p: v for p, v in checksums(out).items() if p in first} == first
        whole = invoke("translate", "--input", album, "--out", tmp_path / "other")
        assert whole.exit_code == 0
        pictures = {name for name in files(out) if not name.startswith("sheet")}
        for name in pictures:
            assert (out / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
        assert pictures == set(files(tmp_path / "other")) - {"sheet.png"}

    def test_a_picture_is_done_when_all_its_faces_are(self, tmp_path, scene, monkeypatch):
        """Stopped between two of three faces, it does not count as done."""
        photo, saved, write = save(tmp_path / "in" / "a.png", scene), [], plots.save

        def stop_at_the_third(path, image):
            saved.append(path)
            if len(saved) == 3:
                raise KeyboardInterrupt
            return write(path, image)

        monkeypatch.setattr(plots, "save", stop_at_the_third)
        assert "Stopped." in fails("translate", "--input", photo, "--out", tmp_path / "out")
        assert files(tmp_path / "out") == ["a-2.png", "a-3.png"]
        run("translate", "--input", photo, "--out", tmp_path / "out")
        assert files(tmp_path / "out") == ["a-2.png", "a-3.png", "a.png", "sheet.png"]

    def test_overwrite(self, tmp_path, album):
        out = tmp_path / "out"
        options = ("--input", album, "--already-faces", "--out", out)
        run("translate", *options)
        before = checksums(out)
        output = run("translate", *options, "--direction", "y2x")
        assert checksums(out) == before and "translated before" in output
        run("translate", *options, "--direction", "y2x", "--overwrite")
        after = checksums(out)
        assert set(after) == set(before)
        assert all(after[path] != before[path] for path in after)

    @pytest.mark.parametrize("inside", [".", "new", "deep/er"])
    def test_never_into_the_input(self, tmp_path, album, inside):
        before = checksums(album)
        line = fails("translate", "--input", album, "--out", album / inside)
        assert "choose a folder of its own" in line
        assert checksums(album) == before

    def test_never_into_the_input_by_a_link(self, tmp_path, album):
        out = tmp_path / "out"
        out.mkdir()
        (out / "deep").symlink_to(album)
        before = checksums(album)
        assert "where the originals are" in fails("translate", "--input", album, "--out", out)
        assert checksums(album) == before

    def test_all_broken(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jpg").write_bytes(b"")
        result = invoke("translate", "--input", tmp_path / "in", "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "left out a.jpg: the file is empty" in result.output
        assert "Nothing was translated" in result.output
        assert not (tmp_path / "out").exists()


class TestNames:
    def results(self, *names):
        return command._results({name: ".mp4" if "mp4" in name else ".png" for name in names})

    def test_mirror(self):
        assert self.results("a.jpg", "deep/a.png", "b.c.webp", "m.mp4") == {
            "a.jpg": "a.png",
            "deep/a.png": "deep/a.png",
            "b.c.webp": "b.c.png",
            "m.mp4": "m.mp4",
        }

    @pytest.mark.parametrize(
        "names",
        [
            ("a.jpg", "a.png"),
            ("a.jpg", "A.png"),
            ("a.jpg", "a.png", "a.jpg.png"),
            ("a.jpg", "a-2.jpg", "a-3.png", "a-2-2.png"),
            ("a.jpg", "a.png", "a.jpg-2.png"),
            ("sheet.jpg", "sheet-2.jpg", "x.jpg"),
            ("a.jpg", "a.mp4", "a.png"),
        ],
    )
    def test_no_two_alike_nor_like_a_second_face(self, names):
        found = self.results(*names)
        assert list(found) == list(names)
        assert self.results(*reversed(names)) == found
        results = [result.casefold() for result in found.values()]
        further = [f"{r[:-4]}-{n}.png" for r in results if r.endswith(".png") for n in range(2, 9)]
        every = [*results, *further, "sheet.png"]
        assert len(every) == len(set(every))


class TestFilm:
    def frames(self, scene, count=4):
        return [np.roll(scene, 3 * k, axis=1) for k in range(count)]

    @pytest.mark.parametrize("suffix", [".mp4", ".gif"])
    def test_faces_are_put_back(self, tmp_path, scene, suffix):
        (tmp_path / "in").mkdir()
        frames = self.frames(scene)
        film(tmp_path / "in" / f"a{suffix}", frames)
        before = checksums(tmp_path / "in")
        output = run(
            "translate", "--input", tmp_path / "in" / f"a{suffix}", "--out", tmp_path / "out"
        )
        assert "1 film translated" in output
        assert ("sound is not kept" in output) == (suffix == ".mp4")
        assert files(tmp_path / "out") == [f"a{suffix}", "sheet.png"]
        made = list(films.Film(tmp_path / "out" / f"a{suffix}"))
        assert len(made) == 4 and made[0][0].shape == scene.shape
        for (frame, seconds), original in zip(made, frames, strict=True):
            assert seconds == pytest.approx(0.1)
            change = abs(frame.astype(int) - original).max(axis=-1)
            assert 0.01 < (change > 60).mean() < 0.8
        assert checksums(tmp_path / "in") == before

    def test_whole(self, tmp_path):
        (tmp_path / "in").mkdir()
        frames = np.broadcast_to(np.uint8([[[[10, 200, 90]]]]), (3, 40, 70, 3))
        film(tmp_path / "in" / "a.mp4", frames)
        run("translate", "--input", tmp_path / "in", "--whole", "--out", tmp_path / "out")
        made = [frame for frame, _ in films.Film(tmp_path / "out" / "a.mp4")]
        np.testing.assert_allclose(np.array(made, int), 255 - frames.astype(int), atol=10)

    def test_ctrl_c(self, tmp_path, scene, monkeypatch):
        class Stopping(Negative):
            calls = 0

            def translate(self, images, direction):
                self.calls += 1
                if self.calls == 3:
                    raise KeyboardInterrupt
                return super().translate(images, direction)

        monkeypatch.setattr(command, "load_shipped", Stopping)
        (tmp_path / "in").mkdir()
        film(tmp_path / "in" / "a.mp4", self.frames(scene))
        result = invoke("translate", "--input", tmp_path / "in", "--out", tmp_path / "out")
        assert result.exit_code == 1
        stopped = tmp_path / "out" / "a.stopped.mp4"
        assert f"The first 2 of 4 frames of a.mp4 are in {stopped}" in result.output
        assert len(list(films.Film(stopped))) == 2

    def test_without_a_face(self, tmp_path):
        (tmp_path / "in").mkdir()
        film(tmp_path / "in" / "a.gif", np.full((2, 64, 64, 3), 127, np.uint8))
        result = invoke("translate", "--input", tmp_path / "in", "--out", tmp_path / "out")
        assert result.exit_code == 1 and "no face found on a.gif" in result.output
        assert not files(tmp_path / "out")

    def test_some_frames_without_a_face(self, tmp_path, scene):
        (tmp_path / "in").mkdir()
        blank = np.full_like(scene, 127)
        film(tmp_path / "in" / "a.gif", [blank, scene, blank])
        output = run("translate", "--input", tmp_path / "in", "--out", tmp_path / "out")
        assert "a.gif: 2 of 3 frames show no face" in output
        made = [frame for frame, _ in films.Film(tmp_path / "out" / "a.gif")]
        assert (made[0] == 127).all() and (made[1] != scene).any()

    def test_a_broken_one_is_left_out(self, tmp_path, portraits):
        save(tmp_path / "in" / "a.png", portraits[0])
        (tmp_path / "in" / "b.mp4").write_bytes(b"no film" * 100)
        output = run("translate", "--input", tmp_path / "in", "--out", tmp_path / "out")
        assert "left out b.mp4: no video that OpenCV can read" in output
        assert files(tmp_path / "out") == ["a.png", "sheet.png"]


class TestOneLine:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--input", "nowhere"), "There is no file or folder nowhere."),
            (("--input", "hollow"), "There is nothing to translate in hollow: no .jpg, "),
            (("--input", "a.txt"), "a.txt is neither a picture (.jpg, "),
            (("--input", "in", "--paste", "--whole"), "exclude each other"),
            (("--input", "in", "--longest", "9"), "--longest goes with --whole."),
            (("--input", "in", "--direction", "up"), "--direction must be x2y or y2x, not 'up'."),
            (("--input", "in", "--run", "none"), "There is no run in none"),
            (("--input", "in", "--out", "a.txt"), "--out a.txt is a file"),
        ],
        ids=lambda value: "_".join(value) if isinstance(value, tuple) else "",
    )
    def test_what_can_be_mended(self, tmp_path, monkeypatch, portraits, options, message):
        monkeypatch.chdir(tmp_path)
        save(tmp_path / "in" / "a.png", portraits[0])
        (tmp_path / "a.txt").write_text("words")
        (tmp_path / "hollow").mkdir()
        out = () if "--out" in options else ("--out", "out")
        assert message in fails("translate", *options, *out)
        assert not (tmp_path / "out").exists()

    def test_no_weights(self, tmp_path, monkeypatch, portraits):
        def missing():
            raise FileNotFoundError("no weights: give --run")

        monkeypatch.setattr(command, "load_shipped", missing)
        photo = save(tmp_path / "in" / "a.png", portraits[0])
        line = fails("translate", "--input", photo, "--out", tmp_path / "out")
        assert "no weights: give --run" in line

    def test_a_run_that_does_not_translate(self, tmp_path, portraits):
        photo = save(tmp_path / "in" / "a.png", portraits[0])
        (tmp_path / "dcgan").mkdir()
        (tmp_path / "dcgan" / "settings.json").write_text('{"epochs": 1, "size": 32}')
        line = fails(
            *("translate", "--run", tmp_path / "dcgan", "--input", photo),
            *("--out", tmp_path / "out"),
        )
        assert "makes pictures from noise, it translates none" in line


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The run of a CycleGAN as it begins, on folders of pictures of its own."""
    folder = tmp_path_factory.mktemp("started")
    for style in ("portrait", "anime"):
        for index, image in enumerate(data.render(4, 64, style).images):
            save(folder / style / f"{index}.png", image)
    settings = Settings(
        model="cyclegan",
        data=str(folder / "portrait"),
        y=str(folder / "anime"),
        size=SIZE,
        epochs=1,
        precision="float32",
        network={"width": 4, "residual_blocks": 1},
    )
    (folder / "run").mkdir()
    (folder / "run" / "settings.json").write_text(json.dumps(dataclasses.asdict(settings)))
    model = Run.open(folder / "run").build_model()
    checkpoints.save(model, folder / "run" / "checkpoints", step=0)
    return folder


class TestRun:
    def test_is_used(self, started, tmp_path, portraits):
        photo = save(tmp_path / "in" / "a.png", portraits[0])
        options = ("--input", photo, "--already-faces")
        run("translate", "--run", started / "run", *options, "--out", tmp_path / "out")
        model = Run.open(started / "run").load_model()
        small = data.folders.square(portraits[0], SIZE)[None]
        np.testing.assert_array_equal(
            plots.load(tmp_path / "out" / "a.png"), model.translate(small)[0]
        )

    def test_frames_faces_like_its_training_pictures(self, started):
        settings = Run.open(started / "run").settings
        for direction, style in (("x2y", "portrait"), ("y2x", "anime")):
            found = command._eyes(settings, direction, 64)
            np.testing.assert_allclose(found, EYES[style], atol=0.05)
            assert found != EYES[style]

    def test_says_when_these_are_gone(self, started, tmp_path, scene):
        folder = tmp_path / "run"
        shutil.copytree(started / "run", folder)
        text = (folder / "settings.json").read_text()
        (folder / "settings.json").write_text(text.replace(str(started / "portrait"), "gone"))
        photo = save(tmp_path / "in" / "a.png", scene)
        output = run("translate", "--run", folder, "--input", photo, "--out", tmp_path / "out")
        assert "faces are framed as drawn ones" in output and "There is no folder gone." in output


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    """The run of an AnimeGAN as it begins."""
    folder = tmp_path_factory.mktemp("drawing")
    settings = Settings(
        model="animegan",
        data="portraits",
        y="anime",
        size=SIZE,
        epochs=1,
        precision="float32",
        network={"width": 2},
    )
    (folder / "settings.json").write_text(json.dumps(dataclasses.asdict(settings)))
    checkpoints.save(Run.open(folder).build_model(), folder / "checkpoints", step=0)
    return folder


class TestAnimeGAN:
    def test_pictures_of_any_size_in_one_piece(self, drawing, tmp_path):
        image = np.random.default_rng(0).integers(0, 256, (45, 62, 3), np.uint8)
        photo = save(tmp_path / "in" / "a.png", image)
        options = ("--run", drawing, "--input", photo, "--whole")
        run("translate", *options, "--out", tmp_path / "out")
        framed = np.pad(image, [(0, 3), (0, 2), (0, 0)], mode="symmetric")[None]
        expected = Run.open(drawing).load_model().translate(framed)[0, :45, :62]
        np.testing.assert_array_equal(plots.load(tmp_path / "out" / "a.png"), expected)

    def test_faces_and_folders(self, drawing, tmp_path, portraits):
        for number, image in enumerate(portraits[:2]):
            save(tmp_path / "in" / f"{number}.png", image)
        options = ("--run", drawing, "--input", tmp_path / "in", "--already-faces")
        output = run("translate", *options, "--out", tmp_path / "out")
        assert "2 pictures translated" in output
        small = np.stack([data.folders.square(image, SIZE) for image in portraits[:2]])
        expected = Run.open(drawing).load_model().translate(small)
        for number, image in enumerate(expected):
            found = plots.load(tmp_path / "out" / f"{number}.png").astype(int)
            assert np.abs(found - image).max() <= 1

    def test_films(self, drawing, tmp_path):
        frames = np.random.default_rng(0).integers(0, 256, (3, 20, 32, 3), np.uint8)
        film(tmp_path / "a.gif", frames)
        options = ("--run", drawing, "--input", tmp_path / "a.gif", "--whole")
        assert "1 film translated" in run("translate", *options, "--out", tmp_path / "out")
        assert [f.shape for f, _ in films.Film(tmp_path / "out" / "a.gif")] == [(20, 32, 3)] * 3

    def test_no_way_back(self, drawing, tmp_path, portraits):
        photo = save(tmp_path / "in" / "a.png", portraits[0])
        options = ("--run", drawing, "--direction", "y2x", "--input", photo)
        line = fails("translate", *options, "--out", tmp_path / "out")
        assert "is an AnimeGAN, which knows no way back" in line
        assert not (tmp_path / "out").exists()

    def test_too_large(self, drawing, tmp_path):
        photo = save(tmp_path / "in" / "a.png", np.zeros((1100, 2000, 3), np.uint8))
        options = ("--run", drawing, "--whole", "--input", photo, "--out", tmp_path / "out")
        output = invoke("translate", *options).output
        assert "left out a.png: 2000x1100 pixels are too many to be held at once" in output
        run("translate", *options, "--longest", 64)
        assert plots.load(tmp_path / "out" / "a.png").shape == (35, 64, 3)
