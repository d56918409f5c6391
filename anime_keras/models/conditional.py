"""Conditional DCGAN: pictures from noise, and of what was asked for.

Mirza and Osindero 2014, "Conditional Generative Adversarial Nets": both players are told words, such as
blue hair and a smile. The generator finds them beside its latents. For the discriminator there are two
ways, and both ask one matrix V, a row a word, what it makes of a picture's features phi(x):

    projection  Miyato and Koyama 2018, "cGANs with Projection Discriminator", equation 5: the rows of
                the words that it was told are added to its logit, y^T V phi(x) + psi(phi(x)). One
                question: is this a real picture of these words?
    ac          Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs",
                equations 2 and 3: all rows pass through a softmax, which must name the words. Two
                questions: is it real, and what does it show?

All else is DCGAN's, psi and phi as well (dcgan.py). Several attributes stand side by side, a word of
each. Where a training picture lacks one its label is -1, which becomes a row of zeros and so counts for
nothing in any sum.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import latents, losses, replicas
from anime_keras.models.dcgan import DCGAN

Tensor = Any
CONDITIONINGS = ("projection", "ac", "both")


@keras.saving.register_keras_serializable("anime_keras")
class ConditionalDCGAN(DCGAN):
    """A DCGAN that can be asked for words.

        gan = ConditionalDCGAN({"hair_color": ("blue", "pink"), "expression": ("sad", "smile")})
        gan.compile()
        gan.fit(batches, epochs=10)    # (pictures, {"hair_color": int (batch,), "expression": …})
        pictures = gan.generate(64, seed=0, hair_color="blue", expression="smile")    # uint8

    The generator is `dcgan.build_generator` with an input more for each word: the rows of its first
    matrix that belong to words are their embeddings, and the layers above are free to use them for
    whatever they like. (Normalisation that depends on the words, as Miyato and Koyama have it, costs a
    pass over every map more, and was not needed.)

    Args:
        attributes: name -> its words, two or more; labels are their places.
        shares: name -> how often each word comes in training, by which words that nobody asked for are
            drawn, each attribute by itself. Those not given: all words alike.
        conditioning: "projection"; "ac"; or "both", each with a matrix of its own.
        image_size: of `DCGAN`, as all that follow.
        latent_dim: how many numbers, beside the words, a picture is made from.
        **options: `width`, `normalization`, `spectral_norm`, `augmentation`, `ema`, `seed`.

    Raises:
        ValueError: attributes, shares or a conditioning that cannot be.
    """

    def __init__(
        self,
        attributes: Mapping[str, Sequence[str]],
        shares: Mapping[str, Sequence[float]] | None = None,
        conditioning: str = "projection",
        image_size: int = 64,
        latent_dim: int = 100,
        **options,
    ) -> None:
        attributes = {name: tuple(words) for name, words in attributes.items()}
        shares = _checked(attributes, shares or {})
        if conditioning not in CONDITIONINGS:
            raise ValueError(f"conditioning must be one of {CONDITIONINGS}, not {conditioning!r}.")
        count = sum(map(len, attributes.values()))
        super().__init__(image_size, latent_dim + count, **options)
        self.latent_dim = latent_dim
        self._settings = {
            **self._settings,
            "attributes": {name: list(words) for name, words in attributes.items()},
            "shares": {name: list(parts) for name, parts in shares.items()},
            "conditioning": conditioning,
            "latent_dim": latent_dim,
        }
        self.attributes = attributes
        self.shares = shares
        self.projection = self.classifier = None
        if conditioning != "ac":
            self.projection = self._build_matrix(count, "projection")
        if conditioning != "projection":
            self.classifier = self._build_matrix(count, "classifier")
            self.meters.append(keras.metrics.Mean(name="class_loss"))

    def _build_matrix(self, words: int, name: str) -> layers.Layer:
        """V: from features (batch, size) to a number for each word, begun as the judge's is."""
        judge = self.discriminator.get_layer("judge").get_config()
        kept = ("use_bias", "kernel_initializer", "kernel_constraint")
        matrix = layers.Dense(words, name=name, **{key: judge[key] for key in kept})
        matrix.build((None, *self.discriminator.get_layer("flatten").output.shape[1:]))
        return matrix

    def compile(
        self,
        loss: str = "non_saturating",
        classification: float = 1.0,
        classify_fakes: bool = True,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float | None = None,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        label_smoothing: float = 0.0,
        r1: float = 0.0,
        decay: str = "constant",
        decay_steps: int | None = None,
        accumulate: int = 1,
        **kwargs,
    ) -> None:
        """Choose the game's rules: those of `DCGAN.compile`, and one more.

        Args:
            loss: a name out of `losses.ADVERSARIAL` but "wasserstein", whose penalty is DCGAN's alone.
            classification: weight of the class loss, for both players, where there is a classifier.
            classify_fakes: the classifier learns from generated pictures, too, as in Odena et al. It
                and the generator can then agree on signs that only they understand. Without, it knows
                real pictures alone (as in Choi et al. 2018, "StarGAN", equations 2 and 3).
            learning_rate: of `DCGAN.compile`, as all that follow.
            discriminator_learning_rate: where the two should differ.
            beta_1: Adam's momentum.
            beta_2: Adam's second one.
            label_smoothing: real pictures get the label 1 - label_smoothing.
            r1: gamma of ½ ‖∇D‖² at real pictures.
            decay: "constant", "linear" or "cosine".
            decay_steps: needed for the latter two.
            accumulate: average the gradients of this many batches.
            **kwargs: `jit_compile` … of `keras.Model.compile`.

        Raises:
            ValueError: an unknown name, or options that cannot work together, with what to change.
        """
        rules = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        if loss == "wasserstein":
            raise ValueError("The Wasserstein loss is DCGAN's: here take another, such as hinge.")
        own = ("classification", "classify_fakes")
        super().compile(**{k: v for k, v in rules.items() if k not in own}, **kwargs)
        self._rules = {**rules, **kwargs}
        self.classification = classification
        self.classify_fakes = classify_fakes

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """Those of DCGAN's discriminator, and V."""
        matrices = [matrix for matrix in (self.projection, self.classifier) if matrix is not None]
        return super().discriminator_variables + [
            variable for matrix in matrices for variable in matrix.trainable_variables
        ]

    # --- training ---------------------------------------------------------------------------------

    def train_step(self, data: tuple[Tensor, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """One round on real pictures (batch, size, size, 3) in [-1, 1] and their labels, int (batch,).

        The generator is asked for the words of the real pictures, so that combinations come as they
        come there; where a label is missing, for a drawn word. The discriminator is told of both kinds
        what is known of the real one: what is missing tells it nothing.
        """
        real, labels = data
        words = ops.stack([ops.cast(labels[name], "int32") for name in self.attributes], axis=1)
        told, asked = self.rows(words), self.rows(self.complete(words))
        points = ops.concatenate([self.draw_latents(ops.shape(real)[0]), asked], axis=1)
        fake = self.record(self.generator, points)

        d_loss = self.minimize(
            lambda: self.discriminator_loss(real, fake.value, told),
            self.discriminator_variables,
            self.discriminator_optimizer,
        )
        g_loss = self.minimize(
            lambda images: self.generator_loss(real, images, told, asked),
            self.generator.trainable_variables,
            self.generator_optimizer,
            through=fake,
        )
        self.follow()
        return self.update_meters(d_loss=d_loss, g_loss=g_loss)

    def rows(self, words: Tensor) -> Tensor:
        """Words int (batch, attributes) as float (batch, words of all): 1 at each, 0 elsewhere."""
        columns = enumerate(self.attributes.values())
        return ops.concatenate(
            [ops.one_hot(words[:, k], len(those), dtype="float32") for k, those in columns], axis=1
        )

    def complete(self, words: Tensor) -> Tensor:
        """Words int (batch, attributes), in which those that are missing, -1, are drawn."""
        chances = replicas.uniform(ops.shape(words), dtype="float32", seed=self.latent_seed)
        return ops.where(words < 0, _drawn(chances, self.shares), words)

    def judge(self, images: Tensor, told: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the discriminator makes of pictures and of words that it is told about them.

        Args:
            images: (batch, size, size, 3) in [-1, 1].
            told: (batch, words of all attributes), as `rows` gives them.

        Returns:
            Logits (batch, 1), and a classifier's scores (batch, words of all attributes), or None.
        """
        features, logits = self.inner(images, training=True)
        features = ops.reshape(features, (-1, int(np.prod(features.shape[1:]))))
        scores = None
        if self.projection is not None:
            matches = ops.cast(self.projection(features), "float32")
            logits = logits + ops.sum(told * matches, axis=1, keepdims=True)
        if self.classifier is not None:
            scores = ops.cast(self.classifier(features), "float32")
        return logits, scores

    def class_loss(self, scores: Tensor, rows: Tensor) -> Tensor:
        """-log p(words | picture), the sum over attributes: each picks one of its own words."""
        lengths = [len(words) for words in self.attributes.values()]
        parts = [slice(end - n, end) for n, end in zip(lengths, np.cumsum(lengths), strict=True)]
        return sum(losses.classification(scores[:, part], rows[:, part]) for part in parts)

    def discriminator_loss(self, real: Tensor, fake: Tensor, told: Tensor) -> Tensor:
        """Real logits up, fake logits down, and the words of both kinds named."""
        real, fake = self.augment(real), self.augment(fake)
        real_logits, real_scores = self.judge(real, told)
        fake_logits, fake_scores = self.judge(fake, told)
        self.update_meters(
            real_score=ops.mean(ops.sigmoid(real_logits)),
            fake_score=ops.mean(ops.sigmoid(fake_logits)),
        )
        rule = losses.get(self.rule)
        loss = rule.discriminator(real_logits, fake_logits, **self.discriminator_options)
        if self.classifier is not None:
            class_loss = self.class_loss(real_scores, told)
            self.update_meters(class_loss=class_loss)
            if self.classify_fakes:
                class_loss += self.class_loss(fake_scores, told)
            loss += self.classification * class_loss
        if self.r1:
            slopes = self.input_gradients(lambda images: self.judge(images, told)[0], real)
            loss += self.r1 * losses.r1_penalty(slopes)
        return loss

    def generator_loss(self, real: Tensor, fake: Tensor, told: Tensor, asked: Tensor) -> Tensor:
        """Its pictures called real pictures of the words that it was asked for, all of them."""
        real_logits = None
        if self.rule == "relativistic":
            real_logits, _ = self.judge(self.augment(real), told)
        logits, scores = self.judge(self.augment(fake), asked)
        loss = losses.get(self.rule).generator(real_logits, logits)
        if self.classifier is not None:
            loss += self.classification * self.class_loss(scores, asked)
        return loss

    # --- drawing ----------------------------------------------------------------------------------

    def ask(self, count: int, seed: int = 0, **attributes: Any) -> dict[str, np.ndarray]:
        """The words of the first pictures of a seed: name -> int (count,), their places.

        Args:
            count: how many.
            seed: of the words that are not given; each is drawn by its share in training.
            **attributes: a word for all, or a sequence of as many words as there are pictures.

        Raises:
            ValueError: an attribute or a word that there is not; the message lists those there are.
        """
        chances = np.random.default_rng((seed, 1)).random((count, len(self.shares)), "float32")
        drawn = ops.convert_to_numpy(_drawn(chances, self.shares))
        found = dict(zip(self.attributes, drawn.T.astype(int), strict=True))
        for name, given in attributes.items():
            found[name] = self._places(name, given, count)
        return found

    def _places(self, name: str, given: Any, count: int) -> np.ndarray:
        words = self._words(name)
        given = [given] * count if isinstance(given, str) else list(given)
        if len(given) != count:
            raise ValueError(f"{len(given)} words of {name} were given for {count} pictures.")
        for word in given:
            if word not in words:
                raise ValueError(f"{name} has no word {word!r}: choose from {', '.join(words)}.")
        return np.array([words.index(word) for word in given])

    def _words(self, name: str) -> tuple[str, ...]:
        if name not in self.attributes:
            raise ValueError(
                f"There is no attribute {name!r}: choose from {', '.join(self.attributes)}."
            )
        return self.attributes[name]

    def join(self, points: np.ndarray, words: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the generator takes: latents (count, latent_dim), and beside them words' rows."""
        rows = self.rows(np.stack([words[name] for name in self.attributes], axis=1))
        return np.concatenate([points, ops.convert_to_numpy(rows)], axis=1)

    def points(self, count: int, seed: int = 0, **attributes: Any) -> np.ndarray:
        """What `generate` draws from: latents, and beside them words' rows.

        Picture i of a seed has always the same latents and the same drawn words; those that are asked
        for, as for `ask`, take the place of the drawn ones.

        Raises:
            ValueError: there is no such attribute or word.
        """
        points = latents.draw(count, self.latent_dim, seed)
        return self.join(points, self.ask(count, seed, **attributes))

    def sheet(self, rows: str, columns: str, seed: int = 0, **attributes: str) -> np.ndarray:
        """One person with each word of two attributes: the same latents in every picture.

        Args:
            rows: an attribute.
            columns: another.
            seed: whose first picture it is.
            **attributes: words of the others; drawn if not given.

        Returns:
            uint8 RGB (words of rows, words of columns, size, size, 3).

        Raises:
            ValueError: there is no such attribute or word, or it is twice the same.
        """
        if rows == columns:
            raise ValueError(f"Two attributes span a sheet, and {rows} is but one.")
        places = np.indices([len(self._words(name)) for name in (rows, columns)])
        words = self.ask(1, seed, **attributes)
        count = places[0].size
        words = {name: np.repeat(place, count) for name, place in words.items()}
        words |= {rows: places[0].ravel(), columns: places[1].ravel()}
        one = latents.draw(1, self.latent_dim, seed).repeat(count, axis=0)
        return self.draw(self.join(one, words)).reshape(
            *places[0].shape, self.image_size, self.image_size, 3
        )


def _drawn(chances: Tensor, shares: Mapping[str, Sequence[float]]) -> Tensor:
    """Words int32 (batch, attributes) at chances in [0, 1): each attribute's shares laid end to end."""
    columns = []
    for column, parts in enumerate(shares.values()):
        edges = np.cumsum(parts)[:-1].astype("float32")
        passed = ops.greater_equal(chances[:, column : column + 1], edges)
        columns.append(ops.sum(ops.cast(passed, "int32"), axis=1))
    return ops.stack(columns, axis=1)


def _checked(
    attributes: Mapping[str, tuple[str, ...]], shares: Mapping[str, Sequence[float]]
) -> dict[str, tuple[float, ...]]:
    """Shares of all words of all attributes, each adding up to 1; raises ValueError if they cannot."""
    if not attributes:
        raise ValueError("A conditional model needs an attribute to be asked for.")
    if unknown := [name for name in shares if name not in attributes]:
        raise ValueError(f"There are shares of {unknown[0]!r}, and no such attribute.")
    found = {}
    for name, words in attributes.items():
        if len(set(words)) != len(words) or len(words) < 2:
            raise ValueError(f"{name} needs two different words or more, not {words!r}.")
        parts = np.asarray(shares.get(name, np.ones(len(words))), float)
        if parts.shape != (len(words),) or not (parts >= 0).all() or not parts.sum() > 0:
            raise ValueError(f"{name} has {len(words)} words; shares {parts} do not fit them.")
        found[name] = tuple((parts / parts.sum()).tolist())
    return found
