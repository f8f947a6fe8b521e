"""One run of one version: the hooks of model and data loader in their order, and what is told of them."""
import math
import os
import sys

from mlpipeline import _host
from mlpipeline._describe import number, text_of, type_name
from mlpipeline._metrics import Metric, MetricContainer

TEST, TRAIN = "Test", "Train"  # ExecutionModeKeys


class Failure(Exception):
    """Why a run fails, for people: it needs no traceback."""


class Execution:
    """A version on its way. stopping() tells whether the user wishes to stop: then KeyboardInterrupt is raised at the end of a
    hook that has swallowed it."""

    def __init__(self, model, version, command, stopping):
        self.model, self.version, self.stopping = model, version, stopping
        self.loader = version["dataloader"]
        self.test = command["mode"] == "test"
        self.dir = command["dir"]
        self.clean = command.get("clean", False)
        self.seeded = set()
        self.where = ""  # the hook that runs

    def run(self):
        model, loader = self.model, self.loader
        try:
            model._mlpipeline_version = self.version
        except AttributeError:  # of no helper.Model, that does not need it
            pass
        if self.clean and getattr(model, "allow_delete_model_dir", False):
            self.clean_model_dir()
            os.makedirs(self.dir, exist_ok=True)
        _host.begin("setup")
        mode = {"exec_mode": TEST if self.test else TRAIN}
        if not takes(model.pre_execution_hook, "exec_mode", any_keyword=False):
            mode = {}
        self.call(model, "pre_execution_hook", self.version, self.dir, **mode)
        os.makedirs(self.dir, exist_ok=True)  # some empty it by removing it
        train_samples = self.count(loader, "get_train_sample_count")
        test_samples = self.count(loader, "get_test_sample_count")

        before, total = self.steps(train_samples)
        counts = {"train_samples": math.ceil(train_samples), "test_samples": math.ceil(test_samples)}
        _host.begin("train", step=before, total=total, **counts)
        if before < total:
            data = self.call(loader, "get_train_input")
            output = self.call(model, "train_model", data, total - before)
            self.result("training", "training", output)
        else:
            _host.log("info", "all %d steps are trained; training is skipped" % total)

        mode = {"mode": TEST} if takes(loader.get_train_input, "mode") else {}
        self.evaluate("train", train_samples, lambda: self.call(loader, "get_train_input", **mode))
        self.evaluate("test", test_samples, lambda: self.call(loader, "get_test_input"))

        own = None
        if hasattr(loader, "get_dataloader_summery"):
            try:
                own = self.call(loader, "get_dataloader_summery")
            except NotImplementedError as error:
                self.accept(error)
        self.summarize("model", getattr(model, "summery", None))
        summary = getattr(loader, "summery", None)
        self.summarize("data", summary)
        if str(own) not in str(summary):
            self.summarize("data", own)

    def call(self, owner, hook, *args, **kwargs):
        self.seed()
        self.where = hook
        result = getattr(owner, hook)(*args, **kwargs)
        if self.stopping():
            raise KeyboardInterrupt
        return result

    @staticmethod
    def accept(error):
        """Raises error again unless it is the hook that is not implemented: it, or that of helper, has raised it."""
        tb = error.__traceback__.tb_next.tb_next
        direct = tb is None or tb.tb_next is None
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        if not direct and tb.tb_frame.f_globals.get("__name__") != "mlpipeline.helper":
            raise error

    def clean_model_dir(self):
        _host.begin("clean")
        try:
            self.call(self.model, "clean_model_dir", self.dir)
        except NotImplementedError as error:
            self.accept(error)
            _host.log("info", "nothing is deleted: clean_model_dir is not implemented")

    def count(self, loader, hook):
        n = self.call(loader, hook)
        count = number(n)
        if count is None or count <= 0:
            raise Failure("DATALOADER: %s is %s; it must be a number greater than 0" % (hook, text_of(n)[:100]))
        return count

    def steps(self, samples):
        """The steps that are trained already, and those where training ends."""
        if self.test:
            return 0, 1
        version = self.call(self.model, "get_current_version") or self.version
        epochs, batch_size = version["epoc_count"], version["batch_size"]
        loader = version["dataloader"] if "dataloader" in version else self.loader
        if loader is not self.loader:
            samples = self.count(loader, "get_train_sample_count")
        # As many as the tool of 2019 handed over, which divided. 9.4 become 10, so that the last batch of the last epoch is
        # among them, and steps / (samples / batch size) is never less than the epochs.
        wanted = epochs * samples / batch_size
        total = math.ceil(wanted)
        trained = None if getattr(self.model, "reset_steps", False) else self.call(self.model, "get_trained_step_count")
        if trained is None:
            return 0, total
        trained = _host.as_float(trained)  # a fraction too, of a script that counts epochs
        if not 0 <= trained <= total:
            _host.log("warn", "get_trained_step_count is %g of %d steps" % (trained, total))
        return total - math.ceil(max(wanted - max(trained, 0), 0)), total

    def evaluate(self, data, samples, get_input):
        steps = 1 if self.test else samples
        _host.begin("evaluate_" + data, prefix=data + ".", total=math.ceil(steps))
        inputs = get_input()
        if takes(self.model.evaluate_model, "steps"):
            output = self.call(self.model, "evaluate_model", inputs, steps=steps)
        else:
            output = self.call(self.model, "evaluate_model", inputs, steps)
        self.result(data, data + " set", output)

    def result(self, data, label, output):
        """Tells what training or an evaluation returned: numbers are metrics, anything else is text."""
        if output is None:
            return
        metrics, rest = _metrics(output)
        if metrics:
            _host.put("result", set=data, metrics=metrics)
        if rest is not None:
            try:
                text = str(rest)
            except Exception:
                text = "a " + type_name(rest)
            text = "%s:%s%s" % (label, "\n" if "\n" in text else " ", text)
            self.summarize("run", text)
            _host.log("info", text)

    def summarize(self, source, text):
        lines = [line.rstrip() for line in str(text or "").expandtabs().strip("\n").splitlines()]
        margin = min([len(line) - len(line.lstrip()) for line in lines if line], default=0)
        text = "\n".join(line[margin:] for line in lines).rstrip()
        for i in range(0, len(text), _host.MAX_TEXT):
            _host.send("summary", source=source, message=text[i:i + _host.MAX_TEXT])

    def seed(self):
        """Seeds the random number generators of the libraries that are imported, each once: a hook may import one."""
        seed = self.version.get("seed")
        if seed is None or self.seeded is None:
            return
        if not isinstance(number(seed), int) or isinstance(seed, bool):
            self.seeded = None
            _host.log("warn", "nothing is seeded: seed is %s, and no whole number" % text_of(seed)[:100])
            return
        seed = number(seed)
        for library, how in _SEEDS.items():
            module = sys.modules.get(library)
            if module is not None and library not in self.seeded:
                self.seeded.add(library)
                how(module, seed)


