"""Conditional DCGAN: both ways of telling words, computed by hand; what is missing, what is asked."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from anime_keras import losses, models
from anime_keras.data.pipelines import normalize

WORDS = {"hair": ("blue", "pink", "black"), "mood": ("sad", "smile")}
SHARES = {"hair": (0.5, 0.5, 0.0), "mood": (0.9, 0.1)}
LABELS = {
    "hair": np.array([0, 1, 2, -1, -1, 0, 1, 2]),
    "mood": np.array([1, 0, -1, -1, 1, 0, 1, 0]),
}
ROWS = np.array(  # of these labels, written out
    [
        [1, 0, 0, 0, 1],
        [0, 1, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 1],
        [0, 0, 1, 1, 0],
    ],
    "float32",
)


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


@pytest.fixture
def noise():
    return np.random.default_rng(0).uniform(-1, 1, (8, 32, 32, 3)).astype("float32")


def small(**options):
    fixed = {"image_size": 32, "width": 4, "latent_dim": 16, "shares": SHARES}
    return models.ConditionalDCGAN(WORDS, **{**fixed, **options})


def array(tensor):
    return ops.convert_to_numpy(tensor)


def trainable(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_parameter_counts():
    """DCGAN's published numbers, and for each of 18 words a row of 16 * 512 on either side."""
    words = {"hair": [str(n) for n in range(12)], "mood": [str(n) for n in range(6)]}
    gan = models.ConditionalDCGAN(words, width=64, ema=0.0)
    assert trainable(gan.generator.trainable_variables) == 3_576_704 + 147_456
    assert trainable(gan.discriminator_variables) == 2_765_568 + 147_456
    both = models.ConditionalDCGAN(words, width=64, ema=0.0, conditioning="both")
    assert trainable(both.discriminator_variables) == 2_765_568 + 2 * 147_456


class TestWords:
    def test_rows(self):
        words = np.stack(list(LABELS.values()), axis=1)
        np.testing.assert_array_equal(array(small().rows(words)), ROWS)

    def test_complete(self):
        """Known words stay; missing ones come by their shares, each attribute by itself."""
        gan = small()
        words = np.tile(np.array([[-1, -1], [2, 0], [-1, 1]]), (4000, 1))
        done = array(gan.complete(words))
        assert done.min() == 0
        np.testing.assert_array_equal(done[words >= 0], words[words >= 0])
        for column, shares in enumerate(SHARES.values()):
            drawn = done[words[:, column] < 0, column]
            counts = np.bincount(drawn, minlength=len(shares))
            assert counts[np.array(shares) == 0].sum() == 0
            wanted = np.array([share for share in shares if share]) * len(drawn)
            assert stats.chisquare(counts[counts > 0], wanted).pvalue > 1e-4
        both = done[::3]  # neither depends on the other
        table = np.histogram2d(both[:, 0], both[:, 1], bins=[[0, 1, 2], [0, 1, 2]])[0]
        assert stats.chi2_contingency(table).pvalue > 1e-4
        assert (array(gan.complete(words)) != done).any()  # and other ones next time


