"""Numeric primitives: arrays in, arrays out, no state."""
