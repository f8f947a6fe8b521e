"""A model: it learns to tell three species of iris by the size of their leaves, with softmax regression.

mlpipeline imports this script, asks it for its versions, and starts it once for each of them. What makes it a model is
MODEL, at its end, and the methods of Softmax and of Iris: change what they do, and leave their names. A second model is a
second script beside this one, with its name in models.config and models_test.config; a module without a MODEL is none, and
can be imported. Torch, scikit-learn and the rest come from the interpreter that python in mlp.config names.
"""
import csv
import json
import math
import os
import random
import time

from mlpipeline.helper import DataLoader, Model  # comes with mlpipeline: there is nothing to install
from mlpipeline.utils import Versions, log_metric

SPECIES = 3
MEASURES = 4
MIDDLE = (5.8, 3.1, 3.8, 1.2)  # about the mean of each measure: training is quicker from there

# A pause after each epoch, so that there is something to watch, and to stop. Your model needs none: delete it.
PAUSE = 0.005


class Iris(DataLoader):
    """Gives the versions their data, and says how much there is. Here it is a list of (measures, species)."""

    def __init__(self, path, seed):
        self.path = path  # from the project's folder, in which models start
        self.seed = seed  # of the split into training and test data
        self.data = None

    def load(self):
        """Keeps a fifth of each species for the test. Reads when it is first asked: a script is imported also to tell its
        versions."""
        if self.data is None:
            with open(self.path, newline="") as file:
                rows = list(csv.reader(file))[1:]  # the first is a header
            random.Random(self.seed).shuffle(rows)
            train, test, seen = [], [], [0] * SPECIES
            for row in rows:
                measures = [float(cm) - middle for cm, middle in zip(row, MIDDLE)]
                species = int(row[MEASURES])
                seen[species] += 1
                (train if seen[species] % 5 else test).append((measures, species))
            self.data = train, test
        return self.data

    def get_train_input(self, mode=None):
        return self.load()[0]

    def get_test_input(self):
        return self.load()[1]

    def get_train_sample_count(self):
        return len(self.load()[0])

    def get_test_sample_count(self):
        return len(self.load()[1])


class Softmax(Model):
    """Its state is what a checkpoint holds: how many steps are trained, and the weights."""

    def pre_execution_hook(self, version, model_dir, exec_mode=None):
        """Is called first. It starts a new model, or takes up the one that an interrupted run has left in model_dir."""
        self.version, self.model_dir = version, model_dir
        self.state = {"step": 0, "weights": [[0.0] * (MEASURES + 1) for _ in range(SPECIES)]}  # the last of a row is a bias
        if os.path.exists(self.checkpoint(model_dir)):
            with open(self.checkpoint(model_dir)) as file:
                self.state = json.load(file)
            self.log(f"goes on after step {self.state['step']}")

    def train_model(self, flowers, steps):
        """Makes steps steps on flowers, which is what get_train_input has returned."""
        size = self.version.batch_size
        per_epoch = math.ceil(len(flowers) / size)
        first = self.state["step"]
        try:
            for step in range(first, first + steps):
                epoch, batch = divmod(step, per_epoch)
                # The order depends on nothing but seed and epoch, so that a run which was interrupted goes on as if it had
                # not been.
                order = random.Random(f"{self.version['seed']}/{epoch}").sample(flowers, len(flowers))
                flowers_of_step = order[batch * size:(batch + 1) * size]
                loss, weights = learn(self.state["weights"], flowers_of_step, self.version.learning_rate)
                self.state = {"step": step + 1, "weights": weights}
                log_metric("loss", loss, step + 1)  # any name, as often as you like: `mlpipeline plot loss` draws the curve
                if batch == per_epoch - 1:
                    self.save()
                    time.sleep(PAUSE)
        finally:
            self.save()  # also on KeyboardInterrupt, which says that the run is to stop: it is taken up by -u

    def evaluate_model(self, flowers, steps):
        """Is called on the training data and then on the test data. What it returns is the result of the run."""
        flowers = flowers[:steps]  # in test mode, where there is one step; elsewhere there are as many as flowers
        predictions = [(probabilities(self.state["weights"], measures), species) for measures, species in flowers]
        return {
            "accuracy": sum(p.index(max(p)) == species for p, species in predictions) / len(flowers),
            "loss": -sum(math.log(p[species]) for p, species in predictions) / len(flowers),
        }

    def get_trained_step_count(self):
        """Tells how far an interrupted run has come: it goes on there. Without this method it would begin again."""
        return self.state["step"]

    def clean_model_dir(self, model_dir):
        """Is called before a version starts from scratch. It deletes what save has written, and nothing else. mlpipeline
        itself never deletes anything: without allow_delete_model_dir, below, this is not called."""
        for path in self.checkpoint(model_dir), self.checkpoint(model_dir) + ".new":
            if os.path.exists(path):
                os.remove(path)

    def checkpoint(self, model_dir):
        """The file in the model directory. Each version has a directory of its own, below models/outputs."""
        return os.path.join(model_dir, "checkpoint.json")

    def save(self):
        """Writes to another name first: whenever the process dies, the file holds one whole state."""
        path = self.checkpoint(self.model_dir)
        with open(path + ".new", "w") as file:
            json.dump(self.state, file)
        os.replace(path + ".new", path)


def probabilities(weights, measures):
    """How likely it is of each species."""
    powers = [math.exp(row[-1] + sum(w * x for w, x in zip(row, measures))) for row in weights]
    return [power / sum(powers) for power in powers]


def learn(weights, batch, rate):
    """One step of gradient descent: the mean loss of a batch of flowers, and the weights after it."""
    loss, after = 0.0, [list(row) for row in weights]
    for measures, species in batch:
        p = probabilities(weights, measures)
        loss -= math.log(p[species]) / len(batch)
        p[species] -= 1
        for row, error in zip(after, p):
            for i, x in enumerate(measures + [1.0]):
                row[i] -= rate * error * x / len(batch)
    return loss, after


# Versions are sets of parameters, each trained, evaluated and recorded for itself. What is given first is their default.
versions = Versions(dataloader=Iris("datasets/iris.csv", seed=1), batch_size=10, epoc_count=150, learning_rate=0.1)
versions.addV("baseline", custom_parameters={"seed": 1})  # parameters of your own, as many as you like
# A grid adds a version for each value, here learning_rate=0.3 and learning_rate=1.0; with two lists, for each pair.
versions.rangeOnParameters(
    combining_parameters=["learning_rate"],
    parameters={"learning_rate": [0.3, 1.0], "seed": 1})

MODEL = Softmax(versions, allow_delete_model_dir=True)