class TestProjection:
    def test_logits(self, noise):
        """y^T V phi(x) + psi(phi(x)), Miyato and Koyama's equation 5, in NumPy."""
        gan = small(normalization="none")
        gan.projection.kernel.assign(gan.projection.kernel * 3000)  # so that it weighs something
        features = array(gan.inner(noise)[0]).reshape(8, -1).astype("float64")
        psi = features @ array(gan.discriminator.get_layer("judge").kernel).astype("float64")
        v = array(gan.projection.kernel).astype("float64")
        wanted = psi[:, 0].copy()
        for picture in range(8):
            for place, words in zip((0, 3), LABELS.values(), strict=True):
                if words[picture] >= 0:
                    wanted[picture] += v[:, place + words[picture]] @ features[picture]
        logits, scores = gan.judge(noise, ROWS)
        assert scores is None
        assert np.abs(wanted - psi[:, 0]).max() > 0.1
        np.testing.assert_allclose(array(logits)[:, 0], wanted, atol=1e-4, rtol=0)

    def test_missing_labels_are_no_term(self, noise):
        """Told nothing, it judges as DCGAN's discriminator does."""
        gan = small()
        logits, _ = gan.judge(noise, np.zeros((8, 5), "float32"))
        alone = gan.discriminator(noise, training=True)
        np.testing.assert_allclose(array(logits), array(alone), atol=1e-6, rtol=0)
        assert np.abs(array(gan.judge(noise, ROWS)[0]) - array(alone)).max() > 1e-4

    def test_only_told_words_learn(self, noise):
        """A row of V whose word nobody was told has no gradient."""
        import tensorflow as tf

        gan = small(normalization="none")
        gan.compile()
        told = ROWS * [1, 0, 1, 1, 0]
        with tf.GradientTape() as tape:
            loss = gan.discriminator_loss(noise, -noise, ops.convert_to_tensor(told, "float32"))
        slopes = np.abs(array(tape.gradient(loss, gan.projection.kernel.value))).sum(axis=0)
        np.testing.assert_array_equal(slopes > 1e-6, [True, False, True, True, False])
        np.testing.assert_array_equal(slopes[[1, 4]], 0)

    def test_only_asked_words_learn(self):
        """The same of the generator's embeddings, the last rows of its first matrix."""
        import tensorflow as tf

        gan = small()
        gan.compile()
        asked = np.tile(np.array([1, 0, 0, 0, 1], "float32"), (8, 1))
        points = np.concatenate([np.random.default_rng(0).normal(size=(8, 16)), asked], axis=1)
        first = gan.generator.get_layer("project").kernel
        assert first.shape == (21, 4 * 4 * 16)
        with tf.GradientTape() as tape:
            images = gan.generator(points.astype("float32"), training=True)
            loss = ops.sum(ops.abs(images[:, :16]))
        slopes = np.abs(array(tape.gradient(loss, first.value))).sum(axis=1)
        assert (slopes[:16] > 0).all()
        np.testing.assert_array_equal(slopes[[17, 18, 19]], 0)


class TestClassifier:
    def test_class_loss(self):
        """-log softmax at the right word, a mean over those that have one, summed over attributes."""
        random = np.random.default_rng(1)
        scores = random.normal(0, 3, (8, 5)).astype("float32")
        hair, mood = special.log_softmax(scores[:, :3], 1), special.log_softmax(scores[:, 3:], 1)
        wanted = -np.mean([hair[0, 0], hair[1, 1], hair[2, 2], hair[5, 0], hair[6, 1], hair[7, 2]])
        wanted -= np.mean([mood[0, 1], mood[1, 0], mood[4, 1], mood[5, 0], mood[6, 1], mood[7, 0]])
        loss = float(small(conditioning="ac").class_loss(scores, ROWS))
        assert loss == pytest.approx(wanted, abs=1e-5)

    def test_nothing_known_is_no_loss(self):
        """Without any label there is neither a loss nor a slope, and no division by zero."""
        import tensorflow as tf

        scores = tf.random.normal((8, 5))
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = small(conditioning="ac").class_loss(scores, np.zeros((8, 5), "float32"))
        assert float(loss) == 0.0
        np.testing.assert_array_equal(array(tape.gradient(loss, scores)), 0)

    def test_one_attribute(self):
        one = models.ConditionalDCGAN({"hair": WORDS["hair"]}, image_size=32, width=2)
        scores = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        wanted = float(losses.classification(scores, ROWS[:, :3]))
        assert float(one.class_loss(scores, ROWS[:, :3])) == pytest.approx(wanted, abs=1e-6)
        assert one.ask(3, hair="pink")["hair"].tolist() == [1, 1, 1]

    def test_closed_form(self):
        """Scores all alike: log of the number of words. A score of 1,000 for the right one: 0."""
        alike = losses.classification(np.zeros((4, 3)), np.eye(3)[[0, 1, 2, 0]])
        assert float(alike) == pytest.approx(np.log(3), abs=1e-6)
        sure = losses.classification(1000.0 * np.eye(3), np.eye(3))
        assert float(sure) == pytest.approx(0.0, abs=1e-6)

    def test_without_fakes_it_learns_from_real_pictures_alone(self, noise):
        values = []
        gan = small(conditioning="ac", normalization="none")
        for classify_fakes in (True, False):
            gan.compile(classification=0.5, classify_fakes=classify_fakes)
            values.append(float(gan.discriminator_loss(noise, noise[::-1] / 2, ROWS)))
        _, scores = gan.judge(noise[::-1] / 2, ROWS)
        of_fakes = 0.5 * float(gan.class_loss(scores, ROWS))
        assert values[0] - values[1] == pytest.approx(of_fakes, abs=1e-5)
        assert of_fakes > 0.5

    def test_logits_are_dcgans(self, noise):
        """The first question, real or not, is asked without the words."""
        gan = small(conditioning="ac", normalization="none")
        logits, scores = gan.judge(noise, ROWS)
        np.testing.assert_allclose(array(logits), array(gan.discriminator(noise)), atol=1e-6)
        features = array(gan.inner(noise)[0]).reshape(8, -1)
        by_hand = features @ array(gan.classifier.kernel)
        np.testing.assert_allclose(array(scores), by_hand, atol=1e-5, rtol=0)


