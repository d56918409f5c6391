"""Weights that PyTorch saved, read without PyTorch and without running anything in the file.

A state dict maps names to tensors, and a tensor is a window (offset, shape, strides) into a storage,
a row of numbers. Three kinds of file hold one:

- PyTorch 1.6 (2020) and later: a zip of `data.pkl`, the names and windows, and `data/0`, `data/1` …,
  the storages;
- PyTorch before: pickles one behind the other (magic number, version, machine, names and windows,
  order of the storages), then the storages;
- safetensors: the length of a JSON text, the text with names and windows, then all numbers.

A pickle is a programme for a small stack machine, and among its instructions is "import this and call
it": to unpickle a stranger's file is to run a stranger's code. So Python's `pickle` never sees it.
`pickletools` lists the instructions without carrying any out; `_unpickle` carries out the few that
lists, dicts and tensors need, and compares the names that are asked for with the few that a state
dict has a use for. Nothing is imported and nothing is called.
"""

import io
import itertools
import json
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LARGEST = 1 << 30  # bytes of a file; no network of this kit's kinds comes near
LARGEST_INDEX = 1 << 22  # bytes of its names and windows: some 30,000 tensors
_BFLOAT16 = np.dtype([("upper half of a float32", "<u2")])  # NumPy has no type of its own for it
_TYPES = (  # PyTorch's, safetensors' and NumPy's name for it
    ("Float", "F32", np.dtype("<f4")),
    ("Double", "F64", np.dtype("<f8")),
    ("Half", "F16", np.dtype("<f2")),
    ("BFloat16", "BF16", _BFLOAT16),
    ("Long", "I64", np.dtype("<i8")),
    ("Int", "I32", np.dtype("<i4")),
    ("Short", "I16", np.dtype("<i2")),
    ("Char", "I8", np.dtype("i1")),
    ("Byte", "U8", np.dtype("u1")),
    ("Bool", "BOOL", np.dtype("?")),
)
_STORAGES = {
    f"{module}.{name}Storage": dtype
    for name, _, dtype in _TYPES
    for module in ("torch", "torch.cuda")
}
_SAFETENSORS = {name: dtype for _, name, dtype in _TYPES}
_ADMITTED = {
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor",  # before PyTorch 0.4 (2018)
    "torch._utils._rebuild_tensor_v2",
    *_STORAGES,
}
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # how a file of PyTorch before 1.6 begins
_DAMAGES = (
    *(ValueError, TypeError, LookupError, OverflowError, EOFError, struct.error),
    *(zipfile.BadZipFile, RuntimeError),  # the latter is zipfile's, and json's when nested too deep
)
_RESAVE = "In PyTorch: torch.save(network.state_dict(), FILE)."


class _Refused(Exception):
    """Why a file is not read, to follow its name in a sentence."""


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, by name and in the file's order.

    Args:
        path: what `torch.save(network.state_dict(), path)` wrote, with PyTorch of any version, or a
            `.safetensors` file. The content decides, not the suffix.

    Returns:
        Arrays of the tensors' types, but bfloat16 as float32, which holds its numbers exactly. They
        are read-only views: tensors that shared memory still do.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, of another kind, larger than `LARGEST`, written by a big-endian
            machine, or holds anything but tensors by name, in particular code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")
    try:
        with path.open("rb") as file:
            reader = _reader(file.read(16))
        if path.stat().st_size > LARGEST:
            raise _Refused(
                f"has {path.stat().st_size:,} bytes, more than the {LARGEST:,} that are read. "
                f"Save the one network that you want. {_RESAVE}"
            )
        return reader(path.read_bytes())
    except _Refused as refusal:
        raise ValueError(f"The file {path} {refusal}") from None
    except _DAMAGES as error:
        raise ValueError(
            f"The file {path} is damaged or cut short ({str(error)[:100]}). Download or copy it again."
        ) from None


def _reader(head: bytes) -> Callable[[bytes], dict[str, np.ndarray]]:
    if head[8:9] == b"{":  # first, since the length before it may begin like anything
        return _read_safetensors
    if head.startswith(b"PK\3\4"):
        return _read_zip
    if head.startswith(b"\x80"):
        return _read_pickles
    raise _Refused(
        f"is no state dict of PyTorch and no safetensors file: it begins with {head!r}. Choose the "
        "file that holds the weights, such as latest_net_G.pth, or download it again."
    )


# --- three kinds of file --------------------------------------------------------------------------


