"""Parts of svc_vits: flows that lead back, with the determinant that autograd says; nothing is seen beyond the mask."""

import math

import pytest
import torch
from torch import nn

from autosing.errors import InputError
from autosing.models.posterior import PosteriorConfig, build_posterior
from autosing.nn.coupling import CouplingConfig, CouplingFlow
from autosing.nn.folding import fold_weight_norms
from autosing.nn.local_attention import LocalAttention, LocalEncoder, LocalEncoderConfig
from autosing.nn.nsf import NsfConfig, NsfGenerator
from autosing.nn.singer_norm import SingerNorm
from autosing.nn.source_filter import SourceFilterConfig, SourceFilterGenerator
from autosing.nn.wavenet import GaussianWaveNet, WaveNet
from support.models import stir
from train.losses.divergence import flow_divergence


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def made_flow(**config: object) -> CouplingFlow:
    flow = CouplingFlow(6, 5, CouplingConfig.build({"couplings": 3, "layers": 2, "width": 8, **config}))
    stir(flow, 0.2)
    return flow.eval()


FLOWS = [{}, {"told_singer": True}, {"scales": True}]


@pytest.mark.parametrize("config", FLOWS)
def test_the_flow_leads_back_and_its_determinants_cancel(config):
    flow, x_BDT, singer_BE = made_flow(**config), torch.randn(2, 6, 7), torch.randn(2, 5)
    y_BDT, log_det_B = flow(x_BDT, singer_BE)
    back_BDT, back_B = flow.inverse(y_BDT, singer_BE)
    assert (y_BDT - x_BDT).abs().max() > 0.1
    torch.testing.assert_close(back_BDT, x_BDT, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(back_B, -log_det_B, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("config", FLOWS)
def test_the_flows_determinant_is_that_of_its_jacobian(config):
    flow, singer_BE = made_flow(**config), torch.randn(1, 5)
    x_DT = torch.randn(6, 4)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: flow(x.view(1, 6, 4), singer_BE)[0].flatten(), x_DT.flatten()
    )
    _, log_det_B = flow(x_DT[None], singer_BE)
    assert float(log_det_B.detach()) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), abs=1e-4)
    assert abs(float(log_det_B.detach())) > 0.1


def test_a_flow_begins_as_the_identity_and_an_odd_width_is_refused():
    flow, x_BDT = CouplingFlow(6, 5, CouplingConfig(couplings=2, layers=1, width=4)), torch.randn(1, 6, 3)
    y_BDT, log_det_B = flow(x_BDT, torch.randn(1, 5))
    torch.testing.assert_close(y_BDT, x_BDT)
    assert float(log_det_B.detach()) == 0
    with pytest.raises(InputError, match="even number"):
        CouplingFlow(5, 5, CouplingConfig())


def test_another_singer_is_put_back_behind_the_flow():
    """A voice that is another's times a gain plus a shift, number by number, is the same behind the flow once the
    singers' means and scales are known: here by hand, with couplings that do nothing else."""
    flow = CouplingFlow(4, 2, CouplingConfig(couplings=2, layers=1, width=4))
    for coupling in flow.couplings:
        with torch.no_grad():
            coupling.normal.weight[4:6, 0] = 1.5  # mean of the second half, of the first singer
            coupling.normal.weight[6:8, 0] = 2 * math.atanh(0.35)  # logarithm of its scale 0.7
    one_BE, other_BE = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    x_BDT = torch.randn(1, 4, 9)
    y_BDT, _ = flow(x_BDT * math.exp(0.7) + 1.5, one_BE)
    back_BDT, _ = flow.inverse(y_BDT, other_BE)
    torch.testing.assert_close(back_BDT, x_BDT, atol=1e-5, rtol=1e-5)


