"""Gradients of two ranks equal those of one that has all the clips, whatever a task calls and leaves unused."""

import pytest
import torch
from torch import nn

from support.ranks import run_ranks
from train.distributed import Gradients, Ranks, is_sharded, join, leave


class Parts(nn.Module):
    """No `forward`: a task may call what it likes. `rare` is used by one batch in four, `never` by none."""

    def __init__(self):
        super().__init__()
        self.common, self.rare, self.never = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def make(self, x_BD, rarely):
        y_BD = self.common(x_BD)
        return y_BD + self.rare(x_BD) if rarely else y_BD


def gradients_of(rank, world, rare_batch, parallel="ddp"):
    """Of a discriminator and of the generator whose output both phases share: four batches, dealt out to the ranks."""
    torch.manual_seed(0)
    modules = nn.ModuleDict({"discriminator": nn.Linear(4, 1), "generator": Parts()})
    names = list(modules.state_dict())
    if parallel == "fsdp":
        from train.sharding import ShardedGradients  # importing it takes seconds, which collecting tests need not

        gradients = ShardedGradients(modules, Ranks(rank, world, torch.device("cpu")))
    else:
        gradients = Gradients(modules, world)
    batches = list(enumerate(torch.randn(4, 3, 4)))[rank::world]

    def losses(x_BD, rarely):
        made_BD = modules["generator"].make(x_BD, rarely)
        for told_BD in (made_BD.detach(), made_BD):
            yield modules["discriminator"](told_BD).square().mean() / len(batches)

    under_way = [losses(x_BD, k == rare_batch) for k, x_BD in batches]
    for phase in modules:
        for number, shown in enumerate(under_way):
            loss, last = gradients.forward(shown.__next__), number == len(under_way) - 1
            gradients.backward(phase, loss, last, retain_graph=phase == "discriminator")
        if phase == "discriminator":
            assert all(p.grad is None for p in modules["generator"].parameters())
            kept = [whole(p.grad).clone() for p in modules[phase].parameters()]
    assert all(torch.equal(a, whole(p.grad)) for a, p in zip(kept, modules["discriminator"].parameters(), strict=True))
    assert list(modules.state_dict()) == names
    return {name: None if p.grad is None else whole(p.grad).tolist() for name, p in modules.named_parameters()}


def whole(gradient):
    return gradient.full_tensor() if is_sharded(gradient) else gradient


CASES = (None, 0, 3)
"""`rare` is used nowhere; in the first batch of one rank; in the last of the other."""


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_ranks_have_the_gradients_of_one(parallel):
    def one_rank() -> list[dict]:
        ranks = join("cpu")
        found = [gradients_of(ranks.rank, ranks.world, case, parallel) for case in CASES]
        leave()
        return found

    wanted = [gradients_of(0, 1, case) for case in CASES]
    assert [held["generator.never.weight"] for held in wanted] == [None] * 3
    assert [held["generator.rare.weight"] is None for held in wanted] == [True, False, False]
    for found, said in run_ranks(one_rank):
        assert "find_unused_parameters" not in said
        for here, there in zip(wanted, found, strict=True):
            if parallel == "fsdp":
                nought = {name: torch.zeros_like(p).tolist() for name, p in Parts().named_parameters()}
                here = {k: nought[k.partition(".")[2]] if v is None else v for k, v in here.items()}
            assert {name for name in here if here[name] is None} == {name for name in there if there[name] is None}
            for name in [name for name in here if here[name] is not None]:
                torch.testing.assert_close(torch.tensor(there[name]), torch.tensor(here[name]))
