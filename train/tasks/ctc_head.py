"""Task ctc_head: voices and the times of their words -> the aligner's letter head, on the states of a frozen Whisper.

Viterbi training: at first each word's frames are divided equally among its letters, and the head learns that; then,
every `place_every` steps, they are divided by the best path under the head's own likelihoods (train.letters.places).
Loss: cross-entropy of the letters with label smoothing, and of word starts. It needs a dataset with audio and words.
Whisper's states of a clip depend on the clip alone, so they are cached as far as memory allows.

Shapes: B windows of up to 30 s, S samples at 16 kHz, T frames of 20 ms, D Whisper's width, L classes (silence, a to z),
R stretches, K states (train.letters.places).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile
from autosing.config import Config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.models.bundled import LETTERS_ENCODER, letters_encoder
from autosing.models.conditions import stack
from autosing.models.letters import NUM_LETTERS, SAMPLE_RATE_HZ, LetterHead, letter_states, letters_file, load_letters
from autosing.models.whisper import load_encoder
from autosing.schemas.sample import DatasetIndex, Sample
from autosing.timebase import LETTER_RATE_HZ, num_frames_to_cover
from train.distributed import rows_of_all_ranks
from train.letters.places import place_letters, window_words
from train.task import Counts, Task, decay_groups

WINDOW_S = 30.0
"""The length of Whisper's input."""
_WINDOW_SAMPLES = round(WINDOW_S * SAMPLE_RATE_HZ)
_IGNORED = -100
_DECAY = 0.99
"""Of the counts of letters, in each step."""


