"""The page that makes faces: in a browser its pixels are Keras', and its controls do what they say.

Without a Chromium all of this is skipped; test_export.py then still holds the page's recipe against
Keras, but carried out by NumPy.
"""

import functools
import io

import keras
import numpy as np
import pytest
from PIL import Image

from anime_keras import export, models
from anime_keras.export import networks, page, recipe

SIZE, LATENTS = 32, 16
WORDS = {"hair_color": ("blue", "pink", "very dark"), "<b>": ("sad", "smile")}
LEVELS = 2  # of 255, that weights in float16 and other roundings may make


@pytest.fixture(scope="module")
def kinds():
    keras.utils.set_random_seed(0)
    small = {"image_size": SIZE, "latent_dim": LATENTS}
    made = {
        "stylegan2": models.StyleGAN2(**small, fmaps=1 / 128, max_channels=16),
        "conditional": models.ConditionalDCGAN(WORDS, {"<b>": (0.9, 0.1)}, width=4, **small),
        "bernoulli": models.VAE(likelihood="bernoulli", width=4, **small),
    }
    rng = np.random.default_rng(0)
    style = made["stylegan2"]
    for variable in (*style.average_synthesis.weights, style.means.w):
        if variable.path.endswith(("bias", "noise_strength", "/w")):
            variable.assign_add(0.3 * rng.standard_normal(variable.shape))
    made["bernoulli"].density.mean.assign(rng.standard_normal(LATENTS))
    # Untrained, these two would draw all but grey, and no mistake could be seen.
    for network in (made["bernoulli"].decoder, made["conditional"].average):
        kernel = network.get_layer("to_rgb").kernel
        kernel.assign(kernel * 20)
    return made


@pytest.fixture(scope="module")
def pages(kinds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "SAMPLES", 64)
        return {n: export.export(m, folder / f"{n}.html").path for n, m in kinds.items()}


class Visit:
    """A page that is open, and what the browser complained about or asked the network for."""

    def __init__(self, context, path):
        self.trouble = []
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", self._asked)
        self.url = path.resolve().as_uri()
        self.page.goto(self.url)
        self.settled()

    def _said(self, message):
        if "willReadFrequently" not in message.text:  # it is the tests that read
            self.trouble.append(message.text)

    def _asked(self, request):
        if request.url != self.url and not request.url.startswith(("data:", "blob:")):
            self.trouble.append(f"request of {request.url}")

    def settled(self):
        """Wait until nothing is left to be drawn."""
        self.page.locator("html[data-busy=false]").wait_for()

    def pixels(self, canvas="#face", place=0):
        """uint8 (size, size, 3) of a canvas."""
        self.settled()
        values = (
            self.page.locator(canvas)
            .nth(place)
            .evaluate("c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
        )
        found = np.array(values, np.uint8).reshape(SIZE, SIZE, 4)
        assert (found[..., 3] == 255).all()
        return found[..., :3]

    def set(self, name, value):
        self.page.get_by_label(name, exact=True).fill(str(value))
        self.settled()


@pytest.fixture
def visit(chromium, pages):
    """Opens a page in a browser of its own; in the end nothing may have been complained about."""
    visits = []

    def opened(name, path=None, **options):
        visits.append(Visit(chromium.new_context(**options), path or pages[name]))
        return visits[-1]

    yield opened
    for one in visits:
        one.page.context.close()
    assert [trouble for one in visits for trouble in one.trouble] == []


def uniform(state):
    """Mulberry32, after its author's C."""
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ state >> 15) * (state | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ t >> 7) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        yield ((t ^ t >> 14) & 0xFFFFFFFF) / 2**32


def latents_of(*numbers):
    """The latents of the page's faces of these numbers, (count, LATENTS), by Box and Muller."""
    rows = []
    for number in numbers:
        draws = uniform(number)
        pairs = [(next(draws), next(draws)) for _ in range(LATENTS)]
        rows.append([np.sqrt(-2 * np.log(1 - a)) * np.cos(2 * np.pi * b) for a, b in pairs])
    return np.array(rows, "float32")


network_of = functools.cache(networks.network)


