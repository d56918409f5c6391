"""The exercises of notebook 06, conditional GANs: two ways of telling words, missing labels, chance."""

from collections.abc import Callable

import numpy as np
from scipy import special

from anime_keras import exercises
from anime_keras.exercises import Wrong, close, exercise, function, number

# --- 06.1 -----------------------------------------------------------------------------------------


def _logits(answer: object, what: str, count: int = 4) -> np.ndarray:
    """An answer's logits, (count,)."""
    if answer is None or answer is ...:
        raise Wrong(f"{what} is {answer}: nothing is returned yet.")
    found = np.asarray(answer, float)
    if found.shape not in ((count,), (count, 1)):
        raise Wrong(
            f"{what} has the shape {found.shape}; one logit a picture is wanted: ({count},)."
        )
    return found.reshape(count)


@exercise(
    "06.1",
    hint="Begin with psi. Then picture by picture: if its word is 0 or more, add V[word] @ features of "
    "that picture. Without a loop: matches = features @ V.T, and np.where(words < 0, 0, ...).",
)
def _projection(projection: Callable) -> str:
    function(projection)
    random = np.random.default_rng(1)
    features, v, psi = random.normal(size=(4, 5)), random.normal(size=(3, 5)), random.normal(size=4)

    def ask(*words: int) -> np.ndarray:
        answer = projection(features.copy(), v.copy(), psi.copy(), np.array(words))
        return _logits(answer, "What comes back")

    words = [0, 2, 1, 2]
    terms = np.sum(v[words] * features, axis=1)
    found = ask(*words)
    if np.allclose(found, psi):
        raise Wrong("That is psi alone: what the word adds is missing.")
    if np.allclose(found, terms):
        raise Wrong("That is the word's term alone: psi asks whether it is a picture at all.")
    if np.allclose(found, psi + (features @ v.T).sum(axis=1)):
        raise Wrong("All words were added. Each picture was told one: add its row of V only.")
    if np.allclose(found, psi - terms):
        raise Wrong("The sign is turned: a picture that fits its word gets a higher logit.")
    if not np.allclose(found, psi + terms):
        raise Wrong(
            f"The first logit is {psi[0] + terms[0]:.4f}, psi plus V[0] @ features[0]; yours says "
            f"{found[0]:.4f}."
        )
    found = ask(0, -1, 1, -1)
    if np.allclose(found[[1, 3]], psi[[1, 3]] + np.sum(v[[2, 2]] * features[[1, 3]], axis=1)):
        raise Wrong("In NumPy V[-1] is the *last* row: of a missing word, -1, nothing is added.")
    if not np.allclose(found, psi + np.where(np.array([0, -1, 1, -1]) < 0, 0, _rows(features, v))):
        raise Wrong("A missing word, -1, adds nothing: the logit is psi, and the others stay.")
    return "Told nothing, it is DCGAN's discriminator; told a word, it asks for a match."


