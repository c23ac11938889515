"""Where a sound comes from: written into it, and found again."""
