"""Training on a published revision: nothing is here yet, and nothing below imports it."""
