from collections import Counter

from psol_ray.catalog.passed_over import PassedOver, Reason, describe


def test_counts_by_reason_the_frequent_kinds_first() -> None:
    passed_over: PassedOver = Counter()
    passed_over[Reason.HIDDEN, ""] += 2
    passed_over[Reason.LITTER, "@eaDir"] += 1
    passed_over.update([(Reason.SUFFIX, ".xml")] * 2 + [(Reason.SUFFIX, ".txt")] * 4000)
    assert describe(passed_over) == (
        "4,002 with other suffixes (.txt 4,000, .xml 2), 2 hidden, 1 left behind by other programs (@eaDir)"
    )


def test_many_kinds_are_cut_short() -> None:
    kinds = Counter({(Reason.SUFFIX, f".{name}"): 1 for name in "abcde"})
    assert describe(kinds) == "5 with other suffixes (.a, .b, .c and 2 more)"


def test_nothing_is_said_of_nothing() -> None:
    assert describe(Counter()) == ""
