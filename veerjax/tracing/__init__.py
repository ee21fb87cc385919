"""From what a model says of a strip to polylines: the likeliest path, its centreline, its gaps."""
