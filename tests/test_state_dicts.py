"""Files that PyTorch itself wrote, recorded by reference/make_state_dicts.py; files that lie."""

import base64
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch_files as files

from anime_keras import state_dicts

REFERENCE = json.loads((Path(__file__).parent / "reference" / "state_dicts.json").read_text())
NUMBERS = np.arange(6, dtype="float32")


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "latest_net_G.pth"
        path.write_bytes(content)
        return state_dicts.read(path)

    return read


@pytest.fixture
def refuses(read, tmp_path):
    """Asserts that a file is refused in a sentence that names it and holds these words."""

    def refuses(content, *words):
        with pytest.raises(ValueError) as raised:
            read(content)
        named, path, reason = str(raised.value).partition(str(tmp_path / "latest_net_G.pth"))
        assert (named, path) == ("The file ", str(tmp_path / "latest_net_G.pth"))
        for word in words:
            assert word in reason
        assert reason.endswith(".")

    return refuses


def recorded(content):
    return zlib.decompress(base64.b64decode(content))


class TestRecorded:
    @pytest.mark.parametrize("kind", REFERENCE["files"])
    def test_holds_what_pytorch_says(self, read, kind):
        arrays = read(recorded(REFERENCE["files"][kind]))
        assert arrays.keys() == REFERENCE["tensors"].keys()
        for name, tensor in REFERENCE["tensors"].items():
            dtype = tensor["dtype"].replace("bfloat16", "float32")
            expected = np.array(tensor["values"], dtype)
            assert arrays[name].dtype == expected.dtype, name
            assert arrays[name].shape == (expected.shape if expected.size else (0, 3)), name
            np.testing.assert_array_equal(arrays[name], expected.reshape(arrays[name].shape), name)

    def test_views_are_read_only_and_share_memory(self, read):
        arrays = read(recorded(REFERENCE["files"]["zip"]))
        assert np.shares_memory(arrays["transposed"], arrays["window"])
        assert not any(array.flags.writeable for array in arrays.values())

    def test_the_state_dict_of_a_network(self, read):
        arrays = read(recorded(REFERENCE["network"]["file"]))
        assert list(arrays) == list(REFERENCE["network"]["tensors"])
        for name, values in REFERENCE["network"]["tensors"].items():
            np.testing.assert_array_equal(arrays[name], np.array(values, arrays[name].dtype))

    @pytest.mark.parametrize("reason", REFERENCE["refused"])
    def test_other_things_are_refused(self, refuses, reason):
        refuses(recorded(REFERENCE["refused"][reason]), reason, "torch.save(network.state_dict()")


# --- files written here ---------------------------------------------------------------------------


def one(piece, size=6, content=None, kind="zip", **options):
    """A file with the tensor `piece` as "a" and the storage "0"."""
    data = {"0": (size, NUMBERS.tobytes() if content is None else content)}
    write = {"zip": files.zipped, "pickles": files.pickled}[kind]
    return write(files.program(files.mapping({"a": piece})), data, **options)


FLOATS = files.storage("0", "FloatStorage", 6)
SOUND = files.tensor(FLOATS, (2, 3), (3, 1))


@pytest.mark.parametrize("kind", ["zip", "pickles", "safetensors"])
def test_what_the_tests_write_is_read(read, kind):
    """What the files below are variations of; and the writer of test_reference_weights."""
    random = np.random.default_rng(0)
    arrays = {
        "kernel": random.standard_normal((3, 4, 2, 2)).astype("float32"),
        "bias": random.standard_normal(3).astype("float64"),
        "count": np.int64(5),
    }
    ours = read(files.written(arrays, kind))
    assert list(ours) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(ours[name], array, strict=True)


def test_python_2_and_pytorch_before_0_4(read):
    """Texts of bytes, an OrderedDict of pairs, CUDA storages, a tensor of four arguments."""
    text = files.text_of_python_2
    held = files.sequence(
        text("storage"),
        files.name("torch.cuda", "FloatStorage"),
        *(text("94872"), text("cuda:0"), files.number(6), b"N"),
    )
    tensor = files.call(
        *("torch._utils", "_rebuild_tensor"),
        *(held + b"Q", files.number(1), files.numbers((2, 2)), files.numbers((3, 1))),
    )
    pairs = b"](" + b"](" + text("model.1.weight") + tensor + b"e" + b"e"
    program = files.program(files.call("collections", "OrderedDict", pairs))
    arrays = read(files.pickled(program, {"94872": (6, NUMBERS.tobytes())}))
    np.testing.assert_array_equal(arrays["model.1.weight"], [[1, 2], [4, 5]])


