"""Claims about accountd, one test each."""
