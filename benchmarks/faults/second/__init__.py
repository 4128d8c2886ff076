"""The second sitting: other tasks, and the same causes in other strengths and variants."""
