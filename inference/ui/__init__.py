"""A page in the browser of this computer -> the commands, one after another."""
