"""Work on a device -> seconds a call, and what the device could do at best."""

import time
from collections.abc import Callable
from typing import Any

import torch

DATASHEETS = {
    "H200": (989.4, 4800.0),
    "H100 PCIe": (756.5, 2000.0),
    "H100": (989.4, 3350.0),
    "A100-SXM4-80GB": (312.0, 2039.0),
    "A100": (312.0, 1555.0),
    "L40S": (362.1, 864.0),
    "L4": (121.0, 300.0),
    "RTX 4090": (165.2, 1008.0),
}
"""Part of a card's name -> (dense bf16 TFLOP/s with fp32 sums, GB/s), by its maker; the first that fits counts."""


def wait(device: str) -> None:
    """Until the device has done all its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_a_call(work: Callable[[], Any], device: str, at_least_s: float, warm_up: int = 2) -> float:
    """The mean over calls that together take so long."""
    for _ in range(warm_up):
        work()
    wait(device)
    calls, start_s = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start_s < at_least_s:
        work()
        calls += 1
        if calls % 4 == 0:
            wait(device)
    wait(device)
    return (time.perf_counter() - start_s) / calls


def roofs(device: str, tiny: bool) -> dict[str, Any]:
    """bf16 TFLOP/s of a large product and GB/s of a large copy, as measured; and what the maker says, where known."""
    size, at_least_s = (256, 0.02) if tiny else (8192, 0.5)
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    product_s = seconds_a_call(lambda: a @ b, device, at_least_s)
    held = torch.zeros(1 << (20 if tiny else 29), dtype=torch.float32, device=device)
    to = torch.empty_like(held)
    copy_s = seconds_a_call(lambda: to.copy_(held), device, at_least_s)
    found: dict[str, Any] = {
        "measured_tflops": 2 * size**3 / product_s / 1e12, "measured_gb_per_s": 8 * held.numel() / copy_s / 1e9,
    }  # fmt: skip
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    known = next((sheet for part, sheet in DATASHEETS.items() if part in name), None)
    if known is not None:
        found |= {"datasheet_tflops": known[0], "datasheet_gb_per_s": known[1]}
    return {"device": name, **found}
