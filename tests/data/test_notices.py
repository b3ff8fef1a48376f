"""What stands beside figures: nobody's images are called NIH's but NIH's."""

from chest_xray.data.nih import LABEL_FILES
from chest_xray.notices import NIH_LABELS, PHANTOM, describe_source


def test_images_are_called_what_they_are() -> None:
    assert describe_source(PHANTOM) == "phantom images"
    assert describe_source("v2020") == "NIH images, labels v2020"
    assert describe_source("hospital-7") == "images, labels hospital-7"


def test_nihs_label_files_are_of_nihs_labels() -> None:
    assert tuple(LABEL_FILES) == NIH_LABELS
