"""Tasks t2s and sm2a: what a clip becomes, what is learned of it, and that four clips can be learned by heart."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autosing.checkpoint import save_model
from autosing.errors import InputError
from autosing.generation.acoustic import Scale, generate_acoustic
from autosing.generation.sampling import Sampling
from autosing.generation.semantic import generate_semantic
from autosing.models.presets import SHAPES
from autosing.nn.mup import Tunables
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.text.tokenizer import TimedText, decode
from support.clips import SPEC, made_clip, made_index
from support.models import stir
from train.past_dropout import hidden_past
from train.tasks.sm2a import TrainSM2A
from train.tasks.t2s import TrainT2S

CERTAIN = {"drop_music": 0.0, "drop_singer": 0.0}


def made_task(kind: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    cls = {"t2s": TrainT2S, "sm2a": TrainSM2A}[kind]
    certain: dict[str, Any] = {**CERTAIN, ("drop_text" if kind == "t2s" else "drop_semantic"): 0.0}
    bare = {"semantic": None} | ({"use_singer": False} if kind == "t2s" else {})
    return cls(cls.Settings(**{"size": "debug", **bare, **certain, **settings}), made_index())


def loss_of(task: Any, items: list[Any], step: int = 0) -> Any:
    batch = task.collate(items)
    return task.loss(batch, step, task.counts(batch))


def with_meta(sample: Sample, **changes: Any) -> Sample:
    return Sample(sample.id, dataclasses.replace(sample.meta, **changes), sample._files)


def prepared(task: Any, sample: Sample, times: int, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    rng = np.random.default_rng(seed)
    return [task.prepare(sample, rng) for _ in range(times)]


def test_conditions_are_dropped_as_often_as_asked_each_by_itself() -> None:
    task = made_task("t2s", drop_text=0.3, drop_music=0.2, drop_singer=0.1, use_singer=True)
    items = prepared(task, made_clip(1), 400)
    lost = np.array([[len(i["text"]) == 0, i["music"].shape[1] == 0, not i["has_singer"]] for i in items])
    assert lost.mean(0) == pytest.approx([0.3, 0.2, 0.1], abs=0.06)
    assert abs(np.corrcoef(lost.T)[np.triu_indices(3, 1)]).max() < 0.15
    timed = np.array([float(i["text_time_s"].max()) for i in items if len(i["text"])])
    assert (timed < 0).mean() == pytest.approx(0.1, abs=0.06), "timing_none"
    assert len({tuple(i["text_time_s"].tolist()) for i in items if len(i["text"])}) == 3
    task = made_task("sm2a", drop_semantic=0.3, drop_music=0.2, drop_singer=0.1)
    items = prepared(task, made_clip(1), 400)
    lost = np.array([[len(i["semantic"]) == 0, i["music"].shape[1] == 0, not i["has_singer"]] for i in items])
    assert lost.mean(0) == pytest.approx([0.3, 0.2, 0.1], abs=0.06)
    for usual, names in ((TrainT2S.Settings(), ("text", "music", "singer")),
                         (TrainSM2A.Settings(), ("semantic", "music", "singer"))):  # fmt: skip
        assert all(getattr(usual, f"drop_{name}") > 0 for name in names), "AutoSing's default was 0"


def test_a_stretch_has_the_words_codes_and_music_of_its_own_time() -> None:
    """AutoSing's right halves kept the lyrics of the left."""
    clip = made_clip(3, 12.0)
    semantic, levels = clip.array("semantic"), SPEC.unflatten(clip.array("instrumental_codes"))
    task = made_task("t2s", context_s=4.0, timing_line=0.0, timing_none=0.0)
    seen = set()
    for item in prepared(task, clip, 30):
        (first,) = [n for n in range(201) if np.array_equal(semantic[n : n + 100], item["codes"])]
        start_s = first / 25
        words = [w for w in clip.meta.words if w.start_s >= start_s and w.end_s <= start_s + 4]
        assert decode(item["text"].numpy()).split() == [w.text for w in words]
        assert item["text_time_s"][0] == pytest.approx(words[0].start_s - start_s)
        block = round((start_s + float(item["music_start_s"])) / (SPEC.block_samples / SPEC.sample_rate_hz))
        column = task.model.pattern.to_columns(
            [torch.from_numpy(x[block * 4 // s :][: 8 // s]) for x, s in zip(levels, SPEC.strides, strict=True)]
        )
        assert torch.equal(item["music"][0, 1:3], column[0, 1:3])
        assert bool(item["ends"]) == (first == 200)
        seen.add(first)
    assert len(seen) > 10
    sm2a = made_task("sm2a", context_s=4.0, p_coarse=0.5)
    lengths = {(i["columns"].shape[1], int(i["positions"][1] - i["positions"][0])) for i in prepared(sm2a, clip, 20)}
    assert len({columns for columns, _ in lengths}) == 1 and {step for _, step in lengths} == {1, 2}


def test_what_a_clip_lacks_is_the_null_and_never_a_placeholder() -> None:
    """AutoSing learned a literal placeholder text for every song without an alignment."""
    wordless = with_meta(made_clip(1, accompanied=False), words=[], lines=[])
    (item,) = prepared(made_task("t2s"), wordless, 1)
    assert len(item["text"]) == 0 and item["music"].shape[1] == 0
    assert prepared(made_task("sm2a"), wordless, 1)[0]["music"].shape[1] == 0
    assert prepared(made_task("t2s", max_text_bytes=4), made_clip(1), 1) == [None], "too much text is skipped, not cut"


TOLD = {
    "word": {"timing_line": 0.0, "timing_none": 0.0},
    "line": {"timing_word": 0.0, "timing_none": 0.0},
    "none": {"timing_word": 0.0, "timing_line": 0.0},
}
OTHER = Tunables(output_mult=3.0, query_mult=0.6, base_width=100)


def without(name: str | None) -> Sampling:
    """Greedy, and by guidance of scale 0 nothing but the branch that goes without this condition."""
    return Sampling(temperature=0, stop_at_eos=False, **({f"guidance_{name}": 0.0} if name else {}))


def sung_again(sample: Sample, **codes: np.ndarray) -> Sample:
    return Sample(sample.id, sample.meta, sample._files | {f"{name}.npy": found for name, found in codes.items()})


def test_t2s_sings_from_exactly_what_it_learns_from() -> None:
    """What is drawn greedily is what the training task's own batch of it holds for likeliest, whatever is left out.

    AutoSing learned a masked accompaniment and sang without one by the real code 0; what users tuned it ignored.
    """
    clip = made_clip(1, 2.6)
    found = []
    for dropped, level in (
        (None, "word"),
        (None, "line"),
        (None, "none"),
        *((x, "word") for x in ("text", "music", "singer")),
    ):
        drop = {f"drop_{dropped}": 1.0} if dropped else {}
        task = made_task("t2s", use_singer=True, tunables=OTHER, **(CERTAIN | drop | TOLD[level]))
        stir(task.model, 0.3)
        lyrics = TimedText.of_words(clip.meta.words, clip.meta.lines).at(level)  # type: ignore[arg-type]
        music, singer = SPEC.unflatten(clip.array("instrumental_codes")), clip.array("singer")
        (codes,) = generate_semantic(task.model.eval(), lyrics, music, singer, 2.6, without(dropped))
        (item,) = prepared(task, sung_again(clip, semantic=codes), 1)
        logits_BTV, _ = task.model(task.collate([item]))
        assert torch.equal(logits_BTV[0, :-1, :-1].argmax(-1), torch.from_numpy(codes)), (dropped, level)
        found.append(tuple(codes.tolist()))
    assert len(set(found)) == len(found), "each condition counts"


@pytest.mark.parametrize("scale", ["coarse", "fine"])
def test_sm2a_sings_from_exactly_what_it_learns_from(scale: Scale) -> None:
    clip = made_clip(1, 1.6)
    found = []
    for dropped, named in ((None, None), ("semantic", "text"), ("music", "music"), ("singer", "singer")):
        task = made_task(
            "sm2a", tunables=OTHER, p_coarse=1.0, **(CERTAIN | ({f"drop_{dropped}": 1.0} if dropped else {}))
        )
        stir(task.model, 0.3)
        model, music = task.model.eval(), SPEC.unflatten(clip.array("instrumental_codes"))
        (levels,) = generate_acoustic(
            model, [clip.array("semantic")], music, clip.array("singer"), 1.6, without(named), scale=scale
        )
        (item,) = prepared(task, sung_again(clip, vocals_codes=SPEC.flatten(levels)), 1)
        pattern = model.fine if scale == "fine" else model.coarse
        columns_RC = pattern.to_columns([torch.from_numpy(level) for level in levels])
        if scale == "coarse":
            assert torch.equal(item["columns"], columns_RC)
        batch = task.collate([item | {"columns": columns_RC, "positions": pattern.positions(columns_RC.shape[1])}])
        x_TD = model(batch)[0]
        for row in range(model.num_rows):
            drawn_T = columns_RC[row, 1:]
            own = drawn_T < model.coarse.mask
            assert torch.equal(model.row_logits(x_TD[own], row).argmax(-1), drawn_T[own]), (dropped, row)
        found.append(SPEC.flatten(levels).tobytes())
    assert len(set(found)) == len(found), "each condition counts"


@pytest.mark.parametrize("kind", ["t2s", "sm2a"])
def test_a_code_counts_the_same_in_one_batch_as_in_several_of_unlike_lengths(kind: str) -> None:
    """Of one update: the mean of the losses of its batches is the loss of all their clips at once."""
    task = made_task(kind)
    task.modules.eval()
    items = [prepared(task, made_clip(n, seconds), 1)[0] for n, seconds in ((1, 1.0), (2, 6.0), (3, 2.0), (4, 5.5))]
    whole, _ = loss_of(task, items)
    batches = [task.collate(items[:2]), task.collate(items[2:])]
    counted = [task.counts(batch) for batch in batches]
    counts = {name: torch.stack([c[name].float() for c in counted]).mean() for name in counted[0]}
    parts = [task.loss(batch, 0, counts)[0] for batch in batches]
    torch.testing.assert_close(torch.stack(parts).mean(), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["t2s", "sm2a"])
def test_the_loss_of_a_batch_knows_no_padding(kind: str) -> None:
    task = made_task(kind)
    items = [prepared(task, made_clip(seed, duration), 1)[0] for seed, duration in ((1, 0.7), (2, 2.3))]
    (alone, metrics), (twice, _) = (loss_of(task, x) for x in (items[:1], items[:1] * 2))
    torch.testing.assert_close(alone, twice)
    longer = task.collate(items)
    for name in ("columns", "codes", "music", "text", "semantic"):
        if name in longer:
            row = longer[name][0]
            length = int(longer[f"{name}_length"][0])
            assert (
                row[..., length:].numel() == 0
                or (row[..., length:] == (task.model.coarse.pad if name == "columns" else 0)).all()
            )
    only_first = {name: value[:1] for name, value in longer.items()}
    torch.testing.assert_close(task.loss(only_first, 0, task.counts(only_first))[0], alone, atol=1e-4, rtol=1e-4)
    names = {f"accuracy_row{row}" for row in range(5)} if kind == "sm2a" else {"semantic_accuracy", "text_loss"}
    assert names <= set(metrics)


def test_a_run_goes_on_from_the_weights_of_another_of_its_shape_and_codes(tmp_path: Path) -> None:
    for kind in ("t2s", "sm2a"):
        first, run = made_task(kind, use_singer=True) if kind == "t2s" else made_task(kind), str(tmp_path / kind)
        stir(first.model)
        file = first.export()
        save_model(Path(run), file.kind, file.config, file.state, file.extra)
        usual = {"temperature": 0.3, "guidance_text": 2.0}
        own = {"use_singer": True} if kind == "t2s" else {}
        on = made_task(kind, begin_with=run, size="tiny", usual=usual, context_s=7.0, **own)
        assert on.describe()["size"] == "own shape of width 64"
        assert all(torch.equal(value, on.model.state_dict()[name]) for name, value in first.model.state_dict().items())
        whole = {**usual, "candidates": 1} if kind == "t2s" else usual
        assert (on.model_config.usual.dump(), on.model_config.context_s) == (whole, 7.0)
        assert on.model_config.shape == first.model_config.shape
        with pytest.raises(
            InputError, match=r"its shape.decoder_layers is 2, task.shape.decoder_layers asks for 6; leave"
        ):
            made_task(kind, begin_with=run, shape=SHAPES["tiny"], **own)
        if kind == "t2s":
            with pytest.raises(InputError, match="its use_singer is True, the new run's is False"):
                made_task(kind, begin_with=run)
        file.extra["semantic"]["digest"] = "2" * 64
        save_model(Path(run), file.kind, file.config, file.state, file.extra)
        with pytest.raises(
            InputError, match="was trained on the codes of a semantic codebook with digest 222222222222"
        ):
            made_task(kind, begin_with=run, **own)


def test_a_hidden_place_of_the_past_is_not_heeded() -> None:
    """Other codes there change nothing; other codes at a place that is seen change what follows it alone."""
    for kind, codes in (("t2s", "codes"), ("sm2a", "columns")):
        task = made_task(kind)
        stir(task.model)
        batch = task.collate(prepared(task, made_clip(0, 2.0), 1))
        other = batch | {codes: batch[codes].clone()}
        other[codes][..., 5] = (other[codes][..., 5] + 1) % 8
        place = 6 if kind == "t2s" else 5  # t2s has a start before its codes
        hidden_BT1 = torch.zeros(1, batch[codes].shape[-1] + (1 if kind == "t2s" else -1), 1, dtype=torch.bool)
        hidden_BT1[:, place] = True

        def outputs(batch: dict[str, torch.Tensor], hidden: torch.Tensor | None, task: Any = task) -> torch.Tensor:
            found = task.model(batch, hidden)
            return found[0] if isinstance(found, tuple) else found

        assert torch.equal(outputs(batch, hidden_BT1), outputs(other, hidden_BT1))
        seen, changed = outputs(batch, None), outputs(other, None)
        assert torch.equal(seen[:, :place], changed[:, :place]) and not torch.equal(seen[:, place:], changed[:, place:])


def test_the_past_is_hidden_in_training_alone_and_as_often_as_asked() -> None:
    torch.manual_seed(0)
    assert hidden_past(3, 4, 0.0) is None
    hidden_BT1 = hidden_past(400, 50, 0.3)
    assert hidden_BT1 is not None and hidden_BT1.shape == (400, 50, 1)
    share_B = hidden_BT1.float().mean((1, 2))
    assert share_B.mean() == pytest.approx(0.3, abs=0.03) and share_B.std() > 0.1 and share_B.max() < 0.9
    for kind in ("t2s", "sm2a"):
        plain, task = made_task(kind), made_task(kind, drop_past=0.5)
        stir(plain.model)
        task.model.load_state_dict(plain.model.state_dict())
        items = prepared(task, made_clip(0, 2.0), 2)
        for training in (True, False):
            plain.model.train(training)
            task.model.train(training)
            assert (loss_of(task, items)[0].item() == loss_of(plain, items)[0].item()) is not training


def test_codes_of_another_codebook_are_refused() -> None:
    for cls in (TrainT2S, TrainSM2A):
        with pytest.raises(InputError, match=r"the dataset's codes are of made-semanti.*task.semantic="):
            cls(cls.Settings(size="debug", semantic="autosing-semantic"), made_index())


def test_lyrics_that_hardly_fit_are_not_taken_for_what_is_sung() -> None:
    """AutoSing learned something as the text of songs that it could not align."""
    clip = made_clip(1, 6.0)
    for fitting, told in ((0, False), (1, False), (3, True), (5, True)):
        lines = [dataclasses.replace(line, fits=n < fitting) for n, line in enumerate(clip.meta.lines)]
        assert len(lines) == 5
        (item,) = prepared(made_task("t2s"), with_meta(clip, lines=lines), 1)
        assert (len(item["text"]) > 0) == told, fitting
    stretch = made_task("t2s", context_s=1.4, min_fitting=1.0)
    lines = [dataclasses.replace(line, fits=n < 2) for n, line in enumerate(clip.meta.lines)]
    texts = [(len(i["text"]) > 1, len(i["text"]) == 0) for i in prepared(stretch, with_meta(clip, lines=lines), 60)]
    assert {told for told, _ in texts} == {unknown for _, unknown in texts} == {True, False}, "each stretch by itself"


def test_what_the_dataset_lacks_is_refused() -> None:
    bare = DatasetIndex(fingerprint="x", members=("meta",))
    for cls in (TrainT2S, TrainSM2A):
        with pytest.raises(InputError, match="--members"):
            cls(cls.Settings(), bare)
    with pytest.raises(InputError, match="timing_word"):
        made_task("t2s", timing_word=0.0, timing_line=0.0, timing_none=0.0)


def learn(task: Any, clips: list[Sample], steps: int, lr: float = 4e-3) -> None:
    """AdamW with muP's groups, a short warm-up, and a rate that falls to a twentieth."""
    groups = [{**g, "lr": lr * g.pop("lr_scale"), "weight_decay": 0.0} for g in task.parameter_groups("model")]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 20) * max(0.05, 1 - step / steps)
    )
    rng = np.random.default_rng(0)
    for step in range(steps):
        loss, _ = loss_of(task, [task.prepare(clip, rng) for clip in clips], step)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    task.model.eval()


GREEDY = Sampling(temperature=0)


def equal(found: np.ndarray, wanted: np.ndarray) -> float:
    """The share of wanted codes that were found where they belong."""
    shared = min(len(found), len(wanted))
    return float((found[:shared] == wanted[:shared]).sum() / max(len(wanted), len(found)))


CLIPS = [made_clip(seed, 1.4 + 0.2 * seed, accompanied=seed != 3) for seed in range(4)]


def accompaniment(clip: Sample) -> list[np.ndarray] | None:
    return SPEC.unflatten(clip.array("instrumental_codes")) if clip.has("instrumental_codes") else None


@pytest.mark.slow
def test_four_clips_are_learned_by_heart_by_t2s() -> None:
    task = made_task("t2s", tunables=Tunables(weight_decay=0.0))
    learn(task, CLIPS, 120)
    for clip in CLIPS:
        for level in ("word", "line"):
            lyrics = TimedText.of_words(clip.meta.words, clip.meta.lines).at(level)  # type: ignore[arg-type]
            (codes,) = generate_semantic(task.model, lyrics, accompaniment(clip), None, 20.0, GREEDY)
            # Far more was asked for: it ends by itself where the clip did.
            assert equal(codes, clip.array("semantic")) >= 0.99, (clip.id, level)


@pytest.mark.slow
def test_four_clips_are_learned_by_heart_by_sm2a_in_coarse_and_fine_columns() -> None:
    task = made_task("sm2a", p_coarse=0.4, listen_s=0.0)
    learn(task, CLIPS, 200)
    for clip in CLIPS:
        for scale in ("coarse", "fine"):
            (levels,) = generate_acoustic(
                task.model, [clip.array("semantic")], accompaniment(clip), clip.array("singer"), clip.meta.duration_s,
                GREEDY, scale=scale,  # type: ignore[arg-type]
            )  # fmt: skip
            assert equal(SPEC.flatten(levels), clip.array("vocals_codes")) >= 0.99, (clip.id, scale)