@pytest.mark.parametrize("conditioning", models.conditional.CONDITIONINGS)
def test_step_is_the_algorithm(noise, conditioning, monkeypatch):
    """One step by `fit` is the same by hand on a copy: who is told what, and who learns from it."""
    import tensorflow as tf

    monkeypatch.setattr(
        models.ConditionalDCGAN, "complete", lambda self, words: ops.where(words < 0, 1, words)
    )
    rules = {"learning_rate": 1e-3, "classification": 0.7}
    gan, twin = (small(ema=0.0, conditioning=conditioning) for _ in range(2))
    gan.compile(**rules)
    twin.compile(**rules)
    twin.set_weights(gan.get_weights())
    asked = ROWS.copy()  # where a label is missing, the second word
    asked[[3, 4], 1] = 1
    asked[[2, 3], 4] = 1
    points = np.concatenate([array(twin.draw_latents(8)), asked], axis=1)
    real = ops.convert_to_tensor(noise)

    def judged(images, rows):
        features = ops.reshape(twin.inner(images, training=True)[0], (8, -1))
        logits = ops.matmul(features, twin.discriminator.get_layer("judge").kernel)
        named = 0.0
        if conditioning != "ac":
            terms = ops.matmul(features, twin.projection.kernel)
            logits += ops.sum(terms * rows, axis=1, keepdims=True)
        if conditioning != "projection":
            scores = ops.matmul(features, twin.classifier.kernel)
            for part in (slice(0, 3), slice(3, 5)):
                log_p = tf.nn.log_softmax(scores[:, part])
                named -= tf.reduce_sum(log_p * rows[:, part]) / rows[:, part].sum()
        return logits, named

    with tf.GradientTape() as tape:
        fake = twin.generator(points, training=True)
        real_logits, real_named = judged(real, ROWS)
        fake_logits, fake_named = judged(fake, ROWS)
        d_loss = losses.cross_entropy_discriminator(real_logits, fake_logits)
        d_loss += 0.7 * (real_named + fake_named)
    variables = twin.discriminator.trainable_variables
    variables += [m.kernel for m in (twin.projection, twin.classifier) if m is not None]
    gradients = tape.gradient(d_loss, [v.value for v in variables])
    twin.discriminator_optimizer.apply(gradients, variables)
    with tf.GradientTape() as tape:
        fake = twin.generator(points, training=True)
        logits, named = judged(fake, asked)
        g_loss = losses.non_saturating_generator(None, logits) + 0.7 * named
    variables = twin.generator.trainable_variables
    gradients = tape.gradient(g_loss, [v.value for v in variables])
    twin.generator_optimizer.apply(gradients, variables)

    logs = gan.fit(noise, LABELS, batch_size=8, verbose=0, shuffle=False).history
    assert logs["d_loss"][0] == pytest.approx(float(d_loss), abs=1e-4)
    assert logs["g_loss"][0] == pytest.approx(float(g_loss), abs=1e-4)
    if conditioning != "projection":
        assert logs["class_loss"][0] == pytest.approx(float(real_named), abs=1e-4)
    for name in ("generator", "discriminator", "projection", "classifier"):
        if getattr(gan, name) is None:
            continue
        for ours, by_hand in zip(
            getattr(gan, name).trainable_variables,
            getattr(twin, name).trainable_variables,
            strict=True,
        ):
            # Adam's first step is the gradient's sign times the rate: rounding decides where it is
            # all but zero.
            difference = np.abs(array(ours) - array(by_hand))
            assert np.mean(difference > 1e-5) < 0.02, ours.path


