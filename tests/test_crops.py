"""What trainings draw from a clip: a crop's sound and level, and what a flow is told of it."""

import numpy as np
import torch

from autosing.audio.io import Audio
from autosing.models.acoustic import new_space
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.told import Told
from support.datasets import CONTENT
from support.models import stir
from train.crops import unclipped_db, voice_from
from train.flow_drops import with_drops


def test_a_crop_beyond_the_end_is_silent_and_as_long_as_asked():
    ramp_S = np.linspace(0, 1, 2400, dtype=np.float32)
    audio_S = voice_from(Audio(ramp_S[None], 24_000), 0.05, 2400, 24_000)
    assert audio_S.shape == (2400,) and not audio_S[1200:].any()
    np.testing.assert_allclose(audio_S[:1200], ramp_S[1200:], atol=1e-6)


def test_a_gain_lifts_no_peak_above_full_scale():
    audio_S = np.array([0.1, -0.5], np.float32)
    assert unclipped_db(3.0, audio_S) == 3.0 and unclipped_db(-9.0, audio_S) == -9.0
    gained_S = audio_S * 10 ** (unclipped_db(12.0, audio_S) / 20)
    assert 0.999 < np.abs(gained_S).max() <= 1.0


def test_a_flow_is_told_without_a_singer_or_without_content_and_its_prior_with_all():
    torch.manual_seed(0)
    model = SvcFlow(
        SvcFlowConfig(
            space=new_space("codec_latent"), content=(CONTENT,), width=16, hidden=16, encoder_blocks=1, blocks=1
        )
    ).eval()
    stir(model)
    f0_BF = torch.full((2, 8), 200.0)
    told = Told(torch.randn(2, CONTENT.width, 8), f0_BF, f0_BF > 0, -f0_BF / 10, torch.randn(2, 256))
    h_BWT = model.tell(told)
    whole = with_drops(model, told, h_BWT, 0, 0)
    assert (
        whole.heard_BWT.equal(h_BWT) and whole.known_BDT.equal(whole.mu_BDT) and whole.singer_BE.equal(told.singer_BE)
    )
    assert whole.mu_BDT.requires_grad and not whole.known_BDT.requires_grad
    silent = with_drops(model, told, h_BWT, 0, 1)
    assert not silent.heard_BWT.any() and not silent.known_BDT.any() and silent.mu_BDT.equal(whole.mu_BDT)
    nobody = with_drops(model, told, h_BWT, 1, 0)
    assert not nobody.singer_BE.any() and nobody.heard_BWT.equal(h_BWT) and not nobody.mu_BDT.equal(whole.mu_BDT)
