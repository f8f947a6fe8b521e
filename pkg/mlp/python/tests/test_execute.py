import collections
import enum
import functools
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import unittest
import warnings
from decimal import Decimal
from fractions import Fraction
from unittest import mock

from recorder import DIR, PACKAGE

from mlpipeline import _describe, _execute, _host
from mlpipeline.helper import DataLoader, Model
from mlpipeline.utils import Metric, MetricContainer, Versions

INF = float("inf")


class Scalar:
    """What NumPy's and torch's numbers have in common."""

    def __init__(self, *values):
        self.values = values

    def item(self):
        if len(self.values) != 1:
            raise ValueError("can only convert an array of size 1")
        return self.values[0]

    def __int__(self):
        return int(self.item())

    def __repr__(self):
        return "Scalar%r" % (self.values,)


class Tensor(Scalar):
    def item(self):
        if len(self.values) != 1:
            raise RuntimeError("a Tensor with %d elements cannot be converted to Scalar" % len(self.values))
        return self.values[0]


class Thing:
    pass


class Layer:
    """An object whose text has the address of another."""

    def __init__(self):
        self.inner = object()

    def __repr__(self):
        return "Layer(%r, %r)" % (self.inner, self.inner)


class Dots(dict):
    """A dict with attributes as people write it."""
    __getattr__ = dict.get


class StrictDots(dict):
    """The other way; hasattr of it raises KeyError."""
    __getattr__ = dict.__getitem__


def describe(**parameters):
    """What is told of a version with these parameters: its fields, and what is wrong with it."""
    version = Versions(0.1, DataLoader(), 8, 2).addV("one")
    for key, value in parameters.items():
        version[key] = value
    told = _describe.describe("one", version)
    json.loads(_host.encode(told))
    return told["version"], told.get("error")


def param(value):
    """What is told of a parameter of the user's."""
    version, problem = describe(x=value)
    assert problem is None, problem
    return json.loads(_host.encode(version["params"]["x"]))


