"""The weights of a HuBERT or wav2vec 2.0 by any of four naming schemes -> the same by torchaudio's names.

The schemes are those of torchaudio, fairseq (HuBERT, wav2vec 2.0, ContentVec), transformers and soft-vc (HuBERT-soft).
Weights that only training needs (masks, label embeddings, quantisers, CTC heads) are left out; the projection of soft
units is `soft.weight`, `soft.bias`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from autosing.errors import InputError

_LAYER = r"encoder.transformer.layers.\1."
_WITHIN_FAIRSEQ = (
    (r"^encoder\.layers\.(\d+)\.self_attn\.(.*)", _LAYER + r"attention.\2"),
    (r"^encoder\.layers\.(\d+)\.self_attn_layer_norm\.", _LAYER + "layer_norm."),
    (r"^encoder\.layers\.(\d+)\.fc1\.", _LAYER + "feed_forward.intermediate_dense."),
    (r"^encoder\.layers\.(\d+)\.fc2\.", _LAYER + "feed_forward.output_dense."),
    (r"^encoder\.layers\.(\d+)\.final_layer_norm\.", _LAYER + "final_layer_norm."),
    (r"^encoder\.layer_norm\.", "encoder.transformer.layer_norm."),
    (r"^encoder\.pos_conv\.0\.", "encoder.transformer.pos_conv_embed.conv."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"^layer_norm\.", "encoder.feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "encoder.feature_projection.projection."),
)
_WITHIN_TRANSFORMERS = (
    (r"^encoder\.(layers|layer_norm|pos_conv_embed)\.", r"encoder.transformer.\1."),
    (r"^feature_projection\.", "encoder.feature_projection."),
)
_WITHIN_SOFT_VC = (
    (r"^encoder\.layers\.(\d+)\.self_attn\.(.*)", _LAYER + r"attention.\2"),
    (r"^encoder\.layers\.(\d+)\.norm1\.", _LAYER + "layer_norm."),
    (r"^encoder\.layers\.(\d+)\.linear1\.", _LAYER + "feed_forward.intermediate_dense."),
    (r"^encoder\.layers\.(\d+)\.linear2\.", _LAYER + "feed_forward.output_dense."),
    (r"^encoder\.layers\.(\d+)\.norm2\.", _LAYER + "final_layer_norm."),
    (r"^norm\.", "encoder.transformer.layer_norm."),
    (r"^positional_embedding\.conv\.", "encoder.transformer.pos_conv_embed.conv."),
    (r"^feature_extractor\.conv(\d+)\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"^feature_extractor\.norm0\.", "feature_extractor.conv_layers.0.layer_norm."),
    (r"^feature_projection\.norm\.", "encoder.feature_projection.layer_norm."),
    (r"^feature_projection\.projection\.", "encoder.feature_projection.projection."),
    (r"^proj\.", "soft."),
)
_OF_TRAINING = re.compile(
    r"^(mask_emb|masked_spec_embed|label_emb|final_proj|quantizer|project_|aux\.|lm_head|w2v_encoder\.proj\.|target_glu"
    r"|spk_|speaker_)"
)


def to_torchaudio(tensors: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Tensors by torchaudio's names. Raises InputError for names of another scheme."""
    bare = {
        re.sub(r"^(module|hubert|wav2vec2|w2v_encoder\.w2v_model|w2v_model)\.", "", k): v for k, v in tensors.items()
    }
    bare = {k: v for k, v in bare.items() if not _OF_TRAINING.match(k)}
    named: dict[str, Any] = {}
    for key, value in bare.items():
        for part, tensor in _split(_renamed(key, _house(bare)), value):
            named[part] = tensor
    if "encoder.feature_projection.projection.weight" not in named:
        raise InputError(
            f"weights {origin}: no HuBERT or wav2vec 2.0 in it (found {', '.join(list(tensors)[:3])} ...); need "
            "weights as torchaudio, fairseq, transformers or soft-vc name them"
        )
    return named


def _house(names: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    if "positional_embedding.conv.bias" in names:
        return _WITHIN_SOFT_VC
    if "post_extract_proj.weight" in names:
        return _WITHIN_FAIRSEQ
    return _WITHIN_TRANSFORMERS if "feature_projection.projection.weight" in names else ()


def _renamed(key: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, ours in rules:
        renamed, count = re.subn(pattern, ours, key)
        if count:
            key = renamed
            break
    # The two factors of weight normalisation have three possible pairs of names.
    return re.sub(
        r"(\.conv)\.weight_([gv])$", lambda m: f"{m[1]}.parametrizations.weight.original{'gv'.index(m[2])}", key
    )


def _split(key: str, value: Any) -> list[tuple[str, Any]]:
    """torch's attention has query, key and value in one tensor."""
    if not (joined := re.fullmatch(r"(.*\.attention\.)in_proj_(weight|bias)", key)):
        return [(key, value)]
    return [(f"{joined[1]}{name}_proj.{joined[2]}", part) for name, part in zip("qkv", value.chunk(3), strict=True)]
