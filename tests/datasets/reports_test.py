from transfusion_datasets import reports

STATES = ("positive", "negative", "uncertain", "unmentioned")


def split(num_images: int, counts: dict) -> dict:
    return {
        "num_images": num_images,
        "num_patients": num_images // 2,
        "label_counts": counts,
        "notes": {"enlarged": 3},
    }


def test_a_class_has_a_row_and_a_finding_one_for_its_four_states() -> None:
    edema = dict(zip(STATES, (20, 1100, 3, 4), strict=True))
    report = {
        "rule": "All.",
        "splits": {
            "train": split(1127, {"sex": {"F": 7}, "Edema": edema}),
            "test": split(4, {"sex": {"M": 4}}),
        },
        "num_rejected": 2,
    }
    rows = [
        line.split() for line in reports.format_split_report(report).split("\n")
    ]
    assert rows[:6] == [
        ["train", "test"],
        ["images", "1,127", "4"],
        ["patients", "563", "2"],
        ["sex:", "F", "7", "0"],
        ["Edema", "20/1,100/3/4", "0/0/0/0"],
        ["sex:", "M", "0", "4"],
    ]
    text = reports.format_split_report(report)
    assert "Of a finding: positive/negative/uncertain/unmentioned." in text
    assert "Enlarged: 3 of 1127 train images." in text
    assert "Rejected: 2, listed" in text


def test_columns_stay_apart_however_long_the_numbers() -> None:
    huge = dict(zip(STATES, [223_414] * 4, strict=True))
    report = {
        "rule": "All.",
        "splits": {n: split(2, {"Edema": huge}) for n in ("train", "test")},
    }
    row = reports.format_split_report(report).split("\n")[3]
    assert row.split() == ["Edema", *["/".join(["223,414"] * 4)] * 2]
