"""One `train_step` on every backend: the same losses, gradients and weights; runs that move between them.

TensorFlow and JAX are compared wherever both are installed, PyTorch where it is: `make test-backends`
installs it in an environment of its own.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent / "backends"
OTHERS = ("jax", "torch")
# Compiled code runs once here, so it need not be fast code.
FAST = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
sys.path.insert(0, str(HERE))
