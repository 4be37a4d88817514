from __future__ import annotations

from router.evaluation.groups import groups_of, united

APPLES = "Anna has 3 apples and buys 4 more at the market on Monday. How many apples has she now?"
MORE_APPLES = "Anna has 12 apples and buys 7 more at the market on Monday. How many apples has she now?"
TRAIN = "A train leaves Bern at noon and needs two hours to Zurich. When does it arrive there?"


def test_a_template_with_other_numbers_is_the_same_story() -> None:
    groups = groups_of([APPLES, TRAIN, MORE_APPLES])

    assert groups[0] == groups[2] != groups[1]


def test_a_story_with_a_few_other_words_stays_together() -> None:
    groups = groups_of([APPLES, TRAIN, APPLES.replace("on Monday", "on Friday")])

    assert groups[0] == groups[2] != groups[1]


def test_prompts_without_words_are_groups_of_their_own() -> None:
    assert len(set(groups_of(["?", "!", "?"]))) == 2


def test_a_format_that_all_share_is_no_story() -> None:
    puzzles = [
        f"Make 24 with these four numbers: {each} {each + 1} {each + 2} {each + 3}" for each in range(30)
    ]

    assert len(set(united(puzzles, puzzles))) == 30
    assert len(set(groups_of(puzzles))) == 1


def test_what_was_given_as_one_group_stays_one() -> None:
    """The first two are one group by name, the last two by their text; so all three are."""
    groups = united(["a", "a", "b", "c"], [TRAIN, APPLES, MORE_APPLES, "Name the capital of Peru, please."])

    assert groups[0] == groups[1] == groups[2] != groups[3]
