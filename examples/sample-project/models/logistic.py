"""Logistic regression with ten classes: a linear model that reads handwritten digits, in nothing but standard Python."""
import json
import os
import random
from math import exp, log
from operator import mul

from digits_data import CLASSES, PIXELS, Digits
from mlpipeline.helper import Model
from mlpipeline.utils import ExecutionModeKeys, MetricContainer, Versions, version_parameters


class Logistic(Model):
    """Its state is what it saves: the steps trained so far, and a row of weights for each class."""

    def pre_execution_hook(self, version, model_dir, exec_mode=ExecutionModeKeys.TEST):
        """Starts from nothing, or takes up the checkpoint in the model directory."""
        self.version = version
        self.path = checkpoint(model_dir)
        self.state = {"step": 0, "weights": [[0.0] * (PIXELS + 1) for _ in range(CLASSES)]}
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.state = json.load(file)
            self.log(f"continues after step {self.state['step']}")
        self.add_to_summery(f"{CLASSES} x {PIXELS + 1} weights, stochastic gradient descent")

    def get_current_version(self):
        return self.version

    def get_trained_step_count(self):
        """Tells the pipeline how much of an interrupted training is done."""
        return self.state["step"]

    def clean_model_dir(self, model_dir):
        """Is called before a version starts from scratch. It deletes what save has written, and nothing else."""
        if os.path.exists(checkpoint(model_dir)):
            os.remove(checkpoint(model_dir))

    def train_model(self, samples, steps):
        """Goes steps further; a step is one batch. It saves at the end of each epoch, and when it is stopped."""
        size = self.version[version_parameters.BATCH_SIZE]
        rate = self.version[version_parameters.LEARNING_RATE]
        last = self.state["step"] + steps
        metrics = MetricContainer(["loss", "accuracy"])
        try:
            while self.state["step"] < last:
                seen = self.state["step"] * size  # the steps are counted in samples, so epochs may begin within a batch
                epoch, position = divmod(seen, len(samples))
                batch = (self.order(epoch, len(samples)) + self.order(epoch + 1, len(samples)))[position:position + size]
        finally:  # when it is stopped, too: that is a KeyboardInterrupt
            self.save()
