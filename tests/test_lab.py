"""Scale, pictures with alt text; of each exercise the stub, the solution and typical mistakes."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import ops
from scipy import special

import anime_keras
from anime_keras import exercises, lab, models

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


# --- scale ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", lab.SCALES)
def test_scale_is_read_from_the_environment(monkeypatch, name):
    monkeypatch.setenv("ANIME_KERAS_SCALE", name)
    assert lab.scale() == name
    assert lab.pick(smoke="smoke", laptop="laptop", full="full") == name


def test_scale_forgives_case_and_spaces(monkeypatch):
    monkeypatch.setenv("ANIME_KERAS_SCALE", " Smoke ")
    assert lab.scale() == "smoke"


@pytest.mark.parametrize(
    ("devices", "expected"), [(["cpu:0"], "laptop"), (["cpu:0", "gpu:0"], "full")]
)
@pytest.mark.parametrize("value", [None, ""])
def test_scale_without_a_wish_follows_the_machine(monkeypatch, devices, expected, value):
    if value is None:
        monkeypatch.delenv("ANIME_KERAS_SCALE", raising=False)
    else:
        monkeypatch.setenv("ANIME_KERAS_SCALE", value)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    assert lab.scale() == expected


def test_a_bad_scale_lists_the_good_ones(monkeypatch):
    monkeypatch.setenv("ANIME_KERAS_SCALE", "huge")
    with pytest.raises(ValueError, match=r"smoke, laptop, full, not 'huge'"):
        lab.scale()


def test_set_up_seeds_all_and_says_where_it_runs(capsys):
    drawn = []
    for _ in range(2):
        lab.set_up(seed=7)
        state = ops.convert_to_numpy(keras.random.SeedGenerator().state)  # as a layer makes it
        drawn.append([random.random(), np.random.rand(), int(state[0])])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith(f"anime_keras {anime_keras.__version__}, Keras {keras.__version__}, ")
    assert second == f"{lab.accelerator()}; seed 7"


@pytest.mark.parametrize(
    ("devices", "cores", "words"),
    [
        (["cpu:0"], 2, "no GPU, 2 CPU cores"),
        (["cpu:0"], None, "no GPU, 1 CPU core"),
        (["cpu:0", "gpu:0"], 2, "1 GPU"),
        (["CPU:0", "GPU:0", "GPU:1"], 2, "2 GPUs"),
        (["cpu:0", *(f"tpu:{i}" for i in range(8))], 2, "8 TPUs"),
    ],
)
def test_the_accelerator_in_words(monkeypatch, devices, cores, words):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert lab.accelerator() == words


# --- pictures -------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, as HTML."""
    markup = []
    monkeypatch.setattr(lab, "_display", lambda text, handle=None: markup.append(text))
    return markup


def test_show_embeds_a_picture_with_its_alt_text(shown):
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), "uint8")
    lab.show(images, alt='five "faces" & more', columns=3, width=100)
    (markup,) = shown
    assert 'alt="five &quot;faces&quot; &amp; more"' in markup
    assert "width: 100px" in markup
    assert re.search(r'src="data:image/(png|jpeg);base64,[\w+/=]{100,}"', markup)


def test_flat_pictures_are_kept_exactly(shown):
    lab.show(np.full((32, 32, 3), 7, "uint8"), alt="a dark square")
    assert "data:image/png" in shown[0]


def test_show_takes_a_figure(shown):
    from matplotlib.figure import Figure

    lab.show(Figure(figsize=(1, 1)), alt="an empty figure")
    assert 'alt="an empty figure"' in shown[0] and "data:image/png" in shown[0]


def test_animate_embeds_a_gif(shown):
    frames = [np.full((8, 8, 3), value, "uint8") for value in (0, 128, 255)]
    lab.animate(frames, alt="a square that gets light")
    assert 'alt="a square that gets light"' in shown[0] and "data:image/gif" in shown[0]


@pytest.mark.parametrize(
    ("picture", "alt", "message"),
    [
        (np.zeros((8, 8, 3), "uint8"), "  ", "alt"),
        (np.zeros((8, 8, 3), "float32"), "grey", "uint8"),
        (np.zeros((8, 8), "uint8"), "grey", r"not uint8 \(8, 8\)"),
    ],
)
def test_show_refuses(shown, picture, alt, message):
    with pytest.raises(ValueError, match=message):
        lab.show(picture, alt=alt)
    assert not shown


