"""Content: one frame for each 20 ms, in time with the sound, of the clip alone, whoever hears it."""

import argparse
import io
import itertools
import os
import re
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autosing import pretrained
from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.models import content
from autosing.models.content import EncoderConfig, load_content, parts_of, windows
from autosing.pretrained import open_tensors
from autosing.pretrained.hubert import to_torchaudio
from autosing.schemas.records import Part
from processing.pipeline import PipelineConfig, build_stages, own_details
from processing.stages.clip import ClipVocals
from processing.stages.content import ContentConfig, EncodeContent
from support.conversion import whisper_file

RATE = 16_000


def voice(seconds: float, seed: int = 0, rate: int = RATE) -> Audio:
    rng = np.random.default_rng(seed)
    return Audio((0.1 * rng.standard_normal((1, round(seconds * rate)))).astype(np.float32), rate)


def hubert(per_layer_norms: bool = False, aux: int | None = None) -> torch.nn.Module:
    """A random network of torchaudio, two blocks of width 64."""
    import torchaudio

    torch.manual_seed(3)
    mode = "layer_norm" if per_layer_norms else "group_norm"
    convs = [(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32, 2, 2)] * 2
    return torchaudio.models.wav2vec2_model(
        mode, convs, per_layer_norms, 64, 0.1, 16, 4, 2, 1, 0.1, 96, 0.0, 0.1, per_layer_norms, 0.1, aux
    ).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("weights")
    torch.save(hubert().state_dict(), folder / "hubert.pth")
    return {"whisper-own": str(whisper_file(folder / "w.pt")), "hubert-base": str(folder / "hubert.pth")}


@pytest.fixture(scope="module")
def both(files) -> content.Content:
    named = [("whisper-own", 2), ("hubert-base", 1), ("whisper-own", 3)]
    return load_content([EncoderConfig(name=name, layer=layer) for name, layer in named], files)


@given(st.integers(0, 8000))
def test_windows_cover_each_frame_and_share_four_seconds(total):
    found = windows(total)
    assert (not found) == (total == 0)
    for (first, end), (second, _) in itertools.pairwise(found):
        assert end - first == 1500 and end - second == 200
    if found:
        assert found[0][0] == 0 and found[-1][1] == total and (len(found) == 1 or total - found[-1][0] > 200)


@pytest.mark.parametrize(("samples", "rate", "frames"), [
    (1, RATE, 1), (320, RATE, 1), (321, RATE, 2), (16_000, RATE, 50), (44_100 * 3 + 1, 44_100, 151), (0, RATE, 0),
    (22_050, 22_050, 50), (11_025, 8_000, 69), (480_000, RATE, 1500), (480_001, RATE, 1501), (800_000, RATE, 2500),
])  # fmt: skip
def test_a_frame_for_each_20_ms_begun(both, samples, rate, frames):
    audio = Audio(np.full((1, samples), 0.01, np.float32), rate)
    found = both(audio)
    assert found.shape == (frames, 192) and found.dtype == np.float16
    assert [part.width for part in both.parts] == [64, 64, 64] and both.width == 192


def test_encoders_stand_side_by_side_in_their_order(both, files):
    audio = voice(2.0)
    apart = [load_content([EncoderConfig(name=p.name, layer=p.layer)], {p.name: files[p.name]}) for p in both.parts]
    np.testing.assert_allclose(both(audio), np.concatenate([hear(audio) for hear in apart], axis=1), atol=2e-3)


@pytest.mark.parametrize("name", ["whisper-own", "hubert-base"])
def test_a_frame_is_centred_on_its_time(files, name):
    """A click moves just the frames around it: encoders of untrained weights attend to nothing in particular."""
    hear = load_content([EncoderConfig(name=name, layer=1)], {name: files[name]})
    quiet = np.zeros((1, RATE * 2), np.float32) + 1e-3
    changed = []
    for at in (0.4, 0.8, 1.2, 1.5):
        clicked = quiet.copy()
        clicked[0, round(at * RATE) - 8 : round(at * RATE) + 8] = 0.9
        moved = np.abs(hear(Audio(clicked, RATE)).astype(float) - hear(Audio(quiet, RATE))).sum(axis=1)
        near = np.arange(round(at * 50) - 8, round(at * 50) + 9)
        weight = moved[near] - np.median(moved)
        changed.append(float((near * weight.clip(0)).sum() / weight.clip(0).sum()) / 50 - at)
    assert abs(np.mean(changed)) < 0.008 and np.abs(changed).max() < 0.02, changed


