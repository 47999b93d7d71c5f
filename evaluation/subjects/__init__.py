"""What is evaluated: which clips, and the images that belong to them."""
