"""What HTTP adds to the library: the same frames, asked both ways in turn."""