def test_watch_keeps_a_frame_of_every_so_many_steps_and_of_the_end(shown):
    gan = models.DCGAN(image_size=32, width=2, latent_dim=4)
    gan.compile()
    points = np.random.default_rng(0).standard_normal((4, 4), "float32")
    watch = lab.Watch(points, alt="four pictures", every=2, columns=2)
    gan.fit(np.zeros((10, 32, 32, 3), "float32"), batch_size=2, verbose=0, callbacks=[watch])
    assert watch.steps == 5
    assert len(watch.frames) == 4  # untrained, 2, 4 and 5
    assert watch.frames[0].shape == (70, 70, 3)
    assert all('alt="four pictures"' in markup for markup in shown)
    assert "<progress" in shown[1] and "s left" in shown[1]
    assert shown[-1].endswith("5 steps done")


def test_watch_stops_when_its_time_is_over(shown):
    gan = models.DCGAN(image_size=32, width=2, latent_dim=4)
    gan.compile()
    watch = lab.Watch(np.zeros((1, 4), "float32"), alt="one picture", seconds=1e-9)
    gan.fit(np.zeros((10, 32, 32, 3), "float32"), batch_size=2, verbose=0, callbacks=[watch])
    assert watch.steps == 1


# --- what a text claims ---------------------------------------------------------------------------


def test_equal_prints_both_sides(capsys):
    lab.equal("a half", 0.5, 1 / 2, tolerance=1e-9)
    lab.equal("a line", [1.0, 2.0], np.float32([1.0, 2.001]), tolerance=0.01)
    lab.equal("all are one", np.ones((2, 3)), 1)
    assert capsys.readouterr().out.splitlines() == [
        "✓ a half: 0.5 and 0.5 (within 1e-09)",
        "✓ a line: 2 pairs, 0.001 apart at most (within 0.01)",
        "✓ all are one: 6 pairs, 0 apart at most (within 1e-05)",
    ]


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (1.0, 1.2, r"it: 1 and 1.2 are more than 0.1 apart\."),
        (1.2, 1.0, "more than 0.1 apart"),  # to either side
        ([0.0, 3.0], [0.0, 1.0], r"3 and 1 are more than 0.1 apart, at \(1,\)"),
        (np.nan, 1.0, "nan and 1"),
        ([1.0, np.nan], [9.0, 1.0], r"at \(1,\)"),
        (np.inf, 1.0, "inf and 1"),
        (np.inf, np.inf, "inf and inf"),
    ],
)
def test_equal_refuses_either_way(left, right, message):
    with np.errstate(invalid="ignore"), pytest.raises(AssertionError, match=message):
        lab.equal("it", left, right, tolerance=0.1)


# --- exercises in general -------------------------------------------------------------------------


def test_an_unknown_exercise_lists_those_there_are():
    for ask in (lab.hint, lambda name: lab.check(name, None)):
        with pytest.raises(ValueError, match=r"'99.1'; there are 01.1, 01.2"):
            ask("99.1")


@pytest.mark.parametrize("name", exercises.names())
def test_every_exercise_has_a_hint(capsys, name):
    lab.hint(name)
    assert len(capsys.readouterr().out.split()) > 10


@pytest.mark.parametrize("name", exercises.names())
@pytest.mark.parametrize("answer", [None, 3, "help"])
def test_nonsense_is_answered_and_never_raises(capsys, name, answer):
    assert not lab.check(name, answer)
    assert capsys.readouterr().out.startswith(f"{name}: not yet. ")


def test_an_exercise_loads_its_own_notebook_and_no_more():
    code = "import sys; from anime_keras import exercises; exercises.find('01.1');"
    code += "print({'keras', 'anime_keras.exercises.dcgan'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_error_in_an_answer_is_reported(capsys):
    assert not lab.check("02.1", lambda: 0)
    assert "It raised TypeError" in capsys.readouterr().out


