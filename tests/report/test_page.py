"""The page as a browser would find it."""

import base64
import hashlib
import random

from .conftest import NAN_BOX, Run

SECTIONS = {"gallery", "failures", "train", "classes"}
OWN_SCRIPTS = [{"type": "application/json", "id": "sheet-data"}, {}]


def test_page_fetches_nothing_and_runs_its_own_script_alone(small_run: Run) -> None:
    page = small_run.page()
    links = [a[key] for section in page.elements.values() for _, a in section for key in ("src", "href") if key in a]
    assert any(link.startswith("data:image/jpeg;base64,") for link in links)
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "url(" not in page.html
    assert "@import" not in page.html
    assert page.all("script") == OWN_SCRIPTS
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    script = page.html.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy["content"].startswith("default-src 'none'; ")
    assert policy["content"].endswith(f"script-src 'sha256-{digest}'")


def test_every_link_of_the_navigation_has_its_section(small_run: Run) -> None:
    page = small_run.page(made_by={"catalog": {"fingerprint": "f"}}, curves={"localizer": [{"epoch": 1, "loss": 1.0}]})
    targets = {a["href"].removeprefix("#") for a in page.all("a")}
    assert targets >= SECTIONS | {"made-by", "curves"}
    assert targets <= page.elements.keys()


def test_names_are_text_and_never_markup(run: Run) -> None:
    nasty = '<script>alert("1")</script> & \'x'
    run.add("a&b.png", class_name=nasty, pseudo=(40, 0, 64, 32))
    run.add('c"d.png', class_name=nasty, split="train")
    run.add("<i>.png", class_name=nasty, pseudo=NAN_BOX, localizer=NAN_BOX, on_disk=False)
    page = run.page(title=nasty, made_by={nasty: {"fingerprint": nasty, "config": {nasty: nasty}}})
    assert page.all("script") == OWN_SCRIPTS
    assert page.html.count("</script>") == 2
    assert not page.all("i", "unreadable")
    assert nasty in page.text()  # the title
    assert all(nasty in page.text(section) for section in ("gallery", "train", "classes", "made-by"))
    assert "<i>.png" in page.text("unreadable")
    assert page.all("figure", "gallery", title="a&b.png")
    assert page.all("img", "gallery")[0]["alt"].startswith(nasty)


def test_same_tables_same_bytes_in_whatever_order_rows_come(small_run: Run) -> None:
    expected = small_run.html()
    assert small_run.html() == expected
    shuffled = {
        name: random.Random(1).sample(rows, len(rows))
        for name in ("catalog", "boxes", "predictions")
        for rows in [getattr(small_run, name)]
    }
    assert shuffled["catalog"] != small_run.catalog
    assert small_run.html(**shuffled) == expected


def test_without_ground_truth_there_are_boxes_but_no_scores(small_run: Run) -> None:
    assert small_run.page().all("rect", "gallery", **{"class": "gt"})
    page = small_run.page(catalog=[row | {"gt_boxes": []} for row in small_run.catalog])
    assert page.elements.keys() & SECTIONS == {"gallery", "train"}
    assert len(page.all("rect", "gallery", **{"class": "loc"})) == 4
    assert not page.all("rect", **{"class": "gt"})
    assert "IoU" not in page.text("gallery")
    assert not page.all("section", id="scores")


def test_without_predictions_pseudo_boxes_are_still_shown(small_run: Run) -> None:
    page = small_run.page(predictions=[])
    assert page.elements.keys() & SECTIONS == {"gallery", "train", "classes"}
    assert len(page.all("rect", "gallery", **{"class": "pseudo"})) == 4
    assert not page.all("rect", **{"class": "loc"})


def test_without_a_test_split_there_are_training_boxes(small_run: Run) -> None:
    rows = {name: [r for r in getattr(small_run, name) if "train" in r["image_id"]] for name in ("catalog", "boxes")}
    page = small_run.page(**rows, predictions=[])
    assert page.elements.keys() & SECTIONS == {"train"}
    assert len(page.all("figure", "train")) == 4


def test_an_empty_run_is_a_page(run: Run) -> None:
    assert run.page().text().endswith("0 classes")


