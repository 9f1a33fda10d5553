"""Laws of which branch stands in which lane, step by step as a reader would see it."""

from __future__ import annotations

from playground.ui.lanes import Lanes


def filled(*keys: str) -> Lanes:
    lanes = Lanes()
    for key in keys:
        lanes = lanes.show(key, lanes.free())
    return lanes


def test_branches_fill_the_lanes_from_the_left() -> None:
    assert filled("a", "b").keys == ("a", "b", None, None)
    assert filled("a", "b").focus == 1


def test_what_is_shown_already_stays_where_it_is_and_gets_the_focus() -> None:
    lanes = filled("a", "b", "c").show("a", 2)
    assert (lanes.keys, lanes.focus) == (("a", "b", "c", None), 0)


def test_a_fifth_branch_takes_the_lane_that_was_used_longest_ago_but_not_its_parents() -> None:
    lanes = filled("a", "b", "c", "d")
    assert lanes.free(beside="a") == 1
    assert lanes.free(beside="c") == 0
    assert lanes.free(beside="a", writing={"b", "c"}) == 3, "rather none that still writes"
    assert lanes.free(beside="a", writing={"a", "b", "c", "d"}) == 1
    assert lanes.show("a", 0).free(beside="b") == 2


def test_a_closed_lane_is_the_next_to_be_filled_and_others_do_not_move() -> None:
    lanes = filled("a", "b", "c").close(1)
    assert lanes.keys == ("a", None, "c", None)
    assert lanes.free() == 1
    assert lanes.close(1) == lanes


def test_the_focus_falls_back_to_the_lane_used_last() -> None:
    lanes = filled("a", "b", "c").show("a", 0)
    assert lanes.close(0).focus == 2
    assert lanes.keep(lambda key: key == "b").focus == 1
    assert lanes.keep(lambda key: False).focus == 0