class DescribeTest(unittest.TestCase):
    def test_fields(self):
        versions = Versions(0.1, DataLoader(), 8, 2)
        versions.addV("zero")
        version = versions.addV("one", model_dir_suffix="s", custom_paramters={"depth": 3})
        self.assertEqual(_describe.describe("one", version), {"version": {
            "name": "one", "order": 1, "batch_size": 8, "epochs": 2, "learning_rate": 0.1, "model_dir_suffix": "s",
            "dataloader": "mlpipeline.helper.DataLoader", "params": {"depth": 3}}})

    def test_without_parameters_of_its_own(self):
        version, problem = describe()
        self.assertEqual((set(version), problem), ({
            "name", "order", "batch_size", "epochs", "learning_rate", "dataloader"}, None))

    def test_any_dict_will_do(self):
        told = _describe.describe("one", {"dataloader": DataLoader, "batch_size": 1, "epoc_count": 1})
        self.assertEqual((told["version"]["dataloader"], "error" in told), ("mlpipeline.helper.DataLoader", False))

    def test_what_is_missing(self):
        for key, label in ("dataloader", "DATALOADER"), ("batch_size", "BATCH_SIZE"), ("epoc_count", "EPOC_COUNT"):
            self.assertEqual(describe(**{key: None})[1], label + " is missing")
        self.assertEqual(_describe.describe("", describe()[0])["error"], "NAME is missing")
        self.assertEqual(_describe.describe("one", {})["error"], "DATALOADER is missing")

    def test_whole_numbers_of_any_type(self):
        for value in 32, 32.0, Scalar(32), Tensor(32.0), Fraction(32), Decimal(32):
            version, problem = describe(batch_size=value, epoc_count=value, order=value)
            self.assertEqual([version[k] for k in ("batch_size", "epochs", "order")], [32, 32, 32], value)
            self.assertEqual([type(version[k]) for k in ("batch_size", "epochs", "order")], [int] * 3)
            self.assertIsNone(problem)

    def test_fractions(self):
        version, problem = describe(batch_size=2.5, epoc_count=0.5)
        self.assertEqual((version["batch_size"], version["epochs"], problem), (3, 1, None))
        self.assertEqual(version["params"], {"batch_size": 2.5, "epoc_count": 0.5})

    def test_orders_that_are_no_whole_numbers(self):
        versions = Versions(0.1, Loader([]), 1, 1)
        for order in 2, 0.5, 1:
            versions.addV(str(order), order=order)
        places = _describe.places(versions.versions)
        told = {name: _describe.describe(name, v, places)["version"]["order"] for name, v in versions.versions.items()}
        self.assertEqual(sorted(told, key=told.get), ["0.5", "1", "2"])

    def test_no_numbers(self):
        for value, text in ("32", "'32'"), (math.nan, "nan"), (INF, "inf"), ([32], r"\[32\]"), (1j, "1j"), \
                (Scalar(1, 2), r"Scalar\(1, 2\)"), (Scalar("a"), r"Scalar\('a',\)"), (Thing(), r"test_execute\.Thing"):
            for key, label in ("batch_size", "BATCH_SIZE"), ("epoc_count", "EPOC_COUNT"), ("order", "ORDER"):
                problem = describe(**{key: value})[1]
                self.assertRegex(problem, "^%s is %s; it must be a number$" % (label, text))

    def test_a_tensor_is_no_number(self):
        self.assertIn("BATCH_SIZE is", describe(batch_size=Tensor(1, 2))[1])
        self.assertEqual(describe(learning_rate=Tensor(1, 2))[0]["params"], {"learning_rate": "Scalar(1, 2)"})

    def test_numbers_beyond_64_bits_are_refused(self):
        for value in 2**63, -2**63 - 1, 1e30:
            self.assertIsNotNone(describe(order=value)[1])
            self.assertIsNotNone(describe(batch_size=value)[1])

    def test_very_long_numbers(self):
        self.assertIsNone(describe(x=10**5000)[1])
        self.assertIsNotNone(describe(batch_size=10**500000)[1])

    def test_learning_rates(self):
        for rate, told in (0.5, 0.5), (1, 1.0), (Scalar(0.5), 0.5), (INF, INF), (None, 0.0):
            version, problem = describe(learning_rate=rate)
            self.assertEqual((version["learning_rate"], "params" in version, problem), (told, False, None))
        self.assertEqual(_host.encode(describe(learning_rate=math.nan)[0]["learning_rate"]), '"NaN"')

    def test_a_schedule_is_a_parameter(self):
        for rate, told in ([0.1, 0.01], [0.1, 0.01]), ("cosine", "cosine"), (math.cos, "math.cos"), ({0: 0.1}, {"0": 0.1}):
            version, problem = describe(learning_rate=rate)
            self.assertEqual((version["learning_rate"], version["params"], problem), (0.0, {"learning_rate": told}, None))

    def test_suffixes(self):
        for suffix, told in ("a", "a"), (3, "3"), ("", None), (None, None):
            self.assertEqual(describe(model_dir_suffix=suffix)[0].get("model_dir_suffix"), told)

    def test_optional_parameters_of_2019(self):
        self.assertEqual(describe(hooks=[], classes_count=3, classes_offset=0, use_all_classes=False)[0]["params"],
                         {"hooks": [], "classes_count": 3, "classes_offset": 0, "use_all_classes": False})

    def test_none_is_a_value_of_a_parameter(self):
        self.assertIsNone(param(None))

    def test_huge_parameters_are_refused(self):
        version, problem = describe(x="a" * 600000)
        self.assertEqual((problem, "params" in version), ("its parameters are longer than 500000 bytes", False))
        self.assertIsNone(describe(x="a" * 400000)[1])
        self.assertIsNotNone(describe(x="\u20ac" * 90000)[1])  # six bytes each

    def test_the_first_problem_is_told(self):
        self.assertEqual(describe(dataloader=None, batch_size=None, x="a" * 600000)[1], "DATALOADER is missing")


