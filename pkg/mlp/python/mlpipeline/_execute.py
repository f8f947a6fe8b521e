"""One run of one version: the hooks of model and data loader in their order, and what is told of them."""
import math
import os
import sys

from mlpipeline import _code, _host
from mlpipeline._metrics import Metric, MetricContainer

TEST, TRAIN = "Test", "Train"  # ExecutionModeKeys


class Failure(Exception):
    """Why a run fails, for people: it needs no traceback."""


def places(versions):
    """The place in which each value of ORDER comes: the protocol knows whole numbers, and a script may order by any."""
    orders = [version.get("order") for version in versions.values()]
    if all(type(order) is int for order in orders):
        return {}
    numbers = {order: _number(order) for order in orders if _number(order) is not None}
    ranks = {number: rank for rank, number in enumerate(sorted(set(numbers.values())))}
    return {order: ranks[number] for order, number in numbers.items()}


def describe(name, version, places={}):
    """The fields of the event that tells of a version. places is the place of each ORDER that is no whole number."""
    told = {"name": name, "order": 0, "batch_size": 0, "epochs": 0, "learning_rate": 0.0, "dataloader": ""}
    problem = ""
    if not name:
        problem = "NAME is missing"
    if version.get("dataloader") is None:
        problem = problem or "DATALOADER is missing"
    else:
        told["dataloader"] = _type_name(version["dataloader"])
    fractions = {}
    for key, field, label in ("batch_size", "batch_size", "BATCH_SIZE"), ("epoc_count", "epochs", "EPOC_COUNT"):
        value = version.get(key)
        number = _number(value)
        if value is None:
            problem = problem or label + " is missing"
        elif number is None or abs(number) > 2**53:
            problem = problem or "%s is %s; it must be a number" % (label, _text(value)[:100])
        else:
            told[field] = math.ceil(number)
            if told[field] != number:
                fractions[key] = number
    order = version.get("order")
    if order is not None:
        place = places.get(order, _number(order)) if getattr(order, "__hash__", None) else _number(order)
        if place is None or abs(place) > 2**53 or place != int(place):
            problem = problem or "ORDER is %s; it must be a number" % _text(order)[:100]
        else:
            told["order"] = int(place)
    suffix = version.get("model_dir_suffix")
    if suffix is not None and str(suffix):
        told["model_dir_suffix"] = str(suffix).replace("/", "_").replace("\\", "_")
    params = {_key(k): _plain(v) for k, v in version.items() if k not in _OWN and (v is not None or k not in _OPTIONAL)}
    params.update(fractions)
    rate = version.get("learning_rate")
    if rate is not None:
        try:
            told["learning_rate"] = _host.as_float(rate)
        except (TypeError, ValueError, OverflowError):
            params["learning_rate"] = _plain(rate)  # a schedule
    if params:
        told["params"] = params
    if len(_host.encode(params)) > _MAX_PARAMS:
        del told["params"]
        problem = problem or "its parameters are longer than %d bytes" % _MAX_PARAMS
    return dict({"version": told}, **({"error": problem} if problem else {}))


_OWN = {"name", "dataloader", "batch_size", "epoc_count", "learning_rate", "model_dir_suffix", "order"}
_OPTIONAL = {"hooks", "use_all_classes", "classes_count", "classes_offset"}
_MAX_PARAMS = 500_000


def _type_name(value):
    kind = value if isinstance(value, type) else type(value)
    return "%s.%s" % (kind.__module__, kind.__qualname__)


def _number(value):
    """value as a finite int or float, None if it is none."""
    try:
        number = _host.as_float(value)
        return int(value) if number == int(number) else number
    except Exception:
        return None


def _plain(value, around=()):
    """value as JSON can hold it, the same at each start: without addresses, and sets in an order. around are the ids of the
    values that it is in."""
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 10_000 else hex(value)  # Python refuses to write very long ones
    if id(value) in around or len(around) > 50:
        return _type_name(value)
    around += (id(value),)
    if isinstance(value, dict):
        return {_key(k): _plain(v, around) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, around) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_key(_plain(v, around)) for v in value)
    try:
        return _host.as_float(value) if _number(value) is None else _number(value)
    except Exception:  # no number
        text = _text(value)
    try:  # the text of a large array leaves most of it out
        return "%s %s" % (text, _code.sha256(value.tobytes()).hexdigest()[:16])
    except Exception:
        return text


def _key(value):
    """value as a key of an object in JSON."""
    value = value if isinstance(value, str) else _plain(value)
    return value if isinstance(value, str) else _host.encode(value)


def _text(value):
    """value for people, without the addresses that stand in the repr of most objects."""
    if callable(value) and hasattr(value, "__qualname__") and getattr(value, "__module__", None):
        return "%s.%s" % (value.__module__, value.__qualname__)
    if type(value).__repr__ is object.__repr__:
        return _type_name(value)
    try:
        text = repr(value)
    except Exception:
        return _type_name(value)
    parts = text.split(" at 0x")
    for i in range(1, len(parts)):
        parts[i] = parts[i].lstrip("0123456789abcdefABCDEF")
    return "".join(parts)


def execute(model, version, command, stopping):
    """Executes a version. stopping() tells whether the user wishes to stop: then KeyboardInterrupt is raised at the end of
    a hook that has swallowed it."""
    Execution(model, version, command, stopping).run()


class Execution:
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
        number = _number(n)
        if number is None or number <= 0:
            raise Failure("DATALOADER: %s is %s; it must be a number greater than 0" % (hook, _text(n)[:100]))
        return number

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
                text = "a " + _type_name(rest)
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
        if not isinstance(_number(seed), int) or isinstance(seed, bool):
            self.seeded = None
            _host.log("warn", "nothing is seeded: seed is %s, and no whole number" % _text(seed)[:100])
            return
        seed = _number(seed)
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
        number = _metric(output)
        return ({}, output) if number is None else ({"result": number}, None)
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
