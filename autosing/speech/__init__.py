"""Speech that is to be sung: without its melody, with the times of its phones, and laid on the times of a song."""
