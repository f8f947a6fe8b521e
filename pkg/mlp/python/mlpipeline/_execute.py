"""One run of one version: the hooks of model and data loader in their order, and what is told of them."""
import math
import os
import sys

from mlpipeline import _code, _host
from mlpipeline._describe import number, text_of, type_name

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
        self.where = ""  # the hook that runs
        self.returned = False  # evaluate_model has returned something to record

    def run(self):
        model, loader = self.model, self.loader
        try:
            model._mlpipeline_version = self.version
        except AttributeError:  # of no helper.Model, that does not need it
            pass
        self.seed()
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

        before, total, trained_on = self.steps(train_samples)
        counts = {"train_samples": math.ceil(trained_on), "test_samples": math.ceil(test_samples)}
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

        if not self.returned:
            _host.log("warn", "evaluate_model returned no results: it returns a dict of numbers, a number or a MetricContainer that was updated")

        own = None
        if hasattr(loader, "get_dataloader_summery"):
            try:
                own = self.call(loader, "get_dataloader_summery")
            except NotImplementedError as error:
                self.accept(error)
        self.summarize("model", as_text(getattr(model, "summery", None)))
        summary, own = as_text(getattr(loader, "summery", None)), as_text(own)
        self.summarize("data", summary)
        if own.strip() != summary.strip():
            self.summarize("data", own)

    def call(self, owner, hook, *args, **kwargs):
        self.where = hook
        result = getattr(owner, hook)(*args, **kwargs)
        if self.stopping():
            raise KeyboardInterrupt
        if hook in ("pre_execution_hook", "train_model"):
            kind = type(result).__name__
            if kind in ("coroutine", "generator", "async_generator") and result.__name__ == hook:
                raise Failure("%s is %s: nothing of it has run" % (hook, "a generator (it has a yield)" if kind == "generator" else "async"))
        return result

    @staticmethod
    def accept(error):
        """Raises error again unless it is the hook that is not implemented: one of its name has raised it."""
        tb = error.__traceback__
        while tb.tb_next is not None:
            tb = tb.tb_next
        if tb.tb_frame.f_code.co_name not in ("clean_model_dir", "get_dataloader_summery"):
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
        """The steps that are trained already, those where training ends, and the number of samples."""
        if self.test:
            return 0, 1, samples
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
            return 0, total, samples
        trained = _host.as_float(trained)  # a fraction too, of a script that counts epochs
        if not 0 <= trained <= total:
            _host.log("warn", "get_trained_step_count is %g of %d steps" % (trained, total))
        return total - math.ceil(max(wanted - max(trained, 0), 0)), total, samples

    def evaluate(self, data, samples, get_input):
        steps = 1 if self.test else samples
        _host.begin("evaluate_" + data, prefix=data + ".", total=math.ceil(steps))
        inputs = get_input()
        if takes(self.model.evaluate_model, "steps"):
            output = self.call(self.model, "evaluate_model", inputs, steps=steps)
        else:
            output = self.call(self.model, "evaluate_model", inputs, steps)
        if self.result(data, data + " set", output):
            self.returned = True

    def result(self, data, label, output):
        """Tells what training or an evaluation returned: numbers are metrics, anything else is text. It reports whether there
        were numbers, or a text that was meant to be one."""
        if output is None:
            return False
        metrics, rest = _metrics(output)
        if metrics:
            _host.put("result", set=data, metrics=metrics)
        if rest is not None:
            text = as_text(rest)
            text = "%s:%s%s" % (label, "\n" if "\n" in text else " ", text)
            self.summarize("run", text)
            _host.log("info", text)
        return bool(metrics) or isinstance(rest, str)

    def summarize(self, source, text):
        if len(text) > _host.MAX_SUMMARY:
            text = "%s\n... (%d characters more)" % (text[:_host.MAX_SUMMARY], len(text) - _host.MAX_SUMMARY)
        lines = [line.rstrip() for line in text.expandtabs().strip("\n").splitlines()]
        margin = min([len(line) - len(line.lstrip()) for line in lines if line], default=0)
        text = "\n".join(line[margin:] for line in lines).rstrip()
        for i in range(0, len(text), _host.MAX_TEXT):
            _host.send("summary", source=source, message=text[i:i + _host.MAX_TEXT])

    def seed(self):
        """Seeds the random number generators of the libraries that are imported, and of others when they are."""
        given = self.version.get("seed")
        if given is None:
            return
        seed = number(given)
        if type(seed) is not int or isinstance(given, bool):
            _host.log("warn", "nothing is seeded: seed is %s, and no whole number" % text_of(given)[:100])
            return
        for library, how in _SEEDS.items():
            if library in sys.modules:
                how(sys.modules[library], seed)
        later = {library: lambda module, how=how: how(module, seed) for library, how in _SEEDS.items()}
        sys.meta_path.insert(0, _code.AfterImport(later))  # earlier than that, the script may do so itself


_SEEDS = {
    "random": lambda random, seed: random.seed(seed),
    "numpy": lambda numpy, seed: numpy.random.seed(seed % 2**32),
    "torch": lambda torch, seed: torch.manual_seed(seed % 2**64),
}


def as_text(value):
    """What a script tells in words: any object, None for nothing."""
    if value is None:
        return ""
    try:
        return str(value)
    except Exception:
        return "a " + type_name(value)


def _is(value, kind):
    """Whether value is of a class of mlpipeline._metrics, which is only imported by scripts that use it."""
    module = sys.modules.get("mlpipeline._metrics")
    return module is not None and isinstance(value, getattr(module, kind))


def _metrics(output):
    """The numbers in output as metrics by name, and what is left of it, or None."""
    if _is(output, "MetricContainer"):
        return output._results(), None
    if not isinstance(output, dict):
        value = _metric(output)
        return ({}, output) if value is None else ({"result": value}, None)
    metrics = {_name(k): _metric(v) for k, v in output.items()}
    rest = {k: v for k, v in output.items() if metrics[_name(k)] is None}
    return {k: v for k, v in metrics.items() if v is not None}, rest or None


def _name(key):
    return _host.printable(str(key))[:_host.MAX_NAME]


def _metric(value):
    try:
        return _host.as_float(value.avg() if _is(value, "Metric") else value)
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
