"""The exercises of notebook 12, failures: detectors, and the experiment that shows a remedy."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from anime_keras import exercises
from anime_keras.exercises import Wrong, close, exercise, function, number

# --- 12.1 -----------------------------------------------------------------------------------------


@exercise(
    "12.1",
    hint="np.bincount(words, minlength=12) / len(words) gives the share of each word. Among those "
    "with a real share above 0, in which part is the fake share below a tenth of it?",
)
def _missing(missing: Callable) -> str:
    function(missing)

    def words(*counts: int) -> np.ndarray:
        return np.repeat(np.arange(len(counts)), counts)

    def ask(real: np.ndarray, fake: np.ndarray) -> float:
        return number(missing(real.copy(), fake.copy()), "What is missing")

    real = words(0, 100, 100, 100, 100)
    if close(ask(real, real), 1 / 5):
        raise Wrong(
            "Word 0 is no mode: nobody real has it. Count those words alone that there are."
        )
    if not close(ask(real, real), 0.0):
        raise Wrong(
            f"Of the real pictures themselves nothing is missing; yours says {ask(real, real):g}."
        )
    value = ask(real, words(0, 50, 50, 0, 0))
    if close(value, 2.0):
        raise Wrong("That is how many are missing, and which part of them was asked for.")
    if close(value, 2 / 12) or close(value, 2 / 5):
        raise Wrong("Two of four are missing: divide by the words that are real, not by all.")
    if not close(value, 0.5):
        raise Wrong(f"Two of four words are missing, which is 0.5; yours says {value:g}.")
    value = ask(real, words(0, 100, 100, 100, 1))
    if close(value, 0.0):
        raise Wrong(
            "One picture in 301 shows the last word, and one in four should: a mode that comes less "
            "than a tenth as often as it should is as good as gone."
        )
    if not close(value, 0.25):
        raise Wrong(f"A word that has nearly gone is one of four, 0.25; yours says {value:g}.")
    if not close(ask(real, words(0, 8, 8, 8, 8)), 0.0):
        raise Wrong(
            "With 32 generated pictures beside 400 real ones all words look rare: compare shares, "
            "not counts."
        )
    if not close(ask(real, words(200, 50, 50, 50, 50)), 0.0):
        raise Wrong(
            "Each real word comes in an eighth of the pictures, half as often as it should: that is "
            "rare, not missing. Is yours stricter than a tenth?"
        )
    if not close(ask(words(0, 380, 20), words(0, 380, 20)), 0.0):
        raise Wrong(
            "A word that is rare among real pictures may be rare among generated ones: each is held "
            "against its own share."
        )
    return "It counts what no mean of pixels shows, because the truth of each face is known."


# --- 12.2 -----------------------------------------------------------------------------------------


@exercise(
    "12.2",
    hint="The derivative of log(1 - sigmoid(x)) by x is -sigmoid(x), that of -log(sigmoid(x)) is "
    "-sigmoid(-x). How strong a push is has no sign; take the mean over the batch.",
)
def _push(push: Callable) -> str:
    function(push)
    logits = np.array([[-5.0], [-1.0], [0.5], [2.0]])
    answer = push(logits.copy())
    if not isinstance(answer, Sequence) or len(answer) != 2:
        raise Wrong("Two numbers are wanted: the push of minimax, and that of the other loss.")
    minimax = number(answer[0], "The push of minimax")
    other = number(answer[1], "The push of the non-saturating loss")
    wanted = float(expit(logits).mean()), float(expit(-logits).mean())
    if close(minimax, wanted[1]) and close(other, wanted[0]):
        raise Wrong(
            "The two are exchanged: minimax is the one that fades where D is sure of a fake."
        )
    if minimax < 0 or other < 0:
        raise Wrong("A push has a direction, and here its strength is wanted: without the sign.")
    if close(minimax, 4 * wanted[0]) or close(other, 4 * wanted[1]):
        raise Wrong("That is the sum over the batch: take the mean.")
    slopes = float((expit(logits) * expit(-logits)).mean())
    if close(minimax, slopes) or close(other, slopes):
        raise Wrong("That is the slope of the sigmoid itself; a logarithm is taken of it.")
    values = float(np.logaddexp(0, logits).mean()), float(np.logaddexp(0, -logits).mean())
    if close(minimax, values[0]) or close(other, values[1]):
        raise Wrong("That is the loss. The push is its derivative by the logit.")
    at_mean = float(expit(logits.mean())), float(expit(-logits.mean()))
    if close(minimax, at_mean[0]) or close(other, at_mean[1]):
        raise Wrong("That is the slope at the mean logit; wanted is the mean of the slopes.")
    if not close(minimax, wanted[0]):
        raise Wrong(
            f"Minimax pushes by {wanted[0]:.4f} here, in the mean; yours says {minimax:.4f}."
        )
    if not close(other, wanted[1]):
        raise Wrong(f"The other loss pushes by {wanted[1]:.4f}; yours says {other:.4f}.")
    with np.errstate(all="ignore"):
        far = [number(value, "A push at -1000") for value in push(np.array([[-1000.0]]))]
    if not (close(far[0], 0.0) and close(far[1], 1.0)):
        raise Wrong(
            f"At a logit of -1000 the pushes are 0 and 1; yours says {far[0]:g}, {far[1]:g}."
        )
    return "Where D guesses both push by 1/2; where D is sure, one by 0 and one by 1."


# --- 12.3 -----------------------------------------------------------------------------------------


class _Judge:
    """A discriminator with BatchNorm and nothing else, who remembers how it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Any]] = []

    def __call__(self, images: Any, training: Any = None) -> np.ndarray:
        images = np.asarray(images, "float64")
        self.calls.append((len(images), training))
        logits = images.reshape(len(images), -1).mean(axis=1, keepdims=True)
        if training:
            logits = (logits - logits.mean()) / logits.std() + 0.3 * np.square(logits).mean()
        return logits


