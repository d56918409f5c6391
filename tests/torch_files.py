"""State dicts as PyTorch and safetensors write them, put together byte by byte.

Each piece of a pickle is the bytes of its instructions, as in the documentation of `pickletools`; so
files can be written that no PyTorch would write, and Python's `pickle` is never asked.
"""

import io
import json
import pickle
import struct
import zipfile

import numpy as np

STORAGES = {"float32": "Float", "float16": "Half", "float64": "Double", "int64": "Long"}


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def text_of_python_2(value):
    return b"U" + bytes([len(value)]) + value.encode()


def number(value):
    """BININT, or LONG1 for what does not fit into it."""
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    width = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([width]) + value.to_bytes(width, "little", signed=True)


def numbers(values):
    return sequence(*(number(value) for value in values))


def sequence(*pieces):
    return b"(" + b"".join(pieces) + b"t"


def name(module, what):
    return f"c{module}\n{what}\n".encode()


def call(module, what, *arguments):
    return name(module, what) + sequence(*arguments) + b"R"


def storage(key, kind, size, *more, module="torch", text=text):
    return sequence(
        text("storage"), name(module, kind), text(key), text("cpu"), number(size), *more
    ) + (b"Q")


def tensor(storage, shape, strides, offset=0):
    return call(
        *("torch._utils", "_rebuild_tensor_v2"),
        *(storage, number(offset), numbers(shape), numbers(strides), b"\x89"),
        call("collections", "OrderedDict"),
    )


def mapping(entries):
    """An OrderedDict, with an attribute as `Module.state_dict` leaves one."""
    items = b"".join(text(key) + value for key, value in entries.items())
    attribute = b"}" + text("_metadata") + b"}s" + b"b"
    return call("collections", "OrderedDict") + b"(" + items + b"u" + attribute


def program(piece):
    return b"\x80\2" + piece + b"."


def written(arrays, kind):
    """The bytes of a file of a kind ("zip", "pickles" or "safetensors") that holds arrays by name."""
    arrays = {label: np.array(array, order="C") for label, array in arrays.items()}
    if kind == "safetensors":
        return written_as_safetensors(arrays)
    entries, data = {}, {}
    for key, (label, array) in enumerate(arrays.items()):
        more = [b"N"] if kind == "pickles" else []
        held = storage(str(key), STORAGES[array.dtype.name] + "Storage", array.size, *more)
        strides = [stride // array.itemsize for stride in array.strides]
        entries[label] = tensor(held, array.shape, strides)
        data[str(key)] = (array.size, array.tobytes())
    return {"zip": zipped, "pickles": pickled}[kind](program(mapping(entries)), data)


def written_as_safetensors(arrays):
    header, content = {"__metadata__": {"format": "pt"}}, b""
    for label, array in arrays.items():
        window = [len(content), len(content) + array.nbytes]
        kind = f"{array.dtype.kind.upper()}{8 * array.itemsize}"
        header[label] = {"dtype": kind, "shape": array.shape, "data_offsets": window}
        content += array.tobytes()
    return safetensors(header, content)


def zipped(program, data, byteorder=b"little", **options):
    """PyTorch 1.6 and later. `data`: key -> (size, bytes)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr("latest_net_G/data.pkl", program)
        archive.writestr("latest_net_G/byteorder", byteorder)
        for key, (_, content) in data.items():
            archive.writestr(f"latest_net_G/data/{key}", content)
        archive.writestr("latest_net_G/version", b"3\n")
    return buffer.getvalue()


def pickled(program, data, little_endian=True, magic=0x1950A86A20F9469CFC6C, version=1001):
    """PyTorch before 1.6."""
    machine = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    head = b"".join(pickle.dumps(value, 2) for value in (magic, version, machine))
    order = pickle.dumps(list(data), 2)
    return head + program + order + b"".join(struct.pack("<q", n) + c for n, c in data.values())


def safetensors(header, content):
    header = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(header)) + header + content