def test_size_class(read):
    shape = files.call("torch", "Size", files.numbers((3, 2)))
    arguments = [FLOATS, files.number(0), shape, files.numbers((2, 1)), b"\x89", b"N"]
    arrays = read(one(files.call("torch._utils", "_rebuild_tensor_v2", *arguments)))
    np.testing.assert_array_equal(arrays["a"], NUMBERS.reshape(3, 2))


# --- code is never run ----------------------------------------------------------------------------


def hostile(marker):
    """Pickles that write a file, each in another way, with the name that they ask for."""

    class System:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    class Eval:
        def __reduce__(self):
            return eval, (f"open({str(marker)!r}, 'w')",)

    class Nested:
        def __reduce__(self):
            return getattr, (Eval(), "read")

    class State:
        def __reduce__(self):
            return Eval.__reduce__(self)[0], (f"open({str(marker)!r}, 'w')",), {"a": 1}

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps({"a": System()}, protocol)
        yield pickle.dumps({"a": Eval()}, protocol)
        yield pickle.dumps([{"a": Nested()}], protocol)
        yield pickle.dumps((State(),), protocol)


def test_code_is_refused_and_not_run(refuses, tmp_path):
    """As the data of either format, and as each of the pickles that come before the data."""
    marker = tmp_path / "was_run"
    count = 0
    for program in hostile(marker):
        content = files.pickled(program, {})
        places = [
            files.zipped(program, {}),
            content,
            program,
            content[: content.index(program)][:14] + program,
        ]
        for place in places:
            refuses(place)
            count += 1
        assert not marker.exists()
    assert count == 96

    # The programmes do what they say where pickles are trusted.
    for program in hostile(marker):
        pickle.loads(program)
        marker.unlink()


@pytest.mark.parametrize(
    "wanted",
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch.serialization", "load"),
        ("collections", "namedtuple"),
        ("torch", "FloatStorage.from_file"),
        ("numpy", "load"),
    ],
)
@pytest.mark.parametrize("instruction", ["GLOBAL", "STACK_GLOBAL", "unused"])
def test_any_other_name_is_refused(refuses, wanted, instruction):
    asked = files.name(*wanted)
    if instruction == "STACK_GLOBAL":
        asked = files.text(wanted[0]) + files.text(wanted[1]) + b"\x93"
    arguments = b"" if instruction == "unused" else files.sequence(files.text("x")) + b"R"
    refuses(one(asked + arguments), ".".join(wanted), "refused", "torch.save(network.state_dict()")


@pytest.mark.parametrize(
    ("instructions", "name"),
    [
        (b"(" + files.text("x") + b"ios\nsystem\n", "INST"),
        (b"(" + files.name("collections", "OrderedDict") + b"o", "OBJ"),
        (files.name("collections", "OrderedDict") + b")\x81", "NEWOBJ"),
        (b"\x82\1", "EXT1"),
        (b"P0\n", "PERSID"),
    ],
)
def test_other_instructions_are_refused(refuses, instructions, name):
    refuses(one(instructions), f"instruction {name}")


def test_texts_are_never_called(refuses):
    """A text in the place of a name is a text, also if it reads like an admitted name."""
    refuses(one(files.text("os.system") + files.sequence(files.text("x")) + b"R"), "call")
    refuses(one(FLOATS + files.sequence(files.text("x")) + b"R"), "call")


def test_attributes_only_of_dicts_and_they_are_dropped(read, refuses):
    attribute = b"}" + files.text("keys") + files.text("x") + b"sb"
    arrays = read(
        files.zipped(
            files.program(files.mapping({"a": SOUND}) + attribute), {"0": (6, NUMBERS.tobytes())}
        )
    )
    assert list(arrays.keys()) == ["a"]
    refuses(one(SOUND + attribute), "dict")
    refuses(one(files.name("collections", "OrderedDict") + attribute), "dict")


# --- files that lie about their size --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "pickles"])
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((2, 3), (3, 1), 1),
        ((7,), (1,), 0),
        ((2, 3), (4, 1), 0),
        ((4, 3), (1, 1), 0),  # 12 numbers out of 4
        ((10**8, 10**8), (0, 0), 0),
        ((2, 3), (3, 1), -1),  # NumPy itself would read what lies before the buffer
        ((2, 3), (-3, 1), 3),
        ((-2, 3), (3, 1), 0),
        ((5,), (2**62,), 0),  # 4 * 2^62 is 0 in 64 bits, and NumPy itself would take it
        ((2**70,), (1,), 0),
        ((2, 3), (1,), 0),
        ((1,) * 65, (1,) * 65, 0),
    ],
)
def test_windows_beyond_their_storage(refuses, kind, shape, strides, offset):
    odd = len(shape) > 64 or min(*shape, *strides, offset) < 0
    reason = "out of the question" if odd else "larger than its storage"
    reason = "zip()" if len(shape) != len(strides) else reason
    piece = files.tensor(files.storage("0", "FloatStorage", 6), shape, strides, offset)
    refuses(one(piece, kind=kind), "damaged or cut short", reason)


