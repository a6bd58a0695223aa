"""The command line: ``app`` holds the commands, one module each."""
