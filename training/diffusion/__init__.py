"""The text-to-image model that is conditioned, and what is computed with it."""