@exercise(
    "12.3",
    hint="Call the judge twice, judge(real, training=True) and judge(fake, training=True), and put "
    "each one's logits in its place: softplus(-real_logits) and softplus(fake_logits).",
)
def _two_passes(loss: Callable) -> str:
    function(loss)
    random = np.random.default_rng(0)
    real, fake = random.normal(0.5, 1.0, (4, 2, 2, 3)), random.normal(-0.5, 1.0, (4, 2, 2, 3))

    def entropy(real_logits: np.ndarray, fake_logits: np.ndarray) -> float:
        return float(np.logaddexp(0, -real_logits).mean() + np.logaddexp(0, fake_logits).mean())

    judge, ours = _Judge(), _Judge()
    value = number(loss(judge, real.copy(), fake.copy()), "The loss")
    apart = ours(real, training=True), ours(fake, training=True)
    mixed = np.split(ours(np.concatenate([real, fake]), training=True), 2)
    if not judge.calls:
        raise Wrong("The judge was not asked.")
    if max(count for count, _ in judge.calls) > 4:
        raise Wrong(
            "Real and fake went through in one batch: BatchNorm took its mean over both, and each "
            "verdict depends on the other kind."
        )
    if any(training is None for _, training in judge.calls):
        raise Wrong(
            "training= is forgotten: BatchNorm then neither uses the batch nor learns from it."
        )
    if not all(training for _, training in judge.calls):
        raise Wrong("This is a training step: training=True.")
    if len(judge.calls) == 1:
        raise Wrong("The judge was asked once: about the other kind, too, please.")
    wanted = entropy(*apart)
    others = {
        "Real and fake are exchanged, or the signs are: softplus(-x) is for what should be called "
        "real.": entropy(apart[1], apart[0]),
        "Half of that is right: the two parts are added, not averaged.": wanted / 2,
        "That is how BatchNorm over both would judge.": entropy(*mixed),
        "That is the generator's loss.": float(np.logaddexp(0, -apart[1]).mean()),
        "That is the verdict on real pictures; the one on fakes is missing.": float(
            np.logaddexp(0, -apart[0]).mean()
        ),
        "That is the verdict on fakes; the one on real pictures is missing.": float(
            np.logaddexp(0, apart[1]).mean()
        ),
        "That is the sum over the batch: take the mean.": 4 * wanted,
    }
    for message, other in others.items():
        if close(value, other):
            raise Wrong(message)
    if not close(value, wanted):
        raise Wrong(f"The loss is {wanted:.4f} here; yours says {value:.4f}.")
    return "Other fakes beside them, and the verdict on the real pictures stays the same."


# --- 12.4 -----------------------------------------------------------------------------------------


@exercise(
    "12.4",
    hint="Number the kernel's columns 0, 1, … kernel - 1. Column c writes to outputs whose place in "
    "the stride is c % stride. How many columns write to place 0, to place 1, …?",
)
def _reached(reached: Callable) -> str:
    function(reached)

    def ask(kernel: int, stride: int) -> list[int]:
        answer = reached(kernel, stride)
        if answer is None or answer is ...:
            raise Wrong(f"reached({kernel}, {stride}) is {answer}: nothing is returned yet.")
        if np.ndim(answer) == 0:
            raise Wrong("One number for each place in the stride is wanted: a list.")
        return [float(count) for count in np.ravel(answer)]

    def wanted(kernel: int, stride: int) -> list[int]:
        return [len(range(place, kernel, stride)) for place in range(stride)]

    found = ask(4, 2)
    if len(found) == 4:
        raise Wrong("One number for each place in the *stride*, of which there are 2, not 4.")
    if found != [2, 2]:
        raise Wrong(f"A kernel of 4 at stride 2: [2, 2], two inputs to each; yours says {found}.")
    found = ask(3, 2)
    if found == [1, 1]:
        raise Wrong("kernel // stride forgets the column that is left over: 3 = 2 + 1.")
    if found == [2, 2]:
        raise Wrong(
            "Rounded up for all: but the third column writes to one of the two places only."
        )
    if found == [1.5, 1.5]:
        raise Wrong("That is the mean. The trouble is that no output gets the mean.")
    if sorted(found) == [1, 2] and found != [2, 1]:
        raise Wrong("Right but for the order: column 0 and column 2 both write to place 0.")
    for kernel, stride in ((3, 2), (5, 3), (2, 3), (6, 3), (5, 4)):
        found = ask(kernel, stride)
        if found != wanted(kernel, stride):
            raise Wrong(
                f"A kernel of {kernel} at stride {stride}: {wanted(kernel, stride)}; yours says "
                f"{found}."
            )
    return "Equal where the stride divides the kernel, and nowhere else."


