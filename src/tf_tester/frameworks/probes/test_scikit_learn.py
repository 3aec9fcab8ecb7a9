"""What any scikit-learn does: fits, predicts, measures, is saved and loaded."""

import pickle

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler


def test_numbers():
    model = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    assert (model.coef_[0], model.intercept_) == pytest.approx((2.0, 1.0))
    assert StandardScaler().fit_transform([[0.0], [2.0]]).ravel().tolist() == [-1.0, 1.0]


def test_a_classifier_learns():
    flowers = load_iris()
    model = LogisticRegression(max_iter=1000).fit(flowers.data, flowers.target)
    assert accuracy_score(flowers.target, model.predict(flowers.data)) > 0.95


def test_a_model_is_loaded():
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    assert pickle.loads(pickle.dumps(model)).predict([[3.0]])[0] == pytest.approx(3.0)
