"""Small real models trained on a CPU, each with one fault or with none, and what their logs show."""
