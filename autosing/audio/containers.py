"""Encoded bytes -> facts of containers that libsndfile does not give: whether a file is complete, an MP3's length."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from autosing.audio.encoded import Encoded

_RATES_HZ = (44_100, 48_000, 32_000)
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""kbit/s of Layer III by the header's index: MPEG-1, and MPEG-2 with 2.5 (ISO 11172-3, 13818-3)."""
_A_FEW_FRAMES = 8
"""Fewer frames may be some that an encoder did not count, or a tag that looks like frames."""
_NO_TAG = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
"""An empty ID3 tag."""
_CHAINED = ("chained", "several files, one after another, of which only the first would be read; save them apart")
_FLAC_BEGINNINGS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")
"""The mark and the head of the first block, STREAMINFO of 34 bytes; 0x80: it is also the last."""
_HEADER_BYTES = 1 << 20
"""The samples of a RIFF file begin no later."""
_BEGIN, _END = 2, 4
"""Flags of an Ogg page: the first and the last of a stream."""
_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"sidx", b"meta", b"mfra")
"""Outer boxes of MP4 and QuickTime files: samples are in `mdat`; `moov` says where, or `moof` for the next `mdat`."""


class Mend(NamedTuple):
    """How a file must be read: up to `end`, with `put_in` instead of the `skip` bytes at `at`."""

    put_in: bytes = b""
    at: int = 0
    skip: int = 0
    end: int | None = None


def mend(data: Encoded) -> Mend:
    """What must be changed so that libsndfile reads all of a file.

    If an MP3 of variable bitrate has no count of its frames, libsndfile estimates its length from the first frame's
    bitrate and reads no further; it gets a frame with the count (Xing's), also instead of one that counts 0. An MP3
    without a tag gets an empty one, as otherwise libsndfile first looks for a file named `._` in the working folder.
    Tags after a FLAC are cut off, as the decoder takes them for broken frames. A WAV whose sizes were never written
    gets them.
    """
    if data[:4] == b"RIFF":
        return _sized(data)
    start = _after_id3(data)
    if data[start : start + 4] == b"fLaC":
        return Mend(end=_before_tags(data))
    if data[:1] != b"\xff" and not start:
        return Mend()
    first = _frame(data, start)
    if first is None:
        return Mend()
    missing = b"" if start else _NO_TAG
    counted = _frames_counted(data[start : start + first.size])
    if counted:
        return Mend(missing, start)
    skip = 0 if counted is None else first.size  # the frame with the count of 0 has no sound
    num_frames, bitrates = 0, set()
    for frame in _frames(data, start + skip):
        num_frames += 1
        bitrates.add(frame.kbits)
    if len(bitrates) > 1 or skip:
        missing += _count_frame(data[start : start + 4], num_frames)
    return Mend(missing, start, skip)


def why_incomplete(data: Encoded) -> tuple[str, str] | None:
    """(reason, what was found) if an Ogg or MP4 file is truncated, or a file holds several songs of which only one is
    read. Of an MP4 that has its index, whether all samples are there is told by their number."""
    if data[4:8] in _BOXES:
        return _without_its_end(data)
    if data[:4] != b"OggS":
        return _CHAINED if _goes_on(data) or _another_begins(data) else None
    flags, end, links = 0, 0, 0
    for page_end, page_flags in _ogg_pages(data):
        if page_flags & _BEGIN and not flags & _BEGIN:
            links += 1
        end, flags = page_end, page_flags
    if links > 1:
        return _CHAINED
    if not flags & _END or end > len(data):
        return "truncated", "its last page is not the end of its stream; copy or download the file again"
    return None


def share_held(data: Encoded) -> float:
    """The share of the bytes in a RIFF or AIFF header that exists, at most 1. libsndfile counts only existing bytes."""
    if data[:4] not in (b"RIFF", b"FORM"):
        return 1.0
    promised = int.from_bytes(data[4:8], "little" if data[:4] == b"RIFF" else "big") + 8
    return min(1.0, len(data) / promised) if promised < 0xFFFFFFFF else 1.0  # all ones: written to a pipe


def _sized(data: Encoded) -> Mend:
    """If a RIFF file's header was never completed, it says 0 bytes of samples, and the file seems to end before."""
    at = 12
    while at + 8 <= len(data) and at < _HEADER_BYTES:
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        first = at + 8
        if name == b"data":
            if size or int.from_bytes(data[4:8], "little") + 8 > first or first == len(data):
                return Mend()
            told = [min(length, 0xFFFFFFFE).to_bytes(4, "little") for length in (len(data) - 8, len(data) - first)]
            return Mend(b"RIFF" + told[0] + data[8 : at + 4] + told[1], 0, first)
        at = first + size + size % 2
    return Mend()


def _before_tags(data: Encoded) -> int:
    """Where the audio of a file ends, before tags: ID3v1 (128 bytes), and APE's, whose footer has its length."""
    end = len(data)
    if data[max(0, end - 128) : end - 125] == b"TAG":
        end -= 128
    foot = data[max(0, end - 32) : end]
    if foot[:8] == b"APETAGEX":
        with_header = 32 if foot[23] & 0x80 else 0
        end -= int.from_bytes(foot[12:16], "little") + with_header
    return max(0, end)


