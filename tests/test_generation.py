"""Laws of generation: cache = no cache, same seed same codes, EOS, forced codes, windows, guidance's null."""

from collections import Counter

import numpy as np
import pytest
import torch

from autosing.errors import InputError
from autosing.generation.acoustic import generate_acoustic
from autosing.generation.incremental import threads_of_steps
from autosing.generation.sampling import Sampling
from autosing.generation.semantic import generate_semantic
from autosing.models.conditions import crop_blocks, music_item, semantic_item, singer_item, stack, text_item
from autosing.models.presets import UsualSampling
from autosing.models.t2s import T2S
from autosing.nn.attention import CrossPair
from autosing.nn.mup import Tunables
from autosing.nn.transformer import ConditionEncoder, Decoder
from autosing.text.tokenizer import TimedText
from support.clips import SEMANTIC_SIZE, SPEC, made_clip
from support.models import made_sm2a, made_t2s

CLIP = made_clip(1, 2.0)
LYRICS = TimedText.of_words(CLIP.meta.words, CLIP.meta.lines)
MUSIC = SPEC.unflatten(CLIP.array("instrumental_codes"))
SINGER = CLIP.array("singer")
ALWAYS = Sampling(stop_at_eos=False)
GUIDED = Sampling(
    seed=5, top_k=20, top_p=0.95, guidance_text=2.0, guidance_music=1.5, guidance_singer=0.5, stop_at_eos=False
)
GREEDY = Sampling(temperature=0, stop_at_eos=False)