def drawn(model, numbers, **inputs):
    """What Keras draws for faces of these numbers, uint8."""
    latents = latents_of(*numbers)
    inputs = {k: np.broadcast_to(v, (len(latents), *np.shape(v)[1:])) for k, v in inputs.items()}
    images = network_of(model)({"latents": latents, **inputs})["images"]
    return np.round((np.asarray(images) + 1) * 127.5).astype("uint8")


def apart(one, other):
    return int(np.abs(one.astype(int) - other.astype(int)).max())


PSI = np.array([[0.7]], "float32")  # what the page begins with


def test_pixels_are_those_of_keras(visit, kinds):
    one = visit("stylegan2")
    wanted = drawn(kinds["stylegan2"], range(1, 17), truncation=PSI)
    found = np.stack([one.pixels("#grid canvas", place) for place in range(16)])
    assert apart(found, wanted) <= LEVELS
    assert apart(one.pixels(), wanted[0]) <= LEVELS
    assert apart(one.pixels("#second"), wanted[1]) <= LEVELS
    assert min(apart(wanted[0], other) for other in wanted[1:]) > 10 * LEVELS
    other = visit("bernoulli")
    wanted = drawn(kinds["bernoulli"], range(1, 17))
    found = np.stack([other.pixels("#grid canvas", place) for place in range(16)])
    assert apart(found, wanted) <= LEVELS
    assert min(apart(wanted[0], other) for other in wanted[1:]) > 10 * LEVELS


def test_truncation_morph_and_style_mixing(visit, kinds):
    one, model = visit("stylegan2"), kinds["stylegan2"]
    one.set("ψ", 0.3)
    psi = np.array([[0.3]], "float32")
    first, second = drawn(model, (1, 2), truncation=psi)
    assert apart(one.pixels(), first) <= LEVELS
    w = model.styles(latents_of(1, 2), truncation=0.3)
    one.set("Morph", 40)
    between = model.paint(0.6 * w[:1] + 0.4 * w[1:])[0]
    assert apart(one.pixels(), between) <= LEVELS
    one.set("Morph", 100)
    assert apart(one.pixels(), second) <= LEVELS
    one.set("Morph", 0)
    one.set("Style mixing", 3)
    mixed = model.paint(model.mix(w[:1], w[1:], model.style_count - 3))[0]
    assert apart(one.pixels(), mixed) <= LEVELS
    assert apart(first, mixed) > 2 * LEVELS
    one.set("Style mixing", 0)
    one.page.get_by_role("button", name="Swap").click()
    assert apart(one.pixels(), second) <= LEVELS


def test_directions_move_codes(visit, pages):
    one, content = visit("bernoulli"), page.read(pages["bernoulli"])
    made = page.recipe_of(pages["bernoulli"])
    assert content["directions"].shape == (8, LATENTS)

    def moved(*amounts):
        code = made.codes(latents_of(1))[0]
        code = code + sum(amount * content["directions"][place] for place, amount in amounts)
        return np.round((recipe._run(made.synthesis, None, [code]).transpose(1, 2, 0) + 1) * 127.5)

    # The ends of a slider show where it leads.
    shown = [one.pixels(".between canvas", place) for place in range(16)]
    wanted = [moved((place, amount)) for place in range(8) for amount in (-3, 3)]
    assert apart(np.stack(shown), np.stack(wanted)) <= LEVELS

    before = one.pixels()
    one.set("Direction 2", 1.5)
    one.set("Direction 7", -3)
    assert apart(one.pixels(), moved((1, 1.5), (6, -3))) <= LEVELS
    assert apart(one.pixels(), before) > 2 * LEVELS
    assert one.page.locator("output[for=direction-6]").inner_text() == "-3.0"
    one.page.get_by_role("button", name="Back to 0").click()
    np.testing.assert_array_equal(one.pixels(), before)


def test_latents_are_morphed_along_the_sphere(visit, kinds):
    from anime_keras.latents import slerp

    one, model = visit("bernoulli"), kinds["bernoulli"]
    one.set("Morph", 30)
    point = slerp(*latents_of(1, 2), np.array([0.3]))
    assert apart(one.pixels(), model.draw(point)[0]) <= LEVELS


