"""From a random key to a scan: curves, strokes, ink on paper, and the truth about them. All pure, jit and vmap."""
