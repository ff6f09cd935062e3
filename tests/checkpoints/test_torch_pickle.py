# SPDX-License-Identifier: Apache-2.0
"""Against files written by torch (tests/golden/timm), and against malicious pickles."""

import argparse
import collections
import io
import os
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file

from mixer_tf.checkpoints.formats.torch_pickle import open_torch

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "timm"


@pytest.mark.parametrize("container", ["zip", "sequence"])
def test_both_containers_hold_the_arrays_of_the_safetensors_file(container):
    expected = load_file(GOLDEN / "mixer.safetensors")
    with open_torch(str(GOLDEN / f"mixer_{container}.pth")) as opened:
        assert opened.shapes == {name: array.shape for name, array in expected.items()}
        for name, array in expected.items():
            assert opened.read(name).dtype == np.float32
            np.testing.assert_array_equal(opened.read(name), array)


def test_bfloat16_in_a_training_state_is_read_as_float32():
    with open_torch(str(GOLDEN / "mixer_bfloat16.pth")) as opened:
        for name, array in load_file(GOLDEN / "mixer.safetensors").items():
            assert opened.read(name).dtype == np.float32
            np.testing.assert_allclose(opened.read(name), array, rtol=2**-8)


def test_a_pickled_module_is_refused_by_its_class_name():
    with pytest.raises(ValueError) as raised, open_torch(str(GOLDEN / "mixer_whole_module.pth")):
        pass
    assert "names timm.models.mlp_mixer.MlpMixer" in str(raised.value)
    assert "safetensors.torch.save_file" in str(raised.value)


class Tensor:
    """Pickles as a torch tensor does, with any offset, shape and strides."""

    def __init__(self, numbers, offset, shape, strides):
        self.numbers, self.offset, self.shape, self.strides = numbers, offset, shape, strides