def test_windows_that_just_fit(read):
    for shape, strides, offset in [
        ((2, 3), (3, 1), 0),
        ((3, 2), (1, 3), 0),
        ((2,), (5,), 0),
        ((), (), 5),
    ]:
        array = read(one(files.tensor(FLOATS, shape, strides, offset)))["a"]
        picked = (
            NUMBERS[offset + np.tensordot(strides, np.indices(shape), 1).astype(int)]
            if shape
            else 5
        )
        np.testing.assert_array_equal(array, picked)


@pytest.mark.parametrize("kind", ["zip", "pickles"])
@pytest.mark.parametrize("size", [5, 7, 10**9, 2**62, -6])
def test_storages_of_another_size_than_said(refuses, kind, size):
    piece = files.tensor(files.storage("0", "FloatStorage", size), (2,), (1,))
    refuses(one(piece, kind=kind), "damaged or cut short")
    if size != 5:  # said twice alike, with bytes left over, as PyTorch allows
        refuses(one(piece, size=size, kind=kind), "damaged or cut short")


def test_one_storage_in_two_ways(refuses):
    other = files.tensor(files.storage("0", "DoubleStorage", 3), (3,), (1,))
    content = files.program(files.mapping({"a": SOUND, "b": other}))
    refuses(files.zipped(content, {"0": (6, NUMBERS.tobytes())}), "two ways")


def test_storages_within_storages(refuses):
    view = files.sequence(files.text("1"), files.number(0), files.number(3))
    held = files.storage("0", "FloatStorage", 6, view)
    refuses(one(files.tensor(held, (3,), (1,)), kind="pickles"), "storages within storages")


def test_compressed_and_overlapping_zips(refuses):
    bomb = bytes(10**6)
    piece = files.tensor(files.storage("0", "FloatStorage", len(bomb) // 4), (3,), (1,))
    options = {"content": bomb, "size": len(bomb) // 4}
    content = one(piece, compression=zipfile.ZIP_DEFLATED, **options)
    assert len(content) < 10_000
    refuses(content, "compressed")

    # The same, but its directory understates what it unpacks to.
    content = bytearray(content)
    start = content.rindex(b"PK\1\2", 0, content.rindex(b"data/0"))
    struct.pack_into("<L", content, start + 24, 100)
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        assert archive.getinfo("latest_net_G/data/0").file_size == 100
    refuses(bytes(content), "compressed")

    # A second entry of the directory for the same bytes.
    content = bytearray(one(piece, **options))
    start = content.rindex(b"PK\1\2", 0, content.rindex(b"data/0"))
    entry = content[start : content.index(b"PK", start + 2)]
    end = content.rindex(b"PK\5\6")
    count, size = struct.unpack_from("<10xHL", content, end)
    struct.pack_into("<HHL", content, end + 8, count + 1, count + 1, size + len(entry))
    content[end:end] = entry
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        assert [i.filename for i in archive.infolist()].count("latest_net_G/data/0") == 2
    refuses(bytes(content), "compressed")


def test_long_descriptions(refuses, monkeypatch):
    monkeypatch.setattr(state_dicts, "LARGEST_INDEX", 150)
    refuses(one(SOUND), "150 are read")
    refuses(one(SOUND, kind="pickles"), "150 are read")
    refuses(
        files.written({f"tensor {n}": NUMBERS for n in range(3)}, "safetensors"), "150 are read"
    )


def test_large_files_are_not_read(refuses, monkeypatch, tmp_path):
    content = files.written({"a": NUMBERS}, "zip")
    monkeypatch.setattr(state_dicts, "LARGEST", len(content) - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it was read"))
    refuses(content, f"{len(content):,} bytes", f"{len(content) - 1:,} that are read")


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ({"a": {"dtype": "F32", "shape": [7], "data_offsets": [0, 24]}}, 24),
        ({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 28]}}, 24),
        ({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}}, 28),
        ({"a": {"dtype": "F32", "shape": [5], "data_offsets": [4, 24]}}, 24),
        ({"a": {"dtype": "F32", "shape": [-6], "data_offsets": [0, 24]}}, 24),
        ({"a": {"dtype": "F32", "shape": [2**31, 2**31, 4], "data_offsets": [0, 0]}}, 0),
        ({"a": {"dtype": "F32", "shape": [10**600] * 60, "data_offsets": [0, 0]}}, 0),
        ({"a": {"dtype": "F32", "shape": [1] * 10**6, "data_offsets": [0, 4]}}, 4),
        ({"a": {"dtype": "F32", "shape": ["a" * 99, 10**9], "data_offsets": [0, 24]}}, 24),
        ({"a": {"dtype": "F32", "shape": [6], "data_offsets": [24, 0]}}, 24),
        ({n: {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]} for n in "ab"}, 24),
        ({"a": {"dtype": "F32", "shape": [6]}}, 24),
        ({"a": 3}, 24),
        (b"[" * 10_000 + b"{", 24),
        (b'{"a": ', 24),
        (b"{]", 24),
    ],
)
def test_safetensors_that_lie(refuses, header, content):
    if isinstance(header, bytes):
        header = b"{" + header[1:]
    refuses(files.safetensors(header, bytes(content)), "damaged or cut short")


