"""The problem stream: seeded, mixed, and split without overlap."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from workers.training.abacus.data import load_problems, split_path
from workers.training.abacus.steps import check_solution, parse_answer
from workers.training.abacus.tasks import SPLITS, Problem, generate, split_of


def _problems(data_dir: Path) -> list[Problem]:
    return [problem for split in SPLITS for problem in load_problems(data_dir, split)]


def test_the_same_seed_gives_the_same_problems(built: Path) -> None:
    again = list(generate(3, 400))
    assert sorted(again, key=lambda p: p.key) == sorted(_problems(built), key=lambda p: p.key)


def test_splits_share_no_problem_even_between_seeds(built: Path) -> None:
    keys = {split: {problem.key for problem in load_problems(built, split)} for split in SPLITS}
    assert all(keys[split] for split in SPLITS)
    for other in generate(4, 300):
        assert not any(other.key in keys[split] for split in SPLITS if split != other.split)


def test_paraphrases_are_one_problem(built: Path) -> None:
    for problem in _problems(built):
        assert problem.split == split_of(problem.key)
        assert problem.key == problem.key.lower().replace(" ", "")


def test_every_solution_is_right_and_ends_in_its_answer(built: Path) -> None:
    for problem in _problems(built):
        assert check_solution(problem.solution), problem
        assert parse_answer(problem.solution) == problem.answer


def test_all_families_occur_and_difficulty_spreads(built: Path) -> None:
    problems = _problems(built)
    families = Counter(problem.family for problem in problems)
    assert len(families) == 6
    lines = [problem.solution.count("\n") for problem in problems]
    assert min(lines) == 1
    assert max(lines) >= 6


def test_a_finished_build_is_left_alone(built: Path) -> None:
    from workers.training.abacus import data

    before = split_path(built, "train").stat().st_mtime_ns
    data.build(built, seed=3, problems=400)
    assert split_path(built, "train").stat().st_mtime_ns == before


def test_questions_are_new_ones_or_those_of_a_held_out_split(built: Path, tmp_path: Path) -> None:
    from workers.training import files
    from workers.training.abacus import data

    def written(split: str, count: int) -> list[dict[str, str]]:
        output = tmp_path / f"{split}.jsonl"
        assert data.write_questions(built, output, split, seed=1, count=count) == count
        return list(files.read_json_lines(output))

    trained_on = {problem.question for problem in load_problems(built, "train")}
    fresh = written("train", 60)
    assert not any(row["question"] in trained_on for row in fresh)
    assert written("train", 20) == fresh[:20]
    held_out = [(problem.question, problem.answer) for problem in load_problems(built, "test", 5)]
    assert [(row["question"], row["answer"]) for row in written("test", 5)] == held_out
