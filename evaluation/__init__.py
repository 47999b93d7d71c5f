"""Evaluation of a trained model: nothing is here yet, and nothing below imports it."""