@pytest.fixture
def write_torch(tmp_path, monkeypatch):
    """write_torch(object, dtype="FloatStorage") -> path of a zip file as torch.save writes it."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    def declare(kind, name, module):
        kind.__module__, kind.__qualname__, kind.__name__ = module, name, name
        setattr(modules[module], name, kind)
        return kind

    rebuild = declare(lambda *args: None, "_rebuild_tensor_v2", "torch._utils")

    class Storage:
        def __init__(self, numbers):
            self.numbers = numbers

    def write(content, dtype="FloatStorage"):
        storage_class = declare(type(dtype, (), {}), dtype, "torch")
        storages = []

        class Pickler(pickle.Pickler):
            def persistent_id(self, value):
                if not isinstance(value, Storage):
                    return None
                storages.append(value.numbers)
                key = str(len(storages) - 1)
                return ("storage", storage_class, key, "cpu", value.numbers.size)

            def reducer_override(self, value):
                if not isinstance(value, Tensor):
                    return NotImplemented
                view = (value.offset, value.shape, value.strides)
                hooks = collections.OrderedDict()
                return rebuild, (Storage(value.numbers), *view, False, hooks)

        path = tmp_path / "file.pth"
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("archive/data.pkl", "w") as file:
                Pickler(file, protocol=2).dump(content)
            for key, numbers in enumerate(storages):
                archive.writestr(f"archive/data/{key}", numbers.tobytes())
        return str(path)

    return write


NUMBERS = np.arange(12, dtype=np.float32)


@pytest.mark.parametrize(
    "view, expected",
    [
        ((0, (3, 4), (4, 1)), NUMBERS.reshape(3, 4)),
        ((0, (4, 3), (1, 4)), NUMBERS.reshape(3, 4).T),
        ((5, (2, 2), (4, 1)), np.array([[5, 6], [9, 10]])),
        ((11, (), ()), np.array(11)),
        ((3, (5,), (0,)), np.full(5, 3)),
        ((12, (0, 7), (7, 1)), np.zeros((0, 7))),
    ],
)
def test_a_tensor_can_be_any_view_within_its_storage(write_torch, view, expected):
    with open_torch(write_torch({"x": Tensor(NUMBERS, *view)})) as opened:
        assert opened.shapes == {"x": expected.shape}
        np.testing.assert_array_equal(opened.read("x"), expected)


@pytest.mark.parametrize(
    "view",
    [
        (1, (3, 4), (4, 1)),
        (0, (3, 4), (5, 1)),
        (-1, (4,), (1,)),
        (0, (4,), (-1,)),
        (0, (3, 4), (4,)),
        (0, (1 << 62, 4), (1, 1)),
        (0.0, (4,), (1,)),
        (0, (True,), (1,)),
    ],
)
def test_a_tensor_that_extends_beyond_its_storage_is_refused(write_torch, view):
    path = write_torch({"x": Tensor(NUMBERS, *view)})
    with (
        pytest.raises(ValueError, match="must be a state dict saved by torch.save; a tensor"),
        open_torch(path) as opened,
    ):
        opened.read("x")


@pytest.mark.parametrize(
    "dtype, numbers",
    [("HalfStorage", NUMBERS.astype("f2")), ("LongStorage", NUMBERS.astype("i8"))],
)
def test_other_dtypes(write_torch, dtype, numbers):
    with open_torch(write_torch({"x": Tensor(numbers, 0, (12,), (1,))}, dtype)) as opened:
        assert opened.read("x").dtype == numbers.dtype
        np.testing.assert_array_equal(opened.read("x"), numbers)


class Call:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


ATTACKS = {
    "os.system": lambda mark: Call(os.system, f"touch {mark}"),
    "eval": lambda mark: Call(eval, f"open({mark!r}, 'w')"),
    "open": lambda mark: Call(open, mark, "w"),
    "getattr": lambda mark: Call(getattr, Call(__import__, "os"), "system"),
    "path": lambda mark: pathlib.Path(mark),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("position", ["value", "key", "metadata", "alone"])
def test_nothing_in_a_file_is_executed(write_torch, tmp_path, attack, position):
    mark = str(tmp_path / "executed")
    bomb = ATTACKS[attack](mark)
    metadata = collections.OrderedDict(x=Tensor(NUMBERS, 0, (12,), (1,)))
    metadata._metadata = bomb
    content = {"value": {"x": bomb}, "key": {bomb: 1}, "metadata": metadata, "alone": bomb}[
        position
    ]
    with (
        pytest.raises(ValueError, match="Nothing in the file was executed"),
        open_torch(write_torch(content)),
    ):
        pass
    assert not os.path.exists(mark)


def test_nothing_in_the_older_container_is_executed(tmp_path):
    mark = str(tmp_path / "executed")
    content = (GOLDEN / "mixer_sequence.pth").read_bytes()
    for position in (0, len(pickle.dumps(0x1950A86A20F9469CFC6C, 2))):
        path = tmp_path / "file.pth"
        bomb = pickle.dumps(Call(os.system, f"touch {mark}"), 2)
        path.write_bytes(content[:position] + bomb + content[position:])
        with pytest.raises(ValueError, match="it names posix.system"), open_torch(str(path)):
            pass
    assert not os.path.exists(mark)


@pytest.mark.parametrize("content", [[1, 2], {"x": 3}, {"state_dict": {"x": "y"}}, "text"])
def test_anything_but_a_dictionary_of_tensors_is_refused(write_torch, content):
    with (
        pytest.raises(ValueError, match="it is not a dictionary of tensors"),
        open_torch(write_torch(content)),
    ):
        pass


@pytest.mark.parametrize("container", ["zip", "sequence"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_one_clear_error(tmp_path, container, share):
    content = (GOLDEN / f"mixer_{container}.pth").read_bytes()
    path = tmp_path / "file.pth"
    path.write_bytes(content[: int(share * len(content))])
    with (
        pytest.raises(ValueError, match=f"{path} must be a state dict"),
        open_torch(str(path)) as opened,
    ):
        for name in opened.shapes:
            opened.read(name)


def test_a_namespace_and_numpy_numbers_beside_the_weights_are_ignored(write_torch):
    """As in timm's .pth.tar files."""
    state = {
        "epoch": 3,
        "args": argparse.Namespace(lr=np.float64(0.1), mean=(0.5, 0.5), names={"a"}),
        "metric": np.float64(76.1),
        "counts": np.arange(3),
        "state_dict": collections.OrderedDict(x=Tensor(NUMBERS, 0, (12,), (1,))),
    }
    with open_torch(write_torch(state)) as opened:
        assert opened.shapes == {"x": (12,)}
        np.testing.assert_array_equal(opened.read("x"), NUMBERS)


