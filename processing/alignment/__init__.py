"""Parts of the align stage: emissions of letters, the best path through lyrics, the offset of an LRC."""
