"""What accountd shows over HTTP: health, metrics and one page, all read-only."""
