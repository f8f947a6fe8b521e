"""What scikit-learn learns from random numbers: SEED is set at the import, in a hook, or not at all."""
import os
import random

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier

from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import Versions

if os.environ["SEED"] == "import":
    random.seed(4)
    np.random.seed(3)
    np.random.rand(3)
if os.environ["SEED"] == "generator":
    generator = np.random.default_rng()


class Data(DataLoader):
    def get_train_input(self, mode=None): pass
    def get_test_input(self): pass
    def get_train_sample_count(self): return 1
    def get_test_sample_count(self): return 1


class Random(Model):
    def pre_execution_hook(self, version, model_dir):
        if os.environ["SEED"] == "hook":
            random.seed(4)
            np.random.seed(3)

    def train_model(self, input_fn, steps):
        x = np.random.rand(200, 5)
        y = (x.sum(1) + np.random.randn(200) / 3 > 2.5).astype(int)
        self.learned = {
            "random": random.random(),
            "sgd": SGDClassifier().fit(x, y).coef_.sum(),
            "logistic": LogisticRegression().fit(x, y).coef_.sum(),
            "forest": RandomForestClassifier(5).fit(x, y).predict_proba(x).sum(axis=0)[0],
        }

    def evaluate_model(self, input_fn, steps):
        return self.learned


versions = Versions(0.1, Data(), 1, 1)
for name in "a", "b":
    versions.addV(name, model_dir_suffix=name)
MODEL = Random(versions)
