"""One run of one version: the hooks of model and data loader in their order, and what is told of them."""
import math
import sys

from mlpipeline import _host

TEST, TRAIN = "Test", "Train"  # ExecutionModeKeys


class Failure(Exception):
    """Why a run fails, for people: it needs no traceback."""


def describe(name, version):
    """The fields of the event that tells of a version."""
    told = {"name": name, "order": 0, "batch_size": 0, "epochs": 0, "learning_rate": 0.0, "dataloader": ""}
    problem = ""
    if not name:
        problem = "NAME is missing"
    if version.get("dataloader") is None:
        problem = problem or "DATALOADER is missing"
    else:
        told["dataloader"] = _type_name(version["dataloader"])
    for key, field, label in ("batch_size", "batch_size", "BATCH_SIZE"), ("epoc_count", "epochs", "EPOC_COUNT"), ("order", "order", "ORDER"):
        value = version.get(key)
        if value is None and key != "order":
            problem = problem or label + " is missing"
        elif value is not None:
            whole = _whole(value)
            if whole is None or abs(whole) > 2**53:
                problem = problem or "%s is %s; it must be a whole number" % (label, _text(value)[:100])
            else:
                told[field] = whole
    suffix = version.get("model_dir_suffix")
    if suffix is not None and str(suffix):
        told["model_dir_suffix"] = str(suffix)
    params = {_key(k): _plain(v) for k, v in version.items() if k not in _OWN and (v is not None or k not in _OPTIONAL)}
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


