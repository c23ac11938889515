"""Attention by matrix products (bf16 on a CPU) is attention."""

import pytest
import torch

from autosing.nn.attention import attend, visible_bias


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_products_in_bf16_are_the_fused_attention_in_fp32_and_so_is_their_gradient(
    causal: bool, key_heads: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 4, 9, 8), (2, key_heads, 9, 8), (2, key_heads, 9, 8))
    whole = [torch.randn(*shape, generator=generator) for shape in shapes]
    bias = None if causal else visible_bias(torch.arange(9) < torch.tensor([[9], [6]]), torch.float32)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        q, k, v = (x.to(dtype).detach().clone().requires_grad_() for x in whole)
        x_BHTW = attend(q, k, v, 0.35, None if bias is None else bias.to(dtype), causal)
        x_BHTW.float().square().sum().backward()
        found.append([x_BHTW, q.grad, k.grad, v.grad])
    for exact, near in zip(*found, strict=True):
        assert near.dtype == torch.bfloat16 and near.shape == exact.shape
        torch.testing.assert_close(near.float(), exact, atol=0.05 * float(exact.detach().abs().max()), rtol=0.05)
