"""Three models of scikit-learn: saved by each version, loaded by each, and what they predict then.

    tf-tester grid examples/sklearn_grid.py --package scikit-learn --versions 1.2.2,1.3.2,1.5.2,1.7.2
    tf-tester grid examples/sklearn_grid.py --package scikit-learn --versions 1.2.2,1.3.2,1.5.2,1.7.2 --why

scikit-learn promises nothing for models of other versions. Most fail to load, some load and predict something else.
"""

import joblib
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tf_tester_helper import consumer, producer, record, resaver

X, y = make_classification(n_samples=200, n_features=6, random_state=7)


def save(model, path):
    model.fit(X, y)
    joblib.dump(model, path)
    record("probabilities", model.predict_proba(X[:20]), rtol=1e-6)


def load(path):
    record("probabilities", joblib.load(path).predict_proba(X[:20]), rtol=1e-6)


@producer("regression.joblib")
def save_regression(path):
    save(LogisticRegression(), path)


@consumer("regression.joblib")
def load_regression(path):
    load(path)


@producer("forest.joblib")
def save_forest(path):
    save(RandomForestClassifier(n_estimators=10, random_state=7), path)


@consumer("forest.joblib")
def load_forest(path):
    load(path)


@producer("pipeline.joblib")
def save_pipeline(path):
    save(make_pipeline(StandardScaler(), SVC(probability=True, random_state=7)), path)


@consumer("pipeline.joblib")
def load_pipeline(path):
    load(path)


@resaver("regression.joblib")
@resaver("forest.joblib")
@resaver("pipeline.joblib")
def save_anew(path, target):
    joblib.dump(joblib.load(path), target)