def test_words_are_asked_for(visit, kinds):
    one, model = visit("conditional"), kinds["conditional"]
    for name, word in (("hair color", "very dark"), ("<b>", "smile")):
        one.page.get_by_label(name, exact=True).select_option(word)
    words = {"hair_color": np.array([2], "int32"), "<b>": np.array([1], "int32")}
    wanted = drawn(model, range(1, 17), **words)
    found = np.stack([one.pixels("#grid canvas", place) for place in range(16)])
    assert apart(found, wanted) <= LEVELS
    assert apart(one.pixels(), wanted[0]) <= LEVELS
    one.page.get_by_label("<b>", exact=True).select_option("any")
    sad, smiling = (drawn(model, range(1, 17), **{**words, "<b>": np.array([k])}) for k in (0, 1))
    drawn_words = []
    for place, faces in enumerate(zip(sad, smiling, strict=True)):
        distances = [apart(one.pixels("#grid canvas", place), face) for face in faces]
        assert min(distances) <= LEVELS < max(distances)
        drawn_words.append(int(np.argmin(distances)))
    assert drawn_words.count(0) >= 11  # as often as in training: nine of ten


def test_new_faces_and_files(visit, tmp_path):
    one = visit("stylegan2")
    first = one.pixels()
    one.page.get_by_role("button", name="New face", exact=True).click()
    new = one.pixels()
    assert apart(new, first) > 0
    with one.page.expect_download() as waiting:
        one.page.get_by_role("button", name="Save PNG").click()
    file = tmp_path / "face.png"
    waiting.value.save_as(file)
    number = one.page.locator("#face").get_attribute("data-number")
    assert waiting.value.suggested_filename == f"face-{number}.png"
    saved = np.asarray(Image.open(io.BytesIO(file.read_bytes())).convert("RGB"))
    np.testing.assert_array_equal(saved, new)
    # One of sixteen others, by the keyboard.
    one.page.get_by_role("button", name="Sixteen others").click()
    one.settled()
    chosen = one.page.locator("#grid button").nth(5)
    chosen.focus()
    one.page.keyboard.press("Enter")
    np.testing.assert_array_equal(one.pixels(), one.pixels("#grid canvas", 5))
    assert chosen.get_attribute("aria-pressed") == "true"
    assert one.page.locator("#grid button[aria-pressed=true]").count() == 1


def test_a_keyboard_moves_sliders(visit):
    one = visit("stylegan2")
    before = one.pixels()
    one.page.get_by_label("Direction 1", exact=True).focus()
    for _ in range(5):
        one.page.keyboard.press("ArrowRight")
    assert one.page.locator("output[for=direction-0]").inner_text() == "+0.5"
    assert apart(one.pixels(), before) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(visit, scheme):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    one = visit("conditional", color_scheme=scheme, **phone)
    assert one.page.evaluate("document.documentElement.scrollWidth") == 390
    colours = one.page.evaluate(
        "() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    ink, ground = (sum(map(int, c[4:-1].split(","))) / 3 for c in colours)
    assert (ink - ground > 150) if scheme == "dark" else (ground - ink > 150)
    # The face is in sight while its last slider moves.
    one.page.get_by_label("Morph", exact=True).scroll_into_view_if_needed()
    face = one.page.locator("#face").bounding_box()
    assert face["y"] >= 0 and face["y"] + face["height"] <= 844
    # Whatever can be touched is large enough for a thumb, and has a name.
    for control in one.page.locator("button:visible, select:visible, input:visible").all():
        assert control.bounding_box()["height"] >= 32
    snapshot = one.page.locator("body").aria_snapshot()
    assert "- button\n" not in snapshot and "- slider\n" not in snapshot


def test_a_page_that_computes_otherwise_says_so(visit, pages, tmp_path):
    text = pages["bernoulli"].read_text("utf-8")
    assert text.count("Math.tanh(step.gain * value)") == 1
    path = tmp_path / "other.html"
    path.write_text(text.replace("Math.tanh(step.gain * value)", "Math.tanh(0.2 + value)"), "utf-8")
    one = visit(None, path)
    alert = one.page.get_by_role("alert")
    assert "draws its first face other than Keras did, by up to" in alert.inner_text()
    sound = visit("bernoulli")
    assert not sound.page.get_by_role("alert").is_visible()
    assert int(sound.page.locator("html").get_attribute("data-apart")) <= LEVELS
