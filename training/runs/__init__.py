"""What a run leaves: its folder, its record, its pictures, its card, its model."""
