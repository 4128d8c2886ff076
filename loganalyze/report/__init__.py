"""Renderers: pure functions from a `Diagnosis` to text in one format."""
