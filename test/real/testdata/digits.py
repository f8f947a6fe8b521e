"""Handwritten digits with scikit-learn: a network that is trained batch by batch, with checkpoints."""
import os
import sys

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier

from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import ExecutionModeKeys, MetricContainer, Versions, log, version_parameters


class Digits(DataLoader):
    data = None

    def load(self):
        if self.data is None:
            table = np.loadtxt("datasets/digits.csv.gz", delimiter=",", skiprows=1)
            x, y = table[:, :-1] / 16, table[:, -1].astype(int)
            test = np.arange(len(x)) % 4 == 0
            self.data = (x[~test], y[~test]), (x[test], y[test])
            self.add_to_summery("{} digits".format(len(x)))
        return self.data

    def get_train_input(self, mode=ExecutionModeKeys.TRAIN, **kargs):
        return self.load()[0]

    def get_test_input(self, **kargs):
        return self.load()[1]

    def get_train_sample_count(self):
        return len(self.load()[0][0])

    def get_test_sample_count(self):
        return len(self.load()[1][0])


class Network(Model):
    def pre_execution_hook(self, version, model_dir, exec_mode=ExecutionModeKeys.TEST):
        self.version = version
        self.file = os.path.join(model_dir, "network.joblib")
        self.step = 0
        self.net = MLPClassifier([version["hidden"]], learning_rate_init=version.learning_rate, random_state=version["seed"])
        if os.path.exists(self.file):
            self.step, self.net = joblib.load(self.file)
        self.add_to_summery("{} hidden units".format(version["hidden"]))

    def get_current_version(self):
        return self.version

    def get_trained_step_count(self):
        return self.step or None

    def clean_model_dir(self, model_dir):
        if os.path.exists(os.path.join(model_dir, "network.joblib")):
            os.remove(os.path.join(model_dir, "network.joblib"))

    def train_model(self, input_fn, steps):
        x, y = input_fn
        size = self.version[version_parameters.BATCH_SIZE]
        metrics = MetricContainer(["loss"], track_average_epoc_count=3)
        order = np.random.permutation(len(x))
        try:
            for _ in range(steps):
                batch = order[np.arange(self.step * size, (self.step + 1) * size) % len(x)]
                self.net.partial_fit(x[batch], y[batch], classes=range(10))
                self.step += 1
                metrics.loss.update(np.float64(self.net.loss_))
                if self.step % 40 == 0:
                    metrics.log_metrics(complete_epoc=True)
                    metrics.reset_epoc()
                if os.path.exists("pause") and self.step == 100:
                    open("paused", "w").close()
                    while os.path.exists("pause"):
                        pass
        finally:
            joblib.dump((self.step, self.net), self.file + ".new")
            os.replace(self.file + ".new", self.file)
            log("saved at step {}".format(self.step))

    def evaluate_model(self, input_fn, steps):
        x, y = input_fn
        metrics = MetricContainer(["accuracy"])
        metrics.accuracy.update((self.net.predict(x[:steps]) == y[:steps]).sum(), min(steps, len(x)))
        return metrics


print("python", sys.version_info[:2])
versions = Versions(0.01, Digits(), batch_size=32, epoc_count=8)
versions.rangeOnParameters(
    combining_parameters=["hidden"], parameters={"hidden": [16, 64], "seed": 1, "model_dir_suffix": None})
versions.addV("slow", learning_rate=0.002, model_dir_suffix="slow", custom_paramters={"hidden": 32, "seed": 2})
for name in "hidden=16", "hidden=64":
    versions.getVersion(name)["model_dir_suffix"] = name
MODEL = Network(versions, allow_delete_model_dir=True)
