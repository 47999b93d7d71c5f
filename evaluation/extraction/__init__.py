"""Features of pictures, clips and words: asked of networks once, and kept."""
