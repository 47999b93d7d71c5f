"""A package by this file: torch-fidelity installs one of the same name, which would win over a mere folder."""
