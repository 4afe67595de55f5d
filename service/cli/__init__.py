"""The command line, one noun in each file."""
