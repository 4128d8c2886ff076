"""Renderers: pure functions from a `Diagnosis` to text in one format."""

# Formats of `diagnose` -> the module whose `render(diagnosis)` writes it.
FORMATS = ("text", "json", "markdown", "github", "junit")
