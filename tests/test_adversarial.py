"""What GANs are made of: turned gradients, discriminators, their losses."""

import numpy as np
import pytest
import torch
from torch import nn

from autosing.nn.adversarial import GradientReversal, ReversalConfig, reverse_gradient
from autosing.nn.discriminators import (
    SMALL,
    DiscriminatorConfig,
    Discriminators,
    Judgement,
    PeriodDiscriminator,
    ResolutionDiscriminator,
    ScaleDiscriminator,
    in_rows,
)
from train.losses.adversarial import discriminator_loss, feature_matching_loss, generator_loss

# Gradients


def test_the_gradient_comes_back_times_minus_lambda_and_the_value_stays():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), torch.randn(5, 4, requires_grad=True)
    (plain,) = torch.autograd.grad(net(x).sum(), x)
    for strength in (0.0, 0.3, 2.0):
        turned = reverse_gradient(x, strength)
        assert turned.equal(x)
        (gradient,) = torch.autograd.grad(net(turned).sum(), x)
        torch.testing.assert_close(gradient, -strength * plain)


def test_the_head_learns_as_ever_while_the_encoder_is_driven_away():
    """One number told by one number: the head's weight goes up to it, the encoder's away from it."""
    encoder, head = torch.ones(1, requires_grad=True), torch.full((1,), 0.5, requires_grad=True)
    loss = (head * reverse_gradient(encoder, 0.1) - 1).square()
    loss.backward()
    assert float(head.grad) == pytest.approx(-1.0) and float(encoder.grad) == pytest.approx(0.05)


def test_lambda_rises_from_nothing_to_its_peak():
    config = ReversalConfig(peak=0.8, start_step=100, ramp_steps=1000)
    strengths = [config.strength(step) for step in range(0, 1300, 50)]
    assert strengths[:3] == [0, 0, 0] and strengths == sorted(strengths)
    for step in (100, 400, 1099):
        share = (step - 100) / 1000
        assert config.strength(step) == pytest.approx(0.8 * (2 / (1 + np.exp(-10 * share)) - 1))
    assert config.strength(1100) == 0.8 == pytest.approx(config.strength(1099), rel=1e-3)
    assert ReversalConfig(ramp_steps=0).strength(0) == 1.0
    x = torch.ones(3, requires_grad=True)
    GradientReversal(config)(x, step=5000).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((3,), -0.8))


# Discriminators


