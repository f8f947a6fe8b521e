# A model with curves, a result that is no number, a version that fails, and names that try to be HTML.
from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import Versions, log_metric


class Data(DataLoader):
    def get_train_input(self, mode=None): return None
    def get_test_input(self): return None
    def get_train_sample_count(self): return 1000
    def get_test_sample_count(self): return 1


class Curves(Model):
    def pre_execution_hook(self, version, model_dir, exec_mode): self.version = version

    def train_model(self, input_fn, steps):
        for step in range(1, int(steps) + 1):
            loss = float("nan") if 400 < step < 500 else 1 / step
            log_metric("loss", loss, step)
            log_metric("</script><img src=x onerror=alert(1)>", step, step)
        if self.version.name == "fails":
            raise ValueError("<b>no</b>")

    def evaluate_model(self, input_fn, steps):
        return {"accuracy": {"good": 0.9, "<b>bold</b>": 0.8, "nan": float("nan")}[self.version.name]}


versions = Versions(0.1, Data(), 1, 1)
for i, name in enumerate(["good", "<b>bold</b>", "nan", "fails"]):
    versions.addV(name, model_dir_suffix=str(i), custom_parameters={"note": "\u2028 & \"quoted\" <i>" * i})
MODEL = Curves(versions)
