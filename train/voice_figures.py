"""Songs that are sung again while a model trains -> how far pitch, spectrum and singer are from what was asked.

Shapes: B songs, S samples, F frames.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from autosing.audio.pitch import load_tracker, pitch_at
from autosing.errors import InputError
from autosing.metrics.pitch import pitch_errors
from autosing.metrics.speaker import cosine
from autosing.metrics.spectral import mel_distance_db
from autosing.models.speaker import load_speaker_encoder

_TRACK_HZ = 100


def voice_figures(
    songs: Sequence[str], batch: Mapping[str, Tensor], sounds: Mapping[str, Tensor], sample_rate_hz: int,
    device: torch.device,
) -> dict[str, float]:  # fmt: skip
    """Each figure's mean, and each song's as "<figure>/<song>": f0_cents (RMSE where both are voiced, FCPE) and
    voicing_error of `sung` and `exchanged`; mel_db of `sung` against the original; cosine (GE2E) of `exchanged` to its
    target and to its source."""
    track, found = load_tracker("fcpe", str(device)), dict[str, list[float]]()
    speaker, voices_BE = load_speaker_encoder(str(device)), batch["singer"].cpu().numpy()
    figures: dict[str, float] = {}

    def note(name: str, song: str, value: float | None) -> None:
        if value is not None:
            figures[f"{name}/{song}"] = value
            found.setdefault(name, []).append(value)

    for k, song in enumerate(songs):
        true_S, asked_hz_F = batch["audio"][k].cpu().numpy(), batch["f0"][k].cpu().numpy()
        # From the frames' middles to where a tracker's frames lie: half a frame is 20 cents of a fast vibrato.
        rate_hz = len(asked_hz_F) * sample_rate_hz / len(true_S)
        times_s_T = np.arange(int(len(true_S) / sample_rate_hz * _TRACK_HZ)) / _TRACK_HZ
        asked_hz_T = pitch_at(asked_hz_F, rate_hz, times_s_T - 0.5 / rate_hz)
        for way, audio_BS in sounds.items():
            made_S = audio_BS[k].float().cpu().numpy()
            errors = pitch_errors(asked_hz_T, _TRACK_HZ, track(made_S, sample_rate_hz), _TRACK_HZ)
            note(f"{way}_f0_cents", song, errors.rmse_cents)
            note(f"{way}_voicing_error", song, errors.voicing_error)
        note("sung_mel_db", song, mel_distance_db(true_S, sounds["sung"][k].float().cpu().numpy(), sample_rate_hz))
        try:
            voice_E = speaker.embed(sounds["exchanged"][k].float().cpu().numpy(), sample_rate_hz)
        except InputError:  # nothing sounds: a figure less
            continue
        note("exchanged_to_target", song, cosine(voice_E, voices_BE[(k + 1) % len(songs)]))
        note("exchanged_to_source", song, cosine(voice_E, voices_BE[k]))
    return {**{name: fmean(values) for name, values in found.items()}, **figures}
