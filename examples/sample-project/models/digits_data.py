"""The project's data set for Python models: images of handwritten digits, split into a training and a test set.

The split follows the rule of the Go models (../digits): shuffled with a fixed seed, and a quarter of each class is kept
for the test. The random generators differ, so it is not the same quarter. Pixels are scaled by their known range, not
by anything measured on the data, so nothing of the test set leaks into the training.
"""
import csv
import gzip
import random
from collections import Counter
from functools import lru_cache

from mlpipeline.helper import DataLoader
from mlpipeline.utils import ModeKeys

PIXELS = 8 * 8
CLASSES = 10
MAX_PIXEL = 16
SPLIT_SEED = 1


class Digits(DataLoader):
    """Its inputs are lists of (image, label): PIXELS values from 0 to 1, and a number from 0 to CLASSES - 1."""

    def __init__(self, path):
        self.path = path  # is read when data is asked for: a script is imported often, and not always to train

    def get_train_input(self, mode=ModeKeys.TRAIN, **kwargs):
        return load(self.path)[0]

    def get_test_input(self, **kwargs):
        return load(self.path)[1]

    def get_train_sample_count(self):
        return len(self.get_train_input())

    def get_test_sample_count(self):
        return len(self.get_test_input())

    def get_dataloader_summery(self, **kwargs):
        return (f"handwritten digits, 8x8 pixels, {CLASSES} classes: {self.get_train_sample_count()} to train, "
                f"{self.get_test_sample_count()} to test (split seed {SPLIT_SEED})")


@lru_cache(maxsize=None)
def load(path):
    """The training and the test set of the file at path. It is relative to the project's folder, where models start."""
    with gzip.open(path, "rt", newline="") as file:
        samples = [parse(row, f"{path}, line {line}") for line, row in enumerate(csv.reader(file), 1)]
    random.Random(SPLIT_SEED).shuffle(samples)
    train, test, seen = [], [], Counter()
    for image, label in samples:
        seen[label] += 1
        (train if seen[label] % 4 else test).append((image, label))
    return train, test


def parse(row, where):
    *pixels, label = map(int, row)
    if len(pixels) != PIXELS or not 0 <= min(pixels) <= max(pixels) <= MAX_PIXEL or not 0 <= label < CLASSES:
        raise ValueError(f"{where}: {PIXELS} pixels from 0 to {MAX_PIXEL} and a class below {CLASSES} are expected")
    return [pixel / MAX_PIXEL for pixel in pixels], label
