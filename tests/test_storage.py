"""One file per model: what is written comes back, and nothing else is ever accepted."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from isthmus import storage
from isthmus.errors import FileFormatError, InputError
from isthmus.version import VERSION

SPEC = {"method": "undercomplete", "code_size": 2, "knobs": [0.5, None, True], "name": "Größe \u00b5 😀"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    storage.write(path, SPEC, {"weight": torch.arange(6.0).reshape(2, 3), "names": np.frombuffer(b"ab", np.uint8)})
    return path


def with_header(path: Path, change) -> None:
    """Rewrite the file with a changed header, its digest made right again: a forgery, not an accident."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    about = json.loads(header["__metadata__"]["isthmus"])
    change(about, header)
    about["sha256_header"] = "0" * 64
    header["__metadata__"]["isthmus"] = json.dumps(about)
    packed = json.dumps(header).encode()
    about["sha256_header"] = hashlib.sha256(packed).hexdigest()
    header["__metadata__"]["isthmus"] = json.dumps(about)
    packed = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(packed)) + packed + data[start:])


# What is written comes back.

ARRAYS = {
    "bool": np.array([True, False, True]),
    "uint8": np.arange(5, dtype=np.uint8),
    "int8": np.array([-3], dtype=np.int8),
    "int16": np.array([[-300]], dtype=np.int16),
    "int32": np.array([-(2**31)], dtype=np.int32),
    "int64": np.array([[2**62, -1]], dtype=np.int64),
    "float16": np.array([0.5, 65504.0], dtype=np.float16),
    "float32": np.array([[1.5, np.nan, np.inf]], dtype=np.float32),
    "float64": np.array([1e-300, -0.0]),
}


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_every_type_comes_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    given = {name: torch.from_numpy(array.copy()) if kind == "tensor" else array for name, array in ARRAYS.items()}
    storage.write(tmp_path / "m.safetensors", SPEC, given)
    spec, tensors = storage.read(tmp_path / "m.safetensors")
    assert spec == SPEC
    assert set(tensors) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].numpy().dtype == array.dtype
        assert tensors[name].numpy().shape == array.shape
        assert tensors[name].numpy().tobytes() == array.tobytes()


def test_unusual_arrays_come_back(tmp_path: Path) -> None:
    frozen = np.arange(4.0)
    frozen.flags.writeable = False
    base = torch.arange(12.0).reshape(3, 4)
    given = {
        "0-dim": torch.tensor(3.5),
        "0-dim array": np.array(7),
        "scalar": np.float64(2.5),
        "empty": torch.empty(0, 3),
        "empty array": np.empty((2, 0), dtype=np.uint8),
        "transposed": base.T,
        "columns": base[:, 1:3],
        "same again": base,
        "its slice": base[1:],
        "reversed": np.arange(4)[::-1],
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "read-only": frozen,
        "big-endian": np.array([1, 2], dtype=">i8"),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "bfloat16": torch.tensor([1.5], dtype=torch.bfloat16),
    }
    storage.write(tmp_path / "m.safetensors", {}, given)
    _, tensors = storage.read(tmp_path / "m.safetensors")
    for name, value in given.items():
        expected = value.detach() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value.tolist()))
        assert tensors[name].shape == expected.shape, name
        assert torch.equal(tensors[name].double(), expected.double()), name
    tensors["same again"][1, 0] = -1.0  # what is read owns its memory, and may be written to
    assert tensors["its slice"][0, 0] == 4.0


