"""A folder -> its files in a fixed order, linked folders included; and remarks on files that were skipped."""

import os
from collections.abc import Callable
from pathlib import Path

Tell = Callable[[str, str, str], None]
"""Takes (name, reason, what was found) for a file that is skipped."""


def files_of(root: Path, is_audio: Callable[[Path], bool], is_text: Callable[[Path], bool], tell: Tell) -> list[Path]:
    """All files, sorted, with links that lead nowhere (opening one reports that).

    A folder is walked once, by its own path rather than by a link to it. Hidden files and folders are left out. Hidden
    audio (by its suffix) is reported, and so is a folder with the name of a text file.
    """
    seen: set[str] = set()
    found: list[Path] = []
    links = [root]
    above = [str(folder) for folder in root.resolve().parents]

    def name(path: Path | str) -> str:
        return printable(os.path.relpath(path, root))

    def unreadable(error: OSError) -> None:
        tell(name(error.filename), "folder_not_readable", str(error.strerror))

    for top in links:  # grows while it is walked
        if os.path.realpath(top) in above:
            tell(name(top), "link_upwards", f"leads to {os.path.realpath(top)}, which holds the source")
            continue
        for folder, folders, files in os.walk(top, onerror=unreadable):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            here = Path(folder)
            links += sorted(here / inner for inner in folders if (here / inner).is_symlink())
            found += [here / inner for inner in (*files, *filter(lambda name: is_text(Path(name)), folders))]
    return [path for path in sorted(found) if _taken(path, root, is_audio, tell)]


def printable(name: str) -> str:
    """A file name as text that can be written: bytes that are not UTF-8 become escapes with their digits."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _taken(path: Path, root: Path, is_audio: Callable[[Path], bool], tell: Tell) -> bool:
    parts = path.relative_to(root).parts
    hidden = next((k for k, part in enumerate(parts) if _is_hidden(part)), None)
    if hidden is not None:
        if is_audio(path) and not path.name.startswith("._"):  # macOS keeps such a file beside each file
            name = printable("/".join(parts[: hidden + 1]))
            tell(name, "hidden", "its name begins with a dot; rename it to import it")
        return False
    try:
        if path.is_file() or (path.is_symlink() and not path.exists()):
            return True
    except OSError:  # in a folder that may be listed and not entered: opening it reports that
        return True
    tell(printable("/".join(parts)), "not_a_file", "a folder" if path.is_dir() else "neither a file nor a folder")
    return False


def _is_hidden(part: str) -> bool:
    """A name with three dots is a title (`...And Justice for All`)."""
    return part.startswith(".") and not part.startswith("...")
