"""Estimators of flows: sizes and costs that are promised, padding that nobody sees, norms and frames."""

import pytest
import torch
from torch import nn

from autosing.models.codec import CodecConfig, CodecModel
from autosing.nn.convnext_flow import ConvNeXtFlow, ConvNeXtFlowConfig, fold_frames, unfold_frames
from autosing.nn.cost import count_macs
from autosing.nn.flow_matching import StraightFlow, sample
from autosing.nn.masked import ContentPrenet, MaskedGroupNorm, MaskedInstanceNorm
from autosing.nn.solvers import evaluations
from autosing.nn.unet import LinearAttention, UNet, UNetConfig, sinusoids
from support.models import stir

CODEC = CodecConfig()
FRAME_HZ = CODEC.sample_rate_hz / CODEC.hop_samples
FOLD = 2


def numbers(module: nn.Module) -> int:
    return sum(x.numel() for x in module.parameters())


def padded(x: torch.Tensor, frames: int) -> torch.Tensor:
    """The same with so many frames of something else after it."""
    return torch.cat([x, 7 + torch.randn(*x.shape[:-1], frames)], dim=-1)


# Counting


def test_multiply_accumulates_are_those_of_the_formula():
    linear, conv = nn.Linear(30, 40), nn.Conv1d(8, 12, 5, padding=2)
    depthwise, picture = nn.Conv1d(16, 16, 7, groups=16), nn.Conv2d(3, 5, 3, stride=2, padding=1)
    assert count_macs(lambda: linear(torch.zeros(7, 30))) == 7 * 30 * 40
    assert count_macs(lambda: conv(torch.zeros(2, 8, 50))) == 2 * 50 * 12 * 8 * 5
    assert count_macs(lambda: depthwise(torch.zeros(1, 16, 26))) == 20 * 16 * 7
    assert count_macs(lambda: picture(torch.zeros(1, 3, 10, 20))) == 5 * 10 * 5 * 3 * 9
    assert count_macs(lambda: torch.zeros(4, 5, 6) @ torch.zeros(4, 6, 7)) == 4 * 5 * 6 * 7


# What is promised of size and cost


def test_the_unet_is_as_large_and_as_dear_as_grad_svcs():
    """Its study counts 16.87 M numbers and 18.11 GMAC a second of 100 frames (width 64: 7.68 M, 8.39 GMAC)."""
    for width, millions, gmac in ((96, 16.87, 18.11), (64, 7.68, 8.39)):
        net = UNet(UNetConfig(width=width)).eval()
        assert numbers(net) / 1e6 == pytest.approx(millions, abs=0.005)
        x_BDT = torch.zeros(1, 100, 100)
        macs = count_macs(lambda net=net, x=x_BDT: net(x, torch.zeros(1), x, torch.zeros(1, 64)))
        assert macs / 1e9 == pytest.approx(gmac, rel=0.01)


