"""The TFDS dataset `raster_logs`: what it may be made of, and how it is written."""
