"""One engine for sound in, sound out: source -> features -> what a model is told -> chunks -> sound."""