@pytest.mark.parametrize(
    ("network", "rules"),
    [
        ({"conditioning": "both"}, {"loss": "relativistic", "decay": "cosine", "decay_steps": 9}),
        ({"normalization": "none", "spectral_norm": True}, {"loss": "hinge", "r1": 1.0}),
        ({"augmentation": ("color", "translation")}, {"label_smoothing": 0.1, "accumulate": 2}),
    ],
)
def test_rules_move_both_players(noise, network, rules):
    gan = small(**network)
    gan.compile(**rules)
    before = [array(variable) for variable in gan.trainable_variables]
    labels = {name: np.tile(words, 2) for name, words in LABELS.items()}
    logs = gan.fit(np.tile(noise, (2, 1, 1, 1)), labels, batch_size=8, verbose=0).history
    assert all(np.isfinite(values).all() for values in logs.values())
    for variable, was in zip(gan.trainable_variables, before, strict=True):
        assert np.abs(array(variable) - was).max() > 0, variable.path


def test_xla_gives_the_same_step(noise, monkeypatch):
    points = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((8, 16)), "float32")
    monkeypatch.setattr(models.ConditionalDCGAN, "draw_latents", lambda self, count: points)
    monkeypatch.setattr(
        models.ConditionalDCGAN, "complete", lambda self, words: ops.where(words < 0, 1, words)
    )
    logs = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        gan = small(conditioning="both")
        gan.compile(jit_compile=jit_compile)
        logs.append(gan.fit(noise, LABELS, batch_size=8, verbose=0, shuffle=False).history)
    assert logs[0]["d_loss"] == pytest.approx(logs[1]["d_loss"], rel=1e-3)
    assert logs[0]["g_loss"] == pytest.approx(logs[1]["g_loss"], rel=1e-3)


@pytest.mark.parametrize("conditioning", ["projection", "ac"])
def test_learns_what_is_asked(conditioning):
    """Shown blue pictures called blue, pink ones called pink, and half of both unnamed."""
    colors = np.uint8([[40, 80, 220], [230, 120, 180]])
    words = np.arange(64) % 2
    images = normalize(np.tile(colors[words][:, None, None], (1, 32, 32, 1)))
    labels = {"hair": np.where(np.arange(64) < 32, words, -1), "mood": np.full(64, -1)}
    gan = small(ema=0.9, conditioning=conditioning)
    gan.compile(learning_rate=2e-3)
    gan.fit(images, labels, batch_size=16, epochs=100, verbose=0)
    blue, pink = (
        gan.generate(32, seed=1, hair=word).mean(axis=(0, 1, 2)) for word in WORDS["hair"][:2]
    )
    apart = colors[1].astype(float) - colors[0]
    assert 0.3 < (pink - blue) @ apart / (apart @ apart) < 1.3  # 0 if it did not listen, 1 at best


