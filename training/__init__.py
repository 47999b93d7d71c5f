"""Training on a published revision: recipes, the model, the loop that fits it, and what a run leaves."""
