"""TF-GAN's losses and metrics, reached past its broken package front.

`import tensorflow_gan` fails on TensorFlow 2.16 and later: its `estimator` and `train` modules need
`tf.estimator`, which is gone. Its losses, metrics and features do not. Two empty packages stand in
for the front here, with the right `__path__`, so that Python finds what lies behind it:

    tfgan.losses().least_squares_generator_loss(fake_logits)
    tfgan.metrics().frechet_classifier_distance_from_activations(real, fake)
    tfgan.module("features.virtual_batchnorm")
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_FRONT = "tensorflow_gan"


def module(name: str) -> ModuleType:
    """A module of TF-GAN by its path within `tensorflow_gan.python`, such as "eval.eval_utils".

    Raises:
        ImportError: TF-GAN is not installed; the message says how to.
        ModuleNotFoundError: it has no such module.
    """
    _stand_in()
    return importlib.import_module(f"{_FRONT}.python.{name}")


def losses() -> ModuleType:
    """`losses_impl`: losses as functions of logits."""
    return module("losses.losses_impl")


def metrics() -> ModuleType:
    """`classifier_metrics`: Inception score, Fréchet and kernel distance, from tensors."""
    return module("eval.classifier_metrics")


def _stand_in() -> None:
    """Put empty packages under the names of the front, unless TF-GAN is there already."""
    if _FRONT in sys.modules:
        return
    spec = importlib.util.find_spec(_FRONT)
    if spec is None:
        raise ImportError(
            "TF-GAN is not installed. Install it with: pip install 'tensorflow-gan>=2.1,<3'"
        )
    folder = Path(spec.submodule_search_locations[0])
    for name, path in ((_FRONT, folder), (f"{_FRONT}.python", folder / "python")):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
