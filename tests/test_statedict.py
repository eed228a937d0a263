"""State dicts of PyTorch: every format gives PyTorch's arrays, and no file can run code."""

import pickle
import struct
import sys
import zipfile

import numpy
import pytest

from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.runs import statedict

torch = pytest.importorskip("torch")


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(1)
    kernel = torch.rand((4, 3, 3, 3), generator=generator)
    whole = torch.arange(10.0)
    return {
        "conv.weight": kernel.to(memory_format=torch.channels_last),
        "half": kernel[0].half(),
        "parameter": torch.nn.Parameter(kernel[1]),
        "part": whole[3:7],
        "steps": torch.tensor(7),
    }


def assert_read(path, state):
    found = statedict.read(path)
    assert set(found) == set(state)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.detach().numpy().dtype
        numpy.testing.assert_array_equal(found[name], tensor.detach().numpy())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_files_of_pytorch(tmp_path, state, zipped, wrapper):
    momenta = {"state": {0: {"momentum": torch.ones(3)}}}
    training = {"epoch": 3, "best": [0.5, None], wrapper: state, "optimizer": momenta}
    saved = training if wrapper else state
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert_read(tmp_path / "a.pth", state)


def test_a_module_s_own_state_dict_with_its_versions(tmp_path):
    state = torch.nn.BatchNorm2d(3).state_dict()
    assert state._metadata
    torch.save(state, tmp_path / "a.pt")
    assert_read(tmp_path / "a.pt", state)


def test_safetensors(tmp_path, state):
    numpy_state = {
        name: numpy.ascontiguousarray(each.detach().numpy()) for name, each in state.items()
    }
    pytest.importorskip("safetensors.numpy").save_file(numpy_state, tmp_path / "a.safetensors")
    assert_read(tmp_path / "a.safetensors", state)
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-40])
    assert "damaged" in refusal(tmp_path / "cut.safetensors")
    (tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", 2**62) + content[8:])
    assert "damaged" in refusal(tmp_path / "long.safetensors")


def test_a_missing_package_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    (tmp_path / "a.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"pip install 'kerasdl\[safetensors\]'"):
        statedict.read(tmp_path / "a.safetensors")


def refusal(path):
    """The line that refuses a file."""
    with pytest.raises(ModelFileError) as refused:
        statedict.read(path)
    text = str(refused.value)
    assert refused.value.exit_code == 4 and str(path) in text and "\n" not in text
    return text


class Evil:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
def test_no_file_runs_code(tmp_path, state, kind):
    sign, path = tmp_path / "sign", tmp_path / "evil.pth"
    saved = {**state, "extra": Evil(sign)}
    if kind == "bare":
        path.write_bytes(pickle.dumps(Evil(sign), 2))
    else:
        torch.save(saved, path, _use_new_zipfile_serialization=kind == "zip")
    assert "more than arrays, it names io.open" in refusal(path)
    assert not sign.exists()
    torch.save(torch.nn.Linear(2, 2), path)
    assert "it names torch.nn.modules.linear.Linear" in refusal(path)


def rewritten(source, path, **changes):
    """A copy of an archive with other contents of its members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            name = member.filename.partition("/")[2]
            new.writestr(member.filename, changes.get(name, old.read(member)))
    return path


def test_what_was_changed_is_refused(tmp_path, state):
    source = tmp_path / "a.pth"
    torch.save({"w": torch.arange(1000.0)}, source)
    content, path = source.read_bytes(), tmp_path / "b.pth"
    path.write_bytes(content[: len(content) // 2])
    assert "damaged" in refusal(path)
    place = content.index(struct.pack("<f", 777.0))
    path.write_bytes(content[:place] + b"x" + content[place + 1 :])
    assert "damaged" in refusal(path)  # its checksum

    changed = tmp_path / "c.pth"
    assert "larger than its bytes" in refusal(rewritten(source, changed, **{"data/0": b"\0" * 40}))
    assert "not little-endian" in refusal(rewritten(source, changed, byteorder=b"big"))
    program = zipfile.ZipFile(source).read("a/data.pkl")
    # 1000 numbers (M\xe8\x03) at offset K\x00 with stride K\x01, as the disassembly shows.
    for old, new, said in (
        (b"K\x00M\xe8\x03\x85", b"K\x09M\xe8\x03\x85", "larger than its bytes"),
        (b"M\xe8\x03\x85", b"J\xff\xff\xff\xff\x85", "is no natural number"),
        (b"K\x01\x85", b"K\x02\x85", "larger than its bytes"),
        (b"K\x00M\xe8\x03", b"N\x00M\xe8\x03", "damaged"),
    ):
        assert program.count(old) == 1
        assert said in refusal(
            rewritten(source, changed, **{"data.pkl": program.replace(old, new)})
        )
    endless = b"\x80\x02" + 1_000_001 * b"N"
    assert "too long" in refusal(rewritten(source, changed, **{"data.pkl": endless}))
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", program)
    assert "compressed" in refusal(changed)


@pytest.mark.parametrize("zipped", [True, False])
def test_keys_of_other_types_beside_the_state_dict_are_read(tmp_path, state, zipped):
    counts = {None: 1, 0.5: 2, True: 3, 7: 4, (1, "a"): 5, ((1, 2), None): 6}
    saved = {"state_dict": state, "optimizer": counts, **counts}
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert_read(tmp_path / "a.pth", state)


def test_keys_that_take_forever_to_hash_are_not_hashed(tmp_path):
    """(t, t) nested 60 times has 2**60 leaves, in 500 bytes."""
    path = tmp_path / "a.pth"
    torch.save({"w": torch.ones(2)}, tmp_path / "b.pth")
    nested = b"\x80\x02K\x01\x85q\x00" + b"".join(
        b"h%ch%c\x86q%c" % (place, place, place + 1) for place in range(60)
    )
    for put in (b"}h\x3cK\x01s.", b"}(h\x3cK\x01u."):  # one item, several items
        rewritten(tmp_path / "b.pth", path, **{"data.pkl": nested + put})
        assert "no tensors in it" in refusal(path)


def test_bfloat16_and_integers(tmp_path):
    state = {"w": torch.tensor([1.5, -0.25, 3e38]), "i": torch.tensor([1, 2], dtype=torch.int16)}
    for zipped in (True, False):
        torch.save(
            {**state, "w": state["w"].bfloat16()},
            tmp_path / "a.pth",
            _use_new_zipfile_serialization=zipped,
        )
        found = statedict.read(tmp_path / "a.pth")
        numpy.testing.assert_array_equal(found["w"], state["w"].bfloat16().float().numpy())
        assert found["i"].tolist() == [1, 2]


def test_what_holds_no_usable_arrays_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    for saved, said in (
        ([torch.ones(2)], "a list, not a dict"),
        ({"epoch": 1}, "no tensors in it"),
        ({"w": torch.tensor([1.0, float("nan")])}, "not finite in w"),
        ({"w": torch.ones(1).expand(10**9)}, "larger than its bytes"),
        ({str(n): torch.ones(9)[:] for n in range(3)} | {"w": torch.ones(2, dtype=torch.cfloat)},
         "it holds torch.ComplexFloatStorage"),
    ):  # fmt: skip
        torch.save(saved, path)
        assert said in refusal(path)
    tensor = torch.ones(100)
    torch.save({str(number): tensor for number in range(3)}, path)
    assert "repeat their bytes" in refusal(path)
    (tmp_path / "text.pth").write_text("not a model")
    assert "not written by torch.save" in refusal(tmp_path / "text.pth")
    assert "no such model file" in refusal(tmp_path / "none.pth")