def same(one: list, other: list) -> bool:
    """Codes, or levels of codes, of every candidate."""
    return len(one) == len(other) and all(
        same(list(a), list(b)) if isinstance(a, list) else np.array_equal(a, b) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("sampling", [ALWAYS, GREEDY, GUIDED], ids=["drawn", "greedy", "guided"])
@pytest.mark.parametrize("keep", ["past", "nothing"])
def test_cached_equals_recomputed_token_for_token(sampling: Sampling, keep: str) -> None:
    t2s, sm2a = made_t2s(context_s=1.2, use_singer=True), made_sm2a(context_s=0.5)
    semantic = [
        generate_semantic(t2s, LYRICS, MUSIC, SINGER, 2.0, sampling, 2, overlap_s=0.4, keep=k) for k in ("all", keep)
    ]  # type: ignore[arg-type]
    assert same(*semantic) and [len(codes) for codes in semantic[0]] == [50, 50]
    for scale in ("fine", "coarse"):
        acoustic = [
            generate_acoustic(sm2a, semantic[0], MUSIC, SINGER, 0.8, sampling, scale=scale, overlap_s=0.1, keep=k)  # type: ignore[arg-type]
            for k in ("all", keep)
        ]
        assert same(*acoustic)


@pytest.mark.parametrize("duration_s", [0.4, 2.0])
def test_the_conditions_are_worked_out_once_however_many_steps_there_are(
    duration_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AutoSing worked out the keys and values of both conditions anew at every step: about 107 times the work."""
    done: list[type] = []
    for cls, name in ((CrossPair, "keys_values"), (ConditionEncoder, "forward"), (Decoder, "forward")):
        original = getattr(cls, name)
        monkeypatch.setattr(
            cls, name, lambda self, *args, own=original, of=cls: done.append(of) or own(self, *args)
        )  # fmt: skip
    t2s, sm2a = made_t2s(), made_sm2a()
    layers = len(t2s.decoder.blocks)
    once = {CrossPair: 2 * layers, ConditionEncoder: 2, Decoder: 1}
    (codes,) = generate_semantic(t2s, LYRICS, MUSIC, None, duration_s, ALWAYS)
    assert Counter(done) == once and len(codes) == 25 * duration_s
    done.clear()
    generate_acoustic(sm2a, [codes], MUSIC, SINGER, duration_s, ALWAYS)
    assert Counter(done) == once
    done.clear()
    generate_semantic(t2s, LYRICS, MUSIC, None, 0.4, ALWAYS, keep="past")
    assert Counter(done)[CrossPair] > 10 * layers, "what AutoSing does is told from it"


def test_a_candidate_is_the_same_alone_and_among_others() -> None:
    t2s, sm2a = made_t2s(), made_sm2a()
    one, three = (generate_semantic(t2s, LYRICS, MUSIC, None, 2.0, ALWAYS, n) for n in (1, 3))
    assert same(one, three[:1]) and same(three, generate_semantic(t2s, LYRICS, MUSIC, None, 2.0, ALWAYS, 3))
    assert not same(three[:1], three[1:2])
    assert not same(one, generate_semantic(t2s, LYRICS, MUSIC, None, 2.0, ALWAYS.model_copy(update={"seed": 1})))
    # Candidates of other lengths beside it pad its conditions and its columns.
    shared = [one[0], one[0][:31], three[1]]
    alone, among = (generate_acoustic(sm2a, codes, MUSIC, SINGER, 2.0, ALWAYS) for codes in (shared[:1], shared))
    assert same(alone, among[:1]) and len(among[1][-1]) < len(among[0][-1])
    alone, among = (generate_acoustic(sm2a, codes, MUSIC, SINGER, 2.0, GREEDY) for codes in (shared[1:2], shared))
    assert same(alone, among[1:2])


def test_codes_cover_the_duration_and_no_special_is_ever_drawn() -> None:
    t2s, sm2a = made_t2s(), made_sm2a()
    with torch.no_grad():
        t2s.bias_V[t2s.end] = 50.0  # It would always end: AutoSing's mask indexed the batch axis and forbade nothing.
    wild = Sampling(temperature=5.0, stop_at_eos=False)
    (semantic,) = generate_semantic(t2s, LYRICS, None, None, 1.99, wild)
    assert len(semantic) == 50 and semantic.max() < SEMANTIC_SIZE
    for duration_s, blocks in ((1.99, 47), (0.01, 1)):
        (levels,) = generate_acoustic(sm2a, [semantic], None, None, duration_s, wild)
        assert [len(level) for level in levels] == [4 * blocks // stride for stride in SPEC.strides]
        assert all(x.min() >= 0 and x.max() < size for x, size in zip(levels, SPEC.codebook_sizes, strict=True))


def test_eos_stops_but_not_before_the_last_word_begins() -> None:
    """AutoSing has no end: always 750 steps."""
    model, steps = made_t2s(), []
    with torch.no_grad():
        model.bias_V[model.end] = 50.0
    plain = TimedText.plain("la la")
    (codes,) = generate_semantic(
        model, plain, MUSIC, None, 2.0, Sampling(), progress=lambda done, _: steps.append(done)
    )
    assert len(codes) == 0 and len(steps) < 10
    last_word_s = max(word.start_s for word in LYRICS.words)
    (codes,) = generate_semantic(model, LYRICS, MUSIC, None, 2.0, Sampling())
    assert len(codes) == int(last_word_s * 25)
    assert len(generate_semantic(model, LYRICS, MUSIC, None, 2.0, ALWAYS)[0]) == 50
    assert generate_acoustic(made_sm2a(), [codes[:0]], MUSIC, None, 2.0)[0][-1].shape == (0,)


def test_what_is_given_is_kept_and_goes_on() -> None:
    t2s, sm2a = made_t2s(), made_sm2a()
    (whole,) = generate_semantic(t2s, LYRICS, MUSIC, None, 2.0, GREEDY)
    (rest,) = generate_semantic(t2s, LYRICS, MUSIC, None, 2.0, GREEDY, prompt=whole[:20])
    assert np.array_equal(whole, rest), "greedy, the same beginning goes on the same way"
    prompt = (whole[:20] + 1) % SEMANTIC_SIZE
    (other,) = generate_semantic(t2s, LYRICS, MUSIC, None, 2.0, GREEDY, prompt=prompt)
    assert np.array_equal(other[:20], prompt) and len(other) == 50
    with pytest.raises(InputError, match="50 of them given"):
        generate_semantic(t2s, LYRICS, MUSIC, None, 2.0, GREEDY, prompt=np.zeros(50, np.int64))
    with pytest.raises(InputError, match="the model knows 96"):
        generate_acoustic(sm2a, [np.full(50, 96)], MUSIC, None, 2.0)
    with pytest.raises(InputError, match="found 0 sets"):
        generate_acoustic(sm2a, [], MUSIC, None, 2.0)


def test_longer_than_the_context_is_sung_in_windows_that_begin_with_what_is_sung() -> None:
    """Under greedy decoding a window's codes are those of its conditions and prompt, given by hand."""
    short, long = made_t2s(context_s=1.2), made_t2s()
    (codes,) = generate_semantic(short, None, None, None, 2.0, GREEDY, overlap_s=0.4)
    # The last window reaches as far back as its context, to code 20, and has ten codes as its prompt.
    (first,) = generate_semantic(long, None, None, None, 1.2, GREEDY)
    (last,) = generate_semantic(long, None, None, None, 1.2, GREEDY, prompt=codes[20:30])
    assert np.array_equal(codes, [*first[:20], *last]) and np.array_equal(codes[20:30], first[20:])

    # Blocks of 1024 samples: 23 to a context, the last window from block 15 (0.64 s, code 16) to 38.
    short_a, long_a = made_sm2a(context_s=1.0), made_sm2a()
    block_s = SPEC.block_samples / SPEC.sample_rate_hz
    (levels,) = generate_acoustic(short_a, [codes], MUSIC, SINGER, 38 * block_s, GREEDY, overlap_s=0.3)
    first, middle, heard = (crop_blocks(x, SPEC, n, 23) for x, n in ((MUSIC, 0), (levels, 15), (MUSIC, 15)))
    (head,) = generate_acoustic(long_a, [codes[:25]], first, SINGER, 23 * block_s, GREEDY)
    prompt = crop_blocks(levels, SPEC, 15, 8)
    (tail,) = generate_acoustic(long_a, [codes[16:41]], heard, SINGER, 23 * block_s, GREEDY, prompt=prompt)
    assert same([head], [crop_blocks(levels, SPEC, 0, 23)]) and same([tail], [middle])


def test_a_word_cut_by_a_windows_end_is_sung_in_the_next_window(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    original = TimedText.window

    def window(self: TimedText, start_s: float, end_s: float) -> TimedText:
        found = original(self, start_s, end_s)
        heard.append(" ".join(word.text for word in found.words))
        return found

    monkeypatch.setattr(TimedText, "window", window)
    words = LYRICS.words  # 0.2-0.7, 0.8-1.3: the first window of 1.2 s cuts the second word
    (codes,) = generate_semantic(made_t2s(context_s=1.2), LYRICS, None, None, 2.0, GREEDY, overlap_s=0.3)
    assert len(codes) == 50
    assert heard[0] == words[0].text and words[1].text in heard[1]


def test_what_guidance_leaves_out_is_what_training_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoSing's unconditional branch heard music code 0, a real code; its training had masked the music."""
    model = made_t2s(use_singer=True)
    batches: list[dict[str, torch.Tensor]] = []
    original = T2S.encode
    monkeypatch.setattr(T2S, "encode", lambda self, batch: batches.append(dict(batch)) or original(self, batch))
    generate_semantic(model, LYRICS, MUSIC, SINGER, 2.0, GUIDED)
    (guided,) = batches
    full = text_item(LYRICS) | music_item(MUSIC, model.pattern, model.music_rows) | singer_item(SINGER)
    dropped = (
        text_item(None),
        music_item(None, model.pattern, model.music_rows),
        singer_item(None),
    )
    trained = stack([full, *(full | item for item in dropped)])
    for one, other in zip(_memories(model, guided), _memories(model, trained), strict=True):
        torch.testing.assert_close(one, other)
    silent = stack([full | music_item([np.zeros_like(x) for x in MUSIC], model.pattern, model.music_rows)])
    assert not torch.allclose(_memories(model, silent)[1][0, 0], _memories(model, trained)[1][2, 0])
    assert semantic_item(None)["semantic"].shape == (0,)


@torch.inference_mode()
def _memories(model: T2S, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """text, music (what is not padding), singer."""
    memory = model.encode(batch)
    assert memory.singer_B1D is not None
    shown = [m.x_BSD * m.visible_BS[..., None] for m in (memory.text, memory.music)]  # type: ignore[index]
    return [*shown, memory.singer_B1D]


def test_a_small_decoder_steps_on_one_thread_and_gives_the_others_back():
    decoder = Decoder(64, 2, 1, 1, 2, Tunables())
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_of_steps(decoder):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_bias_rules_the_codes_of_its_level_alone() -> None:
    """In windows, with guidance, on both scales; a bias of nought changes nothing."""
    model, semantic, level = made_sm2a(context_s=0.5), [np.arange(20)], 1
    size = SPEC.codebook_sizes[level]
    only = torch.full((size,), float("-inf"))
    only[[3, 5]] = 0.0
    for sampling in (GREEDY, GUIDED):
        for scale in ("fine", "coarse"):
            own, none, ruled = (
                generate_acoustic(model, semantic, MUSIC, SINGER, 0.8, sampling, scale=scale, overlap_s=0.1, bias=bias)
                for bias in (None, {level: torch.zeros(size)}, {level: only})
            )  # fmt: skip
            assert same(own, none)
            assert set(ruled[0][level].tolist()) <= {3, 5} and not set(own[0][level].tolist()) <= {3, 5}
            assert any(set(codes.tolist()) - {3, 5} for at, codes in enumerate(ruled[0]) if at != level)


def test_what_is_not_asked_for_is_as_the_model_is_usually_sung() -> None:
    usual, plain = UsualSampling(temperature=0, guidance_text=3.0), made_sm2a()
    model = made_sm2a(usual=usual)
    model.load_state_dict(plain.state_dict())
    semantic, asked = [np.arange(20)], Sampling(temperature=0, guidance_text=3.0)
    told = generate_acoustic(plain, semantic, MUSIC, SINGER, 0.8, asked)
    assert same(generate_acoustic(model, semantic, MUSIC, SINGER, 0.8), told)
    assert not same(generate_acoustic(plain, semantic, MUSIC, SINGER, 0.8), told)
    other = Sampling(temperature=1.0, guidance_text=1.0)
    assert same(*(generate_acoustic(m, semantic, MUSIC, SINGER, 0.8, other) for m in (plain, model)))
    assert Sampling(temperature=0.5).filled(usual) == Sampling(temperature=0.5, guidance_text=3.0)
