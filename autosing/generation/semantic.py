"""Lyrics, accompaniment, voice -> semantic codes of a singing of any length, several candidates at once.

Shapes: C candidates, G guidance variants, N codes, V classes.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from autosing.errors import InputError
from autosing.generation.incremental import IncrementalDecoder, Keep, threads_of_steps
from autosing.generation.sampling import Guidance, Sampling, choose, uniforms
from autosing.generation.windows import next_window
from autosing.models.conditions import music_item, music_window, singer_item, stack, text_item
from autosing.models.t2s import RATE_HZ, T2S
from autosing.text.tokenizer import TimedText
from autosing.timebase import SEMANTIC_RATE_HZ, num_frames_to_cover

Progress = Callable[[int, int], None]


@torch.inference_mode()
def generate_semantic(
    model: T2S,
    lyrics: TimedText | None,
    music: Sequence[np.ndarray] | None,
    singer: np.ndarray | None,
    duration_s: float,
    sampling: Sampling | None = None,
    candidates: int = 1,
    prompt: np.ndarray | None = None,
    overlap_s: float = 5.0,
    keep: Keep = "all",
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """-> for each candidate its codes (int64), 25 a second: as many as cover the duration, or fewer if the model drew
    its end token, which is not possible before the start of the last timed word.

    `music`: levels of the accompaniment's codes, None if there is none. `prompt`: codes at the start of the result.
    Beyond the model's context, windows overlap by `overlap_s`; a word that a window's end would cut is left to the next
    window. Raises InputError if there is nothing to sing, or the prompt is as long as the song.
    """
    sampling = (sampling or Sampling()).filled(model.config.usual)
    total = num_frames_to_cover(duration_s, SEMANTIC_RATE_HZ)
    start_N = np.zeros(0, np.int64) if prompt is None else np.asarray(prompt, np.int64)
    if total <= len(start_N):
        raise InputError(
            f"duration {duration_s} s: {total} codes, {len(start_N)} of them given; ask for a longer one or give fewer"
        )
    if start_N.size and not 0 <= start_N.min() <= start_N.max() < model.config.semantic_size:
        raise InputError(
            f"prompt: codes up to {start_N.max()}, need below {model.config.semantic_size}; give codes of its codebook"
        )
    if lyrics is not None and lyrics.level == "none":
        lyrics = lyrics.spread(duration_s)
    context = int(model.config.context_s * RATE_HZ)
    overlap = min(int(overlap_s * RATE_HZ), context // 2) or 1
    sung_CN = np.tile(start_N, (candidates, 1))
    while sung_CN.shape[1] < total:
        first, last = next_window(sung_CN.shape[1], total, context, overlap)
        window = _Window(model, lyrics, music, singer, first, last, sampling, keep)
        until = last if last == total else _before_a_cut_word(lyrics, sung_CN.shape[1], first, last)
        ended = [lambda n, base=first: progress(base + n, total)] if progress else []
        with threads_of_steps(model.decoder):
            codes, lengths_C = window.sing(sung_CN[:, first:], until - first, last == total, *ended)
        sung_CN = np.concatenate([sung_CN[:, :first], codes], 1)
    return [row_N[: first + length] for row_N, length in zip(sung_CN, lengths_C, strict=True)]


def _before_a_cut_word(lyrics: TimedText | None, done: int, first: int, last: int) -> int:
    """The last frame to keep of a window that is not the last: the start of the first word that its end would cut."""
    first_s, last_s = first / RATE_HZ, last / RATE_HZ
    cut = [w.start_s for w in lyrics.words if first_s < w.start_s < last_s < w.end_s] if lyrics else []
    frame = int(min(cut, default=last_s) * RATE_HZ)
    # A "word" longer than half a window (an error of the aligner) must not stop progress.
    return frame if frame > (done + last) // 2 else last


class _Window:
    """Frames first .. last with their conditions, which are encoded once for all candidates."""

    def __init__(
        self, model: T2S, lyrics: TimedText | None, music: Sequence[np.ndarray] | None, singer: np.ndarray | None,
        first: int, last: int, sampling: Sampling, keep: Keep,
    ) -> None:  # fmt: skip
        self.model, self.sampling, self.keep, self.first, self.frames = model, sampling, keep, first, last - first
        start_s, end_s = first / RATE_HZ, last / RATE_HZ
        text = lyrics.window(start_s, end_s) if lyrics is not None else None
        levels, music_start_s = music_window(music, model.config.codec, start_s, end_s)
        present = {"text": text is not None, "music": levels is not None, "singer": singer is not None}
        if not model.config.use_singer:
            present["singer"] = False
        self.guidance = Guidance.of(sampling, [name for name, there in present.items() if there])
        self.conditions = [
            text_item(None if without == "text" else text)
            | music_item(None if without == "music" else levels, model.pattern, model.music_rows, music_start_s)
            | singer_item(None if without == "singer" else singer)
            for without in self.guidance.variants
        ]
        timed = [w.start_s for w in text.words if w.timed] if text is not None and text.level != "none" else []
        self.earliest_end = int(max(timed, default=0.0) * RATE_HZ)

    def sing(
        self, prompt_CN: np.ndarray, until: int, may_end: bool, tick: Callable[[int], None] | None = None
    ) -> tuple[np.ndarray, list[int]]:
        """prompt_CN -> (codes_CN up to frame `until`, the length of each before its end)."""
        model, device, guidance = self.model, self.model.bias_V.device, self.guidance
        candidates, done = prompt_CN.shape
        clips = candidates * len(guidance.variants)
        # Variants outermost; all candidates have the same conditions.
        batch = stack([item for item in self.conditions for _ in range(candidates)])
        memory = model.encode({name: value.to(device) for name, value in batch.items()})
        positions_T = torch.arange(self.frames, device=device, dtype=torch.float32)
        moments_BTD = model.moments(positions_T[None], memory)
        decoder = IncrementalDecoder(model.decoder, memory.text, memory.music, positions_T, clips, self.keep)
        part = f"semantic at {self.first + done}"
        uniform_TC = uniforms(self.sampling, part, range(candidates), until - done)[:, 0].to(device)

        codes_CN = torch.zeros(candidates, until, dtype=torch.long, device=device)
        codes_CN[:, :done] = torch.from_numpy(prompt_CN).to(device)
        length_C = torch.full((candidates,), until, device=device)
        start_C1 = torch.full((candidates, 1), model.start, device=device)
        input_CT = torch.cat([start_C1, codes_CN[:, :done]], 1)
        for n in range(done, until):
            x_BTD = model.codes(input_CT).repeat(len(guidance.variants), 1, 1)
            first = n + 1 - input_CT.shape[1]
            logits_CV = guidance.combine(model.logits(decoder(x_BTD + moments_BTD[:, first : n + 1])))
            if not (may_end and self.sampling.stop_at_eos and n >= self.earliest_end):
                logits_CV[:, model.end] = float("-inf")
            code_C = choose(logits_CV, uniform_TC[n - done], self.sampling)
            length_C = torch.where((code_C == model.end) & (length_C == until), n, length_C)
            code_C = code_C.clamp(max=model.end - 1)
            codes_CN[:, n] = code_C
            input_CT = code_C[:, None]
            # Asking the device whether all have ended makes the host wait, so not at every step.
            if n % 8 == 7 and bool((length_C < until).all()):
                break
            if tick:
                tick(n + 1)
        return codes_CN.cpu().numpy(), length_C.tolist()
