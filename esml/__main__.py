"""``python -m esml``: the command line."""

from esml.cli import app

if __name__ == "__main__":
    app(prog_name="esml")