def _rows(features: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sum(v[[0, 2, 1, 2]] * features, axis=1)


# --- 06.2 -----------------------------------------------------------------------------------------


@exercise(
    "06.2",
    hint="scipy's log_softmax(scores, axis=1) at [row, word] of the pictures whose word is 0 or more; "
    "minus their mean. known = words >= 0 picks them. With none known: 0.",
)
def _class_loss(class_loss: Callable) -> str:
    function(class_loss)
    random = np.random.default_rng(2)
    scores = random.normal(0, 2, (6, 4))

    def ask(words: list[int], values: np.ndarray = scores) -> float:
        return number(class_loss(values.copy(), np.array(words)), "The class loss")

    log_p = special.log_softmax(scores, axis=1)
    words = [3, 0, 1, 2, 0, 3]
    terms = -log_p[np.arange(6), words]
    value = ask(words)
    if close(value, -terms.mean()):
        raise Wrong("It is negative: a loss is *minus* the logarithm.")
    if close(value, terms.sum()):
        raise Wrong("That is the sum over the pictures: take the mean.")
    if close(value, float(np.mean(np.exp(-terms)))):
        raise Wrong(
            "That is the mean probability; its logarithm was asked for, picture by picture."
        )
    if close(value, float(-np.mean(scores[np.arange(6), words]))):
        raise Wrong("Those are the scores themselves: a softmax makes probabilities of them.")
    if not close(value, terms.mean()):
        raise Wrong(f"With all words known it is {terms.mean():.4f} here; yours says {value:.4f}.")
    some = [3, -1, 1, -1, -1, 3]
    right = terms[[0, 2, 5]].mean()
    value = ask(some)
    if close(value, -log_p[np.arange(6), some].mean()):
        raise Wrong("In NumPy -1 is the *last* word: leave out the pictures that have none.")
    if close(value, terms[[0, 2, 5]].sum() / 6):
        raise Wrong(
            "The sum is right, and it is divided by all six pictures. Three have a word: with fewer "
            "labels the loss would fade, and not because the classifier is better."
        )
    if not close(value, right):
        raise Wrong(f"With three words of six known it is {right:.4f}; yours says {value:.4f}.")
    with np.errstate(all="ignore"):
        value = ask([-1] * 6)
        far = ask(words, scores * 1000)
    if not close(value, 0.0):
        raise Wrong(f"With no word known at all there is nothing to lose: 0; yours says {value:g}.")
    if not close(far, float(-special.log_softmax(1000 * scores, axis=1)[range(6), words].mean())):
        raise Wrong(
            "Scores of some thousands overflow exp: take the largest off first (logsumexp)."
        )
    return "Missing labels count neither above the line nor below it."


# --- 06.3 -----------------------------------------------------------------------------------------


@exercise(
    "06.3",
    hint="Lay the shares end to end: np.cumsum(shares). The word is the number of ends, the last one "
    "left out, that the chance has reached: np.searchsorted(ends, chances, side='right').",
)
def _drawn(drawn: Callable) -> str:
    function(drawn)
    shares = np.array([0.5, 0.25, 0.0, 0.25])
    chances = np.array([0.0, 0.49, 0.5, 0.74, 0.75, 0.99])

    def ask(chances: np.ndarray, shares: np.ndarray) -> np.ndarray:
        answer = drawn(chances.copy(), shares.copy())
        if answer is None or answer is ...:
            raise Wrong(f"drawn(...) is {answer}: nothing is returned yet.")
        found = np.asarray(answer)
        if found.shape != chances.shape:
            raise Wrong(f"{len(chances)} chances are {len(chances)} words, not {found.shape}.")
        return found

    found = ask(chances, shares)
    wanted = np.array([0, 0, 1, 1, 3, 3])
    if np.array_equal(found, np.floor(chances * 4)):
        raise Wrong("That draws all words alike often: a quarter each. The shares are others.")
    if np.array_equal(found, wanted + 1):
        raise Wrong("One too many: the first word is number 0.")
    if 2 in found:
        raise Wrong("Word 2 was drawn, and its share is 0: `side='right'` steps over it.")
    if not np.array_equal(found, wanted):
        raise Wrong(f"Chances {chances} are words {wanted}; yours says {found}.")
    if np.array_equal(ask(np.array([0.999]), np.array([0.3, 0.3, 0.3])), [3]):
        raise Wrong(
            "Shares that were rounded add up to 0.9, and a chance of 0.999 became word 3 of 3: leave "
            "out the last end, so that the last word takes what is left."
        )
    return "Picture i of a seed is asked the same, however many there are: its chance is its own."


# --- 06.4 -----------------------------------------------------------------------------------------


@exercise(
    "06.4",
    hint="Asked for word w (share asked[w]) it shows word w by luck with the share shown[w]: multiply, "
    "and add up over the words.",
)
def _chance(chance: Callable) -> str:
    function(chance)

    def ask(asked: list[float], shown: list[float]) -> float:
        return number(chance(np.array(asked), np.array(shown)), "Chance")

    even = [0.25] * 4
    value = ask([0.6, 0.2, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1])
    wanted = 0.24 + 0.06 + 0.02 + 0.01
    others = {
        "One word in four, yes, if one of the two were even; neither is.": 0.25,
        "That is the share of the most frequent word asked for: what a model gets that always shows "
        "it. This one shows others, too.": 0.6,
        "That is what overlaps of the two histograms; by luck both must come *together*: multiply.": (
            0.4 + 0.2 + 0.1 + 0.1
        ),
        "That is the mean over the words; add them up.": wanted / 4,
    }
    for message, other in others.items():
        if close(value, other):
            raise Wrong(message)
    if not close(value, wanted):
        raise Wrong(f"0.6 * 0.4 + 0.2 * 0.3 + ... is {wanted:g}; yours says {value:g}.")
    if not close(ask(even, [1.0, 0, 0, 0]), 0.25):
        raise Wrong("Even requests are met by luck in a quarter, whatever is shown.")
    if not close(ask([1.0, 0, 0, 0], [1.0, 0, 0, 0]), 1.0):
        raise Wrong("Who is only ever asked for what it always shows is always right.")
    return "Hold each accuracy against this: of glasses, luck alone gives two thirds."


# --- 06.5 -----------------------------------------------------------------------------------------

KNOBS = {
    "conditioning": ("projection", "ac", "both"),
    "missing": (0.0, 1.0),
    "classification": (0.0, 10.0),
    "learning_rate": (1e-5, 0.01),
    "discriminator_learning_rate": (1e-5, 0.01),
    "width": (4, 64),
}
"""What exercise 06.5 can turn: the words to choose from, or the least and the most."""

MEASURES = ("right", "apart")


@exercise(
    "06.5",
    hint="One entry in `change` with two values or more, all else in `keep`. Two seeds or more, a "
    "measure, and a sentence that says what you expect.",
)
def _experiment(plan: dict) -> str:
    exercises.plan(plan, "change", "keep", "measure", "seeds", "prediction")
    name, values = exercises.one_change(plan, tuple(KNOBS))
    for knob, value in [*plan["keep"].items(), *((name, value) for value in values)]:
        allowed = KNOBS[knob]
        if isinstance(allowed[0], str):
            if value not in allowed:
                raise Wrong(f"{knob} is one of {', '.join(allowed)}, not {value!r}.")
        elif isinstance(value, str) or not allowed[0] <= value <= allowed[1]:
            raise Wrong(
                f"{knob} = {value!r} is out of its range, {allowed[0]:g} to {allowed[1]:g}."
            )
    if name == "classification" and plan["keep"].get("conditioning", "projection") == "projection":
        raise Wrong(
            "Under projection there is no class loss to weigh: keep conditioning at 'ac' or 'both', or "
            "nothing will change."
        )
    if plan["measure"] not in MEASURES:
        raise Wrong(f"By which number will you judge? One of {', '.join(MEASURES)}.")
    seeds = len(set(plan["seeds"]))
    if seeds < 2:
        raise Wrong("One seed shows a difference that another may turn round: take two or more.")
    exercises.expectation(plan)
    return (
        f"{len(set(values)) * seeds} runs that differ in {name} and in luck, judged by one number."
    )
