"""Names by which nothing can be installed."""

from tf_tester.core.select.placeholders import placeholder_asked, placeholder_version
from tf_tester.model.framework import Placeholder

SKLEARN = Placeholder("sklearn", "scikit-learn")
GPU = Placeholder("tensorflow-gpu", "tensorflow", ">=2.12")
KNOWN = (SKLEARN, GPU)


def test_a_version_is_one_by_its_name_or_by_its_number_too() -> None:
    assert placeholder_version("sklearn", "0.0", KNOWN) is SKLEARN
    assert placeholder_version("tensorflow-gpu", "2.12.0", KNOWN) is GPU
    assert placeholder_version("tensorflow-gpu", "2.11.0", KNOWN) is None
    assert placeholder_version("numpy", "0.0", KNOWN) is None


def test_a_requirement_means_one_where_nothing_else_would_do() -> None:
    asked = {text: placeholder_asked(text, KNOWN) for text in ("SKLearn", "sklearn>0", "tensorflow_gpu==2.12.*")}
    assert asked == {"SKLearn": SKLEARN, "sklearn>0": SKLEARN, "tensorflow_gpu==2.12.*": GPU}
    for text in ("tensorflow-gpu", "tensorflow-gpu<2.12", "tensorflow-gpu>=2.4", "scikit-learn"):
        assert placeholder_asked(text, KNOWN) is None
