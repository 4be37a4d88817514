"""`python -m workers`: what `gradus worker`, `train`, `quality` and `bench` hand over to."""

from workers.cli import app

if __name__ == "__main__":
    app(prog_name="gradus")
