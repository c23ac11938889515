"""What a singer does with a score beside its phones: how long consonants last, f0 with its vibrato, voicing, loudness.

Three small networks of `visinger`, each of which is trained on what is measured in recordings (see `measured_vibrato`).

Shapes: B clips, P phones, M notes, F frames, W width, K numbers, E = 256 singer.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.config import Config
from autosing.models.sung_score import (
    FRAME_NUMBERS,
    LENGTH_NUMBERS,
    NOTE_NUMBERS,
    VIBRATO_FROM_S,
    LengthsTold,
    ScoreTold,
)
from autosing.nn.convnext import ConvNeXt
from autosing.score.frames import PLACES
from autosing.score.phones import LANGUAGES, inventory

SINGER_WIDTH = 256
PHONES, LANGUAGE_ROOM = 256, 64
"""Rooms of the embeddings: more than there are phones and languages, which are only ever added to."""
_USUAL_S, SHORTEST_S, LONGEST_S = 0.08, 0.01, 0.5
"""Of consonants."""
_SLOWEST_HZ, _FASTEST_HZ = 4.0, 8.0
_LEAST_CENTS = 6.0
"""A vibrato below is none."""
_LONG_S = 0.55
"""A note below holds no vibrato that could be measured."""
_LOUDNESS_DB, _SPREAD_DB = -30.0, 15.0


class SignEmbedding(nn.Module):
    """(phone, place, language) as ids -> x_BWN."""

    def __init__(self, width: int) -> None:
        super().__init__()
        assert len(inventory()) <= PHONES and len(LANGUAGES) <= LANGUAGE_ROOM
        self.phone, self.place = nn.Embedding(PHONES, width), nn.Embedding(1 + len(PLACES), width)
        self.language = nn.Embedding(LANGUAGE_ROOM, width)
        for table in (self.phone, self.place, self.language):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, sign_B3N: Tensor) -> Tensor:
        phone_BN, place_BN, language_BN = sign_B3N.unbind(1)
        return (self.phone(phone_BN) + self.place(place_BN) + self.language(language_BN)).mT


class PhoneLengths(nn.Module):
    """The length that each consonant wants, in seconds; vowels hold what is left (autosing.score.timing)."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.signs, self.singer = SignEmbedding(width), nn.Linear(SINGER_WIDTH, width)
        self.net = ConvNeXt(2 * width + LENGTH_NUMBERS, width, 2 * width, blocks)
        self.out = nn.Conv1d(width, 1, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, told: LengthsTold, singer_BE: Tensor) -> Tensor:
        """log(length / 80 ms), [B, P]."""
        singer_BWP = self.singer(singer_BE)[:, :, None].expand(-1, -1, told.phone_BKP.shape[2])
        x_BWP = torch.cat([self.signs(told.phone_B3P), singer_BWP, told.phone_BKP], dim=1)
        return self.out(self.net(x_BWP, told.phone_mask_BP))[:, 0]

    def seconds(self, told: LengthsTold, singer_BE: Tensor) -> Tensor:
        return (self(told, singer_BE).exp() * _USUAL_S).clamp(SHORTEST_S, LONGEST_S)


def length_target(seconds: np.ndarray) -> np.ndarray:
    """What PhoneLengths is to say."""
    return np.log(np.clip(seconds, SHORTEST_S, LONGEST_S) / _USUAL_S).astype(np.float32)


@dataclass(frozen=True)
class Vibrato:
    """Of each note: depth * sin(2 pi rate t + phase), t from where a vibrato sets in, swelling as
    autosing.models.sung_score says."""

    cents_BM: Tensor
    rate_hz_BM: Tensor
    phase_B2M: Tensor
    """Cosine and sine; of length about 1 where it is sure."""

    def at(self, told: ScoreTold) -> Tensor:
        """cents_BF."""
        note_BF = told.note_of_BF.clamp(min=0)
        cents_BF, rate_BF = self.cents_BM.gather(1, note_BF), self.rate_hz_BM.gather(1, note_BF)
        phase_BM = torch.atan2(self.phase_B2M[:, 1], self.phase_B2M[:, 0])
        turn_BF = 2 * torch.pi * rate_BF * (told.since_BF - VIBRATO_FROM_S) + phase_BM.gather(1, note_BF)
        return cents_BF * told.swell_BF * turn_BF.sin() * (told.note_of_BF >= 0)


