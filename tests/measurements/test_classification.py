"""Measurements of classifiers against counts by hand, published definitions and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from matplotlib.figure import Figure

from netdsl.errors import DeclarationError, PartError
from netdsl.measurements import CLASSIFICATION, ClassifierMeasurementsObject, Predictions, from_predictions
from netdsl.symbols import All, Quantity, Rule

# Six examples by hand. Decisions: a a b b c b; true: a b b b c a.
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.05, 0.05, 0.9], [0.25, 0.45, 0.3]]
)
TRUTH = np.array([0, 1, 1, 1, 2, 0])
NAN = float("nan")


def by_hand(**options) -> Predictions:
    return Predictions(PROBABILITIES, TRUTH, ("a", "b", "c"), examples=list("uvwxyz"), **options)


def random_predictions(n: int = 500, c: int = 6, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = rng.choice(c, n, p=rng.dirichlet(np.ones(c) * 3))
    logits = rng.normal(size=(n, c)) + 1.2 * np.eye(c)[truth]
    return Predictions(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), truth, tuple("abcdefgh"[:c]))


def measure(specification, predictions=None):
    return CLASSIFICATION.measure(by_hand() if predictions is None else predictions, specification)


LOSSES = -np.log([0.7, 0.4, 0.8, 0.6, 0.9, 0.25])


@pytest.mark.parametrize(
    ("specification", "value"),
    [
        ("Accuracy", 4 / 6),
        (Rule("Accuracy", 1), 4 / 6),
        (["Accuracy", 2], 5 / 6),
        (["Accuracy", 3], 1.0),
        ("Error", 2 / 6),
        (["ErrorRate", 2], 1 / 6),
        ("AccuracyBaseline", 3 / 6),
        ("CohenKappa", (4 / 6 - 14 / 36) / (1 - 14 / 36)),  # marginals 2 3 1 and 2 3 1
        ("ScottPi", (4 / 6 - (4 + 9 + 1) / 36) / (1 - 14 / 36)),
        ("MeanCrossEntropy", LOSSES.mean()),
        ("LogLikelihood", -LOSSES.sum()),
        ("Perplexity", math.exp(LOSSES.mean())),
        ("GeometricMeanProbability", (0.7 * 0.4 * 0.8 * 0.6 * 0.9 * 0.25) ** (1 / 6)),
        ("Entropy", -(PROBABILITIES * np.log(PROBABILITIES)).sum(axis=1).mean()),
        ("RejectionRate", 0.0),
        ("Recall", {"a": 1 / 2, "b": 2 / 3, "c": 1.0}),
        ("Precision", {"a": 1 / 2, "b": 2 / 3, "c": 1.0}),
        (Rule("Precision", "b"), 2 / 3),
        (["Specificity", "a"], 3 / 4),
        (["FScore", Rule(2, "b")], 2 / 3),
        (["TruePositiveNumber", "b"], 2),
        (["FalsePositiveNumber", "b"], 1),
        (["FalseNegativeNumber", "b"], 1),
        (["TrueNegativeNumber", "b"], 2),
        (["FalseOmissionRate", "a"], 1 / 4),
        (["FalseDiscoveryRate", "b"], 1 / 3),
        (["Recall", "MacroAveraged"], (1 / 2 + 2 / 3 + 1) / 3),
        (["Recall", "MicroAveraged"], 4 / 6),
        (["TruePositiveNumber", "MicroAveraged"], 4),
        ("ClassMeanCrossEntropy", {"a": LOSSES[[0, 5]].mean(), "b": LOSSES[[1, 2, 3]].mean(), "c": LOSSES[4]}),
        (["ClassMeanCrossEntropy", "MicroAveraged"], LOSSES.mean()),
        ("AreaUnderROCCurve", {"a": 6 / 8, "b": 8 / 9, "c": 1.0}),
    ],
)
def test_values_by_hand(specification, value):
    assert measure(specification) == pytest.approx(value, abs=1e-12)


def test_area_is_the_chance_that_an_example_of_the_class_is_put_before_another():
    predictions = random_predictions()
    for i, label in enumerate(predictions.classes):
        own, other = (predictions.probabilities[predictions.truth == i, i], predictions.probabilities[predictions.truth != i, i])
        chance = (own[:, None] > other).mean() + (own[:, None] == other).mean() / 2
        assert measure(Rule("AreaUnderROCCurve", label), predictions) == pytest.approx(chance)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(seed):
    p = random_predictions(seed=seed)
    names = p.classes
    for name, function in {
        "Precision": sklearn.metrics.precision_score,
        "Recall": sklearn.metrics.recall_score,
        "F1Score": sklearn.metrics.f1_score,
    }.items():
        assert list(measure(name, p).values()) == pytest.approx(list(function(p.truth, p.decisions, average=None)))
        for average in ("Macro", "Micro"):
            expected = function(p.truth, p.decisions, average=average.lower())
            assert measure([name, average + "Averaged"], p) == pytest.approx(expected)
    scores = sklearn.metrics.fbeta_score(p.truth, p.decisions, beta=0.5, average=None)
    assert measure(["FScore", 0.5], p) == pytest.approx(dict(zip(names, scores)))
    assert measure("CohenKappa", p) == pytest.approx(sklearn.metrics.cohen_kappa_score(p.truth, p.decisions))
    assert measure("MeanCrossEntropy", p) == pytest.approx(sklearn.metrics.log_loss(p.truth, p.probabilities))
    assert (measure("ConfusionMatrix", p) == sklearn.metrics.confusion_matrix(p.truth, p.decisions)).all()
    for top in (1, 2, 3):
        expected = sklearn.metrics.top_k_accuracy_score(p.truth, p.probabilities, k=top)
        assert measure(["Accuracy", top], p) == pytest.approx(expected)
    areas = [sklearn.metrics.roc_auc_score(p.truth == i, p.probabilities[:, i]) for i in range(len(names))]
    assert list(measure("AreaUnderROCCurve", p).values()) == pytest.approx(areas)
    micro = sklearn.metrics.roc_auc_score(np.eye(len(names))[p.truth], p.probabilities, average="micro")
    assert measure(["AreaUnderROCCurve", "MicroAveraged"], p) == pytest.approx(micro)
    for i, label in enumerate(names):
        expected = sklearn.metrics.matthews_corrcoef(p.truth == i, p.decisions == i)
        assert measure(["MatthewsCorrelationCoefficient", label], p) == pytest.approx(expected)


def test_rates_are_related_as_defined():
    p = random_predictions()
    m = {name: np.array(list(measure(name, p).values())) for name in CLASSIFICATION if name.endswith(("Number", "Rate", "Value"))
         and isinstance(measure(name, p), dict)}  # fmt: skip
    values = {name: np.array(list(measure(name, p).values())) for name in ("Recall", "Specificity", "Precision", "Informedness")}
    np.testing.assert_allclose(m["FalseNegativeRate"], 1 - values["Recall"])
    np.testing.assert_allclose(m["FalsePositiveRate"], 1 - values["Specificity"])
    np.testing.assert_allclose(m["FalseDiscoveryRate"], 1 - values["Precision"])
    np.testing.assert_allclose(m["FalseOmissionRate"], 1 - m["NegativePredictiveValue"])
    np.testing.assert_allclose(values["Informedness"], values["Recall"] + values["Specificity"] - 1)
    markedness = np.array(list(measure("Markedness", p).values()))
    np.testing.assert_allclose(markedness, values["Precision"] + m["NegativePredictiveValue"] - 1)
    # The Matthews coefficient is the geometric mean of both, with their sign.
    matthews = np.array(list(measure("MatthewsCorrelationCoefficient", p).values()))
    np.testing.assert_allclose(matthews**2, values["Informedness"] * markedness)
    numbers = sum(m[name] for name in ("TruePositiveNumber", "TrueNegativeNumber", "FalsePositiveNumber", "FalseNegativeNumber"))
    assert (numbers == len(p.truth)).all()
    assert measure("Sensitivity", p) == measure("Recall", p)


def test_undefined_values_follow_the_stated_conventions():
    # "b" is never the truth and never predicted; "c" is the truth once and never predicted.
    p = from_predictions(["a", "a"], ["a", "c"], classes=["a", "b", "c"])
    assert measure("Precision", p) == pytest.approx({"a": 0.5, "b": NAN, "c": NAN}, nan_ok=True)
    assert measure("Recall", p) == pytest.approx({"a": 1.0, "b": NAN, "c": 0.0}, nan_ok=True)
    assert measure("F1Score", p) == pytest.approx({"a": 2 / 3, "b": NAN, "c": 0.0}, nan_ok=True)
    assert measure("MatthewsCorrelationCoefficient", p) == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert measure("AreaUnderROCCurve", p) == pytest.approx({"a": 0.5, "b": NAN, "c": 0.5}, nan_ok=True)
    assert measure(["Precision", "MacroAveraged"], p) == 0.5
    assert measure(["Recall", "MacroAveraged"], p) == 0.5
    one = from_predictions(["a"], ["a"])
    assert math.isnan(measure("CohenKappa", one))
    assert math.isnan(measure(["AreaUnderROCCurve", "MicroAveraged"], one))


def test_a_probability_of_zero_counts_as_the_smallest_float():
    p = from_predictions(["a", "b"], ["b", "b"])
    assert measure("MeanCrossEntropy", p) == pytest.approx(-math.log(np.finfo(np.float32).tiny) / 2)


def test_cross_entropies_that_the_net_knows_better_are_taken():
    p = Predictions(np.array([[1.0, 0.0]]), np.array([1]), ("a", "b"), cross_entropies=np.array([200.0]))
    assert measure("MeanCrossEntropy", p) == 200


def test_confusions():
    matrix = measure("ConfusionMatrix")
    assert matrix.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 1]]
    assert np.issubdtype(matrix.dtype, np.integer)
    function = measure("ConfusionFunction")
    assert (function("a", "b"), function("b", "b"), function("c", "a")) == (1, 2, 0)
    p = from_predictions(["b", "b", "a", "c"], ["a", "a", "b", "c"])
    assert measure("TopConfusions", p) == {Rule("a", "b"): 2, Rule("b", "a"): 1}
    assert measure(["TopConfusions", 1], p) == {Rule("a", "b"): 2}


def test_the_confusion_matrix_is_a_copy():
    p = by_hand()
    measure("ConfusionMatrix", p)[:] = 0
    assert measure("ConfusionMatrix", p).sum() == 6


def test_indeterminate_predictions_are_dropped_from_what_compares_decisions():
    p = by_hand(threshold=0.55)  # drops v and z, the two that are wrong
    assert measure(["Accuracy", "Error", "RejectionRate", "CohenKappa"], p) == pytest.approx([1.0, 0.0, 2 / 6, 1.0])
    assert measure("ConfusionMatrix", p).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 1]]
    assert measure("MeanCrossEntropy", p) == pytest.approx(LOSSES.mean())
    assert measure("ClassRejectionRate", p) == pytest.approx({"a": 1 / 2, "b": 1 / 3, "c": 0})
    assert measure("IndeterminateExamples", p) == [Rule("v", "b"), Rule("z", "a")]
    assert measure("MisclassifiedExamples", p) == []
    nothing = by_hand(threshold=0.95)
    assert math.isnan(measure("Accuracy", nothing))
    assert measure("RejectionRate", nothing) == 1.0
    assert measure("ConfusionMatrix", nothing).sum() == 0
    assert math.isnan(measure(["Recall", "MacroAveraged"], nothing))
    assert "nan" in measure("Report", nothing)


@pytest.mark.parametrize(
    ("specification", "letters"),
    [
        ("MisclassifiedExamples", "vz"),
        (["MisclassifiedExamples", 1], "v"),
        ("CorrectlyClassifiedExamples", "uwxy"),
        (Rule("BestClassifiedExamples", 2), "yw"),
        (["WorstClassifiedExamples", 3], "zvx"),
        (["LeastCertainExamples", 1], "z"),
        (["MostCertainExamples", 1], "y"),
        ("BestClassifiedExamples", "ywuxvz"),
        ("Examples", "uvwxyz"),
        (["Examples", ["b", "a"]], "v"),
        (["Examples", ["b", "b"]], "wx"),
        (["TruePositiveExamples", "b"], "wx"),
        (["FalsePositiveExamples", "b"], "z"),
        (["FalseNegativeExamples", "b"], "v"),
        (["TrueNegativeExamples", "b"], "uy"),
        (["TruePositiveExamples", Rule("b", 1)], "w"),
    ],
)
def test_lists_of_examples(specification, letters):
    labels = dict(zip("uvwxyz", "abbbca"))
    assert measure(specification) == [Rule(letter, labels[letter]) for letter in letters]


def test_lists_of_examples_for_every_class():
    assert measure("FalsePositiveExamples") == {"a": [Rule("v", "b")], "b": [Rule("z", "a")], "c": []}
    assert {k: len(v) for k, v in measure(["TrueNegativeExamples", Rule(All, 1)]).items()} == {"a": 1, "b": 1, "c": 1}


def test_the_best_examples_are_ten():
    p = random_predictions()
    listed = Predictions(p.probabilities, p.truth, p.classes, examples=range(500))
    assert len(measure("BestClassifiedExamples", listed)) == 10


def test_probabilities_and_curves_are_keyed_by_the_labels():
    assert measure("Probabilities")[0] == {"a": 0.7, "b": 0.2, "c": 0.1}
    curves = measure("ROCCurve")
    assert list(curves) == ["a", "b", "c"]
    np.testing.assert_allclose(curves["c"][[0, -1]], [[0, 0], [1, 1]])
    np.testing.assert_allclose(measure(["ROCCurve", "c"]), curves["c"])


def test_times():
    p = by_hand(seconds=3.0, example_seconds=0.25)
    assert measure(["BatchEvaluationTime", "EvaluationTime"], p) == [Quantity(0.5, "Seconds"), Quantity(0.25, "Seconds")]


def test_labels_may_be_numbers_and_tuples():
    p = Predictions(PROBABILITIES, TRUTH, (0, (1, 2), None))
    assert measure(["Recall", (1, 2)], p) == pytest.approx(2 / 3)
    assert measure(Rule("Recall", None), p) == 1.0
    assert measure(["Recall", np.int64(0)], p) == 0.5


def text(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_plots():
    for name in ("ConfusionMatrixPlot", "ROCCurvePlot", "CalibrationCurve", "ProbabilityHistogram", "AccuracyRejectionPlot"):
        assert isinstance(measure(name), Figure)
    for name in ("ROCCurvePlot", "CalibrationCurve", "ProbabilityHistogram"):
        assert isinstance(measure([name, "b"]), Figure)
    assert text(measure("ConfusionMatrixPlot")) == ["a", "b", "c"]
    assert text(measure(["ConfusionMatrixPlot", ["c", "a"]])) == ["c", "a"]
    assert text(measure(["ConfusionMatrixPlot", 2])) == ["a", "b"]


def test_calibration_counts_how_often_predictions_come_true():
    p = Predictions(np.array([[0.25, 0.75]] * 4), np.array([0, 1, 1, 1]), ("a", "b"))
    axes = measure("CalibrationCurve", p).axes[0]
    np.testing.assert_allclose(axes.lines[1].get_xydata(), [[0.25, 0.25], [0.75, 0.75]])
    np.testing.assert_allclose(measure(["CalibrationCurve", "b"], p).axes[0].lines[1].get_xydata(), [[0.75, 0.75]])


def test_accuracy_rejection_rejects_the_least_certain_first():
    line = measure("AccuracyRejectionPlot").axes[0].lines[0].get_xydata()
    # Certainty falls in the order y w u x v z; v and z are wrong.
    np.testing.assert_allclose(line, [[0, 4 / 6], [1 / 6, 4 / 5], [2 / 6, 1], [3 / 6, 1], [4 / 6, 1], [5 / 6, 1]])


def test_probability_histogram_of_a_class_takes_its_examples():
    patches = measure(["ProbabilityHistogram", "b"]).axes[0].patches
    assert sum(patch.get_height() for patch in patches) == 3


def test_several_measurements_and_the_two_meanings_of_a_list_of_two():
    assert measure(["Accuracy", "ErrorRate"]) == pytest.approx([4 / 6, 2 / 6])
    assert measure(["Accuracy", 2]) == pytest.approx(5 / 6)
    assert measure(["Accuracy", ["Accuracy", 2]]) == pytest.approx([4 / 6, 5 / 6])
    assert measure(["Accuracy", Rule("Recall", "a")]) == pytest.approx([4 / 6, 1 / 2])
    assert measure([["Recall", "c"]]) == [1.0]
    named = Predictions(PROBABILITIES, TRUTH, ("a", "b", "Recall"))
    assert measure(Rule("Precision", "Recall"), named) == 1.0
    assert list(map(type, measure(["Precision", "Recall"], named))) == [dict, dict]


@pytest.mark.parametrize(
    ("specification", "error", "message"),
    [
        ("Acuracy", PartError, "There is no measurement 'Acuracy'. Did you mean 'Accuracy'?"),
        (Rule("F1Scor", "a"), PartError, "There is no measurement 'F1Scor'. Did you mean 'F1Score'?"),
        (["Accuracy", 0], DeclarationError, "'Accuracy': takes a whole number from 1. Got 0."),
        (
            ["Accuracy", "F1Scor"],
            DeclarationError,
            "'Accuracy': takes a whole number from 1. Got 'F1Scor'. Or, as a second measurement: did you mean 'F1Score'?",
        ),
        (
            ["Recall", "d"],
            DeclarationError,
            "'Recall': 'd' is no class and no average. There are 'a', 'b', 'c', 'MacroAveraged' and 'MicroAveraged'.",
        ),
        (Rule("CohenKappa", 2), DeclarationError, "'CohenKappa' takes no parameter. Got 2. Ask for 'CohenKappa' alone."),
        (["FScore", -1], DeclarationError, "'FScore': takes a number above 0, or Rule(number, class). Got -1."),
        (["Examples", "a"], DeclarationError, "'Examples': takes [true class, predicted class]. Got 'a'."),
        (["ROCCurve", "x"], DeclarationError, "'ROCCurve': 'x' is no class. There are 'a', 'b' and 'c'."),
        (
            "BatchEvaluationTime",
            PartError,
            "'BatchEvaluationTime' cannot be measured: no time was taken, because these predictions were given rather than "
            "computed by a net.",
        ),
        (3, DeclarationError, "A measurement is a name, a Rule from a name to its parameter, or a list of those. Got 3."),
    ],
)
def test_what_cannot_be_measured_is_refused(specification, error, message):
    with pytest.raises(error) as caught:
        measure(specification)
    assert str(caught.value) == message


def test_properties_lists_what_can_be_measured_and_all_of_it_can():
    p = by_hand(seconds=1.0, example_seconds=1.0)
    names = measure("Properties", p)
    assert set(names) == {*CLASSIFICATION, "Properties"}
    for name in names:
        assert measure(name, p) is not None
    without = measure("Properties", Predictions(PROBABILITIES, TRUTH, ("a", "b", "c")))
    assert not {"MisclassifiedExamples", "EvaluationTime", "BatchEvaluationTime"} & set(without)
    assert {"Accuracy", "ConfusionMatrixPlot"} < set(without)


def test_report_object():
    measured = ClassifierMeasurementsObject(by_hand())
    assert repr(measured) == "ClassifierMeasurementsObject(6 examples, 3 classes, accuracy 0.6667)"
    assert measured("Accuracy") == pytest.approx(4 / 6)
    assert str(measured) == measured("Report") == REPORT
    panel = measured._repr_html_()
    assert "66.67 %" in panel
    assert "src='data:image/png;base64," in panel


REPORT = """\
Classifier measurements
  test examples            6
  accuracy           66.67 %
  accuracy baseline     50 %
  error              33.33 %
  rejection rate         0 %

Confusion matrix (rows: actual class, columns: predicted class)
         a  b  c  total
  a      1  1  0      2
  b      1  2  0      3
  c      0  0  1      1
  total  2  3  1      6"""


def test_report_of_many_classes_lists_confusions():
    p = from_predictions([*range(40), 7], [*range(40), 3])
    measured = ClassifierMeasurementsObject(p)
    assert measured("Report").endswith("Commonest confusions (actual → predicted class)\n  3 → 7  1")
    assert "the 20 worst of 40 classes" in measured._repr_html_()
    assert ClassifierMeasurementsObject(from_predictions(range(40), range(40)))("Report").endswith("none")