def test_no_tensors_and_an_empty_spec(tmp_path: Path) -> None:
    storage.write(tmp_path / "m.safetensors", {}, {})
    assert storage.read(tmp_path / "m.safetensors") == ({}, {})


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    tensors = {name: torch.ones(3) for name in "zyxabc"}
    storage.write(tmp_path / "a.safetensors", SPEC, tensors)
    storage.write(tmp_path / "b.safetensors", SPEC, dict(reversed(tensors.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_placeholder_in_a_spec_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    spec = {"sha256_header": storage.BLANK, "text": 'sha256_tensors":"' + storage.BLANK}
    storage.write(path, spec, {f'\\"sha256_header\\":\\"{storage.BLANK}': torch.ones(1)})
    assert storage.read(path)[0] == spec


def test_any_safetensors_reader_opens_it(model: Path) -> None:
    with safe_open(model, framework="np") as file:
        assert set(file.keys()) == {"weight", "names"}
        assert np.array_equal(file.get_tensor("weight"), np.arange(6.0, dtype=np.float32).reshape(2, 3))
        about = json.loads(file.metadata()["isthmus"])
    assert about["spec"] == SPEC
    assert about["format_version"] == 1
    assert about["versions"] == {"isthmus": VERSION, "torch": str(torch.__version__), "numpy": np.__version__}
    body = np.arange(6.0, dtype=np.float32).tobytes() + b"ab"
    assert about["sha256_tensors"] == hashlib.sha256(body).hexdigest()


def test_metadata_reads_no_tensor(model: Path) -> None:
    about = storage.metadata(model)
    assert about["spec"] == SPEC
    assert about["bytes"] == model.stat().st_size
    assert about["tensors"] == {
        "weight": {"dtype": "float32", "shape": (2, 3)},
        "names": {"dtype": "uint8", "shape": (2,)},
    }
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)
    assert storage.metadata(model) == about
    with pytest.raises(FileFormatError, match="tensors do not match"):
        storage.read(model)


@pytest.mark.gpu
def test_a_tensor_on_a_gpu_is_copied(tmp_path: Path) -> None:
    storage.write(tmp_path / "m.safetensors", {}, {"a": torch.arange(3, device="cuda")})
    assert storage.read(tmp_path / "m.safetensors")[1]["a"].tolist() == [0, 1, 2]


# What cannot be written.


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array(["a"]), "tensor 'a' is an array of <U1"),
        (np.array([object()]), "tensor 'a' is an array of object"),
        (np.array([1j]), "tensor 'a' is an array of complex128"),
        (torch.ones(2, dtype=torch.complex64), "tensor 'a' cannot be stored: it is complex64"),
        (torch.eye(2).to_sparse(), "torch.sparse_coo"),
        (torch.empty(2, device="meta"), "on meta"),
    ],
)
def test_what_a_file_cannot_hold(tmp_path: Path, value, message: str) -> None:
    with pytest.raises(InputError, match=message):
        storage.write(tmp_path / "m.safetensors", {}, {"a": value})
    assert list(tmp_path.iterdir()) == []