_SEEDS = {
    "random": lambda random, seed: random.seed(seed),
    "numpy": lambda numpy, seed: numpy.random.seed(seed % 2**32),
    "torch": lambda torch, seed: torch.manual_seed(seed % 2**64),
}


def _metrics(output):
    """The numbers in output as metrics by name, and what is left of it, or None."""
    if isinstance(output, MetricContainer):
        return output._results(), None
    if not isinstance(output, dict):
        value = _metric(output)
        return ({}, output) if value is None else ({"result": value}, None)
    metrics = {str(k)[:_host.MAX_NAME]: _metric(v) for k, v in output.items()}
    rest = {k: v for k, v in output.items() if metrics[str(k)[:_host.MAX_NAME]] is None}
    return {k: v for k, v in metrics.items() if v is not None}, rest or None


def _metric(value):
    try:
        return _host.as_float(value.avg() if isinstance(value, Metric) else value)
    except Exception:  # whatever it is, it is no number
        return None


def takes(hook, name, any_keyword=True):
    """Whether hook can be called with the keyword argument name, by **kwargs too if any_keyword is set."""
    function = getattr(hook, "__func__", hook)
    code = getattr(function, "__code__", None)
    if code is None:
        import inspect
        try:
            parameters = inspect.signature(hook).parameters
        except (TypeError, ValueError):
            return False
        return name in parameters or any_keyword and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    positional_only = code.co_varnames[:code.co_posonlyargcount]
    named = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    if name in named and name not in positional_only:
        return True
    if not code.co_flags & 0x08:  # no **kwargs
        return False
    return takes(function.__wrapped__, name, any_keyword) if hasattr(function, "__wrapped__") else any_keyword