class ParametersTest(unittest.TestCase):
    def test_plain_values(self):
        for value in None, True, False, 0, -1, 2**70, 0.5, -0.0, 1e-300, "", "text \u20ac \U0001f600", [1, [2]], {"a": {"b": []}}:
            self.assertEqual(json.dumps(param(value)), json.dumps(value))

    def test_no_finite_numbers(self):
        self.assertEqual(param([math.nan, INF, -INF]), ["NaN", "Infinity", "-Infinity"])

    def test_tuples_and_named_ones(self):
        self.assertEqual(param((1, collections.namedtuple("P", "x y")(2, 3))), [1, [2, 3]])

    def test_kinds_of_dicts(self):
        for value in collections.OrderedDict(a=1), Dots(a=1), StrictDots(a=1), collections.defaultdict(list, a=1):
            self.assertEqual(param(value), {"a": 1})

    def test_keys_that_are_no_text(self):
        self.assertEqual(param({1: 2, None: 3, (1, 2): 4}), {"1": 2, "null": 3, "[1,2]": 4})

    def test_sets_are_sorted(self):
        self.assertEqual(param({"b", "a", "c"}), ["a", "b", "c"])
        self.assertEqual(param(frozenset([3, 1])), ["1", "3"])
        self.assertEqual(param({1, "a", None}), ["1", "a", "null"])

    def test_numbers_of_libraries(self):
        self.assertEqual(param([Scalar(3), Scalar(0.5), Tensor(True), Scalar(math.nan)]), [3, 0.5, 1, "NaN"])

    def test_arrays_are_told_as_text(self):
        self.assertEqual(param([Scalar(1, 2), Tensor(1, 2)]), ["Scalar(1, 2)"] * 2)

    def test_enumerations(self):
        self.assertEqual(param(enum.IntEnum("Size", "S L").L), 2)
        self.assertEqual(param(enum.Enum("Colour", "RED").RED), "<Colour.RED: 1>")

    def test_paths_and_bytes(self):
        self.assertEqual(param([pathlib.PurePosixPath("a/b"), b"x"]), ["PurePosixPath('a/b')", "b'x'"])

    def test_callables(self):
        self.assertEqual(param([len, math.cos, Thing, param, Scalar(1).item]), [
            "builtins.len", "math.cos", "test_execute.Thing", "test_execute.param", "test_execute.Scalar.item"])

    def test_no_addresses(self):
        thing = Thing()
        for value in thing, [thing], {"a": thing}, {thing}, Layer(), lambda: 0, functools.partial(param, thing), \
                (i for i in ()), memoryview(b""):
            self.assertNotIn("0x", json.dumps(param(value)))
        self.assertEqual(param(thing), "test_execute.Thing")
        self.assertEqual(param(Layer()), "Layer(<object object>, <object object>)")

    def test_no_addresses_in_keys(self):
        for key in Thing(), param:
            self.assertNotIn("0x", json.dumps(param({key: 1})))

    def test_callables_without_a_module(self):
        self.assertEqual(param("".__len__).count("__len__"), 1)

    def test_a_text_that_fails(self):
        class Broken:
            def __repr__(self):
                raise RuntimeError("no")
        self.assertIn("Broken", param(Broken()))

    def test_what_refers_to_itself(self):
        value = []
        value.append(value)
        self.assertIn("builtins.list", json.dumps(param(value)))

    def told(self, seed, expression):
        script = ("import sys; sys.path.insert(0, %r)\nfrom mlpipeline import _describe, _execute, _host\nclass C: pass\n"
                  "print(_host.encode(_describe.plain(%s)))" % (PACKAGE, expression))
        return subprocess.run([sys.executable, "-W", "error", "-c", script], env=dict(os.environ, PYTHONHASHSEED=seed),
                              check=True, stdout=subprocess.PIPE).stdout

    def test_are_the_same_at_each_start(self):
        expression = "[{'b', 'a', 'c'}, frozenset('xyz'), C(), C, {C}, {C(): 1} and 1, lambda: 0, {'k': {1, None, 'q'}}]"
        self.assertEqual(self.told("1", expression), self.told("2", expression))

    def test_sets_in_sets_are_the_same_at_each_start(self):
        told = {self.told(str(seed), "{frozenset('abcdef')}") for seed in range(4)}
        self.assertEqual(len(told), 1)


class EncodeTest(unittest.TestCase):
    def back(self, value):
        return json.loads(_host.encode(value))

    def test_comes_back(self):
        for value in None, True, False, 0, -5, 2**80, 0.1, 1e300, 5e-324, -0.0, "", [], {}, [[]], {"a": [1, {"b": None}]}:
            self.assertEqual(repr(self.back(value)), repr(value))

    def test_any_character(self):
        text = "".join(map(chr, range(0x300))) + "\u2028\u20ac\ufeff\uffff\U0001f600\U0010ffff"
        self.assertEqual(self.back({text: text}), {text: text})

    def test_arithmetic_of_subclasses_is_left_alone(self):
        class Careful(float):
            def __sub__(self, other):
                raise RuntimeWarning("invalid value encountered in scalar subtract")
        self.assertEqual(self.back(Careful(INF)), "Infinity")

    def test_is_one_line_of_ascii(self):
        line = _host.encode({"a\r\n\x85\u2028": "\r\n\x00\x1b\x7f\u20ac"})
        self.assertEqual(line.encode("ascii").splitlines(), [line.encode()])

    def test_lone_surrogates(self):
        for text in "\ud800", "a\udcffb", "\udc00\ud800":
            self.assertEqual(self.back(text), text)
            _host.encode(text).encode("utf-8")

    def test_no_finite_numbers(self):
        self.assertEqual(self.back([math.nan, INF, -INF]), ["NaN", "Infinity", "-Infinity"])

    def test_subclasses(self):
        class Text(str):
            def __str__(self):
                return "other"

        class Number(float):
            def __repr__(self):
                return "Number"
        self.assertEqual(self.back([Text("a"), Number(0.5), enum.IntEnum("E", "ONE").ONE, (1, 2), collections.Counter("a")]),
                         ["a", 0.5, 1, [1, 2], {"a": 1}])