def test_the_reserved_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'__metadata__' is taken"):
        storage.write(tmp_path / "m.safetensors", {}, {"__metadata__": torch.ones(1)})


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.m\.safetensors.*folder does not exist"):
        storage.write(tmp_path / "nowhere" / "m.safetensors", {}, {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_leaves_the_old_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model.read_bytes()
    monkeypatch.setattr(storage, "open", lambda path, mode: io.FileIO("/dev/full", mode), raising=False)
    with pytest.raises(InputError, match="the disk is full"):
        storage.write(model, {}, {"a": torch.ones(100_000)})
    assert model.read_bytes() == before
    assert [file.name for file in model.parent.iterdir()] == ["model.safetensors"]


class Broken(io.BytesIO):
    """A file that takes the first bytes and then is interrupted."""

    def write(self, data) -> int:
        if len(data) > 8:
            raise KeyboardInterrupt
        return super().write(data)


def test_an_interrupted_write_leaves_the_old_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model.read_bytes()

    def halfway(path, mode):
        Path(path).write_bytes(b"half")
        return Broken()

    monkeypatch.setattr(storage, "open", halfway, raising=False)
    with pytest.raises(KeyboardInterrupt):
        storage.write(model, {}, {"a": torch.ones(3)})
    assert model.read_bytes() == before
    assert [file.name for file in model.parent.iterdir()] == ["model.safetensors"]


# What is no model file.


def refused(path: Path, message: str) -> None:
    """Both readers refuse the file, and name it."""
    for reader in (storage.read, storage.metadata):
        with pytest.raises(FileFormatError, match=message) as caught:
            reader(path)
        assert str(path) in str(caught.value)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").touch()
    refused(tmp_path / "m.safetensors", r"is empty \(0 bytes\)")


def test_every_truncation(model: Path) -> None:
    whole = model.read_bytes()
    for size in range(1, len(whole)):
        model.write_bytes(whole[:size])
        refused(model, "truncated or was altered")


def test_bytes_too_many(model: Path) -> None:
    whole = model.read_bytes()
    model.write_bytes(whole + b"\0")
    refused(model, f"it has {len(whole) + 1} bytes where {len(whole)} belong")


def test_any_changed_byte_is_noticed(model: Path) -> None:
    """Each byte in turn replaced by a random other one, and all its single bits by turns: never accepted."""
    whole = model.read_bytes()
    chance = random.Random(0)
    for place in range(len(whole)):
        for flip in (chance.randrange(1, 256), 1 << place % 8):
            data = bytearray(whole)
            data[place] ^= flip
            model.write_bytes(data)
            with pytest.raises(FileFormatError):
                storage.read(model)


def test_changed_bytes_of_every_sort_are_noticed(model: Path) -> None:
    """Several bytes changed, moved, doubled or dropped."""
    whole = model.read_bytes()
    chance = random.Random(1)
    for _ in range(300):
        data = bytearray(whole)
        a, b = sorted(chance.sample(range(len(whole)), 2))
        piece = data[a : min(b, a + chance.choice([1, 2, 8, 64, 4096]))]
        edit = chance.choice(["noise", "drop", "double", "zero", "space"])
        data[a : a + len(piece)] = {
            "noise": chance.randbytes(len(piece)),
            "drop": b"",
            "double": piece + piece,
            "zero": bytes(len(piece)),
            "space": b" " * len(piece),
        }[edit]
        if data == whole:
            continue
        model.write_bytes(data)
        with pytest.raises(FileFormatError):
            storage.read(model)


def test_random_files_are_refused(tmp_path: Path) -> None:
    chance = random.Random(2)
    for _ in range(200):
        length = chance.randrange(60)
        claimed = struct.pack("<Q", chance.choice([0, 1, length, chance.randrange(100), 2**40, 2**64 - 1]))
        (tmp_path / "m").write_bytes(claimed + chance.choice([b"{", b"{}", b'{"a":', b""]) + chance.randbytes(length))
        with pytest.raises(FileFormatError):
            storage.read(tmp_path / "m")


def test_a_foreign_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "bert.safetensors"
    save_file({name: torch.ones(2) for name in ("b", "a", "d", "c")}, path)
    refused(path, r"is a safetensors file, but not an isthmus model.*4 tensors \(a, b, c, \.\.\.\)")
    save_file({}, path, {"format": "pt"})
    refused(path, r"not an isthmus model.*0 tensors \(none\)")


def picture(name: str) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, name)
    return stream.getvalue()


def saved(function, value) -> bytes:
    stream = io.BytesIO()
    function(stream, value)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (picture("png"), "looks like a PNG image"),
        (picture("jpeg"), "looks like a JPEG image"),
        (pickle.dumps({"a": list(range(50))}), "looks like a pickle, which may hold code"),
        (saved(np.save, np.ones(3)), r"looks like a NumPy array \(\.npy\)"),
        (saved(np.savez, np.ones(3)), "looks like a ZIP archive"),
        (saved(lambda stream, value: torch.save(value, stream), torch.ones(3)), "looks like a ZIP archive"),
        (b"age,height\n31,180\n", r"looks like text, beginning 'age,height"),
        (b'{"spec":{"code_size": 2}}', "looks like text"),
        (b"\x08\x0a\x12\x07pytorch\x1a\x052.13", "looks like an ONNX file"),
        (b"\xff" * 100, "does not begin as a safetensors file does"),
        (b"\x00\x01", "it has only 2 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "m.safetensors").write_bytes(data)
    refused(tmp_path / "m.safetensors", message)


def test_no_pickle_is_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "m.safetensors").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / "m.safetensors", "pickle")
    assert not (tmp_path / "sprung").exists()


def test_a_newer_format(model: Path) -> None:
    with_header(model, lambda about, header: about.update(format_version=2))
    refused(
        model,
        r"written by a newer isthmus \(format 2\); this version reads up to 1: pip install --upgrade isthmus",
    )