def codec_macs_per_s() -> float:
    """Of the bundled codec's decoder, on two seconds."""
    model, frames = CodecModel(CODEC).eval(), round(2 * FRAME_HZ) // 4 * 4
    sound_BS, codes_BN = torch.zeros(1, frames * CODEC.hop_samples), torch.ones(1, frames // 2, dtype=torch.long)
    macs = count_macs(lambda: model.sound(torch.zeros(1, CODEC.latent, frames), codes_BN, sound_BS, sound_BS))
    return macs / (frames / FRAME_HZ)


def test_four_evaluations_and_the_decoder_stay_below_3_gmac_a_second():
    decoder, config, frames = codec_macs_per_s(), ConvNeXtFlowConfig(), 94
    assert decoder == pytest.approx(0.2e9, rel=0.2)
    net = ConvNeXtFlow(config).eval()
    assert numbers(net) == pytest.approx(3.6e6, rel=0.03)
    conditions_BCT, singer_BE = torch.zeros(1, config.conditions, frames), torch.zeros(1, config.singer)
    prior_BDT, flow = torch.zeros(1, config.channels, frames), StraightFlow(0.0, False)

    def convert(steps: int) -> None:
        told = net.tell(conditions_BCT, singer_BE)
        sample(flow, lambda x, t_B: net(x, t_B, told), prior_BDT, 0, method="euler", steps=steps)

    seconds = frames * FOLD / FRAME_HZ
    costs = {steps: count_macs(lambda steps=steps: convert(steps)) / seconds for steps in (1, 4)}
    assert evaluations("euler", 4) == 4
    assert costs[4] + decoder < 1.0e9 < 3e9, costs
    assert costs[1] < 0.16e9, costs
    assert costs[4] < 4 * costs[1], "conditions are looked at once"


def test_the_prenet_is_as_large_as_grad_svcs():
    assert numbers(ContentPrenet(256, 192)) / 1e6 == pytest.approx(1.02, abs=0.005)


# Padding


def test_masked_norms_are_torchs_where_nothing_is_masked():
    torch.manual_seed(0)
    x_BDT, ones_BT = 3 + 2 * torch.randn(2, 8, 11), torch.ones(2, 11).bool()
    torch.testing.assert_close(MaskedInstanceNorm(8)(x_BDT, ones_BT), nn.InstanceNorm1d(8)(x_BDT))
    torch.testing.assert_close(MaskedInstanceNorm(8)(x_BDT), nn.InstanceNorm1d(8)(x_BDT))
    x_BCMT, norm, theirs = torch.randn(2, 16, 5, 11), MaskedGroupNorm(4, 16), nn.GroupNorm(4, 16)
    stir(norm)
    theirs.load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm(x_BCMT, ones_BT), theirs(x_BCMT))
    torch.testing.assert_close(norm(x_BCMT), theirs(x_BCMT))


@pytest.mark.parametrize("frames", [40, 41, 43])
@pytest.mark.parametrize("more", [4, 9])
def test_nobody_sees_padding(frames, more):
    """Grad-SVC's prenet answers differently by 26 % for the same clip in a longer batch."""
    torch.manual_seed(0)
    content_BCT, x_BDT, prior_BDT = torch.randn(1, 12, frames), torch.randn(1, 8, frames), torch.randn(1, 8, frames)
    singer_BE, t_B = torch.randn(1, 6), torch.tensor([0.4])
    mask_BT = torch.arange(frames + more)[None] < frames
    prenet = ContentPrenet(12, 16, layers=3).eval()
    unet = UNet(UNetConfig(bands=8, width=8, singer=6, heads=2, head_width=4)).eval()
    small = ConvNeXtFlow(ConvNeXtFlowConfig(channels=8, conditions=12, singer=6, width=16, hidden=24, blocks=3)).eval()
    for net, amount in ((prenet, 0.3), (unet, 0.03), (small, 0.3)):
        stir(net, amount)
    answers = [
        (prenet(content_BCT), prenet(padded(content_BCT, more), mask_BT)),
        (
            unet(x_BDT, t_B, prior_BDT, singer_BE),
            unet(padded(x_BDT, more), t_B, padded(prior_BDT, more), singer_BE, mask_BT),
        ),
        (
            small(x_BDT, t_B, small.tell(content_BCT, singer_BE)),
            small(padded(x_BDT, more), t_B, small.tell(padded(content_BCT, more), singer_BE), mask_BT),
        ),
    ]
    for alone, in_company in answers:
        assert alone.abs().mean() > 1e-3
        torch.testing.assert_close(in_company[..., :frames], alone, atol=2e-5, rtol=1e-4)
        assert not in_company[..., frames:].any()


def test_an_instance_norm_that_sees_padding_would_be_noticed():
    torch.manual_seed(0)
    x_BDT = torch.randn(1, 4, 20)
    plain = nn.InstanceNorm1d(4)
    longer_BDT = torch.cat([x_BDT, torch.zeros(1, 4, 20)], dim=2)
    apart = (plain(longer_BDT)[..., :20] - plain(x_BDT)).abs().mean()
    assert apart > 0.2
    norm, mask_BT = MaskedInstanceNorm(4), torch.arange(40)[None] < 20
    torch.testing.assert_close(norm(longer_BDT, mask_BT)[..., :20], plain(x_BDT))