def test_a_file_that_is_gone_becomes_a_placeholder_with_its_boxes(run: Run) -> None:
    run.add("gone.png", size=(640, 320), pseudo=(100, 50, 300, 150), on_disk=False)
    run.add("broken.png", size=(64, 32), on_disk=False)
    (run.data_root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    page = run.page()
    assert page.text("gallery").count("cannot be read") == 2
    assert not page.all("img")
    assert page.all("rect", "gallery", **{"class": "pseudo", "x": "50.0", "y": "25.0", "width": "100.0"})
    assert "cannot be read" in page.all("svg", "gallery", role="img")[0]["aria-label"]


def test_unreadable_images_are_counted_and_the_first_twenty_named(run: Run) -> None:
    run.add("good.png")
    for i in range(23):
        run.add(f"bad_{i:02}.png", size=(0, 0), pseudo=NAN_BOX, localizer=NAN_BOX, on_disk=False)
    page = run.page()
    assert "23 files" in page.text("unreadable")
    assert len(page.all("li", "unreadable")) == 20
    assert "bad_19.png" in page.text("unreadable")
    assert "bad_20.png" not in page.text("unreadable")
    assert [a["title"] for a in page.all("figure", "gallery")] == ["good.png"]
    # An image without a box is no failure of the localizer.
    assert "reaches" in page.text("failures")


def test_a_thousandfold_data_set_gives_a_page_of_the_same_size(run: Run) -> None:
    for label in range(50):
        run.add(f"train_{label}.png", label=label, split="train", size=(8, 4), on_disk=False)
        for i in range(6):
            good, bad = (0, 0, 4, 4), (4, 0, 8, 4)
            pseudo, localizer = (bad, good) if i % 2 else (good, bad)
            row = f"{label}_{i}.png"
            run.add(row, label=label, size=(8, 4), gt=[good], pseudo=pseudo, localizer=localizer, on_disk=False)
    page = run.page()
    shown = {section: len(page.all("figure", section)) for section in ("gallery", "failures", "gains", "train")}
    assert shown == {"gallery": 48, "failures": 12, "gains": 12, "train": 12}
    assert len(page.all("h3", "gallery")) == 12
    assert len(page.all("th", "classes", scope="row")) == 40
    assert "20 worst of 50 classes" in page.text("classes")
    assert "150 of 300" in page.text("failures")


def test_right_and_wrong_are_said_of_box_and_class(run: Run) -> None:
    run.add("half.png", gt=[(0, 0, 10, 10)], pseudo=(0, 0, 5, 10), localizer=(0, 0, 4, 10))
    run.predictions[0]["top_labels"] = [1, 0]
    run.add("other.png", label=1)
    assert "class_0 DDT 0.50 ✓ localizer 0.40 ✗ ✗ class_1 75 % class_1 DDT" in run.page().text("gallery")


def test_what_made_the_run_is_folded_away(small_run: Run) -> None:
    made = {
        "stage": "boxes",
        "fingerprint": "0123456789abcdef",
        "version": "0.1",
        "config": {"upsample": "nearest"},
    }
    page = small_run.page(made_by={"boxes": made})
    assert page.all("details", "made-by") == [{}]
    assert "0123456789abcdef" in page.text("made-by")
    assert '"upsample": "nearest"' in page.text("made-by")


def test_the_page_says_of_which_coordinates_its_scores_are(small_run: Run) -> None:
    scored = {"localization": {"gt_known": 0.5}}
    crop = {"coordinates": "crop", "crop_share": 0.875}
    assert "the middle 87.5 % of either side" in small_run.page(metrics={**scored, **crop}).text("scores")
    assert "crop" not in small_run.page(metrics={**scored, "coordinates": "original"}).text("scores")


def test_pictures_are_judged_as_the_scores_are(run: Run) -> None:
    """In a crop of 60 by 30 of the 80 by 40 pixels the tie becomes a third, and outside of it nothing is right."""
    run.add("tie.png", size=(80, 40), gt=[(0, 0, 20, 40)], pseudo=(0, 0, 20, 40), localizer=(0, 0, 40, 40))
    run.add("out.png", size=(80, 40), gt=[(0, 0, 9, 9)], pseudo=(0, 0, 9, 9), localizer=(0, 0, 9, 9))
    assert "localizer 0.50 ✓" in run.page().text("gallery")
    assert "The number is the IoU with the ground truth; ✓ is IoU ≥ 0.5." in run.page().text("gallery")
    assert "reaches IoU ≥ 0.5 in every" in run.page().text("failures")

    above = run.page(metrics={"teacher": "DDT", "iou_rule": "above"})
    assert "localizer 0.50 ✗" in above.text("gallery")
    assert "✓ is IoU > 0.5." in above.text("gallery")
    assert "misses IoU > 0.5 in 1 of 2" in above.text("failures")
    assert "50.0" in above.text("classes")

    crop = run.page(metrics={"teacher": "DDT", "coordinates": "crop", "crop_share": 0.75})
    assert "localizer 0.33 ✗" in crop.text("gallery")
    assert "DDT 0.00 ✗ localizer 0.00 ✗" in crop.text("gallery")
    assert "misses IoU ≥ 0.5, in the evaluation crop, in 2 of 2" in crop.text("failures")


def test_a_run_without_pseudo_boxes_does_not_speak_of_them(run: Run) -> None:
    run.add("a.png", pseudo=None)
    page = run.page(metrics={"teacher": None})
    assert [text for text in page.texts["gallery"] if "pseudo" in text] == []
    assert "pseudo box" not in page.text()
    assert not page.all("path", **{"class": "pseudo"})
    assert page.all("path", **{"class": "loc"})
