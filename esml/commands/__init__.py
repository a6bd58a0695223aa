"""The command line: ``app`` holds the commands, one module each.

Nothing is to be imported from here: what is public is the program ``esml``, and a command has the
name of its module, which a re-export would hide.
"""

__all__: list[str] = []