class _Frame(NamedTuple):
    size: int
    kbits: int
    rate_hz: int


def _after_id3(data: Encoded) -> int:
    """Where the audio begins: after a tag, whose size is written in bytes of seven bits."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5] & 0x10 else 0)


def _frame(data: Encoded, at: int) -> _Frame | None:
    """The Layer III frame whose header is at `at`; None if there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, rate, index = data[at + 1] >> 3 & 3, data[at + 2] >> 2 & 3, data[at + 2] >> 4
    if version == 1 or rate == 3 or index in (0, 15):
        return None
    kbits = (_KBITS_1 if version == 3 else _KBITS_2)[index]
    rate_hz = _RATES_HZ[rate] // {3: 1, 2: 2, 0: 4}[version]
    return _Frame((144 if version == 3 else 72) * kbits * 1000 // rate_hz + (data[at + 2] >> 1 & 1), kbits, rate_hz)


def _frames(data: Encoded, at: int) -> Iterator[_Frame]:
    """All frames. Other bytes are skipped up to the next place at which two frames follow one another."""
    while at < len(data):
        frame = _frame(data, at)
        if frame is not None:
            yield frame
            at += frame.size
            continue
        at = data.find(b"\xff", at + 1)
        while at >= 0 and not ((frame := _frame(data, at)) and _frame(data, at + frame.size)):
            at = data.find(b"\xff", at + 1)
        if at < 0:
            return


def _frames_counted(frame: bytes) -> int | None:
    """How many frames the first one says that there are, 0 where it says nothing; None if it is no such frame."""
    for mark, has_flags, at in ((b"Xing", True, 8), (b"Info", True, 8), (b"VBRI", False, 14)):
        found = frame.find(mark)
        if found >= 0:
            known = not has_flags or int.from_bytes(frame[found + 4 : found + 8], "big") & 1
            return int.from_bytes(frame[found + at : found + at + 4], "big") if known else 0
    return None


def _goes_on(data: Encoded) -> bool:
    """Whether an MP3 has more frames than its first frame says (Xing's header, flags 1 and 2).

    If that has no count: whether frames of another sample rate follow, at which decoders stop.
    """
    start = _after_id3(data)
    first = _frame(data, start)
    if first is None:
        return False
    at = max(data.find(mark, start, start + first.size) for mark in (b"Xing", b"Info"))
    if at < 0 or data[at + 7] & 3 != 3 or data[at + 8 : at + 12] == bytes(4) or data[at + 12 : at + 16] == bytes(4):
        others = (frame for frame in _frames(data, start) if frame.rate_hz != first.rate_hz)
        return len(list(islice(others, _A_FEW_FRAMES))) == _A_FEW_FRAMES
    end = start + int.from_bytes(data[at + 12 : at + 16], "big")
    return len(list(islice(_frames(data, end), _A_FEW_FRAMES))) == _A_FEW_FRAMES


def _another_begins(data: Encoded) -> bool:
    """Whether a second FLAC or RIFF file follows the first."""
    if data[:4] == b"fLaC":
        return any(data.find(beginning, 4) > 0 for beginning in _FLAC_BEGINNINGS)
    if data[:4] != b"RIFF":
        return False
    size = int.from_bytes(data[4:8], "little")
    end = 8 + size + size % 2
    return data[end : end + 4] == b"RIFF"


def _without_its_end(data: Encoded) -> tuple[str, str] | None:
    names, at = list[bytes](), 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] in _BOXES:
        names.append(data[at + 4 : at + 8])
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        at = at + size if size >= 8 else len(data)  # 0: up to the end
    missing, last = at - len(data), names[-1]
    in_pieces = b"moof" in names and last in (b"moof", b"mdat")
    if missing > 0 and (b"moov" not in names[:-1] or in_pieces):
        return "truncated", f"it ends {missing} bytes before its {last.decode()} does; copy or download it again"
    if b"mdat" in names and b"moov" not in names:
        return "truncated", (
            "its index (moov), which is written last, is missing; copy or download it again, or repair it with the "
            "program that recorded it"
        )
    return None


def _count_frame(header: bytes, frames: int) -> bytes:
    """A silent frame like the file's others, which has the count of the following frames (Xing's header, flag 1)."""
    first_version = header[1] & 0x18 == 0x18
    kind = bytes((header[0], header[1] | 1, header[2] & 0x0C | (9 if first_version else 8) << 4, header[3]))
    size = _frame(kind, 0)
    assert size is not None
    side = (17 if header[3] >> 6 == 3 else 32) if first_version else (9 if header[3] >> 6 == 3 else 17)
    said = kind + bytes(side) + b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return said.ljust(size.size, b"\0")


def _ogg_pages(data: Encoded) -> Iterator[tuple[int, int]]:
    """(end, flags) of each page, in order; the end of the last may lie after the data."""
    at = 0
    while 0 <= at <= len(data) - 27:
        segments = data[at + 26]
        end = at + 27 + segments + sum(data[at + 27 : at + 27 + segments])
        yield end, data[at + 5]
        at = end if data[end : end + 4] == b"OggS" else data.find(b"OggS", end)