def test_neighbours_in_a_batch_change_nothing():
    torch.manual_seed(0)
    unet = UNet(UNetConfig(bands=8, width=8, singer=6, heads=2, head_width=4)).eval()
    stir(unet, 0.03)
    x_BDT, prior_BDT, singer_BE, t_B = torch.randn(3, 8, 12), torch.randn(3, 8, 12), torch.randn(3, 6), torch.rand(3)
    together = unet(x_BDT, t_B, prior_BDT, singer_BE)
    alone = unet(x_BDT[1:2], t_B[1:2], prior_BDT[1:2], singer_BE[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(unet(x_BDT, t_B, prior_BDT, singer_BE.flip(0))[0], together[0])


# Parts


def test_linear_attention_is_the_sum_over_all_places():
    torch.manual_seed(0)
    attention, x_BCMT = LinearAttention(6, heads=2, head_width=3), torch.randn(1, 6, 2, 4)
    assert attention(x_BCMT, None).equal(x_BCMT), "it begins as nothing"
    nn.init.constant_(attention.gain, 0.5)
    queries, keys, values = attention.queries_keys_values(x_BCMT).flatten(2)[0].view(3, 2, 3, 8)
    read = torch.zeros(2, 3, 8)
    for head in range(2):
        weight_WP = keys[head].exp() / keys[head].exp().sum(1, keepdim=True)
        for place in range(8):
            for w in range(3):
                read[head, :, place] += queries[head, w, place] * (values[head] * weight_WP[w]).sum(1)
    expected = x_BCMT + 0.5 * attention.project(read.view(1, 6, 2, 4))
    torch.testing.assert_close(attention(x_BCMT, None), expected, atol=1e-5, rtol=1e-4)


def test_the_estimators_begin_as_nothing_and_learn_a_clip_by_heart():
    torch.manual_seed(0)
    net = ConvNeXtFlow(ConvNeXtFlowConfig(channels=4, conditions=3, singer=2, width=32, hidden=48, blocks=2))
    data_BDT, conditions_BCT = torch.randn(8, 4, 16), torch.randn(8, 3, 16)
    singer_BE, flow = torch.randn(8, 2), StraightFlow(0.0, False)

    def estimate(x: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
        return net(x, t_B, net.tell(conditions_BCT, singer_BE))

    assert not estimate(data_BDT, torch.zeros(8)).any()
    optimiser = torch.optim.AdamW(net.parameters(), 5e-3)
    generator, prior_BDT, losses = torch.Generator().manual_seed(0), torch.zeros_like(data_BDT), []
    for _ in range(150):
        loss = flow.loss(estimate, data_BDT, prior_BDT, generator=generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    made_BDT = sample(flow, estimate, prior_BDT, 1, method="heun", steps=8)
    right, wrong = (made_BDT - data_BDT).square().mean(), (made_BDT - data_BDT.roll(1, 0)).square().mean()
    assert right < 0.5 * wrong


def test_sinusoids_are_as_many_as_asked_and_tell_times_apart():
    features_BC = sinusoids(torch.tensor([0.0, 1.0, 1000.0]), 8)
    assert features_BC.shape == (3, 8) and features_BC[0].tolist() == [0] * 4 + [1] * 4
    assert float(features_BC[1, 0]) == pytest.approx(0.8415, abs=1e-4)
    assert float(features_BC[1, 3]) == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize("frames", [10, 11])
def test_folded_frames_come_back_and_neighbours_lie_in_one(frames):
    x_BDF = torch.arange(2 * 3 * frames, dtype=torch.float32).view(2, 3, frames)
    folded_BDT = fold_frames(x_BDF, FOLD)
    assert folded_BDT.shape == (2, 6, -(-frames // 2))
    assert folded_BDT[0, :3, 2].equal(x_BDF[0, :, 4]) and folded_BDT[0, 3:, 2].equal(x_BDF[0, :, 5])
    assert unfold_frames(folded_BDT, FOLD, frames).equal(x_BDF)