class TestGenerate:
    def test_a_seed_is_a_picture(self):
        gan = small()
        images = gan.generate(5, seed=3)
        assert images.shape == (5, 32, 32, 3) and images.dtype == np.uint8
        np.testing.assert_array_equal(gan.generate(9, seed=3)[:5], images)
        np.testing.assert_array_equal(gan.generate(5, seed=3, batch_size=2), images)
        assert (gan.generate(5, seed=4) != images).any(axis=(1, 2, 3)).all()

    def test_asked_and_drawn(self):
        """What is asked for takes the place of a drawn word, and leaves the others as they were."""
        gan = small()
        free, asked = gan.ask(500, 7), gan.ask(500, 7, hair="black")
        assert set(asked["hair"]) == {2} and set(free["hair"]) == {0, 1}
        np.testing.assert_array_equal(asked["mood"], free["mood"])
        assert 0.05 < free["mood"].mean() < 0.15
        np.testing.assert_array_equal(gan.ask(20, 7)["mood"], free["mood"][:20])
        each = gan.ask(3, 7, hair=("pink", "blue", "pink"))
        np.testing.assert_array_equal(each["hair"], [1, 0, 1])
        points = gan.points(4, 7, hair="pink", mood="sad")
        np.testing.assert_array_equal(points[:, :16], gan.points(4, 7)[:, :16])
        np.testing.assert_array_equal(points[:, 16:], [[0, 1, 0, 1, 0]] * 4)
        np.testing.assert_array_equal(
            gan.draw(points), gan.generate(4, seed=7, hair="pink", mood="sad")
        )

    def test_sheet(self):
        gan = small()
        sheet = gan.sheet("mood", "hair", seed=5)
        assert sheet.shape == (2, 3, 32, 32, 3)
        one = gan.generate(1, seed=5, mood="smile", hair="pink")[0]
        assert np.abs(sheet[1, 1].astype(int) - one).max() <= 1
        assert (sheet[0, 0] != sheet[1, 1]).any()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"hat": "red"}, "no attribute 'hat': choose from hair, mood"),
            ({"hair": "green"}, "hair has no word 'green': choose from blue, pink, black"),
            ({"hair": ("blue", "pink")}, "2 words of hair were given for 4 pictures"),
        ],
    )
    def test_unknown(self, options, message):
        with pytest.raises(ValueError, match=message):
            small().generate(4, **options)

    def test_sheets_that_cannot_be(self):
        gan = small()
        with pytest.raises(ValueError, match="hair is but one"):
            gan.sheet("hair", "hair")
        with pytest.raises(ValueError, match="no attribute 'hat'"):
            gan.sheet("hair", "hat")
        with pytest.raises(ValueError, match="count must be at least 1"):
            gan.generate(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attributes": {}}, "needs an attribute"),
        ({"attributes": {"hair": ("blue",)}}, "two different words or more"),
        ({"attributes": {"hair": ("blue", "blue")}}, "two different words or more"),
        ({"attributes": WORDS, "conditioning": "magic"}, "conditioning must be one of"),
        ({"attributes": WORDS, "shares": {"hair": (1, 1)}}, "hair has 3 words"),
        ({"attributes": WORDS, "shares": {"mood": (0, 0)}}, "mood has 2 words"),
        ({"attributes": WORDS, "shares": {"mood": (-1, 2)}}, "mood has 2 words"),
        ({"attributes": WORDS, "shares": {"hat": (1, 1)}}, "shares of 'hat'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        models.ConditionalDCGAN(**options)


@pytest.mark.parametrize(
    ("rules", "message"),
    [({"loss": "wasserstein"}, "DCGAN's"), ({"loss": "none"}, "no adversarial loss")],
)
def test_bad_rules(rules, message):
    with pytest.raises(ValueError, match=message):
        small().compile(**rules)


def test_saves_and_loads(noise, tmp_path):
    gan = small(conditioning="both")
    gan.compile(loss="hinge", learning_rate=1e-3, classification=0.5)
    gan.fit(noise, LABELS, batch_size=4, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(4, hair="pink"), gan.generate(4, hair="pink"))
    assert (loaded.rule, loaded.classification) == ("hinge", 0.5)
    again = [
        model.fit(noise, LABELS, batch_size=8, verbose=0, shuffle=False).history
        for model in (gan, loaded)
    ]
    assert again[0] == again[1]