def _read_zip(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = {member.filename for member in members}
        folders = [n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")]
        if len(folders) != 1 or folders[0] + "constants.pkl" in names:
            what = "a TorchScript programme" if folders else "a zip without data.pkl"
            raise _Refused(f"is {what}, not a state dict of PyTorch. {_RESAVE}")
        # PyTorch does not compress, so a small file need not unpack to a huge one; and its members
        # do not lie on top of each other, so they cannot add up to more than the file.
        if any(m.compress_type != zipfile.ZIP_STORED for m in members) or (
            sum(m.file_size for m in members) > len(content)
        ):
            raise _Refused(f"is a zip that PyTorch did not write: it is compressed. {_RESAVE}")
        (folder,) = folders
        if folder + "byteorder" in names and archive.read(folder + "byteorder") != b"little":
            raise _big_endian()
        described, storages = _unpickle(io.BytesIO(archive.read(folder + "data.pkl")))
        tensors = _only_tensors(described)
        data = {key: archive.read(f"{folder}data/{key}") for key in storages}
    return _arrays(tensors, storages, data)


def _read_pickles(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    if _unpickle(stream)[0] != _MAGIC:
        raise _Refused(f"is a pickle, but none that torch.save wrote. {_RESAVE}")
    if _unpickle(stream)[0] != _VERSION:
        raise _Refused(f"is of a version of PyTorch's format that is not known. {_RESAVE}")
    if not _unpickle(stream)[0]["little_endian"]:
        raise _big_endian()
    described, storages = _unpickle(stream)
    tensors = _only_tensors(described)
    order, _ = _unpickle(stream)
    data = {}
    for key in order:
        (size,) = struct.unpack("<q", stream.read(8))
        data[key] = stream.read(size * storages[key].dtype.itemsize)
    return _arrays(tensors, storages, data)


def _read_safetensors(content: bytes) -> dict[str, np.ndarray]:
    (length,) = struct.unpack("<Q", content[:8])
    if length > len(content) - 8:
        raise ValueError(f"its header would have {length:,} bytes")
    if length > LARGEST_INDEX:
        raise _Refused(_too_long(length))
    header = _of(dict, json.loads(content[8 : 8 + length]))
    header.pop("__metadata__", None)
    numbers = memoryview(content)[8 + length :]
    tensors, storages, data = {}, {}, {}
    for name, entry in header.items():
        kind, shape = _of(dict, entry)["dtype"], _sizes(entry["shape"])
        if kind not in _SAFETENSORS:
            raise _Refused(f"holds {_short(name)} as {_short(kind)}. Save it as float32.")
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        storages[name] = _Storage(name, _SAFETENSORS[kind], math.prod(shape))
        tensors[name] = _Tensor(storages[name], 0, shape, strides)
        begin, end = _sizes(entry["data_offsets"])
        data[name] = numbers[begin:end]
    # Each byte belongs to one tensor: the format's own rule.
    windows = sorted(entry["data_offsets"] for entry in header.values())
    edges = [0, *itertools.chain(*windows), len(numbers)]
    if edges[::2] != edges[1::2]:
        raise ValueError("its header does not account for each byte once")
    return _arrays(tensors, storages, data)


def _too_long(length: int) -> str:
    return (
        f"takes {length:,} bytes or more to say what it holds, and {LARGEST_INDEX:,} are read. "
        f"Save the one network that you want. {_RESAVE}"
    )


def _big_endian() -> _Refused:
    return _Refused(f"comes from a big-endian machine. Save it anew on another. {_RESAVE}")


# --- pickles --------------------------------------------------------------------------------------

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),  # the last two: Python 2
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _unpickle(stream: io.BytesIO) -> tuple[Any, dict[str, _Storage]]:
    """What the next pickle of a stream describes, and the storages that its tensors look into."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    storages: dict[str, _Storage] = {}

    def since_mark() -> list[Any]:
        items = []
        while (item := stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    for opcode, argument, position in pickletools.genops(stream):
        if position > LARGEST_INDEX:
            raise _Refused(_too_long(position))
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name if name in _LITERALS:
                stack.append(argument)
            case "MARK":
                stack.append(_MARK)
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case name if name in _TUPLES:
                stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND":
                item = stack.pop()
                _of(list, stack[-1]).append(item)
            case "APPENDS":
                items = since_mark()
                _of(list, stack[-1]).extend(items)
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _of(dict, stack[-1]).update(_pairs([(key, value)]))
            case "SETITEMS":
                items = since_mark()
                _of(dict, stack[-1]).update(_pairs(zip(items[::2], items[1::2], strict=True)))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_admit(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_admit(f"{_of(str, module)}.{_of(str, name)}"))
            case "REDUCE":
                arguments, name = stack.pop(), stack.pop()
                stack.append(_make(name, arguments))
            case "BUILD":  # attributes: of an ordered dict, the versions of the layers
                stack.pop()
                _of(dict, stack[-1])
            case "BINPERSID":
                storage = _storage(stack.pop())
                if storages.setdefault(storage.key, storage) != storage:
                    raise ValueError(f"storage {storage.key!r} is described in two ways")
                stack.append(storage)
            case other:
                raise _Refused(f"has the instruction {other}, which no state dict needs. {_RESAVE}")
    (described,) = stack
    return described, storages


def _admit(name: str) -> str:
    if name not in _ADMITTED:
        raise _Refused(
            f"is no plain state dict: it asks for {_short(name)} to be imported. That is how a pickle "
            "runs code, so it is refused. If it holds a whole network and you trust it, open it in "
            "PyTorch and save the weights alone: torch.save(network.state_dict(), FILE)."
        )
    return name


def _make(name: Any, arguments: Any) -> Any:
    """What calling an admitted name would give."""
    match name, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "collections.OrderedDict", ([*pairs],):  # as Python 2 wrote it
            return _pairs(pairs)
        case "torch.Size", (tuple(sizes),):
            return sizes
        case "torch._utils._rebuild_parameter", (_Tensor() as tensor, *_):
            return tensor
        case (
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
            (_Storage() as storage, int(offset), tuple(shape), tuple(strides), *_),
        ):
            return _Tensor(storage, *_sizes([offset]), _sizes(shape), _sizes(strides))
    raise ValueError("a call that no state dict needs")


def _storage(identity: Any) -> _Storage:
    """The storage of a persistent id; a last entry, in old files, tells of one within another."""
    match identity:
        case "storage", str(kind), str(key), str(), int(size), *view if kind in _STORAGES:
            if view not in ([], [None]):
                raise _Refused(f"has storages within storages. Load and save it anew. {_RESAVE}")
            return _Storage(key, _STORAGES[kind], *_sizes([size]))
    raise ValueError("an odd storage")


# Keys of other types are never hashed and never compared: of nested tuples both can take for ever.
def _pairs(pairs: Any) -> dict[Any, Any]:
    found = {}
    for key, value in pairs:
        if not isinstance(key, str | int):
            raise _Refused(f"has a name that is no text. {_RESAVE}")
        found[key] = value
    return found


def _sizes(values: Any) -> tuple[int, ...]:
    """Sizes, offsets or strides, of no more axes than NumPy has: a million would take for ever."""
    if len(values) > 64 or not all(isinstance(value, int) and value >= 0 for value in values):
        raise ValueError("a size, stride or offset out of the question")
    return tuple(values)


def _short(name: Any) -> str:
    return repr(name if isinstance(name, int) else str(name)[:80])


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a {type(value).__name__} in place of a {kind.__name__}")
    return value


# --- tensors --------------------------------------------------------------------------------------


def _only_tensors(described: Any) -> dict[str, _Tensor]:
    if not isinstance(described, dict):
        kind = "single Tensor" if isinstance(described, _Tensor) else type(described).__name__
        raise _Refused(f"holds a {kind}, not tensors by name. {_RESAVE}")
    for name, value in described.items():
        if not (isinstance(name, str) and isinstance(value, _Tensor)):
            raise _Refused(
                f"holds other things than one network's tensors by name, such as {_short(name)} of the "
                f"type {type(value).__name__.removeprefix('_')}. Save the weights alone. {_RESAVE}"
            )
    return described


def _arrays(
    tensors: Mapping[str, _Tensor], storages: Mapping[str, _Storage], data: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The tensors as windows into the bytes of the storages."""
    numbers = {}
    for key, (_, dtype, size) in storages.items():
        if len(data[key]) != size * dtype.itemsize:
            raise ValueError(
                f"storage {key!r} has {len(data[key])} bytes in place of {size * dtype.itemsize}"
            )
        row = np.ndarray(size, dtype, data[key])
        if dtype == _BFLOAT16:
            row = (row.view("<u2").astype("<u4") << 16).view("<f4")
            row.flags.writeable = False
        numbers[key] = row
    arrays = {}
    for name, (storage, offset, shape, strides) in tensors.items():
        row = numbers[storage.key]
        # NumPy takes offsets below 0, and strides so long that their sum overflows: it would read
        # beyond the buffer. Python's integers do not overflow.
        reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
        if 0 in shape:
            offset = 0
        elif math.prod(shape) > row.size or offset + sum(reach) >= row.size:
            raise ValueError(f"{_short(name)} is larger than its storage")
        strides = tuple(s * row.itemsize for s in strides)
        arrays[name] = np.ndarray(shape, row.dtype, row, offset * row.itemsize, strides)
    return arrays