class NoteVibrato(nn.Module):
    """Notes and a singer -> the vibrato of each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = ConvNeXt(NOTE_NUMBERS + width, width, 2 * width, 1)
        self.singer, self.out = nn.Linear(SINGER_WIDTH, width), nn.Conv1d(width, 4, 1)

    def forward(self, told: ScoreTold, singer_BE: Tensor) -> Vibrato:
        singer_BWM = self.singer(singer_BE)[:, :, None].expand(-1, -1, told.note_BKM.shape[2])
        x_B4M = self.out(self.net(torch.cat([told.note_BKM, singer_BWM], dim=1), told.note_mask_BM)).float()
        rate_BM = _SLOWEST_HZ + (_FASTEST_HZ - _SLOWEST_HZ) * x_B4M[:, 1].sigmoid()
        return Vibrato(20 * F.softplus(x_B4M[:, 0]), rate_BM, x_B4M[:, 2:])


class CurvesConfig(Config):
    """Sizes of the three networks."""

    width: int = Field(default=128, ge=8, multiple_of=8)
    blocks: int = Field(default=4, ge=1)
    small_width: int = Field(default=64, ge=8, multiple_of=8)
    """Of the networks over phones and over notes."""


class Curves(nn.Module):
    """Signs as frames, notes and a singer -> how f0 leaves the notes' pitch, whether it is voiced, how loud it is."""

    def __init__(self, content_width: int, config: CurvesConfig) -> None:
        super().__init__()
        width = config.width
        self.content = nn.Conv1d(content_width, width, 1)
        self.singer = nn.Linear(SINGER_WIDTH, width)
        self.net = ConvNeXt(width + FRAME_NUMBERS + 2, width, 3 * width, config.blocks)
        self.out = nn.Conv1d(width, 3, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, content_BCF: Tensor, told: ScoreTold, singer_BE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(away_BF in semitones, voiced_BF as logits, loudness_BF in units of 15 dB)."""
        x_BWF = self.content(content_BCF) + self.singer(singer_BE)[:, :, None]
        height_B1F = ((told.midi_BF - 60) / 12)[:, None]
        more = [told.frame_BKF, height_B1F, told.swell_BF[:, None]]
        away_BF, voiced_BF, loudness_BF = self.out(self.net(torch.cat([x_BWF, *more], dim=1))).float().unbind(1)
        return away_BF, voiced_BF, loudness_BF


@cache
def voiced_phones(device: torch.device) -> Tensor:
    """bool by a phone's id: whether it is voiced by nature. Silences are not."""
    voiced = torch.zeros(PHONES, dtype=torch.bool)
    voiced[[phone.id for phone in inventory().values() if phone.voiced]] = True
    return voiced.to(device)


def loudness_unit(loudness_db: Tensor) -> Tensor:
    """dB -> the unit that Curves speaks; `loudness_db` is the inverse."""
    return (loudness_db - _LOUDNESS_DB) / _SPREAD_DB


def loudness_db(unit: Tensor) -> Tensor:
    return unit * _SPREAD_DB + _LOUDNESS_DB


def smoothed(x_F: np.ndarray, rate_hz: float, seconds: float) -> np.ndarray:
    """Weighted by a Hann window of that length. Loudness is told so: slow dynamics, phones know the rest."""
    half = max(1, round(seconds * rate_hz / 2))
    window_K = np.hanning(2 * half + 3)[1:-1]
    smooth_F = np.convolve(np.pad(x_F, half, mode="edge"), window_K / window_K.sum(), "valid")
    return smooth_F.astype(np.float32)


def measured_vibrato(
    away_cents_F: np.ndarray, voiced_F: np.ndarray, note_of_F: np.ndarray, since_F: np.ndarray, swell_F: np.ndarray,
    num_notes: int,
) -> np.ndarray:  # fmt: skip
    """vibrato_4M of a recording: cents, rate in Hz, phase in radians, and 1 where a note is long enough to tell.

    Of each note the sine that fits best, by least squares over a grid of rates, after what is slower is taken off.
    """
    found_4M = np.zeros((4, num_notes), np.float32)
    rates_R = np.arange(_SLOWEST_HZ, _FASTEST_HZ + 0.01, 0.1)
    for m in range(num_notes):
        mine = np.flatnonzero((note_of_F == m) & (swell_F > 0))
        if len(mine) < 8 or since_F[mine[-1]] < _LONG_S or voiced_F[mine].mean() < 0.7:
            continue
        since, swell, voiced = since_F[mine] - VIBRATO_FROM_S, swell_F[mine], voiced_F[mine].astype(float)
        slow = np.polynomial.Polynomial.fit(since, away_cents_F[mine], 2, w=voiced + 1e-3)(since)
        rest = (away_cents_F[mine] - slow) * voiced * swell
        power = float((voiced * np.square(swell)).sum())
        fit_R = 2 * (np.exp(-2j * np.pi * rates_R[:, None] * since) * rest).sum(1) / max(power, 1e-3)
        best = int(np.abs(fit_R).argmax())
        depth = float(np.abs(fit_R[best]))
        # depth sin(2 pi r t + p) is the real part of -i depth exp(i p) exp(2 pi i r t).
        phase = float(np.angle(1j * fit_R[best]))
        found_4M[:, m] = depth if depth >= _LEAST_CENTS else 0.0, rates_R[best], phase, 1.0
    return found_4M


def vibrato_cents(
    vibrato_4M: np.ndarray, note_of_F: np.ndarray, since_F: np.ndarray, swell_F: np.ndarray
) -> np.ndarray:
    """cents_F of what `measured_vibrato` found."""
    if not vibrato_4M.shape[1]:
        return np.zeros(len(note_of_F), np.float32)
    cents_F, rate_F, phase_F, _ = vibrato_4M[:, np.maximum(note_of_F, 0)]
    turn_F = 2 * np.pi * rate_F * (since_F - VIBRATO_FROM_S) + phase_F
    return np.where(note_of_F >= 0, cents_F * swell_F * np.sin(turn_F), 0).astype(np.float32)