def test_a_clip_is_heard_alone_and_silence_that_fills_its_last_frame_changes_nothing(both):
    clip = voice(1.234, 5)
    filled = Audio(np.pad(clip.samples_CS, ((0, 0), (0, 62 * 320 - clip.samples_CS.shape[1]))), RATE)
    first = both(clip)
    both(voice(3.0, 6))
    np.testing.assert_array_equal(both(clip), first)
    np.testing.assert_array_equal(both(filled), first)
    assert len(first) == 62


def test_long_audio_is_its_windows_faded_into_one_another(both):
    long = voice(61.0, 7)
    found = both(long).astype(np.float32)
    first, second, third = (
        both(Audio(long.samples_CS[:, start * 320 : (start + 1500) * 320], RATE)).astype(np.float32)
        for start in (0, 1300, 2600)
    )
    np.testing.assert_array_equal(found[:1350], first[:1350])
    np.testing.assert_array_equal(found[1450:2650], second[150:1350])
    np.testing.assert_array_equal(found[2750:], third[150:])
    share = ((np.arange(100) + 0.5) / 100)[:, None]
    np.testing.assert_allclose(found[1350:1450], first[1350:1450] * (1 - share) + second[50:150] * share, atol=1e-2)
    blocks = list(both.blocks(long))
    np.testing.assert_array_equal(np.concatenate(blocks), both(long))
    assert [len(block) for block in blocks] == [1350, 1300, 400]
    np.testing.assert_array_equal(both(long.cut(0, 58.0))[:1350], blocks[0])


