"""What the align stage stands on: emissions of letters, the best path through lyrics, the offset of an LRC."""
