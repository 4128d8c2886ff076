"""Pairs of runs made by real training, for scoring ``loganalyze diff``."""
