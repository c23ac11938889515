"""Files of lyrics of other kinds than LRC -> LRC text, or facts."""