class CTCHeadSettings(Config):
    """The task's settings."""

    encoder: str = LETTERS_ENCODER
    """The Whisper whose states are the head's input; the aligner then uses the same."""
    begin_with: str | None = None
    """A head that the run starts from: autosing-letters (the bundled one) or a run's folder. It then places letters
    from the first step on."""
    hidden: int = Field(96, gt=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    weight_decay: float = Field(0.02, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    start_weight: float = Field(1.0, ge=0)
    """Weight of the loss of word starts, relative to that of letters."""
    even_steps: int = Field(168, ge=1)
    """Steps before the head places letters for the first time."""
    place_every: int = Field(84, ge=1)
    """Steps between two placements of the letters."""
    prior_weight: float = Field(0.5, ge=0, le=1)
    """The part of a letter's log-prior that is subtracted from its scores when letters are placed."""
    sure_score: float = Field(1.0, ge=0)
    """Words with at least this score keep their times; words of synthetic songs have 1, aligned words less."""
    slack_s: float = Field(0.2, ge=0)
    """How far the ends of a run of other words may move."""
    instrumental_share: float = Field(0.25, ge=0, le=1)
    """The gain with which the accompaniment is mixed in, as in the align stage."""
    kept_mb: int = Field(1024, ge=0)
    """Memory for Whisper's states, 1.5 MB per clip of 30 s; states that do not fit are computed in each epoch."""


class Placer(nn.Module):
    """The head as it was when letters were last placed, and the counts of letters; part of the run's state."""

    placing: Tensor
    counts_L: Tensor
    log_prior_L: Tensor

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.head = LetterHead(width, hidden, dropout=0.0)
        for module in self.head.modules():  # buffers, so that neither the optimiser nor the average changes them
            for name, parameter in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, parameter.detach().clone())
        self.register_buffer("placing", torch.tensor(False))
        self.register_buffer("counts_L", torch.zeros(NUM_LETTERS))
        self.register_buffer("log_prior_L", torch.zeros(NUM_LETTERS))

    def take(self, head: LetterHead, log_prior_L: Tensor) -> None:
        """Place letters by this head from now on."""
        self.head.load_state_dict(head.state_dict())
        self.log_prior_L.copy_(log_prior_L)
        self.placing.fill_(True)

    def prior(self) -> Tensor:
        """log_prior_L: the log-frequencies of letters in the last steps."""
        return (self.counts_L / self.counts_L.sum().clamp(min=1e-6) + 1e-6).log()

    @torch.no_grad()
    def scores(self, states_BTD: Tensor, frames_B: Tensor, prior_weight: float) -> np.ndarray:
        """score_BTL."""
        log_p_BTL, _ = self.head(states_BTD, frames_B)
        scores: np.ndarray = (log_p_BTL - prior_weight * self.log_prior_L).float().cpu().numpy()
        return scores


class TrainCTCHead(Task):
    """See the module."""

    name = "ctc_head"
    Settings = CTCHeadSettings
    members = ("meta", "audio")

    def __init__(self, config: CTCHeadSettings, index: DatasetIndex) -> None:
        super().__init__(config, index)
        self.settings = config
        width = load_encoder(config.encoder).positional_embedding.shape[1]
        self.head, self.placer = LetterHead(width, config.hidden, dropout=config.dropout), Placer(width, config.hidden)
        if config.begin_with is not None:
            self._begin_with(config.begin_with)
        self.modules = nn.ModuleDict({"model": self.head, "placer": self.placer})
        self._kept: dict[int, Tensor] = {}
        """A window's key -> its states, float16."""
        self._kept_bytes = 0
        self._placed: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        """A window's key -> its letters and starts, until the next placement."""
        self._counted_L = torch.zeros(NUM_LETTERS)
        """Counts of letters in this step's micro-batches."""

    def describe(self) -> dict[str, str]:
        start = f", starts from {self.settings.begin_with}" if self.settings.begin_with else ""
        return {"encoder": f"{self.settings.encoder}{start}"}

    def parameter_groups(self, phase: str) -> list[dict[str, Any]]:
        return decay_groups(self.head.parameters(), self.settings.weight_decay)

    def prepare(self, sample: Sample, rng: np.random.Generator) -> dict[str, Tensor] | None:
        """A window of the clip: the audio that the aligner would get, and what is known of its words."""
        voice = sample.audio("vocals")
        first = int(rng.integers(1 + max(0, int((voice.duration_s - WINDOW_S) * LETTER_RATE_HZ))))
        start_s = first / LETTER_RATE_HZ
        voice_S = _window(voice, start_s)
        if sample.has("instrumental") and self.settings.instrumental_share > 0:
            music_S = _window(sample.audio("instrumental"), start_s)[: len(voice_S)]
            voice_S[: len(music_S)] += np.float32(self.settings.instrumental_share) * music_S
        num_frames = num_frames_to_cover(len(voice_S) / SAMPLE_RATE_HZ, LETTER_RATE_HZ)
        words = [replace(w, start_s=w.start_s - start_s, end_s=w.end_s - start_s) for w in sample.meta.words]
        lines = [replace(x, start_s=x.start_s - start_s, end_s=x.end_s - start_s) for x in sample.meta.lines]
        known = window_words(words, lines, num_frames, self.settings.sure_score, self.settings.slack_s)
        if not known.stretch_3R.size:
            return None
        return {
            "key": torch.tensor(seed_of(sample.id, first)), "audio": torch.from_numpy(voice_S),
            "counted": torch.from_numpy(known.counted_T), "stretches": torch.from_numpy(known.stretch_3R),
            "order": torch.from_numpy(known.state_5K),
        }  # fmt: skip

    def collate(self, items: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        return stack(items)

    def counts(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"frames": batch["counted"].sum()}

    def loss(self, batch: dict[str, Tensor], step: int, counts: Counts) -> tuple[Tensor, dict[str, Tensor]]:
        counted_BT, frames_B = batch["counted"], batch["counted_length"]
        with torch.autocast(counted_BT.device.type, enabled=False):  # the aligner runs Whisper in fp32, too
            states_BTD = self._states(batch)
            letter_BT, wanted_BT = self._labels(batch, states_BTD)
        letter_BT = torch.where(counted_BT, letter_BT, _IGNORED)
        log_p_BTL, start_BT = self.head(states_BTD, frames_B)
        letter_loss = F.cross_entropy(
            log_p_BTL.flatten(0, 1).float(), letter_BT.flatten(), reduction="sum", ignore_index=_IGNORED,
            label_smoothing=self.settings.label_smoothing,
        ) / counts["frames"]  # fmt: skip
        start_losses_BT = F.binary_cross_entropy_with_logits(start_BT.float(), wanted_BT, reduction="none")
        start_loss = (start_losses_BT * counted_BT).sum() / counts["frames"]
        if self.head.training:
            letter_M = letter_BT[counted_BT]
            self._counted_L = self._counted_L + torch.bincount(letter_M, minlength=NUM_LETTERS).cpu()
        right = (log_p_BTL.argmax(dim=-1) == letter_BT) & (letter_BT > 0)
        metrics = {
            "letter_loss": letter_loss, "start_loss": start_loss,
            "accuracy": right.sum() / (letter_BT > 0).sum().clamp(min=1),
        }  # fmt: skip
        return letter_loss + self.settings.start_weight * start_loss, metrics

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        counted_L = rows_of_all_ranks(self._counted_L.to(self.placer.counts_L)[None], [1]).sum(dim=0)
        self.placer.counts_L.mul_(_DECAY).add_(counted_L)
        self._counted_L = torch.zeros(NUM_LETTERS)
        beyond = step - self.settings.even_steps
        if beyond >= 0 and beyond % self.settings.place_every == 0:
            self.placer.take(self.head, self.placer.prior())
            self._placed.clear()

    def export(self) -> ModelFile:
        return letters_file(self.head, self.placer.prior(), self.settings.encoder)

    def _begin_with(self, name: str) -> None:
        """Raises InputError if that head has another encoder or another width."""
        if letters_encoder(name) != self.settings.encoder:
            raise InputError(
                f"begin_with {name}: has encoder {letters_encoder(name)}, the run {self.settings.encoder}; "
                f"give --set task.encoder={letters_encoder(name)}"
            )
        head, log_prior_L = load_letters(name)
        try:
            self.head.load_state_dict(head.state_dict())
        except RuntimeError:
            raise InputError(
                f"begin_with {name}: has hidden {head.narrow.out_features}, the run {self.settings.hidden}; "
                f"give --set task.hidden={head.narrow.out_features}"
            ) from None
        self.placer.take(head, log_prior_L)
        self.placer.counts_L.copy_(log_prior_L.exp())

    def _states(self, batch: dict[str, Tensor]) -> Tensor:
        """states_BTD. Each window is encoded alone, so that its states do not depend on the batch. They are always
        rounded to float16, so that cached states are the same."""
        encoder, found = load_encoder(self.settings.encoder, str(self.device)), []
        longest = batch["counted"].shape[1]
        audio, lengths = batch["audio"], batch["audio_length"].tolist()
        for key, audio_S, length in zip(batch["key"].tolist(), audio, lengths, strict=True):
            states_TD = self._kept.get(key)
            if states_TD is None:
                states_TD = letter_states(encoder, audio_S[:length].cpu().numpy()).half().cpu()
                states_TD = states_TD[: num_frames_to_cover(length / SAMPLE_RATE_HZ, LETTER_RATE_HZ)].clone()
                if self._kept_bytes + states_TD.nbytes <= self.settings.kept_mb << 20:
                    self._kept[key], self._kept_bytes = states_TD, self._kept_bytes + states_TD.nbytes
            found.append(F.pad(states_TD, (0, 0, 0, longest - len(states_TD))))
        return torch.stack(found).to(self.device).float()

    def _labels(self, batch: dict[str, Tensor], states_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """(letter_BT, start_BT) as last placed; equal shares as long as the placer has no head."""
        keys, longest = batch["key"].tolist(), batch["counted"].shape[1]
        new = [b for b, key in enumerate(keys) if key not in self._placed]
        placing = bool(self.placer.placing)
        for b in new:
            frames, stretches, states = (int(batch[f"{n}_length"][b]) for n in ("counted", "stretches", "order"))
            score_TL = None
            if placing:
                score_TL = self.placer.scores(states_BTD[b : b + 1, :frames], batch["counted_length"][b : b + 1],
                                              self.settings.prior_weight)[0]  # fmt: skip
            self._placed[keys[b]] = place_letters(
                frames, batch["stretches"][b, :, :stretches].cpu().numpy(), batch["order"][b, :, :states].cpu().numpy(),
                score_TL,
            )  # fmt: skip
        placed = [self._placed[key] for key in keys]
        letter_BT, start_BT = (
            torch.stack([F.pad(torch.from_numpy(x_T), (0, longest - len(x_T))) for x_T in values])
            for values in zip(*placed, strict=True)
        )
        return letter_BT.to(self.device), start_BT.to(self.device)


def _window(audio: Audio, start_s: float) -> np.ndarray:
    """Up to 30 s of the audio at 16 kHz, mono, from `start_s` on."""
    cut = audio.cut(start_s, min(WINDOW_S, audio.duration_s - start_s))
    return (
        Audio(cut.mono_S()[None], cut.sample_rate_hz).resampled(SAMPLE_RATE_HZ).samples_CS[0, :_WINDOW_SAMPLES].copy()
    )
