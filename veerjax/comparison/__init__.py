"""The controlled comparison of boxes and pixels: its arms, its data, what is measured and what is claimed."""
