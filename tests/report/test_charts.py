"""Curves stay in their plots and leave out what is missing."""

import pytest

from psol_ray.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, make_charts, make_sweep_chart

NAN = float("nan")


def chart_of(*losses: float) -> Chart:
    (chart,) = make_charts({"localizer": [{"epoch": i, "loss": loss} for i, loss in enumerate(losses, 1)]})
    return chart


def test_a_quantity_without_a_number_has_no_chart() -> None:
    curves = {
        "localizer": [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}],
        "classifier": [{"epoch": 1, "images_per_s": 900.0}, {"loss": 0.3}, {"epoch": 2, "loss": NAN}],
        "joint": [],
    }
    found = [(chart.model, chart.quantity) for chart in make_charts(curves)]
    assert found == [("localizer", "loss"), ("classifier", "images a second")]


def test_of_an_epoch_logged_twice_the_last_counts() -> None:
    lines = [{"epoch": e, "loss": loss} for e, loss in ((1, 4.0), (2, 9.0), (2, 2.0), (3, 1.0))]
    (chart,) = make_charts({"localizer": lines})
    assert len(chart.points) == 3
    assert chart.summary == "loss from 4 at epoch 1 to 1 at epoch 3"


def test_larger_is_higher_and_later_is_further_right() -> None:
    (x0, y0), (x1, y1), (x2, y2) = chart_of(0.9, 0.5, 0.1).points
    assert x0 < x1 < x2
    assert y0 < y1 < y2  # SVG counts downwards


@pytest.mark.parametrize("losses", [(0.5,), (0.0, 0.0), (1e-9, 2e-9), (-1.0, 3.0), (123456.0, 5.0), tuple(range(100))])
def test_points_and_ticks_stay_in_the_plot(losses: tuple[float, ...]) -> None:
    chart = chart_of(*losses)
    assert len(chart.points) == len(losses)
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in chart.points)
    assert all(TOP <= tick.at <= BOTTOM for tick in chart.y_ticks)
    assert 2 <= len(chart.y_ticks) <= 7
    assert 1 <= len(chart.x_ticks) <= 7
    assert all(LEFT <= tick.at <= RIGHT for tick in chart.x_ticks)


def test_ticks_are_round_numbers_and_whole_epochs() -> None:
    chart = chart_of(0.07, 0.03, 0.02)
    assert [tick.text for tick in chart.y_ticks] == ["0", "0.02", "0.04", "0.06", "0.08"]
    assert [tick.text for tick in chart.x_ticks] == ["1", "2", "3"]


def test_a_sweep_has_a_point_a_threshold() -> None:
    chart = make_sweep_chart("CAM", {"thresholds": [0, 0.5, 1], "gt_known": [0.25, 0.75, 0]})
    assert chart is not None
    assert len(chart.points) == 3
    assert (chart.model, chart.x_name) == ("CAM", "threshold in % of the map's range")
    xs, ys = zip(*chart.points, strict=True)
    assert list(xs) == sorted(xs)
    assert ys[1] < ys[0] < ys[2]  # SVG counts downwards


def test_a_sweep_without_ground_truth_is_not_drawn() -> None:
    assert make_sweep_chart("CAM", {"thresholds": [0, 1], "gt_known": [None, None]}) is None