def test_a_header_of_absurd_length_is_not_read(model: Path) -> None:
    whole = model.read_bytes()
    for length in (2**63, 2**64 - 1, 10**8 + 1):
        model.write_bytes(struct.pack("<Q", length) + whole[8:])
        refused(model, "not an isthmus model: it does not begin as")
    model.write_bytes(struct.pack("<Q", 99_000_000) + whole[8:])
    refused(model, "says that its header alone has 99000008")


@pytest.mark.parametrize("deep", ['{"a":' * 100_000 + "1" + "}" * 100_000, '{"a":' + "[" * 100_000])
def test_deep_json(tmp_path: Path, deep: str) -> None:
    entry = json.dumps({"__metadata__": {"isthmus": deep}})
    for header in (deep, entry):
        (tmp_path / "m").write_bytes(struct.pack("<Q", len(header)) + header.encode())
        refused(tmp_path / "m", "its header cannot be read")


FORGERIES = {
    "not a number": lambda about, header: about.update(format_version="1"),
    "truth as version": lambda about, header: about.update(format_version=True),
    "version 0": lambda about, header: about.update(format_version=0),
    "no version": lambda about, header: about.pop("format_version"),
    "spec is a list": lambda about, header: about.update(spec=[]),
    "no spec": lambda about, header: about.pop("spec"),
    "digest is a number": lambda about, header: about.update(sha256_tensors=3),
    "digest is no hex": lambda about, header: about.update(sha256_tensors="\ud800" * 64),
    "no digest": lambda about, header: about.pop("sha256_tensors"),
    "unknown type": lambda about, header: header["weight"].update(dtype="F4"),
    "type is a list": lambda about, header: header["weight"].update(dtype=["F32"]),
    "no offsets": lambda about, header: header["weight"].pop("data_offsets"),
    "offsets of infinity": lambda about, header: header["weight"].update(data_offsets=[0, float("inf")]),
    "one offset": lambda about, header: header["weight"].update(data_offsets=[0]),
    "no shape": lambda about, header: header["weight"].pop("shape"),
    "a tensor is a number": lambda about, header: header.update(weight=3),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_header(model: Path, forgery: str) -> None:
    with_header(model, FORGERIES[forgery])
    refused(model, "truncated or was altered")


@pytest.mark.parametrize(
    "change",
    [{"shape": [2, 4]}, {"shape": [-2, -3]}, {"data_offsets": [4, 24]}, {"dtype": "F64"}, {"shape": [2**62] * 3}],
)
def test_tensors_that_do_not_fit_their_bytes(model: Path, change: dict) -> None:
    """Right digests, but shapes that contradict the data: safetensors' own checks refuse them."""
    with_header(model, lambda about, header: header["weight"].update(change))
    with pytest.raises(FileFormatError, match="safetensors says"):
        storage.read(model)


def test_a_rightly_made_header_is_accepted(model: Path) -> None:
    """So that the forgeries above fail by what was changed, and not by how."""
    with_header(model, lambda about, header: about["spec"].update(code_size=3))
    assert storage.read(model)[0]["code_size"] == 3


# What cannot be opened.


def test_a_missing_path_names_the_models_beside_it(model: Path) -> None:
    for reader in (storage.read, storage.metadata):
        with pytest.raises(InputError, match=r"modle\.safetensors' does not exist.*holds model\.safetensors\."):
            reader(model.parent / "modle.safetensors")


def test_a_missing_path_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.safetensors file"):
        storage.read(str(tmp_path / "m.safetensors"))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Its folder .*nowhere' does not exist either"):
        storage.read(tmp_path / "nowhere" / "m.safetensors")


def test_many_models_are_not_all_listed(tmp_path: Path) -> None:
    for place in range(7):
        (tmp_path / f"{place}.safetensors").touch()
    with pytest.raises(InputError, match=r"holds 0\.safetensors, .*4\.safetensors and 2 more\."):
        storage.read(tmp_path / "m.safetensors")


def test_a_folder(model: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder\. The folder .* holds model\.safetensors\."):
        storage.read(model.parent)


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device file")
def test_a_device() -> None:
    with pytest.raises(InputError, match="not a regular file"):
        storage.read("/dev/null")


def test_an_unreadable_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(storage, "open", denied, raising=False)
    with pytest.raises(InputError, match=r"cannot read .*Permission denied"):
        storage.read(model)