class AsFloatTest(unittest.TestCase):
    def test_numbers(self):
        for value in 2, 2.0, Scalar(2), Tensor(2.0), Fraction(2), Decimal(2):
            number = _host.as_float(value)
            self.assertEqual((number, type(number)), (2.0, float))
        self.assertEqual(_host.as_float(True), 1.0)

    def test_no_numbers(self):
        for value in "1", b"1", bytearray(b"1"), None, [1], {}, 1j, Thing(), Thing, Scalar, Scalar(None), Scalar([1]), Dots():
            with self.assertRaises(TypeError):
                _host.as_float(value)

    def test_arrays_are_no_numbers(self):
        for value in Scalar(1, 2), Tensor(1, 2), Tensor():
            with self.assertRaises(TypeError):
                _host.as_float(value)


class TakesTest(unittest.TestCase):
    def assertTakes(self, *hooks):
        for hook in hooks:
            self.assertIs(_execute.takes(hook, "mode"), True, hook)
            hook(mode=1)

    def assertTakesNot(self, *hooks):
        for hook in hooks:
            self.assertIs(_execute.takes(hook, "mode"), False, hook)

    def test_functions(self):
        self.assertTakes(lambda mode: 0, lambda a=1, mode=2: 0, lambda *, mode: 0, lambda **kwargs: 0, lambda *a, **k: 0)
        self.assertTakesNot(lambda: 0, lambda a: 0, lambda *mode: 0, lambda *args: 0)

    def test_variables_are_no_parameters(self):
        def hook():
            mode = 1
            return mode
        self.assertTakesNot(hook)

    def test_positional_only(self):
        space = {}
        exec("def only(mode, /): pass\ndef both(mode, /, **kwargs): pass", space)
        self.assertTakesNot(space["only"])
        self.assertIs(_execute.takes(space["both"], "mode"), True)

    def test_methods(self):
        class Hooks:
            def yes(self, mode): pass
            def kwargs(self, **kwargs): pass
            def no(self, other=None): pass

            @classmethod
            def of_class(cls, mode): pass

            @staticmethod
            def static(mode): pass

            @staticmethod
            def static_no(): pass

            partial = functools.partialmethod(kwargs, a=1)

        hooks = Hooks()
        self.assertTakes(hooks.yes, hooks.kwargs, hooks.of_class, hooks.static, hooks.partial, Hooks.of_class)
        self.assertTakesNot(hooks.no, hooks.static_no)

    def test_partial(self):
        self.assertTakes(functools.partial(lambda a, mode: 0, 1), functools.partial(lambda mode: 0, mode=2))
        self.assertTakesNot(functools.partial(lambda mode: 0, 1), functools.partial(lambda a: 0))

    def test_callable_objects(self):
        class Yes:
            def __call__(self, mode): pass

        class No:
            def __call__(self): pass

        self.assertTakes(Yes(), mock.Mock(), mock.MagicMock())
        self.assertTakesNot(No())

    def test_of_c(self):
        self.assertTakesNot(len, dict.fromkeys, "".join, print)

    def test_wrapped(self):
        def wrap(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper
        self.assertTakes(wrap(lambda mode: 0), wrap(wrap(lambda **kwargs: 0)), functools.lru_cache()(lambda mode: 0))
        self.assertTakesNot(wrap(lambda: 0), wrap(wrap(lambda a: 0)), functools.lru_cache()(lambda: 0))

    def test_wrapped_by_what_takes_less(self):
        def inner(a, mode): pass

        @functools.wraps(inner)
        def wrapper(a):
            return inner(a, 0)
        self.assertTakesNot(wrapper)


class Loader(DataLoader):
    def __init__(self, calls, train=10, test=4):
        self.calls, self.train, self.test = calls, train, test

    def get_train_input(self, **kwargs):
        self.calls.append(("get_train_input", kwargs))
        return "train data"

    def get_test_input(self):
        self.calls.append(("get_test_input", {}))
        return "test data"

    def get_train_sample_count(self):
        return self.train

    def get_test_sample_count(self):
        return self.test


class Recorder(Model):
    trained = None

    def __init__(self, versions, calls, **kwargs):
        super().__init__(versions, **kwargs)
        self.calls, self.returns = calls, {}

    def pre_execution_hook(self, version, model_dir, exec_mode="none"):
        self.calls.append(("pre_execution_hook", version, model_dir, exec_mode))

    def get_trained_step_count(self):
        return self.trained

    def train_model(self, input_fn, steps):
        self.calls.append(("train_model", input_fn, steps))
        return self.returns.get("train_model")

    def evaluate_model(self, input_fn, steps):
        self.calls.append(("evaluate_model", input_fn, steps))
        return self.returns.get(input_fn)

    def clean_model_dir(self, model_dir):
        self.calls.append(("clean_model_dir", model_dir))


class RunTest(unittest.TestCase):
    def setUp(self):
        self.calls, self.messages = [], []
        self.forget()
        patch = mock.patch.object(_host, "log", lambda level, message: self.messages.append((level, message)))
        patch.start()
        self.addCleanup(patch.stop)
        for name in "_before", "_total", "_prefix":
            patch = mock.patch.object(_host, name, getattr(_host, name))
            patch.start()
            self.addCleanup(patch.stop)

    def forget(self):
        """Empties the pipe to the pipeline."""
        self.pipe = io.BytesIO()
        patch = mock.patch.object(_host, "_out", self.pipe)
        patch.start()
        self.addCleanup(patch.stop)
        del self.calls[:], self.messages[:]

    def told(self, type):
        events = [json.loads(line) for line in self.pipe.getvalue().splitlines()]
        return [{k: v for k, v in event.items() if k != "type"} for event in events if event["type"] == type]

    def logged(self):
        return self.messages

    def model(self, kind=Recorder, epochs=2, batch_size=5, loader=None, custom=None, **kwargs):
        versions = Versions(0.1, loader or Loader(self.calls), batch_size, epochs)
        versions.addV("one", custom_paramters=custom)
        return kind(versions, self.calls, **kwargs)

    def run_(self, model, mode="execution", stopping=lambda: False, **command):
        _execute.Execution(model, model.versions.getVersion("one"), dict(command, mode=mode, dir=DIR), stopping).run()
        return [call[0] for call in self.calls]


class ExecutionTest(RunTest):
    def test_order_of_the_hooks(self):
        model = self.model(allow_delete_model_dir=True)
        self.run_(model, clean=True)
        version = model.versions.getVersion("one")
        self.assertEqual(self.calls, [
            ("clean_model_dir", DIR), ("pre_execution_hook", version, DIR, "Train"),
            ("get_train_input", {}), ("train_model", "train data", 4),
            ("get_train_input", {"mode": "Test"}), ("evaluate_model", "train data", 10),
            ("get_test_input", {}), ("evaluate_model", "test data", 4)])
        self.assertIs(self.calls[1][1], version)
        self.assertIs(model.get_current_version(), version)

    def test_phases(self):
        self.run_(self.model(allow_delete_model_dir=True), clean=True)
        self.assertEqual(self.told("phase"), [
            {"phase": "clean"}, {"phase": "setup"},
            {"phase": "train", "step": 0, "total": 4, "train_samples": 10, "test_samples": 4},
            {"phase": "evaluate_train", "total": 10}, {"phase": "evaluate_test", "total": 4}])

    def test_test_mode_is_one_step_of_everything(self):
        model = self.model()
        model.trained = 3
        self.run_(model, mode="test")
        self.assertEqual([call[-1] for call in self.calls if call[0] in ("pre_execution_hook", "train_model", "evaluate_model")],
                         ["Test", 1, 1, 1])

    def test_nothing_is_cleaned_unless_allowed_and_asked_for(self):
        self.assertNotIn("clean_model_dir", self.run_(self.model(), clean=True))
        self.assertNotIn("clean_model_dir", self.run_(self.model(allow_delete_model_dir=True)))

    def test_cleaning_that_is_not_implemented(self):
        class Keeps(Recorder):
            clean_model_dir = Model.clean_model_dir
        self.run_(self.model(Keeps, allow_delete_model_dir=True), clean=True)
        self.assertEqual(self.logged()[:-1], [("info", "nothing is deleted: clean_model_dir is not implemented")])

    def test_a_hook_that_does_not_run_when_it_is_called(self):
        class Yields(Recorder):
            def train_model(self, input_fn, steps): yield
        with self.assertRaisesRegex(_execute.Failure, r"^train_model is a generator \(it has a yield\): nothing of it has run$"):
            self.run_(self.model(Yields))

        class Async(Recorder):
            async def pre_execution_hook(self, version, model_dir): pass
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it was never awaited
            with self.assertRaisesRegex(_execute.Failure, "^pre_execution_hook is async: nothing of it has run$"):
                self.run_(self.model(Async))

    def test_a_hook_without_exec_mode(self):
        class Old(Recorder):
            def pre_execution_hook(self, version, model_dir):
                self.calls.append(("pre_execution_hook", model_dir))
        self.run_(self.model(Old))
        self.assertEqual(self.calls[0], ("pre_execution_hook", DIR))

    def test_names_of_the_parameters_are_free(self):
        class Own(Recorder):
            def train_model(self, data, n): self.calls.append(("train_model", data, n))
            def evaluate_model(self, data, n): self.calls.append(("evaluate_model", data, n))
        self.run_(self.model(Own))
        self.assertEqual([call[1:] for call in self.calls if call[0].endswith("_model")],
                         [("train data", 4), ("train data", 10), ("test data", 4)])

    def trains(self, trained=None, **kwargs):
        """The steps that train_model is given, None without training, and those told as trained."""
        self.forget()
        model = self.model(loader=Loader(self.calls, kwargs.pop("samples", 10)), **kwargs)
        model.trained = trained
        self.run_(model)
        [phase] = [phase for phase in self.told("phase") if phase["phase"] == "train"]
        return dict(call[::2] for call in self.calls if len(call) == 3).get("train_model"), phase["step"], phase["total"]

    def test_steps(self):
        self.assertEqual(self.trains(), (4, 0, 4))
        self.assertEqual(self.trains(epochs=3, batch_size=4), (8, 0, 8))  # 7.5
        self.assertEqual(self.trains(epochs=1, batch_size=100), (1, 0, 1))
        self.assertEqual(self.trains(samples=Scalar(10)), (4, 0, 4))
        self.assertEqual(self.trains(epochs=2.0, batch_size=5.0), (4, 0, 4))

    def test_a_fraction_of_steps(self):
        for trained, told in (0, (10, 0, 10)), (9, (1, 9, 10)), (9.4, (None, 10, 10)), (1.5, (8, 2, 10)):
            self.assertEqual(self.trains(trained, samples=47, epochs=1), told)  # 9.4

    def test_trained_steps_are_deducted(self):
        for trained in 0, 0.0, None:
            self.assertEqual(self.trains(trained), (4, 0, 4))
        for trained in 3, 3.0, Scalar(3), Tensor(3.0):
            self.assertEqual(self.trains(trained), (1, 3, 4))
        self.assertEqual(self.logged(), [NO_RESULTS])

    def test_all_steps_are_trained(self):
        self.assertEqual(self.trains(4), (None, 4, 4))
        self.assertEqual(self.logged()[:-1], [("info", "all 4 steps are trained; training is skipped")])
        self.assertEqual([call[0] for call in self.calls].count("evaluate_model"), 2)

    def test_trained_steps_out_of_range(self):
        for trained, told in (9, (None, 4, 4)), (-2, (4, 0, 4)):
            self.assertEqual(self.trains(trained), told)
            self.assertEqual(self.logged()[0], ("warn", "get_trained_step_count is %d of 4 steps" % trained))

    def test_reset_steps(self):
        self.assertEqual(self.trains(3, reset_steps=True), (4, 0, 4))

    def test_the_script_may_change_its_version(self):
        class Changed(Recorder):
            def get_current_version(self):
                return {"epoc_count": 1, "batch_size": 2}
        self.assertEqual(self.trains(kind=Changed), (5, 0, 5))

    def test_the_script_may_change_its_data_loader(self):
        class Changed(Recorder):
            def get_current_version(self):
                return {"epoc_count": 3, "batch_size": 1, "dataloader": Loader([], train=40)}
        self.assertEqual(self.trains(kind=Changed), (120, 0, 120))

    def test_counts_of_samples(self):
        for count, text in (0, "0"), (-1, "-1"), (None, "None"), ("ten", "'ten'"), (math.nan, "nan"):
            with self.assertRaisesRegex(_execute.Failure, "^DATALOADER: get_train_sample_count is %s; it must be a number "
                                                          "greater than 0$" % text):
                self.run_(self.model(loader=Loader([], train=count)))
            with self.assertRaisesRegex(_execute.Failure, "^DATALOADER: get_test_sample_count is"):
                self.run_(self.model(loader=Loader([], test=count)))
        self.assertNotIn("train_model", [call[0] for call in self.calls])

    def test_an_exception_says_where(self):
        class Broken(Recorder):
            def train_model(self, input_fn, steps):
                raise KeyError("lost")
        model = self.model(Broken)
        execution = _execute.Execution(model, model.versions.getVersion("one"), {"mode": "execution", "dir": DIR}, lambda: False)
        with self.assertRaisesRegex(KeyError, "lost"):
            execution.run()
        self.assertEqual(execution.where, "train_model")

    def test_an_exception_says_which_hook_it_was(self):
        model = self.model()
        model.train_model = lambda data, steps: 1 / 0
        execution = _execute.Execution(model, model.versions.getVersion("one"), {"mode": "test", "dir": DIR}, lambda: False)
        with self.assertRaises(ZeroDivisionError):
            execution.run()
        self.assertEqual(execution.where, "train_model")

    def test_a_count_that_is_no_function(self):
        loader = Loader(self.calls)
        loader.get_train_sample_count = functools.partial(int, 0)
        with self.assertRaisesRegex(_execute.Failure, "get_train_sample_count is 0"):
            self.run_(self.model(loader=loader))

    def test_attributes_of_the_scripts_own_stay(self):
        class Own(Recorder):
            _version = "v3"

            def train_model(self, input_fn, steps):
                self.calls.append(self._version)
        self.run_(self.model(Own))
        self.assertIn("v3", self.calls)

    def test_a_hook_that_swallows_the_interrupt(self):
        model = self.model()
        with self.assertRaises(KeyboardInterrupt):
            self.run_(model, stopping=lambda: len(self.calls) > 2)
        self.assertEqual(self.calls[-1][0], "train_model")

    def test_metrics_know_the_steps_before_and_the_set(self):
        class Measures(Recorder):
            def measure(self):
                container = MetricContainer(["loss"])
                container.loss.update(0.5)
                container.log_metrics()

            def train_model(self, input_fn, steps): self.measure()
            def evaluate_model(self, input_fn, steps): self.measure()
        model = self.model(Measures)
        model.trained = 3
        with mock.patch.object(_host, "metric") as metric, mock.patch.object(_host, "progress") as progress:
            self.run_(model)
        self.assertEqual([call[0] for call in metric.call_args_list],
                         [("loss", 4, 0.5), ("train.loss", 1, 0.5), ("test.loss", 1, 0.5)])
        self.assertEqual([call[0] for call in progress.call_args_list], [(4,)])


NO_RESULTS = ("warn", "evaluate_model returned no results: it returns a dict of numbers, a number or a MetricContainer that was updated")


class ResultTest(RunTest):
    def results(self, output):
        self.forget()
        model = self.model()
        model.returns["test data"] = output
        self.run_(model)
        return [(fields["set"], fields["metrics"]) for fields in self.told("result")]

    def test_a_dict_of_numbers_is_the_result(self):
        for output in {"loss": 2}, {"loss": Scalar(2.0)}, collections.OrderedDict(loss=Tensor(2)), Dots(loss=2):
            self.assertEqual(self.results(output), [("test", {"loss": 2.0})])
        self.assertEqual(self.results({1: 2, "loss": -INF}), [("test", {"1": 2.0, "loss": "-Infinity"})])

    def test_a_dict_that_knows_no_other_attributes(self):
        self.assertEqual(self.results(StrictDots(loss=2)), [("test", {"loss": 2.0})])

    def test_a_dict_of_such_dicts_is_text(self):
        self.assertEqual(self.results({"loss": StrictDots(a=1)}), [])
        self.assertEqual(len(self.told("summary")), 1)

    def test_results_of_another_kind(self):
        class Fit:
            _results = [1, 2]
        self.assertEqual(self.results(Fit()), [])

    def test_a_container_is_the_result(self):
        container = MetricContainer(["loss", "never"])
        container.loss.update(6, 3)
        self.assertEqual(self.results(container), [("test", {"loss": 2.0})])
        self.assertEqual(self.results(MetricContainer(["never"])), [])

    def test_a_dict_of_metrics_is_the_result(self):
        metric = Metric()
        metric.update(6, 3)
        self.assertEqual(self.results({"loss": metric, "accuracy": 1}), [("test", {"loss": 2.0, "accuracy": 1.0})])

    def test_a_number_is_the_result(self):
        for output in 2, 2.0, Scalar(2), Tensor(2.0):
            self.assertEqual(self.results(output), [("test", {"result": 2.0})])

    def test_anything_else_is_text(self):
        for output in "fine", [1, 2], {"loss": "low"}, Scalar(1, 2), Tensor(1, 2), {"loss": Tensor(1, 2)}, Dots(a=Dots(b=1)):
            self.assertEqual(self.results(output), [])
            [summary] = self.told("summary")
            self.assertEqual(summary, {"source": "run", "message": "test set: %s" % (output,)})
            self.assertEqual(self.logged(), [("info", "test set: %s" % (output,))] + [NO_RESULTS] * (output != "fine"))

    def test_a_result_without_a_text(self):
        class Broken:
            def __str__(self):
                raise RuntimeError("no")
        self.assertEqual(self.results(Broken()), [])

    def test_nothing_is_no_result(self):
        for output in None, {}, MetricContainer(["never"]):
            self.assertEqual(self.results(output), [])
            self.assertEqual((self.told("summary"), self.logged()), ([], [NO_RESULTS]))

    def test_a_warning_of_no_results_comes_once(self):
        self.assertEqual(self.results({"loss": 1}), [("test", {"loss": 1.0})])
        self.assertEqual(self.logged(), [])  # although the other evaluation returned nothing

    def test_a_long_text_is_cut(self):
        self.results("x" * 3_000_000)
        text = "".join(fields["message"] for fields in self.told("summary"))
        self.assertLess(len(text), 1_001_000)
        self.assertRegex(text, r"xxx\n\.\.\. \(20000\d\d characters more\)$")

    def test_names_that_cannot_be_printed(self):
        self.assertEqual(self.results({"\ud800": 1, "\udcff": 2}), [("test", {"\\ud800": 1.0, "\\udcff": 2.0})])

    def test_results_of_each_set(self):
        model = self.model()
        model.returns.update({"train_model": {"a": 1}, "train data": {"a": 2}, "test data": {"a": 3}})
        self.run_(model)
        self.assertEqual([(fields["set"], fields["metrics"]) for fields in self.told("result")],
                         [("training", {"a": 1.0}), ("train", {"a": 2.0}), ("test", {"a": 3.0})])

    def test_summaries(self):
        class Data(Loader):
            def get_dataloader_summery(self, **kwargs):
                return "  ten digits\n\n\tand more"
        model = self.model(loader=Data(self.calls))
        model.add_to_summery("a")
        model.add_to_summery("b")
        model.versions.getVersion("one").dataloader.add_to_summery("c")
        self.run_(model)
        self.assertEqual([(fields["source"], fields["message"]) for fields in self.told("summary")],
                         [("model", "a\nb"), ("data", "c"), ("data", "ten digits\n\n      and more")])

    def test_no_summary(self):
        self.run_(self.model())
        self.assertEqual(self.told("summary"), [])

    def test_a_summary_that_is_told_twice_is_sent_once(self):
        class Data(Loader):
            def get_dataloader_summery(self, **kwargs):
                return self.summery
        loader = Data(self.calls)
        loader.add_to_summery("c")
        self.run_(self.model(loader=loader))
        self.assertEqual(len(self.told("summary")), 1)

    def test_an_error_in_the_summary_fails_the_run(self):
        class Data(Loader):
            def get_dataloader_summery(self, **kwargs):
                return self.nonsuch
        with self.assertRaises(AttributeError):
            self.run_(self.model(loader=Data(self.calls)))

    def test_a_long_summary_is_sent_in_parts(self):
        model = self.model()
        model.summery = "a" * (2 * _host.MAX_TEXT + 1)
        self.run_(model)
        self.assertEqual([len(fields["message"]) for fields in self.told("summary")], [_host.MAX_TEXT, _host.MAX_TEXT, 1])


class SeedTest(RunTest):
    def seeds(self, seed, **libraries):
        with mock.patch.dict(sys.modules, libraries):
            self.run_(self.model(custom={"seed": seed}))

    def test_random(self):
        import random
        drawn = []
        for _ in range(2):
            self.seeds(5)
            drawn.append(random.random())
        self.seeds(6)
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], random.random())

    def test_libraries_once(self):
        numpy, torch = mock.Mock(), mock.Mock()
        self.seeds(-1, numpy=numpy, torch=torch)
        numpy.random.seed.assert_called_once_with(2**32 - 1)
        torch.manual_seed.assert_called_once_with(2**64 - 1)

    def test_what_is_no_whole_number_stops_no_run(self):
        import random  # noqa: F401 (one of those that are seeded)
        for seed in Scalar(5), [1, 2], "data/seeds.txt", math.nan, None:
            self.seeds(seed, numpy=mock.Mock(), torch=mock.Mock())
        self.assertEqual([call[0] for call in self.calls].count("train_model"), 5)

    def test_none(self):
        numpy = mock.Mock()
        self.seeds(None, numpy=numpy)
        numpy.random.seed.assert_not_called()

    def test_a_seed_of_0(self):
        numpy = mock.Mock()
        self.seeds(0, numpy=numpy)
        numpy.random.seed.assert_called_once_with(0)


if __name__ == "__main__":
    unittest.main()
