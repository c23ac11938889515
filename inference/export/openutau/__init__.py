"""A visinger model -> a singer that OpenUtau's DiffSinger renderer loads."""
