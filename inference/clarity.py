"""A voice and the lines it should sing -> how clearly their words are heard, to keep the best of several takes.

The figure is the mean log-probability of the words' tokens that Whisper's decoder gives when it hears the voice. It can
be compared between voices that sing the same lines. Tortoise (Betker 2023, arXiv:2305.07243) chooses among its takes by
a network, too.

Shapes: S samples at 16 kHz, L tokens, V their classes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio
from autosing.models.whisper import MAX_STATES, SAMPLE_RATE_HZ, STATE_SAMPLES, layer_states, load_whisper
from autosing.score.languages import language_of_letters
from inference.lyrics_plan import AskedLine

ENGLISH, OTHERS = "whisper-tiny.en", "whisper-base"
_LONGEST_S = MAX_STATES * STATE_SAMPLES / SAMPLE_RATE_HZ
_AROUND_S = 0.3
"""What is heard before and after a line."""


@dataclass(frozen=True)
class Clarity:
    """The recogniser for one language, loaded once per process."""

    whisper: Any
    language: str
    device: str

    @classmethod
    def for_lines(cls, lines: Sequence[AskedLine], device: str) -> "Clarity":
        """Letters of ASCII alone are heard as English; the same words are compared, so that other languages in Latin
        letters are only ranked less well. Raises InputError if the weights are missing."""
        text = " ".join(line.text for line in lines)
        found = language_of_letters(text)
        language = "en" if found == "und" else found
        return cls(load_whisper(ENGLISH if text.isascii() else OTHERS, device), language, device)

    def log_probabilities(self, voice: Audio, parts: Sequence[Sequence[AskedLine]]) -> list[np.ndarray]:
        """log_probability_L (nats) of the tokens of each part's lines, told on the voice's time; a line of more than 30
        s has none."""
        voice_S = voice.resampled(SAMPLE_RATE_HZ).mono_S()
        return [
            together(self._heard(_cut(voice_S, some), " ".join(line.text for line in some)) for some in at_once(lines))
            for lines in parts
        ]

    def _heard(self, voice_S: np.ndarray, text: str) -> np.ndarray:
        """log_probability_L of the text's tokens, given the voice and the tokens before."""
        import whisper
        from whisper.tokenizer import get_tokenizer

        model, many = self.whisper, self.whisper.is_multilingual
        tokenizer = get_tokenizer(
            many, num_languages=model.num_languages, language=self.language if many else None,
            task="transcribe" if many else None,
        )  # fmt: skip
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        text_L = tokenizer.encode(" " + text.strip())[: model.dims.n_text_ctx - len(start)]
        states = min(max(-(-len(voice_S) // STATE_SAMPLES), 1), MAX_STATES)
        # Not padded to 30 s: a fifth of the work, and takes are ranked as well.
        heard_S = whisper.pad_or_trim(voice_S.astype(np.float32), states * STATE_SAMPLES)
        with torch.inference_mode():
            heard_1S = torch.from_numpy(heard_S).to(self.device)[None]
            states_1TE = layer_states(model.encoder, heard_1S, model.dims.n_audio_layer)[-1]
            tokens_1L = torch.tensor([[*start, *text_L]], device=self.device)
            found_LV = model.decoder(tokens_1L[:, :-1], states_1TE)[0, len(start) - 1 :].float().log_softmax(-1)
        return found_LV.gather(1, tokens_1L[0, len(start) :, None])[:, 0].cpu().double().numpy()


def mean_of(found: Iterable[np.ndarray]) -> float | None:
    """Nats a token, at most 0; None where there is none."""
    found_L = together(found)
    return float(found_L.mean()) if len(found_L) else None


def together(found: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *found])


def at_once(lines: Sequence[AskedLine]) -> Iterator[list[AskedLine]]:
    """Lines one after another that the recogniser hears at once, in 30 s; without those that are longer alone."""
    held: list[AskedLine] = []
    for line in lines:
        if held and _length_s([*held, line]) > _LONGEST_S:
            yield held
            held = []
        if _length_s([line]) <= _LONGEST_S:
            held.append(line)
    if held:
        yield held


def _length_s(lines: Sequence[AskedLine]) -> float:
    return lines[-1].end_s - lines[0].start_s + 2 * _AROUND_S


def _cut(voice_S: np.ndarray, lines: Sequence[AskedLine]) -> np.ndarray:
    start_s, end_s = lines[0].start_s - _AROUND_S, lines[-1].end_s + _AROUND_S
    return voice_S[max(0, round(start_s * SAMPLE_RATE_HZ)) : round(end_s * SAMPLE_RATE_HZ)]
