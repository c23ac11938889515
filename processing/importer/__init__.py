"""Folders of songs, or an AutoSing corpus -> a corpus of balanced partitions."""
