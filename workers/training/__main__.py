"""`python -m workers.training`: the training commands; `gradus train` runs this."""

from workers.training.cli import app

if __name__ == "__main__":
    app(prog_name="gradus train")
