"""From a run's recipe to its trained weights: steps, validation, checkpoints, processes."""
