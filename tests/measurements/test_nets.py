"""Measurements of nets against NumPy by hand and scikit-learn, on small nets with given arrays."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from netdsl import (
    ClassifierMeasurements,
    CrossEntropyLossLayer,
    ElementwiseLayer,
    LinearLayer,
    LogisticSigmoid,
    MeanSquaredLossLayer,
    NetChain,
    NetDecoder,
    NetGraph,
    NetMapOperator,
    NetPort,
    PredictorMeasurements,
    Rule,
    SoftmaxLayer,
)
from netdsl.errors import DataError, DeclarationError, PartError, UninitializedError, UnsupportedError
from netdsl.measurements import evaluation
from netdsl.symbols import Quantity

RNG = np.random.default_rng(5)
X = RNG.normal(size=(300, 4)).astype("float32")
WEIGHTS = RNG.normal(size=(3, 4)).astype("float32")
BIASES = np.array([0.2, -0.1, 0.0], "float32")
LOGITS = X @ WEIGHTS.T + BIASES
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
LABELS = ("cat", "dog", "eel")
CODES = np.where(RNG.random(300) < 0.7, LOGITS.argmax(axis=1), RNG.integers(0, 3, 300))
TRUTH = [LABELS[i] for i in CODES]
ENTROPIES = -np.log(PROBABILITIES[np.arange(300), CODES])


def linear(weights=WEIGHTS, biases=BIASES, **ports) -> LinearLayer:
    return LinearLayer(len(weights), Weights=weights, Biases=biases, **ports)


def classifier(decoder=None) -> NetChain:
    return NetChain([linear(), SoftmaxLayer()], Input=4, Output=decoder or NetDecoder("Class", LABELS))


def test_a_classifier_agrees_with_scikit_learn():
    measured = ClassifierMeasurements(classifier(), Rule(X, TRUTH))
    decisions = [LABELS[i] for i in LOGITS.argmax(axis=1)]
    assert measured("Accuracy") == pytest.approx(sklearn.metrics.accuracy_score(TRUTH, decisions))
    assert (measured("ConfusionMatrix") == sklearn.metrics.confusion_matrix(TRUTH, decisions, labels=LABELS)).all()
    f1 = sklearn.metrics.f1_score(TRUTH, decisions, labels=LABELS, average=None)
    assert measured("F1Score") == pytest.approx(dict(zip(LABELS, f1)))
    assert measured("CohenKappa") == pytest.approx(sklearn.metrics.cohen_kappa_score(TRUTH, decisions))
    assert measured("MeanCrossEntropy") == pytest.approx(sklearn.metrics.log_loss(CODES, PROBABILITIES), rel=1e-5)
    assert measured(["Accuracy", 2]) == pytest.approx(sklearn.metrics.top_k_accuracy_score(CODES, PROBABILITIES, k=2))
    areas = [sklearn.metrics.roc_auc_score(i == CODES, PROBABILITIES[:, i]) for i in range(3)]
    assert list(measured("AreaUnderROCCurve").values()) == pytest.approx(areas, rel=1e-5)


def test_forms_of_data_and_of_properties_agree():
    net, expected = classifier(), (LOGITS.argmax(axis=1) == CODES).mean()
    rules = [Rule(x, label) for x, label in zip(X, TRUTH)]
    pairs = [(x, label) for x, label in zip(X, TRUTH)]
    for data in (rules, pairs, Rule(X, TRUTH), (X, TRUTH), {"Input": X, "Output": TRUTH}, Rule(X.tolist(), np.array(TRUTH))):
        assert ClassifierMeasurements(net, data, "Accuracy") == pytest.approx(expected)
    assert ClassifierMeasurements(net, rules, ["Accuracy", "Error"]) == pytest.approx([expected, 1 - expected])
    assert ClassifierMeasurements(net, rules, Rule("Accuracy", 3)) == 1.0
    assert "MisclassifiedExamples" in ClassifierMeasurements(net, rules, "Properties")


def test_lists_of_examples_hold_the_examples_with_their_true_labels():
    net = classifier()
    for data in (Rule(X, TRUTH), {"Input": X, "Output": TRUTH}):
        wrong = ClassifierMeasurements(net, data, "MisclassifiedExamples")
        places = np.flatnonzero(LOGITS.argmax(axis=1) != CODES)
        assert [rule.value for rule in wrong] == [TRUTH[i] for i in places]
        assert (np.array([rule.key for rule in wrong]) == X[places]).all()
        worst = ClassifierMeasurements(net, data, ["WorstClassifiedExamples", 1])
        assert (worst[0].key == X[ENTROPIES.argmax()]).all()


def test_the_order_of_classes_is_the_decoders_and_sizes_of_batches_do_not_matter(monkeypatch):
    net = classifier(NetDecoder("Class", ["eel", "cat", "dog"]))
    truth = [("eel", "cat", "dog")[i] for i in CODES]
    whole = ClassifierMeasurements(net, Rule(X, truth))
    assert list(whole("Recall")) == ["eel", "cat", "dog"]
    monkeypatch.setattr(evaluation, "BATCH_SIZE", 7)
    small = ClassifierMeasurements(net, Rule(X, truth))
    assert np.allclose(whole.predictions.probabilities, small.predictions.probabilities, atol=1e-6)
    assert np.allclose(whole.predictions.probabilities, PROBABILITIES, atol=1e-6)
    assert np.allclose(small.predictions.losses, ENTROPIES, atol=1e-5)


def test_integer_labels_and_automatic_labels():
    zero = ClassifierMeasurements(classifier(NetDecoder("Class", range(3))), Rule(X, CODES))
    one = ClassifierMeasurements(classifier(NetDecoder("Class")), Rule(X, CODES + 1))
    assert (list(zero("Precision")), list(one("Precision"))) == ([0, 1, 2], [1, 2, 3])
    assert zero("Accuracy") == one("Accuracy") == pytest.approx((LOGITS.argmax(axis=1) == CODES).mean())


def test_cross_entropies_come_from_logits_and_stay_finite():
    net = NetChain(
        [linear(np.array([[1e4], [-1e4]], "float32"), np.zeros(2, "float32")), SoftmaxLayer()],
        Input=1,
        Output=NetDecoder("Class", ["up", "down"]),
    )
    measured = ClassifierMeasurements(net, Rule([[1.0], [1.0]], ["up", "down"]))
    assert measured.predictions.losses.tolist() == [0.0, 20000.0]
    assert measured("MeanCrossEntropy") == 10000.0


def test_without_logits_probabilities_are_clipped():
    net = NetChain([linear(np.eye(2, dtype="float32"), np.zeros(2, "float32"))], Input=2, Output=NetDecoder("Class", ["a", "b"]))
    measured = ClassifierMeasurements(net, Rule([[0.25, 0.75], [1.0, 0.0]], ["a", "b"]))
    assert measured.predictions.losses == pytest.approx([-np.log(0.25), -np.log(np.finfo("float32").tiny)])


def test_a_boolean_decoder_has_two_classes():
    weights = WEIGHTS[:1]
    layer = LinearLayer([], Weights=weights, Biases=np.zeros(1, "float32"))
    net = NetChain([layer, ElementwiseLayer(LogisticSigmoid)], Input=4, Output=NetDecoder("Boolean"))
    p = 1 / (1 + np.exp(-(X @ weights[0])))
    truth = (p > 0.4).tolist()
    measured = ClassifierMeasurements(net, Rule(X, truth))
    assert measured.predictions.classes == (False, True)
    assert measured("Accuracy") == pytest.approx(((p >= 0.5) == np.array(truth)).mean())
    assert measured("MeanCrossEntropy") == pytest.approx(sklearn.metrics.log_loss(truth, p), rel=1e-4)


def test_classes_of_the_elements_of_sequences():
    layer = NetMapOperator(NetChain([linear(), SoftmaxLayer()]))
    net = NetChain([layer], Input=["Varying", 4], Output=NetDecoder("Class", LABELS, InputDepth=2))
    parts = [slice(0, 2), slice(2, 7), slice(7, 8), slice(8, 20)]
    measured = ClassifierMeasurements(net, Rule([X[part] for part in parts], [TRUTH[part] for part in parts]))
    assert len(measured.predictions.truth) == 20
    assert measured("Accuracy") == pytest.approx((LOGITS.argmax(axis=1) == CODES)[:20].mean())
    assert measured("MeanCrossEntropy") == pytest.approx(ENTROPIES[:20].mean(), rel=1e-5)
    worst = ClassifierMeasurements(
        net, Rule([X[part] for part in parts], [TRUTH[part] for part in parts]), ["WorstClassifiedExamples", 1]
    )[0]
    owner = next(part for part in parts if part.start <= ENTROPIES[:20].argmax() < part.stop)
    assert (worst.key == X[owner]).all()


def test_indeterminate_predictions():
    measured = ClassifierMeasurements(classifier(), Rule(X, TRUTH), IndeterminateThreshold=0.8)
    kept = PROBABILITIES.max(axis=1) >= 0.8
    assert measured("RejectionRate") == pytest.approx(1 - kept.mean())
    assert measured("Accuracy") == pytest.approx((LOGITS.argmax(axis=1) == CODES)[kept].mean())


def test_the_net_is_evaluated_once_for_everything(runs):
    measured = ClassifierMeasurements(classifier(), Rule(X, TRUTH))
    for name in measured("Properties"):
        if "Time" not in name and "Plot" not in name:
            measured(name)
    assert runs == [256, 44]
    ClassifierMeasurements(classifier(), Rule(X, TRUTH), ["Accuracy", "Precision", "ROCCurve", "Report", "MisclassifiedExamples"])
    assert runs == [256, 44] * 2


def test_times_are_taken(runs):
    measured = ClassifierMeasurements(classifier(), Rule(X, TRUTH))
    batch, one = measured(["BatchEvaluationTime", "EvaluationTime"])
    assert isinstance(batch, Quantity)
    assert 0 < batch.magnitude < one.magnitude < 1
    assert runs == [256, 44] + [1] * (evaluation.TIMES + 1)


def test_a_lone_cold_batch_is_timed_only_when_asked(runs):
    measured = ClassifierMeasurements(classifier(), Rule(X[:5], TRUTH[:5]))
    measured("Report")
    assert runs == [5]
    assert 0 < measured("BatchEvaluationTime").magnitude < 0.05
    assert runs == [5, 5]


def test_given_predictions():
    assert ClassifierMeasurements(["a", "b", "b"], ["a", "b", "a"], "Accuracy") == pytest.approx(2 / 3)
    given = ClassifierMeasurements(PROBABILITIES, TRUTH, Classes=LABELS)
    assert given("MeanCrossEntropy") == pytest.approx(ENTROPIES.mean())
    named = ClassifierMeasurements([{"a": 0.9, "b": 0.1}], Rule([[1.0]], ["b"]))
    assert named("MisclassifiedExamples") == [Rule([1.0], "b")]


def test_a_predictor_agrees_with_scikit_learn():
    weights = WEIGHTS[:1]
    net = NetChain([linear(weights, np.array([0.5], "float32"))], Input=4)
    truth = X @ weights[0] + RNG.normal(size=300)
    measured = PredictorMeasurements(net, Rule(X, truth))
    predicted = X @ weights[0] + 0.5
    assert measured("RSquared") == pytest.approx(sklearn.metrics.r2_score(truth, predicted), rel=1e-5)
    assert measured("MeanDeviation") == pytest.approx(sklearn.metrics.mean_absolute_error(truth, predicted), rel=1e-5)
    assert measured("Residuals") == pytest.approx(predicted - truth, abs=1e-4)
    worst = measured(["WorstPredictedExamples", 1])[0]
    assert (worst.key == X[np.abs(predicted - truth).argmax()]).all()
    assert PredictorMeasurements(predicted, truth, "MeanSquare") == pytest.approx(
        sklearn.metrics.mean_squared_error(truth, predicted)
    )


def test_a_predictor_of_vectors():
    net = NetChain([linear()], Input=4)
    truth = LOGITS + 1
    assert PredictorMeasurements(net, Rule(X, truth), ["MeanSquare", "StandardDeviation"]) == pytest.approx([1.0, 1.0], rel=1e-5)


def failing(error, call, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


def test_errors_of_nets():
    data = Rule(X, TRUTH)
    bare = NetChain([linear(), SoftmaxLayer()], Input=4)
    failing(
        DeclarationError,
        lambda: ClassifierMeasurements(bare, data),
        "ClassifierMeasurements needs a net that decides among classes; no output of this NetChain has a Class decoder. Attach "
        "one: NetReplacePart(net, {'Output': NetDecoder(\"Class\", labels)}).",
    )
    ending = NetGraph(
        {"net": bare, "loss": CrossEntropyLossLayer("Index")}, [NetPort("Input") >> "net" >> NetPort("loss", "Input")]
    )
    failing(
        DeclarationError,
        lambda: ClassifierMeasurements(ending, data),
        "ClassifierMeasurements: this NetGraph ends in a loss. Take the part that classifies, NetExtract(net, name), or use "
        "NetMeasurements.",
    )
    failing(
        UninitializedError,
        lambda: ClassifierMeasurements(NetChain([3, SoftmaxLayer()], Input=4, Output=NetDecoder("Class", LABELS)), data),
        "ClassifierMeasurements: this NetChain has no values yet for 1/Weights and 1/Biases. NetTrain(net, data) gives it "
        "trained ones, NetInitialize(net) random ones.",
    )
    multilabel = NetChain(
        [linear(), ElementwiseLayer(LogisticSigmoid)], Input=4, Output=NetDecoder("Class", LABELS, Multilabel=True)
    )
    failing(
        UnsupportedError,
        lambda: ClassifierMeasurements(multilabel, data),
        "ClassifierMeasurements: the decoder of 'Output' is Multilabel, which is not supported yet.",
    )
    failing(
        DeclarationError,
        lambda: PredictorMeasurements(classifier(), data),
        "PredictorMeasurements: the output 'Output' of this NetChain has the decoder NetDecoder(\"Class\"), so it decides among "
        "classes. Use ClassifierMeasurements.",
    )


def test_errors_of_data():
    net = classifier()
    failing(
        DataError,
        lambda: ClassifierMeasurements(net, Rule(X[:2], ["cat", "dogg"])),
        "Example 2 of the test data: NetEncoder(\"Class\") has no class 'dogg'. Did you mean 'dog'?",
    )
    failing(
        DataError,
        lambda: ClassifierMeasurements(net, Rule(X[:2], ["cat"])),
        "The columns of the test data have different lengths: inputs 2, targets 1. Each example needs a value in every column.",
    )
    failing(DataError, lambda: ClassifierMeasurements(net, []), "The test data have no examples.")
    bad = X[:3].copy()
    bad[1, 2] = np.nan
    failing(
        DataError,
        lambda: ClassifierMeasurements(net, Rule(bad, TRUTH[:3])),
        "Example 2 of the test data has the value nan in the column 'inputs' (port 'Input'). Only finite numbers can be used: "
        "remove or replace such examples.",
    )
    huge = X[:3].copy()
    huge[2] = 3e38
    failing(
        DataError,
        lambda: ClassifierMeasurements(net, Rule(huge, TRUTH[:3])),
        "The output of the net is nan for example 3 of the test data, so it cannot be measured. The arrays of the net, or this "
        "example, hold numbers that are too large or not finite.",
    )


def test_errors_of_options():
    net, data = classifier(), Rule(X, TRUTH)
    failing(
        UnsupportedError,
        lambda: ClassifierMeasurements(net, data, ClassPriors={"cat": 1}),
        "ClassifierMeasurements does not support ClassPriors={'cat': 1} yet. Leave ClassPriors out.",
    )
    failing(
        DeclarationError,
        lambda: ClassifierMeasurements(net, data, IndeterminateTreshold=1),
        "ClassifierMeasurements has no option 'IndeterminateTreshold'. Did you mean 'IndeterminateThreshold'?",
    )
    failing(
        DeclarationError,
        lambda: ClassifierMeasurements(net, data, IndeterminateThreshold=2),
        "IndeterminateThreshold is a probability from 0 to 1, or Automatic. Got 2.",
    )
    failing(
        UnsupportedError,
        lambda: PredictorMeasurements(net, data, IndeterminateThreshold=0.5),
        "PredictorMeasurements does not support IndeterminateThreshold=0.5 yet. Leave IndeterminateThreshold out.",
    )
    failing(
        PartError,
        lambda: ClassifierMeasurements(net, data, "Acuracy"),
        "There is no measurement 'Acuracy'. Did you mean 'Accuracy'?",
    )
    assert ClassifierMeasurements(net, data, "Accuracy", ComputeUncertainty=False, RandomSeeding=1234) > 0.5


def test_loss_layers_of_numbers_alone_do_not_classify():
    net = NetGraph(
        {"net": NetChain([linear()], Input=4), "loss": MeanSquaredLossLayer()},
        [NetPort("Input") >> "net" >> NetPort("loss", "Input")],
    )
    with pytest.raises(DeclarationError, match="no output of this NetGraph has a Class decoder"):
        ClassifierMeasurements(net, Rule(X, TRUTH))
