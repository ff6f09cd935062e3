# SPDX-License-Identifier: Apache-2.0
"""The .npz format against numpy."""

import io
import pickle
import re
import zipfile

import ml_dtypes
import numpy as np
import pytest
from harness import lazy_arrays

from mixer_tf.checkpoints.formats.npz import open_npz, write_npz
from mixer_tf.checkpoints.lazy_arrays import LazyArrays


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "stem/kernel": rng.normal(size=(2, 2, 3, 4)).astype(np.float32),
        "head/bias": rng.normal(size=5).astype(np.float16),
        "step": np.int64(7),
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_shapes_and_arrays_equal_numpys(tmp_path, arrays, save):
    save(tmp_path / "a.npz", **arrays)
    with open_npz(str(tmp_path / "a.npz")) as opened:
        assert opened.shapes == {name: np.shape(array) for name, array in arrays.items()}
        for name, array in arrays.items():
            np.testing.assert_array_equal(opened.read(name), array)


def test_an_array_in_fortran_order_is_read_correctly(tmp_path):
    kernel = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "a.npz", kernel=kernel)
    with open_npz(str(tmp_path / "a.npz")) as opened:
        assert opened.shapes == {"kernel": (2, 3)}
        np.testing.assert_array_equal(opened.read("kernel"), kernel)


def test_bfloat16_saved_as_voids_is_read_as_float32(tmp_path):
    exact = np.random.default_rng(0).normal(size=(3, 4)).astype(ml_dtypes.bfloat16)
    np.savez(tmp_path / "a.npz", kernel=exact)
    assert np.load(tmp_path / "a.npz")["kernel"].dtype.str == "|V2"  # how numpy saves bfloat16
    with open_npz(str(tmp_path / "a.npz")) as opened:
        assert opened.read("kernel").dtype == np.float32
        np.testing.assert_array_equal(opened.read("kernel"), exact.astype(np.float32))


def test_python_objects_are_refused_without_unpickling(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    np.savez(tmp_path / "a.npz", **{"head/bias": np.array([Bomb()], dtype=object)})
    with (
        pytest.raises(ValueError, match="every array must hold numbers; head/bias is"),
        open_npz(str(tmp_path / "a.npz")),
    ):
        pass
    assert not (tmp_path / "exploded").exists()
    pickle.loads(pickle.dumps(Bomb()))  # shows that it works
    assert (tmp_path / "exploded").exists()


def test_numpy_reads_what_is_written(tmp_path, arrays):
    write_npz(lazy_arrays(arrays), str(tmp_path / "a.npz"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file.files == list(arrays)
        for name, array in arrays.items():
            assert file[name].dtype == array.dtype
            np.testing.assert_array_equal(file[name], array)


def test_a_failed_write_leaves_only_the_old_file(tmp_path, arrays):
    (tmp_path / "a.npz").write_bytes(b"old")

    def read(name):
        if name == "step":
            raise RuntimeError("no more")
        return arrays[name]

    with pytest.raises(RuntimeError, match="no more"):
        write_npz(LazyArrays(lazy_arrays(arrays).shapes, read), str(tmp_path / "a.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert (tmp_path / "a.npz").read_bytes() == b"old"


def write_member(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("kernel.npy", content)
    return str(path)


def member(shape, dtype="<f4", data=b"") -> bytes:
    """An array with any header."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + data


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(40000, 40000), (3, 3), (1,), (-1, -2)])
def test_a_header_for_another_length_than_that_of_the_data_is_refused(tmp_path, shape, compression):
    path = write_member(tmp_path / "a.npz", member(shape, data=bytes(16)), compression)
    with (
        pytest.raises(ValueError, match=f"{path} is corrupt or truncated: the header of kernel"),
        open_npz(path),
    ):
        pass


def test_a_length_that_no_compression_reaches_is_refused(tmp_path):
    content = member((1 << 20,), data=bytes(4 << 20))
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("kernel.npy", content)
    with pytest.raises(ValueError, match="a.npz is corrupt or truncated"), open_npz(str(path)):
        pass


@pytest.mark.parametrize("dtype", ["<U3", "|S4", "<c8"])
def test_anything_but_real_numbers_is_refused(tmp_path, dtype):
    path = write_member(tmp_path / "a.npz", member((2,), dtype, bytes(24)))
    with pytest.raises(ValueError, match="every array must hold numbers"), open_npz(path):
        pass


def test_a_header_that_cannot_be_read_names_the_file(tmp_path):
    content = member((2,), data=bytes(8)).replace(b"{", b"(")
    path = write_member(tmp_path / "a.npz", content)
    with pytest.raises(ValueError, match=re.escape(f"{path} is corrupt")), open_npz(path):
        pass
