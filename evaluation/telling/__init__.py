"""What an evaluation says: its files, its words, and how it compares with others."""
