"""Record the bytes of small state dicts that PyTorch and safetensors themselves wrote.

    pip install torch==2.13.0 safetensors==0.8.0 numpy && python make_state_dicts.py

writes state_dicts.json beside it: the files (zlib, then base64: they are mostly padding) and what
PyTorch says that they hold. The tests write files of their own too, but those share their author's
idea of the formats; these do not.
"""

from __future__ import annotations

import base64
import json
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch

NUMBERS = torch.arange(24, dtype=torch.float32) / 8 - 1
SAVED = {
    "plain": NUMBERS[:6].reshape(2, 3).clone(),
    "transposed": NUMBERS.reshape(4, 6).T,
    "window": NUMBERS.reshape(4, 6)[1:3, 2:5],  # into the same storage as "transposed"
    "channels_last": NUMBERS.reshape(1, 4, 2, 3).contiguous(memory_format=torch.channels_last),
    "scalar": torch.tensor(7),
    "empty": torch.zeros(0, 3),
    "half": NUMBERS[:4].half(),
    "bfloat16": NUMBERS[:4].bfloat16(),
    "double": NUMBERS[:4].double(),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "truths": torch.tensor([True, False, True]),
    "parameter": torch.nn.Parameter(NUMBERS[3:5].clone()),
}


def written(save: Callable[[Path], None]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        save(path)
        return base64.b64encode(zlib.compress(path.read_bytes(), 9)).decode()


def main() -> None:
    layers = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    whole = {name: tensor.detach().clone() for name, tensor in SAVED.items()}
    record = {
        "source": f"torch {torch.__version__}, safetensors {safetensors.__version__}",
        "tensors": {
            name: {"dtype": str(tensor.dtype)[6:], "values": tensor.tolist()}
            for name, tensor in SAVED.items()
        },
        "files": {
            "zip": written(lambda path: torch.save(SAVED, path)),
            "zip, protocol 4": written(lambda path: torch.save(SAVED, path, pickle_protocol=4)),
            "pickles": written(
                lambda path: torch.save(SAVED, path, _use_new_zipfile_serialization=False)
            ),
            "safetensors": written(
                lambda path: safetensors.torch.save_file(
                    {name: tensor.contiguous() for name, tensor in whole.items()}, path
                )
            ),
        },
        # an OrderedDict with the versions of the layers as an attribute
        "network": {
            "tensors": {name: tensor.tolist() for name, tensor in layers.state_dict().items()},
            "file": written(lambda path: torch.save(layers.state_dict(), path)),
        },
        "refused": {
            "torch.nn.modules.container.Sequential": written(lambda path: torch.save(layers, path)),
            "torch._utils._rebuild_sparse_tensor": written(
                lambda path: torch.save({"sparse": torch.eye(2).to_sparse()}, path)
            ),
            "such as 'epoch' of the type int": written(
                lambda path: torch.save({"epoch": 3, "network": {"a": NUMBERS[:2].clone()}}, path)
            ),
            "a single Tensor": written(lambda path: torch.save(NUMBERS[:2].clone(), path)),
            "a TorchScript programme": written(
                lambda path: torch.jit.script(torch.nn.ReLU()).save(str(path))
            ),
        },
    }
    text = json.dumps(record, indent=1)
    Path(__file__).with_name("state_dicts.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
