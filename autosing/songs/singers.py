"""The eight singers of made songs, from bass to soprano: an eSpeak NG voice variant and how it is made to sing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Singer:
    """Who sings. `low` and `high` bound the comfortable range."""

    name: str
    variant: str
    """eSpeak NG's voice variant: the formants that the voice starts from."""
    low: int
    """MIDI"""
    high: int
    """MIDI"""
    formant: float
    """What formants are multiplied by; above 1 is a shorter vocal tract."""
    vibrato_hz: float
    vibrato_cents: float
    tilt_db: float
    """dB an octave added above 500 Hz: brightness."""
    breath: float
    """Aperiodicity added, 0..1."""

    @property
    def speaking_pitch(self) -> int:
        """eSpeak NG's pitch, 0..99, at which words are spoken before they are sung."""
        return 50 if self.low < 55 else 65


SINGERS = (
    Singer("Ada Linden", "f2", 58, 74, 1.02, 5.6, 38, 1.0, 0.05),  # mezzo-soprano
    Singer("Bo Marsh", "m3", 45, 60, 0.98, 5.0, 28, 0.0, 0.02),  # baritone
    Singer("Cleo Park", "f5", 60, 77, 1.10, 6.1, 55, 2.0, 0.12),  # soprano
    Singer("Dag Holm", "m7", 41, 56, 0.90, 4.6, 20, -1.0, 0.00),  # bass
    Singer("Edda Frey", "f4", 53, 69, 0.97, 5.2, 30, 0.5, 0.08),  # contralto
    Singer("Finn Okoro", "m1", 49, 66, 1.03, 5.8, 45, 1.5, 0.04),  # tenor
    Singer("Gia Moreno", "f3", 56, 72, 1.06, 6.4, 24, 0.0, 0.03),  # alto
    Singer("Hal Winter", "m5", 43, 59, 0.95, 5.4, 34, 1.0, 0.10),  # bass-baritone
)
VOICES = {"en": "en-us", "ko": "ko", "zh": "cmn"}
"""language -> eSpeak NG's voice"""


def voice_name(singer: Singer, language: str) -> str:
    return f"{VOICES[language]}+{singer.variant}"