# --- 12.5 -----------------------------------------------------------------------------------------


@exercise(
    "12.5",
    hint="Of a share s of turned pictures the classifier calls s * hits + (1 - s) * false turned. "
    "That is `called`; solve it for s.",
)
def _share(share: Callable) -> str:
    function(share)
    called, hits, false = 0.3, 0.9, 0.1
    value = number(share(called, hits, false), "The share")
    others = {
        "That is what the classifier says, false alarms and all.": called,
        "False alarms are still in it.": called / hits,
        "Without the false alarms, yes; but it also missed one in ten of the turned ones.": (
            called - false
        ),
        "The false alarms are taken off above; below, too: of all that it *can* be called, `false` "
        "is there from the beginning.": (called - false) / hits,
        "That is the share of the clean ones.": 0.75,
        "False alarms come from clean pictures only: they are not (1 - false) of all.": (
            called * hits - false
        ),
    }
    for message, other in others.items():
        if close(value, other):
            raise Wrong(message)
    if not close(value, 0.25):
        raise Wrong(
            f"With a share of 0.25 it would call 0.25 * 0.9 + 0.75 * 0.1 = 0.3 turned; yours says "
            f"{value:.4f} for 0.3."
        )
    if not close(number(share(0.05, 0.95, 0.05), "The share"), 0.0):
        raise Wrong("As many alarms as on clean pictures: the share is 0.")
    if not close(number(share(0.95, 0.95, 0.05), "The share"), 1.0):
        raise Wrong("As many alarms as on turned pictures: the share is 1.")
    low = number(share(0.02, 0.95, 0.05), "The share")
    if low < 0:
        raise Wrong(
            f"By luck fewer alarms may come than on clean pictures, and a share of {low:.3f} is "
            "none: 0 is the least."
        )
    return "This is Rogan and Gladen's estimate, made for diseases and tests that err."


# --- 12.6 -----------------------------------------------------------------------------------------

DETECTORS = {
    "missing_modes": "mode collapse",
    "certainty": "a discriminator that wins",
    "checkerboard": "checkerboards",
    "imbalance": "learning rates out of balance",
}
"""What exercise 12.6 can measure with."""

REMEDIES = {
    "beta_1": (0.0, 0.99),
    "learning_rate": (1e-6, 0.1),
    "discriminator_learning_rate": (1e-6, 0.1),
    "r1": (0.0, 100.0),
    "label_smoothing": (0.0, 0.5),
    "feature_matching": (0.0, 100.0),
}
"""What it can turn, between which values."""


@exercise(
    "12.6",
    hint="One entry in `change`, with the broken value first; all else in `keep`. The detector of the "
    "failure that you want to mend, three seeds or more, and a sentence with what you expect.",
)
def _experiment(plan: dict) -> str:
    exercises.plan(plan, "change", "keep", "detector", "seeds", "prediction")
    change, keep = plan["change"], plan["keep"]
    for name in [*change, *keep]:
        if name not in REMEDIES:
            raise Wrong(f"There is no knob {name!r}; choose from {', '.join(REMEDIES)}.")
    if not change:
        raise Wrong("Nothing changes yet: name one knob in `change`, with two values.")
    if len(change) > 1:
        raise Wrong(
            f"{' and '.join(change)} change together: whichever mended it, you could not tell."
        )
    ((name, values),) = change.items()
    if isinstance(values, str) or not isinstance(values, Sequence) or len(set(values)) != 2:
        raise Wrong(f"{name} needs two different values: without the remedy, and with it.")
    if name in keep:
        raise Wrong(f"{name} is both changed and kept.")
    for knob, value in [*keep.items(), *((name, value) for value in values)]:
        low, high = REMEDIES[knob]
        if not low <= value <= high:
            raise Wrong(f"{knob} = {value} is out of its range, {low:g} to {high:g}.")
    if not keep and name not in ("beta_1", "learning_rate", "discriminator_learning_rate"):
        raise Wrong(
            "Nothing is broken in this plan: with the usual settings there is no failure to mend. "
            "Keep a setting that breaks it, such as beta_1 = 0.9."
        )
    if plan["detector"] not in DETECTORS:
        raise Wrong(
            f"By which number will you judge? Choose a detector: {', '.join(DETECTORS)}. What is "
            "chosen after the run is chosen because of it."
        )
    if len(set(plan["seeds"])) < 3:
        raise Wrong(
            f"{len(set(plan['seeds']))} seed(s): of two coins that both fall on heads nobody "
            "concludes much. Take three or more."
        )
    exercises.expectation(plan)
    runs = len(set(plan["seeds"])) * 2
    return f"{runs} runs that differ in {name} and in luck, judged by a number chosen beforehand."
