"""Logistic regression: a linear model that reads handwritten digits, in nothing but Python's standard library."""
import json
import math
import os
import random
from operator import mul

from digits_data import CLASSES, PIXELS, Digits
from mlpipeline.helper import Model
from mlpipeline.utils import ExecutionModeKeys, MetricContainer, Versions, version_parameters

CHECKPOINT = "checkpoint.json"
TEMPORARY = CHECKPOINT + ".tmp"  # one name is enough: two versions never use a model directory at the same time


class Logistic(Model):
    """Its state is what is saved: how many steps are trained, and the weights. With it a training that was stopped goes
    on exactly as one that was not."""

    def pre_execution_hook(self, version, model_dir, exec_mode=ExecutionModeKeys.TEST):
        """Starts with weights of 0, or takes up the checkpoint in the model directory."""
        self.version, self.model_dir = version, model_dir
        self.state = {"step": 0, "weights": [[0.0] * PIXELS for _ in range(CLASSES)]}
        path = os.path.join(model_dir, CHECKPOINT)
        if os.path.exists(path):
            with open(path) as file:
                self.state = json.load(file)
            self.log(f"continues after step {self.state['step']}")
        self.add_to_summery(f"{CLASSES} x {PIXELS} weights, trained by stochastic gradient descent")

    def get_current_version(self):
        return self.version

    def get_trained_step_count(self):
        """Tells the pipeline how much of an interrupted training is done."""
        return self.state["step"]

    def clean_model_dir(self, model_dir):
        """Deletes what save has written, and nothing else. It is called before a version starts from scratch."""
        for name in CHECKPOINT, TEMPORARY:
            path = os.path.join(model_dir, name)
            if os.path.exists(path):
                os.remove(path)

    def train_model(self, samples, steps):
        """Goes steps further, one batch each. It saves at the end of each epoch, and when it is stopped."""
        size = self.version[version_parameters.BATCH_SIZE]
        rate = self.version[version_parameters.LEARNING_RATE]
        per_epoch = math.ceil(len(samples) / size)
        first = self.state["step"]
        last = first + steps
        metrics = MetricContainer(["accuracy", "loss"])
        try:
            for step in range(first, last):
                epoch, batch_index = divmod(step, per_epoch)
                if step == first or batch_index == 0:
                    order = self.shuffled(samples, epoch)
                batch = order[batch_index * size:(batch_index + 1) * size]
                predictions = measure(self.state["weights"], batch, metrics)
                weights = descend(self.state["weights"], batch, predictions, rate)
                # One assignment changes the whole state: wherever training is stopped, what is saved fits together.
                self.state = {"step": step + 1, "weights": weights}
                if batch_index == per_epoch - 1 or step == last - 1:
                    metrics.log_metrics(complete_epoc=True)
                    metrics.reset_epoc()
                    self.save()
        except KeyboardInterrupt:  # asked to stop
            self.save()
            raise

    def evaluate_model(self, samples, steps):
        """The accuracy and the loss on the first steps samples: all of them, outside test mode."""
        metrics = MetricContainer(["accuracy", "loss"])
        measure(self.state["weights"], samples[:steps], metrics)
        return metrics

    def shuffled(self, samples, epoch):
        """The samples in the order of an epoch. It depends on nothing but the seed and the epoch, so there is no state
        of a random generator to save."""
        return random.Random(f"{self.version['seed']}/{epoch}").sample(samples, len(samples))

    def save(self):
        """Replaces the checkpoint. Whenever the process dies, the file holds either the old state or the new one."""
        temporary = os.path.join(self.model_dir, TEMPORARY)
        with open(temporary, "w") as file:
            json.dump(self.state, file)
            file.flush()
            os.fsync(file.fileno())  # or a power cut after the rename could leave an empty file
        os.replace(temporary, os.path.join(self.model_dir, CHECKPOINT))


def probabilities(weights, image):
    """How likely the image is of each class."""
    logits = [sum(map(mul, row, image)) for row in weights]
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]  # at most 1: no overflow
    total = sum(powers)
    return [power / total for power in powers]


def measure(weights, samples, metrics):
    """The probabilities for each sample. How well they fit the labels is added to metrics, once for all samples."""
    predictions = [probabilities(weights, image) for image, _ in samples]
    pairs = [(predicted, label) for predicted, (_, label) in zip(predictions, samples)]
    metrics.accuracy.update(sum(predicted.index(max(predicted)) == label for predicted, label in pairs), len(pairs))
    metrics.loss.update(-sum(math.log(max(predicted[label], 1e-12)) for predicted, label in pairs), len(pairs))
    return predictions


def descend(weights, batch, predictions, rate):
    """The weights after one step of gradient descent."""
    errors = [[p - (c == label) for c, p in enumerate(predicted)] for predicted, (_, label) in zip(predictions, batch)]
    by_class, by_pixel = list(zip(*errors)), list(zip(*(image for image, _ in batch)))
    scale = rate / len(batch)
    return [[weight - scale * sum(map(mul, e, values)) for weight, values in zip(row, by_pixel)]
            for row, e in zip(weights, by_class)]


def versions():
    # What is given here is the default of each version.
    v = Versions(dataloader=Digits("datasets/digits.csv.gz"), batch_size=26, epoc_count=15, learning_rate=0.5)
    v.addV("baseline", custom_parameters={"seed": 1})
    # Adds learning_rate=0.1 and learning_rate=2.0, each with a model directory of its own.
    v.rangeOnParameters(
        combining_parameters=[version_parameters.LEARNING_RATE],
        parameters={version_parameters.LEARNING_RATE: [0.1, 2.0], "seed": 1})
    return v


MODEL = Logistic(versions(), allow_delete_model_dir=True)