def test_rows_of_a_period_hold_every_sample_once_and_no_more_than_they_must():
    for samples in (12, 13, 14, 15):
        audio_BS = torch.arange(2 * samples, dtype=torch.float32).view(2, -1)
        rows_BRP = in_rows(audio_BS, 3)
        assert rows_BRP.shape == (2, -(-samples // 3), 3)
        assert rows_BRP.flatten(1)[:, :samples].equal(audio_BS) and not rows_BRP.flatten(1)[:, samples:].any()
        assert rows_BRP[:, 2, 1].equal(audio_BS[:, 7])


def test_a_period_discriminator_keeps_its_columns_apart():
    """A change of one sample reaches the logits of its own column alone."""
    torch.manual_seed(0)
    judge, audio_BS = PeriodDiscriminator(5, (4, 8)), torch.randn(1, 200)
    other_BS = audio_BS.clone()
    other_BS[0, 5 * 20 + 3] += 1
    changed_C = (judge(audio_BS).logits != judge(other_BS).logits).view(-1, 5).any(0)
    assert changed_C.tolist() == [False, False, False, True, False]


def test_the_default_sizes_are_those_of_so_vits_svc():
    """Its study counts 17.44 M for periods, 0.37 M for resolutions, 5.64 M for the scale."""
    config = DiscriminatorConfig()

    def count(module: nn.Module) -> int:
        return sum(x.numel() for x in module.parameters())

    kinds = {kind: 0 for kind in (PeriodDiscriminator, ResolutionDiscriminator, ScaleDiscriminator)}
    for member in Discriminators(config).members:
        kinds[type(member)] += count(member)
    assert [round(number / 1e6, 2) for number in kinds.values()] == [17.44, 0.37, 5.64]
    assert count(Discriminators(SMALL)) < 0.3e6


@pytest.mark.parametrize("samples", [2400, 2401, 999])
def test_every_discriminator_answers_in_one_form_and_hears_everything(samples):
    torch.manual_seed(0)
    judges = Discriminators(SMALL.model_copy(update={"scales": 2}))
    audio_BS = torch.randn(2, samples, requires_grad=True)
    judgements = judges(audio_BS)
    assert len(judgements) == 5 + 2 + 2
    for judgement, alone in zip(judgements, judges(audio_BS[:1]), strict=True):
        assert judgement.logits.shape[0] == 2 and judgement.logits.dim() == 2
        assert len(judgement.features) >= 5 and torch.isfinite(judgement.logits).all()
        (gradient_BS,) = torch.autograd.grad(judgement.logits.sum(), audio_BS, retain_graph=True)
        assert (gradient_BS != 0).float().mean() > 0.95
        torch.testing.assert_close(alone.logits[0], judgement.logits[0], atol=1e-5, rtol=1e-4)


def test_magnitudes_are_those_of_a_windowed_sine_and_silence_has_a_gradient():
    judge = ResolutionDiscriminator(1024, 120, 600, 4)
    sine_BS = torch.sin(2 * torch.pi * 64 / 1024 * torch.arange(6000))[None]
    magnitude_BFK = judge.magnitudes(sine_BS)
    assert magnitude_BFK.shape == (1, 51, 513)
    assert float(magnitude_BFK[0, 25, 64]) == pytest.approx(0.5, rel=1e-3)
    # Hann's side lobes fall: without a window there would be 0.5 / (pi * 20 bins of 600) left here.
    assert float(magnitude_BFK[0, 25, 100]) < 1e-3
    silence_BS = torch.zeros(1, 6000, requires_grad=True)
    judge(silence_BS).logits.sum().backward()
    assert torch.isfinite(silence_BS.grad).all()


# Losses


def judged(value: float) -> list[Judgement]:
    return [Judgement(torch.full((2, n), value), (torch.zeros(2, 3), torch.full((2, n), value))) for n in (4, 9)]


@pytest.mark.parametrize(("kind", "made_best"), [("least_squares", 0.0), ("hinge", -1.0)])
def test_the_discriminators_loss_is_nothing_at_known_answers_and_more_beside_them(kind, made_best):
    assert float(discriminator_loss(judged(1.0), judged(made_best), kind)) == 0
    for true, made in ((0.9, made_best), (1.0, made_best + 0.1), (0.0, 0.0)):
        assert float(discriminator_loss(judged(true), judged(made), kind)) > 0
    assert float(discriminator_loss(judged(3.0), judged(-3.0), "hinge")) == 0
    assert float(discriminator_loss(judged(0.0), judged(1.0), "least_squares")) == 2
    assert float(discriminator_loss(judged(0.0), judged(0.0), "hinge")) == 2


def test_the_best_discriminator_of_two_distributions_is_the_share_of_the_true_one():
    """Least squares (Mao et al.): at a place where 3 of 4 are true the best logit is 3/4; the hinge's is 1."""
    logit = torch.linspace(-2, 2, 401)

    def best(kind: str) -> float:
        losses = []
        for value in logit:
            true = [Judgement(value.expand(3), ())]
            made = [Judgement(value.expand(1), ())]
            # Means over 3 and over 1: weigh them by how often each occurs.
            none = [Judgement(torch.tensor([-9.0 if kind == "hinge" else 0.0]), ())]
            real = [Judgement(torch.tensor([9.0 if kind == "hinge" else 1.0]), ())]
            losses.append(0.75 * discriminator_loss(true, none, kind) + 0.25 * discriminator_loss(real, made, kind))
        return float(logit[torch.stack(losses).argmin()])

    assert best("least_squares") == pytest.approx(0.75, abs=0.01) and best("hinge") == pytest.approx(1.0, abs=0.01)


def test_the_generator_wants_to_be_taken_for_true():
    assert float(generator_loss(judged(1.0))) == 0 and float(generator_loss(judged(0.0))) == 1
    assert float(generator_loss(judged(2.0), "hinge")) == -2


def test_features_match_where_sounds_are_equal_and_pull_the_made_one_alone():
    torch.manual_seed(0)
    judges, audio_BS = Discriminators(SMALL), torch.randn(2, 2000)
    made_BS = (audio_BS + 0.1 * torch.randn(2, 2000)).requires_grad_()
    true = judges(audio_BS)
    assert feature_matching_loss(true, judges(audio_BS)).item() == 0
    loss = feature_matching_loss(true, judges(made_BS))
    assert loss.item() > 0
    loss.backward()
    assert made_BS.grad.abs().sum() > 0
    one = [Judgement(torch.zeros(1), (torch.tensor([1.0, 3.0]), torch.tensor([0.0]), torch.tensor([9.0])))]
    other = [Judgement(torch.zeros(1), (torch.tensor([2.0, 1.0]), torch.tensor([0.5]), torch.tensor([0.0])))]
    assert float(feature_matching_loss(one, other)) == (1.5 + 0.5) / 2, "a layer counts as much as another"


def test_a_discriminator_learns_to_tell_noise_from_tones():
    torch.manual_seed(0)
    judges = Discriminators(SMALL)
    optimiser = torch.optim.AdamW(judges.parameters(), 2e-3)
    t_S = torch.arange(2000) / 8000
    losses = []
    for _ in range(20):
        tones_BS = torch.sin(2 * torch.pi * (200 + 200 * torch.rand(4, 1)) * t_S)
        loss = discriminator_loss(judges(tones_BS), judges(0.7 * torch.randn(4, 2000)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
