"""(generated audio, the vectors of who should sing) -> how far off its voice is, by a frozen speaker encoder.

A speaker consistency loss (Casanova et al. 2022, arXiv:2112.02418, section 3): the encoder that tells a model who sings
also hears what the model makes. It makes no difference what the encoder hears in all singers alike, so both sides are
taken from the singers' centre.

Shapes: B clips, S samples at the space's rate, T frames of 10 ms, M bands, E = 256 singer.
"""

from typing import Any

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from autosing.models.speaker import LEVEL, SAMPLE_RATE_HZ, load_speaker_encoder

_LEAST_POWER = 1e-8
"""Of a clip at its own level: silence is not made loud."""


class VoiceLoss(nn.Module):
    """Raises InputError if the speaker encoder's weights are not available."""

    def __init__(self, sample_rate_hz: int) -> None:
        super().__init__()
        # In a list, so that it is no part of the module's state: it is frozen, and loaded by its name.
        self._encoder: list[Any] = [load_speaker_encoder()]
        self.resample = torchaudio.transforms.Resample(sample_rate_hz, SAMPLE_RATE_HZ)

    def forward(self, made_BS: Tensor, told_BE: Tensor, centre: nn.Module) -> Tensor:
        """The mean of 1 - cosine, from 0 to 2, of `centre` of the heard and of the told vectors.

        Clips whose vector is 0 (nobody is told) do not count; if there is no other, the loss is 0.
        """
        told_B = told_BE.abs().sum(1) > 0
        if not told_B.any():
            return made_BS.new_zeros(())
        made_E, told_E = self.heard(made_BS[told_B]), told_BE[told_B].float()
        return 1 - F.cosine_similarity(centre(made_E), centre(told_E)).mean()

    def heard(self, audio_BS: Tensor) -> Tensor:
        """voice_BE, of unit length: each clip is heard as one partial, however long it is."""
        encoder = self._encoder[0].to(audio_BS.device)
        with torch.autocast(audio_BS.device.type, enabled=False):
            audio_BS = self.resample(audio_BS.float())
            power_B1 = audio_BS.square().mean(1, keepdim=True).clamp(min=_LEAST_POWER)
            mel_BTM = torch.stack([encoder.mel(x_S) for x_S in audio_BS * (LEVEL / power_B1.sqrt())])
            # cuDNN gives an LSTM that does not train no backward pass.
            with torch.backends.cudnn.flags(enabled=False):
                voice_BE: Tensor = encoder(mel_BTM)
            return voice_BE
