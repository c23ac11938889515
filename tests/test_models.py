"""Laws of t2s and sm2a: causality, padding and neighbours, nulls, what is heard and what is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from autosing.checkpoint import save_model
from autosing.codecs.spec import CodecSpec
from autosing.models.conditions import music_item, music_window, semantic_item, singer_item, stack, text_item
from autosing.models.presets import SHAPES
from autosing.models.sm2a import SM2A
from autosing.models.t2s import T2S, T2SConfig, load_t2s
from autosing.text.tokenizer import TimedText
from support.clips import SEMANTIC_SIZE, SPEC, made_clip
from support.models import made_sm2a, made_t2s, stir

SNAC = CodecSpec(
    name="snac", sample_rate_hz=32000, hop_samples=384, strides=(8, 4, 2, 1), codebook_sizes=(40, 40, 40, 40)
)
ENCODEC = CodecSpec(name="encodec", sample_rate_hz=24000, hop_samples=320, strides=(1, 1, 1), codebook_sizes=(30,) * 3)


def t2s_item(model: T2S, seed: int, duration_s: float, without: str = "", level: str = "word") -> dict[str, Tensor]:
    clip, spec = made_clip(seed, duration_s, model.config.codec), model.config.codec
    lyrics = TimedText.of_words(clip.meta.words, clip.meta.lines).at(level)  # type: ignore[arg-type]
    levels = spec.unflatten(clip.array("instrumental_codes"))
    return {
        **text_item(None if without == "text" else lyrics),
        **music_item(None if without == "music" else levels, model.pattern, model.music_rows),
        **singer_item(None if without == "singer" else clip.array("singer")),
        "codes": torch.from_numpy(clip.array("semantic")),
    }


def sm2a_item(model: SM2A, seed: int, duration_s: float, without: str = "", fine: bool = False) -> dict[str, Tensor]:
    clip, spec = made_clip(seed, duration_s, model.spec), model.spec
    pattern = model.fine if fine else model.coarse
    columns_RC = pattern.to_columns([torch.from_numpy(x).long() for x in spec.unflatten(clip.array("vocals_codes"))])
    levels = spec.unflatten(clip.array("instrumental_codes"))
    return {
        **semantic_item(None if without == "semantic" else clip.array("semantic")),
        **music_item(None if without == "music" else levels, model.coarse, model.num_rows),
        **singer_item(None if without == "singer" else clip.array("singer")),
        "columns": columns_RC,
        "positions": pattern.positions(columns_RC.shape[1]),
    }


def test_the_future_does_not_change_the_past() -> None:
    t2s, sm2a = made_t2s(), made_sm2a()
    now, then = t2s_item(t2s, 1, 2.0), t2s_item(t2s, 1, 2.0)
    then["codes"] = torch.cat([now["codes"][:20], torch.full_like(now["codes"][20:], 3)])
    (now_logits, now_text), (then_logits, _) = t2s(stack([now])), t2s(stack([then]))
    # Place n foresees code n, so place 20 has seen codes 0 .. 19 alone.
    torch.testing.assert_close(now_logits[:, :21], then_logits[:, :21])
    assert not torch.allclose(now_logits[:, 21:], then_logits[:, 21:])
    then["text"] = torch.cat([now["text"][:5], torch.full_like(now["text"][5:], 65)])
    torch.testing.assert_close(now_text[:, :5], t2s(stack([then]))[1][:, :5])

    for fine in (False, True):
        now, then = sm2a_item(sm2a, 1, 1.0, fine=fine), sm2a_item(sm2a, 1, 1.0, fine=fine)
        then["columns"] = now["columns"].clone()
        then["columns"][:, 9:] = 7
        now_x, then_x = sm2a(stack([now])), sm2a(stack([then]))
        torch.testing.assert_close(now_x[:, :9], then_x[:, :9])
        assert not torch.allclose(now_x[:, 9:], then_x[:, 9:])


@pytest.mark.parametrize("without", ["", "text", "music"])
@pytest.mark.parametrize("level", ["word", "none"])
def test_padding_and_neighbours_do_not_change_t2s(without: str, level: str) -> None:
    model = made_t2s()
    item = t2s_item(model, 1, 1.4, without, level)
    others = [t2s_item(model, 2, 3.1), t2s_item(model, 3, 0.9, "text"), t2s_item(model, 4, 2.0, "music", "line")]
    alone, text_alone = model(stack([item]))
    among, text_among = model(stack([others[0], item, *others[1:]]))
    torch.testing.assert_close(among[1, : alone.shape[1]], alone[0], atol=2e-5, rtol=1e-4)
    length = max(1, len(item["text"]))
    torch.testing.assert_close(text_among[1, :length], text_alone[0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("without", ["", "semantic", "music", "singer"])
def test_padding_and_neighbours_do_not_change_sm2a(without: str) -> None:
    model = made_sm2a()
    item = sm2a_item(model, 1, 1.0, without)
    alone = model(stack([item]))
    among = model(stack([sm2a_item(model, 2, 1.7), item, sm2a_item(model, 3, 0.4, "music", fine=True)]))
    torch.testing.assert_close(among[1, : alone.shape[1]], alone[0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("spec", [SPEC, SNAC, ENCODEC], ids=lambda spec: spec.name)
def test_any_strides_and_codebook_sizes_serve(spec: CodecSpec) -> None:
    t2s, sm2a = made_t2s(spec), made_sm2a(spec)
    logits_BTV, _ = t2s(stack([t2s_item(t2s, 1, 1.0)]))
    assert logits_BTV.shape == (1, 26, SEMANTIC_SIZE + 1)
    item = sm2a_item(sm2a, 1, 1.0, fine=True)
    x_BTD = sm2a(stack([item]))
    assert x_BTD.shape[1] == item["columns"].shape[1] - 1
    sizes = [sm2a.row_logits(x_BTD, row).shape[-1] for row in range(sm2a.num_rows)]
    # A special has no class of its own, so none can be drawn (AutoSing masked them along the batch axis: no-op).
    assert sizes == [spec.codebook_sizes[level] for level in sm2a.coarse.row_levels]


def test_t2s_hears_the_coarse_levels_of_the_music_alone() -> None:
    model = made_t2s(music_levels=2)
    clip = made_clip(1, 1.0)
    levels = [level.copy() for level in SPEC.unflatten(clip.array("instrumental_codes"))]
    item = t2s_item(model, 1, 1.0)
    want, _ = model(stack([item]))
    for changed, heard in ((1, True), (2, False), (3, False)):
        other = [level if i != changed else (level + 1) % 30 for i, level in enumerate(levels)]
        got, _ = model(stack([{**item, **music_item(other, model.pattern, model.music_rows)}]))
        assert torch.allclose(got, want) != heard, changed


def test_times_are_told_down_to_their_level_and_are_continuous() -> None:
    model = made_t2s()
    item = t2s_item(model, 1, 2.0)

    def with_times(shift_s: float, level: str) -> Tensor:
        words = [replace(w, start_s=w.start_s + shift_s) for w in made_clip(1, 2.0).meta.words]
        lyrics = TimedText.of_words(words, made_clip(1, 2.0).meta.lines).at(level)  # type: ignore[arg-type]
        return model(stack([{**item, **text_item(lyrics)}]))[0]

    for level in ("word", "line"):
        here, near, far = with_times(0.0, level), with_times(1e-4, level), with_times(0.3, level)
        assert (near - here).abs().max() < 0.05 * (far - here).abs().max() > 1e-4, level
    torch.testing.assert_close(with_times(0.0, "none"), with_times(0.5, "none"))


def test_a_stretch_of_music_keeps_its_place_in_time() -> None:
    levels = SPEC.unflatten(made_clip(1, 3.0).array("instrumental_codes"))
    block_s = SPEC.block_samples / SPEC.sample_rate_hz
    found, start_s = music_window(levels, SPEC, 1.0, 2.0)
    assert found is not None
    first = round((1.0 + start_s) / block_s)
    assert -block_s < start_s <= 0 and first * block_s == pytest.approx(1.0 + start_s)
    assert np.array_equal(found[0], levels[0][first : first + len(found[0])])
    assert start_s + len(found[0]) * block_s >= 1.0, "the end is covered too"
    assert [len(level) for level in found] == [len(found[0]) * 4 // stride for stride in SPEC.strides]


def test_the_mix_of_the_two_attentions_is_learned() -> None:
    """AutoSing adds 0.8 of one and 0.2 of the other, for ever."""
    model = T2S(T2SConfig(shape=SHAPES["debug"], semantic_size=9, semantic_width=4, codec=SPEC), torch.randn(9, 4))
    gate = model.decoder.blocks[0].cross.query_gate
    assert gate.bias_O[-4:].view(2, 2).softmax(0).flatten().tolist() == pytest.approx([0.8, 0.8, 0.2, 0.2])
    stir(model)
    item = t2s_item(model, 1, 1.0) | {"codes": torch.arange(9)}
    model(stack([item]))[0].square().sum().backward()
    assert gate.weight.grad is not None and (gate.weight.grad[:, -4:].abs() > 0).any()


def test_a_saved_model_is_the_same_model(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = made_t2s()
    save_model(tmp_path, "t2s", model.config.dump(), model.state_dict(), {"semantic": {"digest": "d"}})
    loaded = load_t2s(tmp_path)
    batch = stack([t2s_item(model, 1, 1.0)])
    torch.testing.assert_close(loaded(batch)[0], model(batch)[0])
    assert loaded.extra["semantic"] == {"digest": "d"}


def test_bf16_is_near_fp32() -> None:
    model, sm2a = made_t2s(), made_sm2a()
    batch, columns = stack([t2s_item(model, 1, 1.0)]), stack([sm2a_item(sm2a, 1, 1.0)])
    wanted, _ = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = model(batch)
        assert torch.isfinite(sm2a(columns)).all()
    halved, _ = model.to(torch.bfloat16)(batch)
    for found in (mixed, halved):
        assert torch.nn.functional.cosine_similarity(found.float().flatten(), wanted.flatten(), dim=0) > 0.98
