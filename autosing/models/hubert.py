"""Weights of a HuBERT or wav2vec 2.0, of any size -> the network of torchaudio, and its states at 50 Hz.

Sizes are derived from the shapes. The rest is the same in all published networks: strides (320 samples in total), heads
of width 64 below width 1024 and 16 heads from there on. A network whose convolutions have layer norms also has its
norms first in its blocks, and needs audio of mean 0 and variance 1.

Shapes: B clips, S samples at 16 kHz, T states (50 a second), E their width.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from autosing.errors import InputError

STATE_SAMPLES = 320
_FIELD_SAMPLES = 400
"""Receptive field of the convolutions for one state."""
_STRIDES = (5, 2, 2, 2, 2, 2, 2)


class Hubert(nn.Module):
    """audio_BS -> [states_BTE] after each block, T = S / 320. State t is centred on t / 50 s; silence lies before."""

    def __init__(self, tensors: Mapping[str, Tensor], origin: str = "hubert") -> None:
        """`tensors` as autosing.pretrained.hubert names them. Raises InputError if they are not of such a network."""
        super().__init__()
        import torchaudio

        sizes = _sizes(tensors, origin)
        self.num_layers: int = sizes["encoder_num_layers"]
        self.normalised: bool = sizes["extractor_mode"] == "layer_norm"
        self.network = torchaudio.models.wav2vec2_model(**sizes, aux_num_out=None)
        soft = tensors.get("soft.weight")
        self.soft = None if soft is None else nn.Linear(soft.shape[1], soft.shape[0])
        state = {key if key.startswith("soft.") else f"network.{key}": t.float() for key, t in tensors.items()}
        missing, unknown = self.load_state_dict(state, strict=False)
        if missing or unknown:
            raise InputError(
                f"weights {origin}: no known HuBERT or wav2vec 2.0 (lacks {missing[:3]}, has unknown {unknown[:3]})"
            )
        self.eval().requires_grad_(False)

    def width(self, soft: bool = False) -> int:
        """E, of its states or of its soft units."""
        layer: Any = self.soft if soft else self.network.encoder.feature_projection.projection
        return int(layer.out_features)

    def forward(self, audio_BS: Tensor, layer: int, soft: bool = False) -> list[Tensor]:
        """Up to block `layer`, counted from 1; `soft`: the last of them through the projection of soft units."""
        assert audio_BS.shape[1] % STATE_SAMPLES == 0 and audio_BS.shape[1] > 0, audio_BS.shape
        if self.normalised:
            audio_BS = nn.functional.layer_norm(audio_BS, audio_BS.shape[1:])
        padded_BS = nn.functional.pad(audio_BS, (_FIELD_SAMPLES // 2, 0))
        found: list[Tensor] = self.network.extract_features(padded_BS, num_layers=layer)[0]
        if soft:
            assert self.soft is not None
            found[-1] = self.soft(found[-1])
        return found


def _sizes(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The arguments of torchaudio's `wav2vec2_model`."""
    try:
        convs = [tensors[f"feature_extractor.conv_layers.{i}.conv.weight"] for i in range(len(_STRIDES))]
        width = len(tensors["encoder.feature_projection.projection.weight"])
        position = tensors["encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original1"]
        inner = tensors["encoder.transformer.layers.0.feed_forward.intermediate_dense.weight"]
    except KeyError as error:
        raise InputError(f"weights {origin}: lack {error}; need a whole HuBERT or wav2vec 2.0") from None
    per_layer = "feature_extractor.conv_layers.1.layer_norm.weight" in tensors
    numbers = [int(key.split(".")[3]) for key in tensors if key.startswith("encoder.transformer.layers.")]
    return {
        "extractor_mode": "layer_norm" if per_layer else "group_norm",
        "extractor_conv_layer_config": [(len(c), c.shape[2], s) for c, s in zip(convs, _STRIDES, strict=True)],
        "extractor_conv_bias": "feature_extractor.conv_layers.0.conv.bias" in tensors,
        "encoder_embed_dim": width,
        "encoder_pos_conv_kernel": position.shape[2],
        "encoder_pos_conv_groups": width // position.shape[1],
        "encoder_num_layers": max(numbers) + 1,
        "encoder_num_heads": 16 if width >= 1024 else max(1, width // 64),
        "encoder_ff_interm_features": len(inner),
        "encoder_layer_norm_first": per_layer,
        **dict.fromkeys(
            (
                "encoder_projection_dropout", "encoder_attention_dropout", "encoder_ff_interm_dropout",
                "encoder_dropout", "encoder_layer_drop",
            ),
            0.0,
        ),
    }  # fmt: skip