def fairseq(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """torchaudio's names as fairseq has them; torchaudio's own table of the other way is asked in the test."""
    rules = (
        ("encoder.feature_projection.layer_norm", "layer_norm"),
        ("encoder.feature_projection.projection", "post_extract_proj"),
        ("encoder.transformer.pos_conv_embed.conv", "encoder.pos_conv.0"),
        ("encoder.transformer.", "encoder."),
        (".attention.", ".self_attn."), (r"(layers\.\d+)\.layer_norm", r"\1.self_attn_layer_norm"),
        ("feed_forward.intermediate_dense", "fc1"), ("feed_forward.output_dense", "fc2"),
        (r"(conv_layers\.\d+)\.conv\.", r"\1.0."),
        ("parametrizations.weight.original0", "weight_g"), ("parametrizations.weight.original1", "weight_v"),
    )  # fmt: skip
    inner = "2.1" if any("conv_layers.1.layer_norm" in key for key in state) else "2"
    named = {}
    for key, value in state.items():
        key = re.sub(r"(conv_layers\.\d+)\.layer_norm", rf"\1.{inner}", key)
        for ours, theirs in rules:
            key = re.sub(ours, theirs, key)
        named[key] = value
    return named


def transformers(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        "hubert." + key.replace("encoder.feature_projection", "feature_projection").replace("transformer.", ""): value
        for key, value in state.items()
    }


def soft_vc(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """soft-vc has torch's own transformer, which holds query, key and value as one."""
    named = {}
    for key, value in state.items():
        for ours, theirs in (
            (r"feature_extractor\.conv_layers\.(\d+)\.conv", r"feature_extractor.conv\1"),
            (r"feature_extractor\.conv_layers\.0\.layer_norm", "feature_extractor.norm0"),
            (r"encoder\.feature_projection\.layer_norm", "feature_projection.norm"),
            (r"encoder\.feature_projection\.", "feature_projection."),
            (r"encoder\.transformer\.pos_conv_embed", "positional_embedding"),
            (r"encoder\.transformer\.layer_norm", "norm"),
            (r"parametrizations\.weight\.original0", "weight_g"), (r"parametrizations\.weight\.original1", "weight_v"),
            (r"encoder\.transformer\.(layers\.\d+)\.layer_norm", r"encoder.\1.norm1"),
            (r"encoder\.transformer\.(layers\.\d+)\.final_layer_norm", r"encoder.\1.norm2"),
            (r"encoder\.transformer\.(layers\.\d+)\.feed_forward\.intermediate_dense", r"encoder.\1.linear1"),
            (r"encoder\.transformer\.(layers\.\d+)\.feed_forward\.output_dense", r"encoder.\1.linear2"),
            (r"encoder\.transformer\.(layers\.\d+)\.attention", r"encoder.\1.self_attn"),
        ):  # fmt: skip
            key = re.sub("^" + ours if ours[:2] in ("fe", "en") else ours, theirs, key)
        named[key] = value
    for layer in range(2):
        for leaf in ("weight", "bias"):
            at = f"encoder.layers.{layer}.self_attn."
            named[f"{at}in_proj_{leaf}"] = torch.cat([named.pop(f"{at}{part}_proj.{leaf}") for part in "qkv"])
    torch.manual_seed(9)
    more = {"proj.weight": torch.randn(16, 64), "proj.bias": torch.randn(16), "label_embedding.weight": torch.zeros(1)}
    return {f"module.{key}": value for key, value in (named | more).items()}


def fairseq_file(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """With an object of a class that is not here when the file is read, as fairseq's dictionaries are not."""
    module = types.ModuleType("fairseq_data_dictionary")
    module.Dictionary = type("Dictionary", (), {"__module__": module.__name__})
    sys.modules[module.__name__] = module
    dictionary = module.Dictionary()
    dictionary.symbols = ["a"]
    held = {"args": argparse.Namespace(lr=1), "task_state": {"dictionaries": [dictionary]}, "model": state}
    torch.save(held, path)
    del sys.modules[module.__name__]
    return path


@pytest.mark.parametrize("per_layer_norms", [False, True])
@pytest.mark.parametrize("house", [None, fairseq, transformers])
def test_weights_of_any_house_hear_what_torchaudios_network_hears(tmp_path, house, per_layer_norms):
    network = hubert(per_layer_norms)
    state = network.state_dict()
    if house is fairseq:
        from torchaudio.models.wav2vec2.utils.import_fairseq import _map_key

        assert {
            _map_key(k).replace("weight_g", "original0").replace("weight_v", "original1") for k in fairseq(state)
        } == {key.replace("parametrizations.weight.", "") for key in state}
        path = fairseq_file(tmp_path / "checkpoint.pt", fairseq(state) | {"mask_emb": torch.zeros(64)})
    else:
        path = tmp_path / "w.pth"
        torch.save(house(state) if house else state, path)
    name = "contentvec"
    audio = voice(1.0, 2)
    found = load_content([EncoderConfig(name=name)], {name: str(path)})(audio)
    heard_1S = torch.from_numpy(audio.samples_CS)
    if per_layer_norms:
        heard_1S = torch.nn.functional.layer_norm(heard_1S, heard_1S.shape)
    padded_1S = torch.nn.functional.pad(heard_1S, (200, 0))
    with torch.inference_mode():
        wanted = network.extract_features(padded_1S)[0][1][0]
    assert found.shape == (50, 64)
    np.testing.assert_allclose(found, wanted.numpy(), atol=5e-3, rtol=5e-3)


def test_soft_units_are_the_last_states_projected(tmp_path):
    network = hubert()
    state = soft_vc(network.state_dict())
    torch.save({"hubert": state}, tmp_path / "hubert-soft.pt")
    hear = load_content([EncoderConfig(name="hubert-soft")], {"hubert-soft": str(tmp_path / "hubert-soft.pt")})
    assert hear.parts[0].layer == 2 and hear.width == 16
    plain = {"contentvec": str(tmp_path / "plain.pth")}
    torch.save(network.state_dict(), plain["contentvec"])
    states = load_content([EncoderConfig(name="contentvec")], plain)(voice(1.0)).astype(np.float32)
    wanted = states @ state["module.proj.weight"].numpy().T + state["module.proj.bias"].numpy()
    np.testing.assert_allclose(hear(voice(1.0)), wanted, atol=0.05)
    with pytest.raises(InputError, match="soft units are made of the last block"):
        parts_of([EncoderConfig(name="hubert-soft", layer=1)], {"hubert-soft": str(tmp_path / "hubert-soft.pt")})
    with pytest.raises(InputError, match="no projection of soft units"):
        parts_of([EncoderConfig(name="hubert-soft")], {"hubert-soft": plain["contentvec"]})


class Bomb:
    """Runs a function when it is unpickled."""

    def __init__(self, function, *words):
        self._held = function, words

    def __reduce__(self):
        return self._held


def test_nothing_of_a_checkpoint_is_run(tmp_path):
    (tmp_path / "ran").mkdir()
    state = hubert().state_dict()
    bomb = Bomb(tempfile.mkdtemp, None, None, str(tmp_path / "ran"))
    torch.save({"model": fairseq(state), "args": bomb}, tmp_path / "bomb.pt")
    assert set(to_torchaudio(open_tensors(tmp_path / "bomb.pt")[0], "bomb")) == set(state)
    torch.save({"model": fairseq(state), "args": Bomb(os.mkdir, str(tmp_path / "ran" / "x"))}, tmp_path / "blocked.pt")
    with pytest.raises(InputError, match=r"blocked\.pt: not readable"):
        open_tensors(tmp_path / "blocked.pt")
    assert not list((tmp_path / "ran").iterdir())


@pytest.mark.parametrize(("encoders", "given", "says"), [
    ([("whispr-base", None)], {}, "unknown; need whisper-<size>"),
    ([("hubert-soft", None)], {}, r"content\.files\.hubert-soft=FILE"),
    ([("whisper-base", 7)], {}, "whisper-base has 6 blocks; need 1 to 6"),
    ([("whisper-huge", None)], {}, "weights 'whisper-huge': unknown name"),
    ([("hubert-base", 3)], {"hubert-base": "hubert-base"}, "hubert-base has 2 blocks"),
    ([("whisper-own", None)], {"hubert-base": "hubert-base"}, "none of the encoders"),
    ([("hubert-base", None)], {"hubert-base": "whisper-own"}, "no HuBERT or wav2vec 2.0 in it"),
    ([("whisper-own", None)], {"whisper-own": "hubert-base"}, "no Whisper in it"),
    ([("hubert-base", None)], {"hubert-base": "nowhere"}, "no such file"),
    ([], {}, "no encoder is named"),
])  # fmt: skip
def test_what_cannot_be_heard_is_refused(files, encoders, given, says):
    with pytest.raises(InputError, match=says):
        parts_of([EncoderConfig(name=n, layer=k) for n, k in encoders], {n: files.get(f, f) for n, f in given.items()})


@pytest.mark.parametrize("damage", [b"no checkpoint", b"PK\x03\x04", b""])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, damage):
    (tmp_path / "x.pt").write_bytes(damage)
    with pytest.raises(InputError, match=r"x\.pt: not readable as a checkpoint"):
        open_tensors(tmp_path / "x.pt")
    sink = io.BytesIO()
    torch.save({"epoch": 3}, sink)
    (tmp_path / "y.pt").write_bytes(sink.getvalue())
    with pytest.raises(InputError, match="found no tensors in it"):
        open_tensors(tmp_path / "y.pt")


def test_a_model_hears_with_the_weights_that_it_was_made_with(files, both, tmp_path):
    assert load_content(both.parts, files).parts == both.parts
    other = {**files, "whisper-own": str(whisper_file(tmp_path / "other.pt", blocks=4))}
    with pytest.raises(InputError, match=r"whisper-own was .* when the model was made"):
        load_content(both.parts, other)
    assert parts_of([EncoderConfig()]) == (
        Part(name="whisper-base", layer=5, width=512, digest=pretrained.digest("whisper-base")),
    )


def test_the_stage_gives_the_same_and_its_table_depends_on_weights_not_on_where_they_lie(files, both, tmp_path):
    encoders = tuple(EncoderConfig(name=part.name, layer=part.layer) for part in both.parts)
    stage = EncodeContent(ContentConfig(encoders=encoders, files=files))
    stage.setup()
    audio = voice(2.5, rate=24_000)
    row = stage.apply(ClipVocals("a", encode(audio)))
    np.testing.assert_allclose(row.content, both(audio), atol=0.1)
    assert row.content.shape == (125, 192)
    moved = {}
    for name, path in files.items():
        moved[name] = str(tmp_path / Path(path).name)
        Path(moved[name]).write_bytes(Path(path).read_bytes())
    assert own_details(EncodeContent(ContentConfig(encoders=encoders, files=moved))) == own_details(stage)
    assert [part["width"] for part in own_details(stage)["parts"]] == [64, 64, 64]


def test_content_is_made_where_it_is_asked_for():
    assert "content" not in [stage.name for stage in build_stages(PipelineConfig())]
    assert [stage.name for stage in build_stages(PipelineConfig(run=("content", "separate")))] == [
        "separate",
        "content",
    ]
    assert [stage.name for stage in build_stages(PipelineConfig(run=("pitch",)), ["content"])] == ["content"]
    with pytest.raises(InputError, match="stage 'contnt': unknown; did you mean 'content'"):
        build_stages(PipelineConfig(run=("contnt",)))
