"""Sounds that models of analysis and resynthesis are fitted on, made into folders that `autosing import` takes."""
