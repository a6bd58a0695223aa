"""The command line: ``app`` names the commands and the modules they are in.

A command has a module of its own name; only ``bands`` and ``dos`` share ``crystals``. The other
modules are what commands share: options, tables, messages. Import nothing from here: what is public
is the program ``esml``.
"""

__all__: list[str] = []
