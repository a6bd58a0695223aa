"""The command line: ``app`` lists the commands and their modules.

Each command is in a module of its name; only ``bands`` and ``dos`` share ``crystals``. The other
modules hold code that commands share: options, tables, messages. Do not import from here: the
public interface is the program ``esml``.
"""

__all__: list[str] = []
