"""What lies between a measure and a number that means something: resampling, chance, intervals, comparisons."""
