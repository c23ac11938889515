"""Figures of songs that are sung again while a model trains: of the songs themselves, and of others in their place."""

import numpy as np
import pytest
import torch

from autosing.audio.pitch import pitch_at
from autosing.models.speaker import load_speaker_encoder
from autosing.songs import F0_RATE_HZ, tiny_song
from autosing.songs.singers import SINGERS
from train.voice_figures import voice_figures

RATE_HZ, HOP_SAMPLES = 24000, 256


@pytest.fixture(scope="module")
def batch():
    """A line of a mezzo-soprano, and another of a bass."""
    speaker, rows = load_speaker_encoder(), []
    frames = 4 * RATE_HZ // HOP_SAMPLES
    times_s_F = (np.arange(frames) + 0.5) * HOP_SAMPLES / RATE_HZ
    for seed, singer in ((1, SINGERS[0]), (2, SINGERS[3])):
        _, truth, stems = tiny_song(seed, 4, singer=singer)
        audio_S = stems.vocals.resampled(RATE_HZ).samples_CS.mean(0)[: frames * HOP_SAMPLES]
        f0_hz_F = pitch_at(truth.f0_hz, float(F0_RATE_HZ), times_s_F)
        rows.append((audio_S, f0_hz_F.astype(np.float32), speaker.embed(audio_S, RATE_HZ)))
    audio_BS, f0_BF, singer_BE = (torch.from_numpy(np.stack(values)) for values in zip(*rows, strict=True))
    return {"audio": audio_BS, "f0": f0_BF, "singer": singer_BE}


def figures(batch, sung_BS, exchanged_BS):
    sounds = {"sung": sung_BS, "exchanged": exchanged_BS}
    return voice_figures(["high", "low"], batch, sounds, RATE_HZ, torch.device("cpu"))


def test_the_song_itself_is_without_error_and_the_targets_voice_is_known(batch):
    own_BS = batch["audio"]
    found = figures(batch, own_BS, own_BS.flip(0))
    assert found["sung_mel_db"] == 0 and found["sung_f0_cents"] < 30
    assert found["exchanged_to_target"] > 0.99
    assert max(found[f"exchanged_to_source/{song}"] for song in ("high", "low")) < 0.9


def test_another_song_is_far_and_silence_has_no_voice(batch):
    own_BS = batch["audio"]
    found = figures(batch, own_BS.flip(0), torch.zeros_like(own_BS))
    assert found["sung_mel_db/low"] > 3 and found["exchanged_voicing_error"] > 0.2
    assert not [name for name in found if "_to_" in name], "nothing sounds: a figure less"
