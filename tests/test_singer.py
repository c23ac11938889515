"""The singer's embedding: the published front end, and what it must not hear: level, pauses, rate."""

import numpy as np
import pytest
import torch

from autosing.audio.io import Audio, encode, resample
from autosing.audio.mel import mel_filters
from autosing.errors import InputError
from autosing.models.speaker import SpeakerEncoder
from processing.stages.clip import ClipVocals
from processing.stages.singer import EmbedSinger, SingerConfig

RATE_HZ = 16_000


def voice(seconds: float, f0_hz: float, formant_hz: float) -> np.ndarray:
    """Harmonics under one formant, trembling, so that no two frames are alike."""
    t_S = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    f0_S = f0_hz * 2 ** (0.5 * np.sin(2 * np.pi * 5 * t_S) / 12)
    phase_S = 2 * np.pi * np.cumsum(f0_S) / RATE_HZ
    gains = [1 / (1 + ((k * f0_hz - formant_hz) / 300) ** 2) for k in range(1, 20)]
    return (0.1 * sum(g * np.sin(k * phase_S) for k, g in enumerate(gains, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    torch.manual_seed(0)
    return SpeakerEncoder().eval()


def test_the_mel_front_end_is_librosas_on_which_the_weights_were_trained(encoder):
    librosa = pytest.importorskip("librosa")
    audio_S = voice(1.0, 200, 800)
    np.testing.assert_allclose(
        mel_filters(RATE_HZ, 400, 40), librosa.filters.mel(sr=RATE_HZ, n_fft=400, n_mels=40), atol=1e-8
    )
    theirs_MT = librosa.feature.melspectrogram(y=audio_S, sr=RATE_HZ, n_fft=400, hop_length=160, n_mels=40)
    np.testing.assert_allclose(encoder.mel(torch.from_numpy(audio_S)).numpy(), theirs_MT.T, atol=1e-6)


def test_neither_level_nor_rate_nor_a_pause_changes_the_singer(encoder):
    audio_S = voice(4.0, 200, 800)
    first = encoder.embed(audio_S, RATE_HZ)
    assert first.shape == (256,) and np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(encoder.embed(0.05 * audio_S, RATE_HZ), first, atol=1e-4)
    pause_S = np.zeros(3 * RATE_HZ, np.float32)
    for other in (np.concatenate([pause_S, audio_S, pause_S]), resample(audio_S, RATE_HZ, 44_100)):
        rate = 44_100 if len(other) > 12 * RATE_HZ else RATE_HZ
        assert first @ encoder.embed(other, rate) > 0.999


def test_a_clip_shorter_than_a_partial_is_embedded_and_silence_is_refused(encoder):
    assert np.isfinite(encoder.embed(voice(0.8, 200, 800), RATE_HZ)).all()
    with pytest.raises(InputError, match=r"0\.00 s of sound, need 0\.5 s") as raised:
        encoder.embed(np.zeros(2 * RATE_HZ, np.float32), RATE_HZ)
    assert raised.value.reason == "no_voice"


@pytest.mark.parametrize("seconds", [0.9, 3.17, 7.4])
def test_the_stage_embeds_a_clip_of_any_length_and_nobody_needs_to_know_the_artist(encoder, seconds, monkeypatch):
    """AutoSing's artist_embs step could not run, and wanted lengths that three divides and a map of artists."""
    monkeypatch.setattr("autosing.models.speaker.load_speaker_encoder", lambda device: encoder)
    stage = EmbedSinger(SingerConfig())
    stage.setup()
    row = stage.apply(ClipVocals("a", encode(Audio(np.tile(voice(seconds, 200, 800), (2, 1)), RATE_HZ))))
    assert row.id == "a" and row.embedding.shape == (256,)
    assert np.linalg.norm(row.embedding) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_the_published_weights_tell_two_voices_apart():
    stage = EmbedSinger(SingerConfig())
    stage.setup()
    clips = [voice(4, 200, 800), voice(4, 230, 800), voice(4, 110, 500)]
    low, same, other = (stage.apply(ClipVocals("a", encode(Audio(clip[None], RATE_HZ)))).embedding for clip in clips)
    assert low @ same > 0.8 > low @ other
