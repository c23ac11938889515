"""Audio for training models of analysis and resynthesis, arranged in folders that `autosing import` takes."""
