"""What artune does: plain functions from a source to a release, with no word about when."""