def test_a_storage_with_a_length_beyond_the_file_is_refused(write_torch, tmp_path):
    path = pathlib.Path(write_torch({"x": Tensor(NUMBERS, 0, (12,), (1,))}))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = members["archive/data.pkl"].replace(b"cpuq\x06K\x0c", b"cpuq\x06J\0\0\0\x70")
    assert pickled != members["archive/data.pkl"]
    for compression, message in (
        (zipfile.ZIP_STORED, "storage 0 must have 7516192768 bytes; the file has 48"),
        (zipfile.ZIP_DEFLATED, "its storages are compressed"),
    ):
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in {**members, "archive/data.pkl": pickled}.items():
                archive.writestr(name, content)
        with pytest.raises(ValueError, match=message), open_torch(str(path)) as opened:
            opened.read("x")


@pytest.mark.parametrize("length", [1 << 40, -1])
def test_a_forged_length_in_the_older_container_is_refused(tmp_path, length):
    content = (GOLDEN / "mixer_sequence.pth").read_bytes()
    file = io.BytesIO(content)
    for _ in range(3):
        pickle.load(file)
    keys = content.rindex(b"\x80\x02]q")  # the list of keys, after which comes the first length
    first = content.index(b".", keys) + 1
    path = tmp_path / "file.pth"
    path.write_bytes(content[:first] + struct.pack("<q", length) + content[first + 8 :])
    with pytest.raises(ValueError, match="must have .* bytes; the file has"), open_torch(str(path)):
        pass


def test_a_tensor_larger_than_its_storage_is_refused(write_torch):
    path = write_torch({"x": Tensor(NUMBERS, 0, (1 << 31,), (0,))})
    with pytest.raises(ValueError, match="a tensor extends beyond its storage"), open_torch(path):
        pass


def nested(levels: int, innermost: bytes = b")") -> bytes:
    """A tuple that contains itself twice, 2^levels times in all."""
    return innermost + b"".join(b"q\x00h\x00\x86" for _ in range(levels))


HARMFUL = {
    "a key that takes 2^300 steps to hash": b"}" + nested(300) + b"K\x01s.",
    "a key that takes 2^300 steps in a new dictionary": b"(" + nested(300) + b"K\x01d.",
    "a key so deep that hashing it ends the process": b"}" + b")" + b"\x85" * 200_000 + b"K\x01s.",
    "a reference that takes 2^300 steps to print": nested(300) + b"Q.",
    "a set": b"\x8f(" + nested(300) + b"\x90.",
    "a memo of 32 GB": b")r\xff\xff\xff\xff.",
    "an array of 1 TB": b"\x96" + struct.pack("<Q", 1 << 40) + b".",
    "a string of 1 TB": b"\x8d" + struct.pack("<Q", 1 << 40) + b".",
    "a frame of 1 TB": b"\x95" + struct.pack("<Q", 1 << 40) + b".",
}


@pytest.mark.parametrize("name", HARMFUL)
def test_a_pickle_without_end_is_one_quick_error(tmp_path, name):
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x04" + HARMFUL[name])
    with pytest.raises(ValueError, match=f"{path} must be a state dict"), open_torch(str(path)):
        pass


def test_a_pickle_that_is_unpacked_from_a_few_bytes_is_refused(tmp_path):
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"]" * (9 << 20))
    with pytest.raises(ValueError, match="its data.pkl is larger than"), open_torch(str(path)):
        pass
