"""Drawing codes: what may be drawn, how often, and what guidance does to it."""

import pytest
import torch

from autosing.config import Config
from autosing.errors import InputError
from autosing.generation.sampling import Guidance, Sampling, choose, uniforms
from autosing.generation.windows import next_window

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, float("-inf")])
DRAWS = 20_000


def shares(sampling: Sampling) -> torch.Tensor:
    """How often each class is drawn, over evenly spread random numbers."""
    uniform = (torch.arange(DRAWS) + 0.5) / DRAWS
    return torch.bincount(choose(LOGITS.expand(DRAWS, -1), uniform, sampling), minlength=5) / DRAWS


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_classes_are_drawn_as_often_as_they_are_likely(temperature: float) -> None:
    wanted = (LOGITS / temperature).softmax(0)
    torch.testing.assert_close(shares(Sampling(temperature=temperature)), wanted, atol=2e-4, rtol=0)


def test_top_k_and_top_p_leave_the_likeliest_in_their_proportions() -> None:
    likely = LOGITS.softmax(0)  # 0.64 0.24 0.09 0.03 0
    two = torch.tensor([*(likely[:2] / likely[:2].sum()), 0, 0, 0])
    torch.testing.assert_close(shares(Sampling(temperature=1.0, top_k=2)), two, atol=2e-4, rtol=0)
    torch.testing.assert_close(shares(Sampling(temperature=1.0, top_p=0.8)), two, atol=2e-4, rtol=0)
    torch.testing.assert_close(shares(Sampling(temperature=1.0, top_k=50)), likely, atol=2e-4, rtol=0)
    assert shares(Sampling(temperature=1.0, top_p=0.01))[0] == 1
    assert shares(Sampling(temperature=0))[0] == 1


def test_min_p_leaves_what_is_likely_enough_beside_the_likeliest() -> None:
    likely = LOGITS.softmax(0)  # 0.64 0.24 0.09 0.03 0: of the first, 1 0.37 0.14 0.05 0
    assert torch.equal(shares(Sampling(temperature=1.0, min_p=0)), shares(Sampling(temperature=1.0)))
    assert shares(Sampling(temperature=5.0, min_p=1))[0] == 1
    for min_p, kept in ((0.3, 2), (0.1, 3), (0.01, 4)):
        wanted = torch.cat([likely[:kept] / likely[:kept].sum(), torch.zeros(5 - kept)])
        torch.testing.assert_close(shares(Sampling(temperature=1.0, min_p=min_p)), wanted, atol=2e-4, rtol=0)
    both = Sampling(temperature=1.0, min_p=0.1, top_k=2)
    torch.testing.assert_close(shares(both), shares(Sampling(temperature=1.0, top_k=2)), atol=2e-4, rtol=0)


def test_what_is_forbidden_is_never_drawn_not_even_at_the_edges() -> None:
    logits = torch.full((3, 4097), float("-inf"))
    logits[:, 5] = 0.0
    edges = torch.tensor([0.0, 0.5, 1.0])
    for sampling in (
        Sampling(temperature=1.0),
        Sampling(temperature=1.0, top_k=3),
        Sampling(temperature=9.0, top_p=0.9),
        Sampling(temperature=9.0, min_p=0.5),
    ):
        assert choose(logits, edges, sampling).tolist() == [5, 5, 5]


def test_random_numbers_belong_to_a_candidate() -> None:
    many, two = uniforms(Sampling(seed=3), "x", range(5), 7, 2), uniforms(Sampling(seed=3), "x", [1, 4], 7, 2)
    assert torch.equal(many[:, :, [1, 4]], two)
    assert not torch.equal(many[..., 0], many[..., 1])
    assert not torch.equal(uniforms(Sampling(seed=4), "x", range(5), 7, 2), many)


def test_guidance_goes_away_from_what_is_said_without_a_condition() -> None:
    sampling = Sampling(guidance_text=3.0, guidance_singer=0.5)
    guidance = Guidance.of(sampling, ["text", "music", "singer"])
    assert guidance.variants == (None, "text", "singer")
    full, no_text, no_singer = torch.randn(3, 2, 6)
    found = guidance.combine(torch.cat([full, no_text, no_singer]))
    torch.testing.assert_close(found, full + 2 * (full - no_text) - 0.5 * (full - no_singer))
    assert Guidance.of(sampling, ["music"]).variants == (None,), "no text given, nothing to go away from"


@pytest.mark.parametrize("total", [1, 29, 30, 31, 44, 45, 100])
def test_windows_fit_the_context_overlap_and_cover(total: int) -> None:
    context, overlap, done, windows = 30, 5, 0, []
    while done < total:
        first, last = next_window(done, total, context, overlap)
        assert first <= done < last <= total and last - first <= context
        assert done == 0 or done - first >= overlap
        windows.append((first, last))
        done = last
    if total <= context:
        assert windows == [(0, total)], "what fits is sung at once"
    else:
        assert windows[-1][1] - windows[-1][0] == context, "the last one has the longest prompt there is"


def test_unknown_or_wild_settings_are_refused() -> None:
    assert issubclass(Sampling, Config)
    with pytest.raises(InputError, match="did you mean 'temperature'"):
        Sampling.build({"temprature": 1})
    with pytest.raises(InputError, match="top_p"):
        Sampling.build({"top_p": 1.5})
