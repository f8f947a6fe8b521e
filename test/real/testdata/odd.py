# Curves that are hard to draw beside each other: one has diverged, steps are huge, values are nearly the same.
from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import Versions, log_metric


class Data(DataLoader):
    def get_train_input(self, mode=None): return None
    def get_test_input(self): return None
    def get_train_sample_count(self): return 100
    def get_test_sample_count(self): return 1


class Odd(Model):
    def pre_execution_hook(self, version, model_dir, exec_mode): self.version = version

    def train_model(self, input_fn, steps):
        for step in range(1, 101):
            log_metric("loss", min(1e30, 10.0 ** step) if self.version.name == "diverged" else 1 / step, step)
            log_metric("late", step, 10**12 + step * 10**9)
            log_metric("level", 5000 + step / 1000, step)

    def evaluate_model(self, input_fn, steps): return {"loss": 1}


versions = Versions(0.1, Data(), 1, 1)
for name in ["fine", "diverged"]:
    versions.addV(name, model_dir_suffix=name)
MODEL = Odd(versions)
