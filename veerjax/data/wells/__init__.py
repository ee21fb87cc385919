"""Real curves of LAS files: which belong together, on which scales, in which split, and drawn as examples."""
