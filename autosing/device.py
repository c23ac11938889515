"""A config's `device` -> where models run on this machine."""

from autosing.errors import InputError


def device_of(wanted: str) -> str:
    """auto: cuda if there is a GPU, else cpu. Other values are returned as they are."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def multiplies_bf16(device: str) -> bool:
    """Whether its hardware does. A CPU that does not imitates it: a matrix product then takes 20 times as long."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(torch.device(device)) >= (8, 0)
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def device_here(wanted: str) -> str:
    """As device_of, for models that run in this process. Raises InputError for a GPU if torch finds none."""
    import torch

    device = device_of(wanted)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {device}: torch finds no GPU on this machine; give device cpu or auto")
    return device