def _cell(name, kind):
    """The source of the cell tagged `kind` that checks exercise `name`, in whichever notebook."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if kind in cell["metadata"].get("tags", []) and f'lab.check("{name}"' in source:
                return source
    raise AssertionError(f"No notebook has a cell tagged {kind!r} for {name}.")


@pytest.mark.parametrize("name", exercises.names())
def test_the_notebooks_stub_fails_with_advice_and_its_solution_passes(capsys, name):
    space = {"lab": lab, "ops": ops, "np": np, "keras": keras, "cv2": cv2, "hashlib": hashlib}
    space["special"] = special
    exec(_cell(name, "exercise"), space)
    assert capsys.readouterr().out.startswith(f"{name}: not yet. ")
    exec(_cell(name, "solution"), space)
    assert capsys.readouterr().out.startswith(f"{name}: right. ")


# --- right answers, said otherwise than the notebook's solution says them ---------------------------


def _by_crc(groups, test):
    chances = [zlib.crc32(group.encode()) / 2**32 for group in groups]
    return np.array(["test" if chance < test else "train" for chance in chances])


def _by_opencv(left, right, size):
    across, middle = right - left, (left + right) / 2
    tilt, scale = np.degrees(np.arctan2(*across[::-1])), 0.29 * size / np.hypot(*across)
    matrix = cv2.getRotationMatrix2D(tuple(middle), tilt, scale)
    matrix[:, 2] += np.array([0.5, 0.485]) * size - middle
    return matrix


def _by_mean(image):
    fields = cv2.resize(image.astype("float32").mean(-1), (9, 8), interpolation=cv2.INTER_AREA)
    return np.diff(fields) > 0


def _by_keras():
    def to_picture(values):
        return ops.cast(ops.clip(ops.round((values + 1) * 127.5), 0, 255), "uint8")

    return lambda images: ops.cast(images, "float32") / 127.5 - 1, to_picture


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("01.1", _by_keras()),
        ("01.2", lambda values: (values >> 8).astype("uint8")),
        ("01.2", lambda values: ((values.astype("uint32") * 255 + 32767) // 65535).astype("uint8")),
        ("01.3", _by_mean),
        ("01.4", _by_opencv),
        ("01.5", _by_crc),
    ],
)
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


# --- typical mistakes, each with a message of its own ---------------------------------------------


def _log_sigmoid(logits):
    return -ops.mean(ops.log(ops.sigmoid(logits)))


def _flags(count):
    """A count of parameters that takes the exercise's arguments."""
    return lambda size, inputs, outputs, bias=False, batch_norm=False: count(
        size, inputs, outputs, bias, batch_norm
    )


def _field(start, growth):
    """A receptive field that grows by `growth(kernel, stride, distance)` a layer."""

    def field(layers):
        size, distance = start, 1
        for kernel, stride in layers:
            size += growth(kernel, stride, distance)
            distance *= stride
        return size

    return field


def _minimize(loss, variables="discriminator", optimizer="discriminator_optimizer", turns=1):
    """A step of the discriminator, with something wrong in it."""

    def step(gan, real, fake):
        for _ in range(turns):
            value = gan.minimize(
                lambda: loss(gan, real, fake),
                getattr(gan, variables).trainable_variables,
                getattr(gan, optimizer),
            )
        return value

    return step


def _right(gan, real, fake):
    return gan.discriminator_loss(real, fake)


def _mixed(gan, real, fake):
    logits = gan.discriminator(ops.concatenate([real, fake]), training=True)
    return ops.mean(ops.softplus(-logits[:4])) + ops.mean(ops.softplus(logits[4:]))


def _generators_turn(gan, real, fake):
    return gan.minimize(
        lambda: gan.discriminator_loss(real, gan.generator(gan.draw_latents(4), training=True)),
        gan.generator.trainable_variables,
        gan.generator_optimizer,
    )


def _plan(**changes):
    plan = {
        "change": {"width": [8, 16]},
        "keep": {"batch_size": 32},
        "seeds": [0, 1],
        "prediction": "The wider one will show clearer faces.",
    }
    return {**plan, **changes}


def _pair(to_network=None, to_picture=None):
    """Both functions of 01.1, right but for what is given."""
    return (
        to_network or (lambda x: x.astype("float32") / 127.5 - 1),
        to_picture or (lambda x: np.clip(np.rint((x + 1) * 127.5), 0, 255).astype("uint8")),
    )


def _bits(of_fields, width=9, height=8, kind=cv2.INTER_AREA):
    """A hash of small grey fields."""

    def bits(image):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return of_fields(cv2.resize(grey, (width, height), interpolation=kind))

    return bits


def _brighter(fields):
    return fields[:, 1:] > fields[:, :-1]


def _matrix(turned=1, scaled=True, shift=(0, 0), exchanged=False, mirrored=False):
    """A matrix that aligns, with something wrong in it."""

    def matrix(left, right, size):
        if exchanged:
            left, right = right, left
        across, wanted = right - left, 0.29 * size
        c, s = wanted * across / (across @ across)
        if not scaled:
            c, s = np.array([c, s]) / np.hypot(c, s)
        if turned == 0:
            c, s = np.hypot(c, s), 0.0
        turn = np.array([[c, turned * s], [-turned * s, c]])
        if mirrored:
            turn[1] *= -1
        place = np.array([0.5, 0.485]) * size + shift
        return np.column_stack([turn, place - turn @ ((left + right) / 2)])

    return matrix


