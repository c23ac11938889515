"""What stages that hear a clip's vocals read of it: stages that read the same record share its decoding."""

from dataclasses import dataclass
from functools import cached_property

from autosing.audio.io import Audio, decode


@dataclass(frozen=True)
class ClipVocals:
    """A clip's id and its encoded vocals."""

    id: str
    vocals: bytes

    @cached_property
    def audio(self) -> Audio:
        """The vocals, decoded once however many stages ask. Raises InputError where they cannot be decoded."""
        return decode(self.vocals, f"vocals of {self.id}")