def test_safetensors_of_unknown_types(refuses):
    header = {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}
    refuses(files.safetensors(header, bytes(4)), "'a' as 'F8_E4M3'", "float32")


@pytest.mark.parametrize("length", [0x80, 0x34B50])
def test_safetensors_that_begin_like_something_else(read, length):
    """The length of the header comes first, and its low bytes may be any: those of a pickle, here."""
    content = files.written({"a": NUMBERS}, "safetensors")
    header = content[8 : content.index(b"}}") + 2].ljust(length)
    arrays = read(files.safetensors(header, NUMBERS.tobytes()))
    np.testing.assert_array_equal(arrays["a"], NUMBERS)


# --- damage, and other files ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "pickles", "safetensors"])
def test_truncated_anywhere(refuses, kind):
    content = files.written({"a": NUMBERS, "b": NUMBERS[:2]}, kind)
    for length in [*range(0, len(content), 1 + len(content) // 100), len(content) - 1]:
        refuses(content[:length])


@pytest.mark.parametrize("kind", ["zip", "pickles", "safetensors"])
def test_flipped_bytes_give_arrays_or_a_sentence(read, refuses, kind):
    """Whatever one byte becomes, nothing but a ValueError is raised."""
    content = bytearray(files.written({"a": NUMBERS, "b": NUMBERS[:2]}, kind))
    random = np.random.default_rng(0)
    refused = 0
    for place in range(0, len(content), 1 + len(content) // 200):
        changed = content.copy()
        changed[place] ^= random.integers(1, 256)
        try:
            read(bytes(changed))
        except ValueError as error:
            assert str(error).startswith("The file ")
            refused += 1
    assert refused > 50


def test_a_damaged_number_is_found_by_its_checksum(refuses):
    content = bytearray(files.written({"a": NUMBERS}, "zip"))
    content[content.index(NUMBERS.tobytes()) + 9] ^= 1
    refuses(bytes(content), "CRC-32", "Download")


@pytest.mark.parametrize("kind", ["zip", "pickles"])
def test_big_endian_machines(refuses, kind):
    options = {"zip": {"byteorder": b"big"}, "pickles": {"little_endian": False}}[kind]
    refuses(one(SOUND, kind=kind, **options), "big-endian")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it begins with b''"),
        (b"<!DOCTYPE html><html>", "<!DOCTYPE"),
        (b"network {generator}", "its header would have"),
        (b"version https://git-lfs.github.com/spec/v1\n", "version https"),
        (pickle.dumps({"a": 1}), "none that torch.save wrote"),
        (one(SOUND, kind="pickles", version=1002), "version of PyTorch's format"),
        (one(SOUND, kind="pickles", magic=7), "none that torch.save wrote"),
        (files.zipped(files.program(b"]"), {}), "a list"),
        (files.zipped(files.program(files.mapping({"a": b"N"})), {}), "'a' of the type NoneType"),
        (files.zipped(files.program(b"}(" + files.number(3) + SOUND + b"u"), {}), "3 of the type"),
        (files.zipped(files.program(b"}((K\1K\2tK\3u"), {}), "a name that is no text"),
        (one(SOUND).replace(b"data.pkl", b"data.txt"), "a zip without data.pkl"),
        (one(files.tensor(files.storage("0", "QInt8Storage", 6), (6,), (1,))), "torch.QInt8Storage"),
        (one(files.tensor(files.storage("1", "FloatStorage", 6), (6,), (1,))), "data/1"),
    ],
)  # fmt: skip
def test_other_files(refuses, content, words):
    refuses(content, words)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*gone\.pth\. Check the path\."):
        state_dicts.read(tmp_path / "gone.pth")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        state_dicts.read(str(tmp_path))
