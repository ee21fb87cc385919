"""What a raster log is: scale geometry, reading scans, reading and writing LAS and CSV. No learning."""
