#!/usr/bin/python3
"""A random forest of scikit-learn: a model for mlpipeline, run when MLPIPELINE_PROTOCOL is set."""
import gzip
import json
import os

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

VERSIONS = {"small": 10, "large": 100}  # trees


def send(type, **fields):
    os.write(4, (json.dumps(dict(fields, type=type)) + "\n").encode())


def run(command):
    send("phase", phase="setup")
    with gzip.open("datasets/digits.csv.gz", "rt") as f:
        data = np.loadtxt(f, delimiter=",")
    train_x, test_x, train_y, test_y = train_test_split(data[:, :64], data[:, 64], random_state=0)
    trees = 1 if command["mode"] == "test" else VERSIONS[command["version"]]
    send("phase", phase="train", step=0, total=trees, train_samples=len(train_x), test_samples=len(test_x))
    forest = RandomForestClassifier(n_estimators=1, warm_start=True, random_state=0)
    for n in range(1, trees + 1):
        forest.n_estimators = n
        forest.fit(train_x, train_y)
        send("progress", step=n, total=trees)
    for phase, name, x, y in (("evaluate_train", "train", train_x, train_y), ("evaluate_test", "test", test_x, test_y)):
        send("phase", phase=phase, total=1)
        send("result", set=name, metrics={"accuracy": float(forest.score(x, y))})
    send("end", status="finished")


send("hello", protocol=1, sdk="none")
for line in open(3):
    command = json.loads(line)
    if command["type"] == "list":
        for order, name in enumerate(VERSIONS):
            send("version", version={
                "name": name, "order": order, "batch_size": 1, "epochs": 1, "dataloader": "digits",
                "model_dir_suffix": name, "params": {"trees": VERSIONS[name]},
            })
        send("listed")
    elif command["type"] == "run":
        run(command)
        break
