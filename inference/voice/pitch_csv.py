"""A pitch track <-> CSV that people edit: time_s, hz, voiced, a row every 10 ms.

Decimals are kept (below 0.001 cent). Where `voiced` is 0 nobody sings, whatever hz says.
Shapes: T values at 100 Hz.
"""

import csv
import math
from pathlib import Path

import numpy as np

from autosing.errors import InputError
from autosing.timebase import PITCH_RATE_HZ

COLUMNS = ("time_s", "hz", "voiced")
LOWEST_HZ, HIGHEST_HZ = 20.0, 4000.0
_SLACK_ROWS = 5
"""So many rows may be missing at the end: trackers differ about the last frames."""


def write_pitch_csv(f0_hz_T: np.ndarray, path: Path) -> None:
    """Frames without pitch have hz 0.000000 and voiced 0."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        rate = float(PITCH_RATE_HZ)
        for row, hz in enumerate(f0_hz_T):
            table.writerow([f"{row / rate:.2f}", f"{hz:.6f}", int(hz > 0)])


def read_pitch_csv(path: Path, num_rows: int) -> np.ndarray:
    """f0_hz_T float32 of so many rows, 0 where unvoiced; read row by row.

    Raises InputError, naming the line: columns missing, no number, times that are not 10 ms apart (gaps), a voiced
    pitch outside 20 to 4000 Hz, too few rows for the source.
    """
    f0_hz_T, count = np.zeros(num_rows, np.float32), 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if not set(COLUMNS) <= set(table.fieldnames or ()):
                found = ", ".join(map(str, table.fieldnames or ())) or "nothing"
                raise InputError(f"--pitch {path}: found {found}; need a header and rows of {', '.join(COLUMNS)}")
            for count, row in enumerate(table, start=1):
                hz = _hz(row, count - 1, f"--pitch {path}, line {count + 1}")
                if count <= num_rows:
                    f0_hz_T[count - 1] = hz
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--pitch {path}: cannot be read as CSV in UTF-8 ({error})") from None
    if count < num_rows - _SLACK_ROWS:
        raise InputError(
            f"--pitch {path}: {count} rows, the source needs {num_rows} (one every 10 ms); write the track with "
            "'autosing convert --pitch-out' and edit that"
        )
    return f0_hz_T


def count_rows(path: Path) -> int:
    """Rows of the table. Raises InputError where it cannot be read, or has none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = sum(1 for line in file if line.strip()) - 1
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--pitch {path}: cannot be read as CSV in UTF-8 ({error})") from None
    if rows < 1:
        raise InputError(f"--pitch {path}: no rows; need a header and rows of {', '.join(COLUMNS)}")
    return rows


def _hz(row: dict[str, str], at: int, line: str) -> float:
    """Of the row that is number `at`; 0 where unvoiced."""
    rate = float(PITCH_RATE_HZ)
    try:
        time_s, hz, voiced = (float(row[name]) for name in COLUMNS)
    except (TypeError, ValueError):
        raise InputError(f"{line}: found {list(row.values())}, need three numbers") from None
    if not abs(time_s - at / rate) <= 0.5 / rate:
        raise InputError(
            f"{line}: time {time_s:g} s, need {at / rate:.2f}; rows are 10 ms apart, without gaps: "
            "keep rows and set voiced to 0 instead"
        )
    if voiced and not (math.isfinite(hz) and LOWEST_HZ <= hz <= HIGHEST_HZ):
        raise InputError(f"{line}: {hz:g} Hz voiced, need {LOWEST_HZ:g} to {HIGHEST_HZ:g}; or set voiced to 0")
    return hz if voiced else 0.0