def alone_and_padded(call, width: int, frames: int = 9):
    """(call of a clip by itself, call of it in a batch beside a longer one and padded with what is not silence)."""
    x_1DT = torch.randn(1, width, frames)
    x_2DT = torch.randn(2, width, frames + 5)
    x_2DT[0, :, :frames] = x_1DT[0]
    mask_2T = torch.arange(frames + 5) < torch.tensor([[frames], [frames + 5]])
    alone = call(x_1DT, torch.ones(1, frames, dtype=torch.bool))
    beside = call(x_2DT, mask_2T)
    assert beside[0, :, frames:].abs().max() == 0, "nothing is made beyond the clip"
    return alone[0], beside[0, :, :frames]


SINGERS = torch.randn(1, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("part", ["wavenet", "flow", "inverse", "relative", "rotary"])
def test_padding_and_neighbours_change_nothing(part):
    flow = made_flow(told_singer=True)
    wavenet = WaveNet(6, 3, 3, singer=5, dilation=2).eval()
    config = {"width": 8, "heads": 2, "layers": 2, "hidden": 12, "reach": 3, "window": 2}
    encoders = {p: LocalEncoder(LocalEncoderConfig.build({**config, "positions": p})) for p in ("relative", "rotary")}
    for module in (wavenet, *encoders.values()):
        stir(module.eval())

    def call(x_BDT, mask_BT):
        singer_BE = SINGERS.expand(len(x_BDT), -1)
        if part in encoders:
            return encoders[part](x_BDT, mask_BT)
        if part == "wavenet":
            return wavenet(x_BDT, singer_BE, mask_BT)
        return (flow if part == "flow" else flow.inverse)(x_BDT, singer_BE, mask_BT)[0]

    torch.testing.assert_close(*alone_and_padded(call, 8 if part in encoders else 6), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_a_head_looks_as_far_as_its_reach_and_knows_where_it_looks(positions):
    config = LocalEncoderConfig(width=8, heads=2, layers=1, hidden=8, kernel=1, reach=3, window=2, positions=positions)
    encoder = LocalEncoder(config).eval()
    stir(encoder)
    x_BDT = torch.randn(1, 8, 20)
    changed_BDT = x_BDT.clone()
    changed_BDT[..., 10] += 1
    moved_T = (encoder(changed_BDT) - encoder(x_BDT)).abs().amax((0, 1))
    assert (moved_T > 1e-6).nonzero().flatten().tolist() == list(range(7, 14))
    attention = LocalAttention(config).eval()
    same_BDT = torch.randn(1, 8, 1).expand(1, 8, 20).clone()
    same_BDT[..., 9] += 1  # the one that differs is seen from the left and from the right
    seen = encoder(same_BDT)
    assert attention.heads == 2 and not torch.allclose(seen[..., 8], seen[..., 10], atol=1e-5)


def test_relative_attention_is_what_its_paper_says():
    """Against equations 3 and 4 of arXiv:1803.02155, written out as loops."""
    config = LocalEncoderConfig(width=6, heads=1, window=2, reach=0)
    attention, frames = LocalAttention(config).eval(), 7
    x_BTD = torch.randn(1, frames, 6)
    at_T = torch.arange(frames)
    away_TT = at_T[None] - at_T[:, None]
    made = attention(x_BTD, torch.ones(1, 1, frames, frames, dtype=torch.bool), away_TT, torch.ones(()))
    q_TD, k_TD, v_TD = attention.qkv(x_BTD)[0].chunk(3, dim=1)
    rows = []
    for i in range(frames):
        keys, values = [], []
        for j in range(frames):
            told = attention.keys_OW[j - i + 2] if abs(j - i) <= 2 else 0
            keys.append(k_TD[j] + told)
            values.append(v_TD[j] + (attention.values_OW[j - i + 2] if abs(j - i) <= 2 else 0))
        share = (torch.stack(keys) @ q_TD[i] / 6**0.5).softmax(0)
        rows.append(share @ torch.stack(values))
    torch.testing.assert_close(made[0], attention.out(torch.stack(rows)))


def test_the_singer_norm_begins_as_a_plain_norm_or_as_nothing():
    x_BDT, singer_BE = 3 * torch.randn(2, 8, 5) + 1, torch.randn(2, 5)
    torch.testing.assert_close(SingerNorm(8, 5)(x_BDT, singer_BE).mT, nn.functional.layer_norm(x_BDT.mT, (8,)))
    torch.testing.assert_close(SingerNorm(8, 5, normalise=False)(x_BDT, singer_BE), x_BDT)
    norm = SingerNorm(8, 5)
    stir(norm, 0.5)
    assert not torch.allclose(norm(x_BDT, singer_BE), norm(x_BDT, singer_BE.flip(0)))


def test_the_divergence_is_zero_for_equals_and_the_textbooks_on_average():
    mean, log_std = torch.zeros(1, 1, 200_000), torch.full((1, 1, 200_000), -0.5)
    mask = torch.ones(1, 200_000, dtype=torch.bool)
    sample = mean + log_std.exp() * torch.randn_like(mean)
    frames = mask.sum()
    same = flow_divergence(sample, log_std, mean, log_std, torch.zeros(1), mask, frames)
    assert float(same) == pytest.approx(0, abs=0.01)
    prior_mean, prior_log_std = torch.full_like(mean, 0.8), torch.full_like(mean, 0.2)
    found = flow_divergence(sample, log_std, prior_mean, prior_log_std, torch.zeros(1), mask, frames)
    wanted = torch.distributions.kl_divergence(
        torch.distributions.Normal(0.0, math.exp(-0.5)), torch.distributions.Normal(0.8, math.exp(0.2))
    )
    assert float(found) == pytest.approx(float(wanted), abs=0.01)
    # A flow that doubles: the prior of what is doubled has twice the spread, and the determinant pays for it.
    doubled = flow_divergence(
        2 * sample, log_std, 2 * prior_mean, prior_log_std + math.log(2), math.log(2) * frames[None], mask, frames
    )
    assert float(doubled) == pytest.approx(float(found), abs=1e-3)


@pytest.mark.parametrize("kind", ["wavenet", "convnext"])
@pytest.mark.parametrize("hop", [64, 63])
def test_a_posterior_has_a_frame_for_every_hop(kind, hop):
    config = PosteriorConfig(kind=kind, window_samples=256, width=16, layers=2, hidden=16, mel_bands=20)
    posterior = build_posterior(config, 6, 5, 16000, hop).eval()
    mean_BDF, log_std_BDF = posterior(torch.randn(2, 9 * hop), torch.full((2, 9), 200.0), torch.randn(2, 5))
    assert mean_BDF.shape == log_std_BDF.shape == (2, 6, 9)
    assert mean_BDF.isfinite().all()


@pytest.mark.parametrize(("rate", "hop"), [(24000, 256), (32000, 320), (44100, 441), (48000, 480)])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_the_fast_generator_makes_exactly_a_hop_of_samples_a_frame(rate, hop, frames):
    generator = SourceFilterGenerator(6, SourceFilterConfig(width=8, hidden=8, blocks=1, filter_bands=16), hop, rate)
    samples = frames * hop
    f0_hz_BF = torch.full((2, frames), 200.0)
    audio_BS = generator(torch.randn(2, 6, frames), f0_hz_BF, torch.randn(2, samples), torch.randn(2, samples))
    assert audio_BS.shape == (2, samples) and audio_BS.isfinite().all()


def test_folded_weights_make_the_same_sound():
    generator = NsfGenerator(4, NsfConfig(rates=(4, 2), channels=16, kernels=(3,), dilations=(1,)))
    stir(generator)
    told = (torch.randn(1, 4, 6), torch.randn(1, 48), torch.randn(1, 48))
    before, names = generator(*told), len(generator.state_dict())
    fold_weight_norms(generator)
    torch.testing.assert_close(generator(*told), before)
    assert len(generator.state_dict()) < names


def test_a_gaussian_stays_within_bounds_that_can_be_sampled():
    net = GaussianWaveNet(4, 3, 8, 1, 3, 5)
    with torch.no_grad():
        net.leave.bias.fill_(1e4)
    _, log_std_BDT = net(torch.randn(1, 4, 5), torch.randn(1, 5))
    assert log_std_BDT.max() <= 3
