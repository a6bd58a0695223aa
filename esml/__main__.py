"""``python -m esml``: the command line."""

from esml.commands.app import app

if __name__ == "__main__":
    app(prog_name="esml")