def _whole(value):
    try:
        number = _host.as_float(value)
        return int(value) if number == int(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _plain(value, depth=0):
    """value as JSON can hold it, the same at each start: without addresses, and sets in an order."""
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 10_000 else hex(value)  # Python refuses to write very long ones
    if depth > 50:
        return _type_name(value)
    if isinstance(value, dict):
        return {_key(k): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, depth + 1) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_key(_plain(v, depth + 1)) for v in value)
    try:
        return _host.as_float(value) if _whole(value) is None else _whole(value)
    except Exception:  # no number
        return _text(value)


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
        model._version = self.version
        if self.clean and getattr(model, "allow_delete_model_dir", False):
            self.clean_model_dir()
        _host.begin("setup")
        mode = {"exec_mode": TEST if self.test else TRAIN}
        if not takes(model.pre_execution_hook, "exec_mode"):
            mode = {}
        self.call(model.pre_execution_hook, self.version, self.dir, **mode)
        train_samples = self.count(loader.get_train_sample_count)
        test_samples = self.count(loader.get_test_sample_count)

        before, total = self.steps(train_samples)
        _host.begin("train", step=before, total=total, train_samples=train_samples, test_samples=test_samples)
        if before < total:
            data = self.call(loader.get_train_input)
            output = self.call(model.train_model, data, total - before)
            self.result("training", "training", output)
        else:
            _host.log("info", "all %d steps are trained; training is skipped" % total)

        mode = {"mode": TEST} if takes(loader.get_train_input, "mode") else {}
        self.evaluate("train", train_samples, lambda: self.call(loader.get_train_input, **mode))
        self.evaluate("test", test_samples, lambda: self.call(loader.get_test_input))

        self.summarize("model", getattr(model, "summery", None))
        summary = getattr(loader, "summery", None)
        own = None
        if hasattr(loader, "get_dataloader_summery"):
            try:
                own = self.call(loader.get_dataloader_summery)
            except NotImplementedError as error:
                self.accept(error)
        self.summarize("data", summary)
        if own != summary:
            self.summarize("data", own)

    def call(self, hook, *args, **kwargs):
        self.seed()
        self.where = getattr(hook, "__name__", "") or type(hook).__name__
        result = hook(*args, **kwargs)
        if self.stopping():
            raise KeyboardInterrupt
        return result

    @staticmethod
    def accept(error):
        """Raises error again unless the hook itself has raised it: then it is not implemented."""
        hook = error.__traceback__.tb_next.tb_next
        if hook is not None and hook.tb_next is not None:
            raise error

    def clean_model_dir(self):
        _host.begin("clean")
        try:
            self.call(self.model.clean_model_dir, self.dir)
        except NotImplementedError as error:
            self.accept(error)
            _host.log("info", "nothing is deleted: clean_model_dir is not implemented")

    def count(self, hook):
        n = self.call(hook)
        whole = _whole(n)
        if whole is None or whole <= 0:
            raise Failure("DATALOADER: %s is %s; it must be a whole number greater than 0" % (hook.__name__, _text(n)))
        return whole

    def steps(self, samples):
        """The steps that are trained already, and those where training ends."""
        if self.test:
            return 0, 1
        version = self.call(self.model.get_current_version) or self.version
        epochs, batch_size = version["epoc_count"], version["batch_size"]
        # As many as the tool of 2019 handed over, which divided. 9.4 become 10, so that the last batch of the last epoch is
        # among them, and steps / (samples / batch size) is never less than the epochs.
        wanted = epochs * samples / batch_size
        total = math.ceil(wanted)
        trained = None if getattr(self.model, "reset_steps", False) else self.call(self.model.get_trained_step_count)
        if trained is None:
            return 0, total
        trained = _host.as_float(trained)  # a fraction too, of a script that counts epochs
        if not 0 <= trained <= total:
            _host.log("warn", "get_trained_step_count is %g of %d steps" % (trained, total))
        return total - math.ceil(max(wanted - max(trained, 0), 0)), total

    def evaluate(self, data, samples, get_input):
        steps = 1 if self.test else samples
        _host.begin("evaluate_" + data, prefix=data + ".", total=steps)
        inputs = get_input()
        hook = self.model.evaluate_model
        if takes(hook, "steps"):
            output = self.call(hook, inputs, steps=steps)
        else:
            output = self.call(hook, inputs, steps)
        self.result(data, data + " set", output)

    def result(self, data, label, output):
        """Tells what training or an evaluation returned: numbers are metrics, anything else is text."""
        if output is None:
            return
        metrics = _metrics(output)
        if metrics:
            _host.put("result", set=data, metrics=metrics)
        elif metrics is None:
            try:
                text = "%s: %s" % (label, output)
            except Exception:
                text = "%s: a %s" % (label, _type_name(output))
            self.summarize("run", text)
            _host.log("info", text)

    def summarize(self, source, text):
        lines = [line.strip() for line in str(text or "").splitlines()]
        text = "\n".join(line for line in lines if line)
        for i in range(0, len(text), _host.MAX_TEXT):
            _host.send("summary", source=source, message=text[i:i + _host.MAX_TEXT])

    def seed(self):
        """Seeds the random number generators of the libraries that are imported, each once: a hook may import one."""
        seed = self.version.get("seed")
        if seed is None:
            return
        for library, how in _SEEDS.items():
            module = sys.modules.get(library)
            if module is not None and library not in self.seeded:
                self.seeded.add(library)
                how(module, seed)


_SEEDS = {
    "random": lambda random, seed: random.seed(seed),
    "numpy": lambda numpy, seed: numpy.random.seed(int(seed) % 2**32),
    "torch": lambda torch, seed: torch.manual_seed(int(seed)),
}


def _metrics(output):
    """output as metrics by name, or None when it is no numbers."""
    own = getattr(type(output), "_results", None)
    if own is not None:
        return own(output)
    named = output if isinstance(output, dict) else {"result": output}
    try:
        return {str(k)[:_host.MAX_NAME]: _host.as_float(v.avg() if hasattr(v, "avg_epoc") else v) for k, v in named.items()}
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def takes(hook, name):
    """Whether hook can be called with the keyword argument name."""
    function = getattr(hook, "__func__", hook)
    code = getattr(function, "__code__", None)
    if code is None:
        import inspect
        try:
            parameters = inspect.signature(hook).parameters
        except (TypeError, ValueError):
            return False
        return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    positional_only = code.co_varnames[:code.co_posonlyargcount]
    named = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    if name in named and name not in positional_only:
        return True
    if not code.co_flags & 0x08:  # no **kwargs
        return False
    return takes(function.__wrapped__, name) if hasattr(function, "__wrapped__") else True
