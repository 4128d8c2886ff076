"""Judging a run that is not over: what may be said now, what still stands, and when to look again."""
