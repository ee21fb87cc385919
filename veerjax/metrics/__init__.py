"""How well a prediction fits the truth: counts and per-row values inside jit, ratios once on the host.

The JAX functions take one example without a batch axis, are vmapped, and count in int32; the NumPy functions
sum in int64 and divide once.
"""
