"""The localizer beside its teacher, on boxes whose errors are known."""

import numpy as np
import pytest

from psol_ray.report.comparison import Comparison, compare
from psol_ray.report.gallery import view_split
from psol_ray.report.scores import signed

from .conftest import NAN_BOX, Run


def compared(run: Run) -> Comparison:
    found = compare(view_split("test", **run.tables()), "DDT")
    assert found is not None
    return found


def test_gain_is_of_the_same_images_with_an_interval(run: Run) -> None:
    for i in range(40):
        run.add(f"both{i:02d}.png", on_disk=False)
    for i in range(10):
        run.add(f"lost{i}.png", localizer=(40, 0, 64, 32), on_disk=False)
    run.add("no_truth.png", gt=[], on_disk=False)
    found = compared(run)
    assert (found.num_images, found.gain) == (50, -0.2)
    low, high = found.interval
    # Of a share of 0.2 of 50 images: 1.96 standard errors are 0.11.
    assert (low, high) == pytest.approx((-0.31, -0.09), abs=0.021)
    assert found.is_clear


def test_few_images_cannot_tell(run: Run) -> None:
    for i in range(9):
        run.add(f"both{i}.png", on_disk=False)
    run.add("won.png", pseudo=(40, 0, 64, 32), on_disk=False)
    run.add("lost.png", localizer=(40, 0, 64, 32), on_disk=False)
    found = compared(run)
    assert found.gain == 0
    assert not found.is_clear


def test_errors_are_what_was_made_in_common_and_from_image_to_image(run: Run) -> None:
    # Images are 64 x 32. Pseudo boxes of class 0 reach 8 pixels too far to the right in all its images; the
    # localizer's stay there, and go 2 pixels up or down from image to image.
    for i in range(200):
        off = 2 if i % 2 else -2
        run.add(
            f"{i:03d}.png",
            gt=[(8, 8, 40, 24)],
            pseudo=(8, 8, 48, 24),
            localizer=(8, 8 + off, 48, 24 + off),
            on_disk=False,
        )
    run.add("two.png", gt=[(0, 0, 8, 8), (8, 8, 16, 16)], pseudo=(0, 0, 64, 32), on_disk=False)
    run.add("alone.png", label=1, pseudo=(0, 0, 64, 32), on_disk=False)
    run.add("unreadable.png", localizer=NAN_BOX, on_disk=False)
    errors = compared(run).errors
    assert errors is not None
    pseudo, localizer = errors
    assert (pseudo.whose, localizer.whose) == ("DDT", "localizer")
    assert (pseudo.common, pseudo.varying) == pytest.approx((8 / 64 / 2, 0))
    # Two of four sides by 2 of 32 pixels.
    assert localizer.varying == pytest.approx(np.sqrt(0.5) * 2 / 32, rel=0.01)
    assert localizer.common == pytest.approx(pseudo.common, rel=0.01)
    assert localizer.all == pytest.approx(np.hypot(localizer.common, localizer.varying))


def test_without_classes_of_several_images_nothing_is_said_of_errors(run: Run) -> None:
    run.add("a.png", on_disk=False)
    assert compared(run).errors is None


def test_without_truth_or_localizer_there_is_nothing_to_compare(run: Run) -> None:
    run.add("a.png", gt=[], on_disk=False)
    assert compare(view_split("test", **run.tables()), "DDT") is None
    assert 'id="comparison"' not in run.html()


def test_of_boxes_alone_there_is_nothing_to_compare(run: Run) -> None:
    run.add("a.png", localizer=None, on_disk=False)
    assert compare(view_split("test", **run.tables()), "DDT") is None


@pytest.mark.parametrize(
    ("pseudo_off", "localizer_off", "words"),
    [
        (0, 2, "Here it adds more than it averages out: more images or longer training may lower that."),
        (2, 0, "Here it has averaged out more than it adds."),
    ],
)
def test_the_page_says_why(run: Run, pseudo_off: int, localizer_off: int, words: str) -> None:
    for i in range(4):
        sign = 1 if i % 2 else -1
        pseudo, localizer = ((8 + sign * off, 8, 40 + sign * off, 24) for off in (pseudo_off, localizer_off))
        run.add(f"{i}.png", gt=[(8, 8, 40, 24)], pseudo=pseudo, localizer=localizer)
    assert words in run.page().text("comparison")


@pytest.mark.parametrize(
    ("localizer", "words"),
    [
        ((0, 0, 32, 32), "right as often as the pseudo box (DDT; 95 %: 0.0 to 0.0): too few to tell"),
        ((40, 0, 64, 32), "right 100.0 points less often than the pseudo box (DDT; 95 %: -100.0 to -100.0): a clear"),
    ],
)
def test_the_page_says_it(run: Run, localizer: tuple[float, ...], words: str) -> None:
    for i in range(3):
        run.add(f"{i}.png", localizer=localizer)
    text = run.page().text("comparison").replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")
    assert words in text


def test_differences_have_signs_where_they_do_not_round_to_nothing() -> None:
    assert signed((-0.045, 0.009)) == "\N{MINUS SIGN}4.5 to +0.9"
    assert signed((-0.0001, 0.0)) == "0.0 to 0.0"
