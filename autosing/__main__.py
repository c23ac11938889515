"""`python -m autosing` is `autosing`."""

from autosing.cli import main

main()
