"""Words and a voice -> when each word sounds: letters heard, the best path through them, phones inside words."""
