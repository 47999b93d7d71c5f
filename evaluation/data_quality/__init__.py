"""The data set itself, without a model: how well labels are told from its images and music, and leaks across splits."""
