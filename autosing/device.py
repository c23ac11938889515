"""What a config says of a device -> where models run on this machine."""


def device_of(wanted: str) -> str:
    """auto: cuda where there is a GPU, else cpu. Anything else is what it is."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
