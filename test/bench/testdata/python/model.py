"""A model that does nothing, or measures what a metric costs."""
import os

from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import Versions, log_metric

for module in os.environ.get("BENCH_IMPORT", "").split():
    __import__(module)


class Data(DataLoader):
    def get_train_input(self, mode=None):
        pass

    def get_test_input(self):
        pass

    def get_train_sample_count(self):
        return 1

    def get_test_sample_count(self):
        return 1


class Nothing(Model):
    def pre_execution_hook(self, version, model_dir):
        pass

    def train_model(self, input_fn, steps):
        points = int(os.environ.get("BENCH_METRICS", "0"))
        if points:
            with open(os.environ["BENCH_REPORT"], "w") as file:
                file.write("%r %r" % (metrics(points), writes(points)))

    def evaluate_model(self, input_fn, steps):
        pass


def metrics(points):
    """Seconds of a log_metric."""
    from time import perf_counter
    start = perf_counter()
    for step in range(points):
        log_metric("loss", 1 / (step + 1), step)
    return (perf_counter() - start) / points


def writes(points):
    """Seconds of a json.dumps and a write into a pipe that another process reads."""
    import json
    import subprocess
    from time import perf_counter, time
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    pipe = reader.stdin.fileno()
    start = perf_counter()
    for step in range(points):
        os.write(pipe, (json.dumps({"name": "loss", "step": step, "value": 1 / (step + 1), "time": int(time() * 1000)}) + "\n").encode())
    seconds = perf_counter() - start
    reader.communicate()
    return seconds / points


versions = Versions(0.1, Data(), 1, 1)
for i in range(int(os.environ.get("BENCH_VERSIONS", "1"))):
    versions.addV("v%d" % i, model_dir_suffix=str(i))
MODEL = Nothing(versions)