def _by_checksum(names, test, share=None):
    """Words by the checksum of each name."""
    digests = (hashlib.sha256(str(name).encode()).digest() for name in names)
    chances = [int.from_bytes(digest[:8], "big") / 2**64 for digest in digests]
    return ["test" if chance < (share or test) else "train" for chance in chances]


def _by_die(groups, test, seed=None):
    random = np.random.default_rng(seed)
    side = {group: random.random() < test for group in dict.fromkeys(groups)}
    return ["test" if side[group] else "train" for group in groups]


def _by_rank(groups, test):
    """Steady in any order, but not when groups are added."""
    known = sorted(set(groups))
    held_out = set(known[: int(test * len(known))])
    return ["test" if group in held_out else "train" for group in groups]


def _by_first(groups, test):
    """Every fifth group that comes along."""
    places = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    return ["test" if places[group] % round(1 / test) == 0 else "train" for group in groups]


MISTAKES = {
    "01.1": {
        "as a pair": lambda x: x,
        "That is [0, 1]": _pair(lambda x: x.astype("float32") / 255),
        "divided twice": _pair(lambda x: (x / np.float32(255)) / np.float32(127.5) - 1),
        "half as wide": _pair(lambda x: x / np.float32(255) - np.float32(0.5)),
        "not 1: there are 255 steps": _pair(lambda x: x / np.float32(128) - 1),
        "uint8 still": _pair(lambda x: x * 2 - 255),
        "float64": _pair(lambda x: x / 127.5 - 1),
        "-1 to 1 was wanted": _pair(lambda x: x.astype("float32")),
        "not in equal steps": _pair(lambda x: (2 * (x / 255) ** 2.2 - 1).astype("float32")),
        "one too dark": _pair(None, lambda x: np.clip((x + 1) * 127.5, 0, 255).astype("uint8")),
        "Clip first": _pair(None, lambda x: np.rint((x + 1) * 127.5).astype("int").astype("uint8")),
        "pictures are uint8": _pair(None, lambda x: (x + 1) * 127.5),
        "do not come back": _pair(None, lambda x: np.clip(x * 255, 0, 255).astype("uint8")),
        "nothing is returned": _pair(lambda x: None),
        "has the shape": _pair(lambda x: x[0]),
    },
    "01.2": {
        "fine print": lambda v: v.astype("uint8"),
        "White comes out black": lambda v: np.rint(v / 256).astype("int").astype("uint8"),
        "overflows": lambda v: (v * np.uint16(255) // np.uint16(65535)).astype("uint8"),
        "The range is [0, 1]": lambda v: v / 65535,
        "a picture is uint8": lambda v: v / 257,
        "by its own lightest": lambda v: np.rint(
            (v - float(v.min())) / (float(v.max()) - float(v.min())) * 255
        ).astype("uint8"),
        "14513 becomes 120, and 56 was wanted": lambda v: (255 * (v / 65535) ** 0.5).astype(
            "uint8"
        ),
        "has the shape": lambda v: v[0],
    },
    "01.3": {
        "the average hash": _bits(lambda fields: fields > fields.mean(), 8),
        "other way round": _bits(lambda fields: fields[:, 1:] < fields[:, :-1]),
        "the field above": _bits(lambda fields: fields[1:] > fields[:-1], 8, 9),
        "Compare, do not subtract": _bits(lambda fields: np.diff(fields) > 0),
        "INTER_AREA": _bits(_brighter, kind=cv2.INTER_LINEAR),
        "There are 63 bits": _bits(_brighter, 8, 9),
        "There are 112 bits": _bits(_brighter, 9, 14),
        "of 64 bits are others": _bits(lambda fields: fields[:, 1:] > 128),
        "nothing like that": lambda image: None,
    },
    "01.4": {
        "nothing is turned": _matrix(turned=0),
        "wrong way": _matrix(turned=-1),
        "does not scale": _matrix(scaled=False),
        "off by 3.0 pixels across and -2.0": _matrix(shift=(3, -2)),
        "upside down": _matrix(exchanged=True),
        "mirrored": _matrix(mirrored=True),
        "has the shape (2, 2)": lambda left, right, size: np.eye(2),
        "they arrive at": lambda left, right, size: np.zeros((2, 3)),
        "nothing is returned": lambda left, right, size: None,
    },
    "01.5": {
        "Called twice": _by_die,
        "are in both": lambda groups, test: _by_checksum(range(len(groups)), test),
        "salted": lambda groups, test: [
            "test" if hash(group) % 100 < 100 * test else "train" for group in groups
        ],
        "With more pictures": _by_rank,
        "In another order": _by_first,
        "With test=0.2 a part": lambda groups, test: _by_checksum(groups, test, 0.5),
        "but with test=0.05": lambda groups, test: _by_checksum(groups, test, 0.2),
        "All pictures are train": lambda groups, test: ["train"] * len(groups),
        "a list of 3000 words": lambda groups, test: "train",
        "The words are": lambda groups, test: ["val"] * len(groups),
    },
    "02.1": {
        "fades": lambda x: -ops.mean(ops.softplus(x)),
        "turned round": lambda x: ops.mean(ops.softplus(x)),
        "with a minus": lambda x: -ops.mean(ops.softplus(-x)),
        "Wasserstein": lambda x: -ops.mean(x),
        "the mean logit": lambda x: ops.mean(x),
        "sum over the batch": lambda x: ops.sum(ops.softplus(-x)),
        "one number is wanted": lambda x: ops.softplus(-x),
        "nothing is returned": lambda x: None,
        "at a logit of -200 it gives inf": _log_sigmoid,
        "has a mean of 0.8689": lambda x: ops.mean(x * x),
    },
    "02.2": {
        "size counts twice": _flags(lambda s, i, o, b, n: s * i * o),
        "where are they": _flags(lambda s, i, o, b, n: s * s * o),
        "where bias=False": _flags(lambda s, i, o, b, n: s * s * i * o + o),
        "each of the 64 outputs": _flags(lambda s, i, o, b, n: s * s * i * o + b),
        "two are trained": _flags(lambda s, i, o, b, n: s * s * i * o + o * (b + 4 * n)),
        "a scale and a shift": _flags(lambda s, i, o, b, n: s * s * i * o + o * (b + n)),
        "not for 5x5": _flags(lambda s, i, o, b, n: 16 * i * o + o * (b + 2 * n)),
        "you count 256": _flags(lambda s, i, o, b, n: s * o),
    },
    "02.3": {
        "begin with one pixel": _field(0, lambda k, s, d: (k - 1) * d),
        "kernel - 1 new ones": _field(0, lambda k, s, d: k * d),
        "the layers after it": _field(1, lambda k, s, d: (k - 1) * d * s),
        "reach counts twice": _field(1, lambda k, s, d: k - 1),
        "Multiplying": lambda layers: int(np.prod([k for k, _ in layers])),
        "see 70 pixels; yours": _field(1, lambda k, s, d: (k - 1) * min(d, 4)),
        "two 4x4": _field(1, lambda k, s, d: (k - 1) * d + (d > 1)),
    },
    "02.4": {
        "none of the discriminator's weights moved": _right,
        "in their places": _minimize(lambda gan, real, fake: gan.discriminator_loss(fake, real)),
        "each in its own pass": _minimize(_mixed),
        "The generator changed": _generators_turn,
        "took 2 steps": lambda gan, real, fake: (
            _minimize(_right)(gan, real, fake),
            _minimize(_right)(gan, real, fake),
        )[0],
        "nothing is returned": lambda gan, real, fake: None,
        "moved": lambda gan, real, fake: gan.minimize(
            lambda: gan.discriminator_loss(real, fake),
            gan.discriminator.trainable_variables,
            gan.discriminator_optimizer.__class__(0.0),
        ),
    },
    "02.5": {
        "Nothing changes yet": _plan(change={}),
        "change together": _plan(change={"width": [8, 16], "beta_1": [0.5, 0.9]}),
        "two different values": _plan(change={"width": [8]}),
        "both changed and kept": _plan(keep={"width": 8}),
        "no knob 'colour'": _plan(keep={"colour": 1}),
        "One seed": _plan(seeds=[0]),
        "in a sentence": _plan(prediction=""),
        "lacks seeds": {"change": {}, "keep": {}, "prediction": ""},
        "a dict, not list": [],
    },
}


@pytest.mark.parametrize(
    ("name", "message", "answer"),
    [
        (name, message, answer)
        for name, all_ in MISTAKES.items()
        for message, answer in all_.items()
    ],
)
def test_a_typical_mistake_gets_its_own_message(capsys, name, message, answer):
    assert not lab.check(name, answer)
    said = capsys.readouterr().out
    assert message.lower() in said.lower()


@pytest.mark.parametrize("name", MISTAKES)
def test_messages_differ(capsys, name):
    said = set()
    for answer in MISTAKES[name].values():
        lab.check(name, answer)
        said.add(capsys.readouterr().out)
    assert len(said) >= 3


def test_a_check_leaves_the_dtype_policy_alone():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert lab.check("02.4", _minimize(_right))
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)
