"""Import TensorFlow without its greeting.

TensorFlow 2.21 prints eight lines about oneDNN and missing CUDA drivers from C++ whenever it is
imported, whatever TF_CPP_MIN_LOG_LEVEL says. In a notebook they stand between the learner and the
first picture. `install` arranges that they are held back, and shown only if the import fails.
"""

import importlib
import importlib.util
import os
import sys
import tempfile
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def install() -> None:
    """Hold the greeting back when TensorFlow is imported later, by whomever."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _QuietTensorFlow())


class _QuietTensorFlow(MetaPathFinder, Loader):
    """Answers the first `import tensorflow`, then steps aside."""

    asking = False

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name != "tensorflow" or self.asking:
            return None
        self.asking = True  # the others, whether it is there at all
        try:
            found = importlib.util.find_spec(name)
        finally:
            self.asking = False
        # Where it is not installed, the import fails in the usual words.
        return ModuleSpec(name, self) if found else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        sys.meta_path.remove(self)
        module = _import_quietly(spec.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module is complete already, but for its spec, which the import machinery replaced."""
        module.__spec__ = self.spec


def _import_quietly(name: str) -> ModuleType:
    """Import with the process' standard error (file descriptor 2, C++'s own) held back."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            module = importlib.import_module(name)
            # The first look for GPUs may say that there is no driver; it is for the first operation
            # to have, and allocates nothing.
            module.config.list_physical_devices("GPU")
            return module
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
