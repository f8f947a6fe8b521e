import copy
import inspect
import os
import pickle
import subprocess
import sys
import unittest
from collections import OrderedDict

from recorder import PACKAGE, PipelineTest

from mlpipeline.utils import Version, Versions, version_parameters

STANDARD = {"name", "dataloader", "batch_size", "epoc_count", "learning_rate", "model_dir_suffix", "order", "hooks",
            "use_all_classes", "classes_count", "classes_offset"}


class Scalar:
    """A number of NumPy or torch."""

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


def parameters(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def added(*args, **kwargs):
    return Versions(*args, **kwargs).addV("one")


class DefaultsTest(unittest.TestCase):
    def test_positions(self):
        self.assertEqual(parameters(Versions.__init__), [
            "learning_rate", "dataloader", "batch_size", "epoc_count", "model_dir_suffix", "order", "hooks", "use_all_classes",
            "classes_count", "classes_offset"])

    def test_each_is_the_default_of_a_version(self):
        given = {name: object() for name in parameters(Versions.__init__)}
        self.assertEqual(added(**given), dict(given, name="one"))

    def test_belong_to_the_object(self):
        first, second = Versions(0.1, batch_size=8), Versions(0.2)
        self.assertEqual(first.addV("a")["learning_rate"], 0.1)
        self.assertEqual(first.addV("a2")["batch_size"], 8)
        self.assertEqual(second.addV("b")["learning_rate"], 0.2)
        self.assertIsNone(second.addV("b2")["batch_size"])

    def test_objects_share_no_versions(self):
        first, second = Versions(), Versions()
        first.addV("a")
        self.assertEqual(list(first.versions), ["a"])
        self.assertEqual(second.versions, {})

    def test_a_version_has_all_keys(self):
        self.assertEqual(set(added()), STANDARD)

    def test_zero_and_empty_are_given(self):
        version = Versions(0.1, batch_size=8, model_dir_suffix="x", use_all_classes=True, order=3).addV(
            "one", learning_rate=0.0, batch_size=0, model_dir_suffix="", use_all_classes=False, order=0)
        self.assertEqual([version[k] for k in ("learning_rate", "batch_size", "model_dir_suffix", "use_all_classes", "order")],
                         [0.0, 0, "", False, 0])


class AddVTest(PipelineTest):
    def test_positions(self):
        self.assertEqual(parameters(Versions.addV)[:12], [
            "name", "dataloader", "batch_size", "epoc_count", "learning_rate", "model_dir_suffix", "order", "custom_paramters",
            "hooks", "use_all_classes", "classes_count", "classes_offset"])

    def test_given_values_go_before_defaults(self):
        given = {name: object() for name in parameters(Versions.__init__)}
        version = Versions(*range(10)).addV("one", **given)
        self.assertEqual(version, dict(given, name="one"))

    def test_returns_the_version(self):
        versions = Versions()
        self.assertIs(versions.addV("one"), versions.versions["one"])
        self.assertIsInstance(versions.versions["one"], Version)

    def test_custom_parameters_in_both_spellings(self):
        for spelling in "custom_paramters", "custom_parameters":
            with self.subTest(spelling):
                version = Versions().addV("one", **{spelling: {"depth": 3}})
                self.assertEqual(version["depth"], 3)

    def test_both_spellings_at_once(self):
        version = Versions().addV("one", custom_paramters={"a": 1}, custom_parameters={"b": 2})
        self.assertEqual((version["a"], version["b"]), (1, 2))

    def test_custom_parameters_may_be_standard_ones(self):
        version = Versions(batch_size=8).addV("one", batch_size=16, custom_paramters={"batch_size": 32})
        self.assertEqual(version["batch_size"], 32)

    def test_custom_parameters_are_not_shared(self):
        custom = {"depth": 3}
        versions = Versions()
        versions.addV("a", custom_paramters=custom)["depth"] = 4
        versions.addV("b")["depth"] = 5
        self.assertEqual(custom, {"depth": 3})
        self.assertNotIn("depth", versions.addV("c"))

    def test_added_twice_the_last_counts(self):
        versions = Versions()
        versions.addV("one", batch_size=1)
        versions.addV("one", batch_size=2)
        self.assertEqual(self.logged, [("warn", "version one is added twice; the last counts")])
        self.assertEqual([v["batch_size"] for v in versions.versions.values()], [2])


class OrderTest(unittest.TestCase):
    def orders(self, versions, *given):
        return [versions.addV(str(i), order=order)["order"] for i, order in enumerate(given)]

    def test_is_the_place_in_which_a_version_was_added(self):
        self.assertEqual(self.orders(Versions(), None, None, None), [0, 1, 2])

    def test_counts_versions_with_an_order_of_their_own(self):
        self.assertEqual(self.orders(Versions(), None, 7, None), [0, 7, 2])

    def test_default(self):
        self.assertEqual(self.orders(Versions(order=5), None, 1, None), [5, 1, 5])

    def test_starts_anew_in_each_object(self):
        self.orders(Versions(), None, None)
        self.assertEqual(self.orders(Versions(), None), [0])


class GetVersionTest(unittest.TestCase):
    def test_by_name(self):
        versions = Versions()
        version = versions.addV("one")
        self.assertIs(versions.getVersion("one"), version)

    def test_unknown(self):
        with self.assertRaisesRegex(ValueError, "^there is no version 'two'$"):
            Versions().getVersion("two")


class VersionDictTest(unittest.TestCase):
    def setUp(self):
        self.version = Versions(0.1, batch_size=8).addV("one", custom_paramters={"depth": 3, "layers": [1, 2]})

    def test_reads_by_attribute(self):
        self.assertEqual((self.version.name, self.version.learning_rate, self.version.depth), ("one", 0.1, 3))

    def test_writes_by_attribute(self):
        self.version.depth = 4
        self.assertEqual(self.version["depth"], 4)

    def test_deletes_by_attribute(self):
        del self.version.depth
        self.assertNotIn("depth", self.version)

    def test_unknown_attribute(self):
        with self.assertRaisesRegex(AttributeError, "^Version has no width$"):
            self.version.width
        with self.assertRaises(AttributeError):
            del self.version.width
        self.assertFalse(hasattr(self.version, "width"))
        self.assertEqual(getattr(self.version, "width", 5), 5)

    def test_unknown_key(self):
        with self.assertRaises(KeyError):
            self.version["width"]

    def test_reads_by_the_keys_of_version_parameters(self):
        self.assertEqual(self.version[version_parameters.BATCH_SIZE], 8)

    def test_is_a_dict(self):
        self.assertIsInstance(self.version, dict)
        self.assertEqual(dict(**self.version), self.version)
        self.assertEqual("{learning_rate} {depth}".format(**self.version), "0.1 3")

    def test_pickle(self):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with self.subTest(protocol):
                again = pickle.loads(pickle.dumps(self.version, protocol))
                self.assertIs(type(again), Version)
                self.assertEqual(again, self.version)

    def test_copy(self):
        again = copy.copy(self.version)
        self.assertIs(type(again), Version)
        self.assertEqual(again, self.version)
        self.assertIs(again.layers, self.version.layers)

    def test_deepcopy(self):
        again = copy.deepcopy(self.version)
        self.assertIs(type(again), Version)
        self.assertEqual(again, self.version)
        self.assertIsNot(again.layers, self.version.layers)

    def test_its_own_copy(self):
        self.assertIs(type(self.version.copy()), Version)

    def test_versions_are_copied_and_pickled(self):
        versions = Versions(0.1)
        versions.addV("one")
        for again in copy.deepcopy(versions), pickle.loads(pickle.dumps(versions)):
            again.addV("two")
            self.assertEqual([v.order for v in again.versions.values()], [0, 1])
        self.assertEqual(list(versions.versions), ["one"])


class RangeOnParametersTest(unittest.TestCase):
    def made(self, *args, **kwargs):
        versions = Versions(0.5, batch_size=8)
        versions.rangeOnParameters(*args, **kwargs)
        return versions.versions

    def test_positions(self):
        self.assertEqual(parameters(Versions.rangeOnParameters)[:3], ["names", "combining_parameters", "parameters"])

    def test_the_example_of_its_docstring(self):
        made = self.made(combining_paramters=["learning_rate", "p1"],
                         paramters={"learning_rate": [0.005, 0.001], "p1": [1, 2], "batch_size": 100, "p2": 0.1})
        self.assertEqual([(v.learning_rate, v.p1, v.batch_size, v.p2) for v in made.values()],
                         [(0.005, 1, 100, 0.1), (0.005, 2, 100, 0.1), (0.001, 1, 100, 0.1), (0.001, 2, 100, 0.1)])

    def test_both_spellings(self):
        first = self.made(combining_parameters=["a"], parameters={"a": [1, 2]})
        self.assertEqual(len(first), 2)
        self.assertEqual(self.made(combining_paramters=["a"], parameters={"a": [1, 2]}), first)
        self.assertEqual(self.made(combining_parameters=["a"], paramters={"a": [1, 2]}), first)
        self.assertEqual(self.made(None, ["a"], {"a": [1, 2]}), first)

    def test_the_last_parameter_changes_fastest(self):
        made = self.made(["a", "b", "c", "d"], ["y", "x"], {"x": [1, 2], "y": [3, 4]})
        self.assertEqual([(name, v.y, v.x) for name, v in made.items()], [("a", 3, 1), ("b", 3, 2), ("c", 4, 1), ("d", 4, 2)])

    def test_order_is_that_of_the_product(self):
        self.assertEqual([v.order for v in self.made(None, ["a"], {"a": [1, 2, 3]}).values()], [0, 1, 2])

    def test_what_is_left_out_takes_the_default(self):
        self.assertEqual([(v.learning_rate, v.batch_size) for v in self.made(None, ["a"], {"a": [1]}).values()], [(0.5, 8)])

    def test_names_are_those_of_the_versions(self):
        self.assertEqual([v.name for v in self.made(["a", "b"], ["x"], {"x": [1, 2]}).values()], ["a", "b"])

    def test_wrong_count_of_names(self):
        for names in [], ["a"], ["a", "b", "c"]:
            versions = Versions()
            with self.assertRaisesRegex(ValueError, "^%d names for 2 combinations$" % len(names)):
                versions.rangeOnParameters(names, ["x"], {"x": [1, 2]})
            self.assertEqual(versions.versions, {})

    def test_parameter_without_values(self):
        with self.assertRaisesRegex(ValueError, "^'y' is to be combined, but parameters has no values of it$"):
            self.made(None, ["x", "y"], {"x": [1, 2]})

    def test_one_value_need_not_be_a_list(self):
        self.assertEqual([(v.x, v.y) for v in self.made(None, ["x", "y"], {"x": 1, "y": [2, 3]}).values()], [(1, 2), (1, 3)])

    def test_text_is_one_value(self):
        self.assertEqual([v.x for v in self.made(None, ["x"], {"x": "adam"}).values()], ["adam"])

    def test_tuples_and_ranges_are_combined(self):
        self.assertEqual([(v.x, v.y) for v in self.made(None, ["x", "y"], {"x": (1, 2), "y": range(2)}).values()],
                         [(1, 0), (1, 1), (2, 0), (2, 1)])

    def test_lists_that_are_not_combined_stay(self):
        self.assertEqual([v.layers for v in self.made(None, ["x"], {"x": [1, 2], "layers": [5, 6]}).values()], [[5, 6]] * 2)

    def test_nothing_to_combine(self):
        made = self.made(parameters={"x": [1, 2]})
        self.assertEqual([(name, v.x) for name, v in made.items()], [("default", [1, 2])])

    def test_what_the_caller_gave_stays_as_it_is(self):
        names, combined, given = ["a", "b"], ["x"], {"x": [1, 2], "learning_rate": 3, "name": "n", "layers": [1]}
        before = copy.deepcopy((names, combined, given))
        self.made(names, combined, given)
        self.made(None, combined, given)
        self.assertEqual((names, combined, given), before)

    def test_keys_that_are_no_text(self):
        made = self.made(["a", "b"], [1], {1: [2, 3], ("p", "q"): 4})
        self.assertEqual([(v[1], v["p", "q"]) for v in made.values()], [(2, 4), (3, 4)])

    def test_twice(self):
        versions = Versions()
        for _ in range(2):
            versions.rangeOnParameters(combining_parameters=["x"], parameters={"x": [1, 2]})
        self.assertEqual(list(versions.versions), ["x=1", "x=2", "x=1-2", "x=2-2"])
        self.assertEqual([v.order for v in versions.versions.values()], [0, 1, 2, 3])

    def test_beside_addV(self):
        versions = Versions()
        versions.addV("x=1")
        versions.rangeOnParameters(combining_parameters=["x"], parameters={"x": [1]})
        versions.addV("last")
        self.assertEqual([(v.name, v.order) for v in versions.versions.values()], [("x=1", 0), ("x=1-2", 1), ("last", 2)])


class MadeUpNamesTest(unittest.TestCase):
    def names(self, *values):
        versions = Versions()
        versions.rangeOnParameters(combining_parameters=["x"], parameters={"x": list(values)})
        return list(versions.versions)

    def test_are_made_of_the_values(self):
        versions = Versions()
        versions.rangeOnParameters(combining_parameters=["learning_rate", "depth"],
                                   parameters={"learning_rate": [0.1, 0.01], "depth": [3]})
        self.assertEqual(list(versions.versions), ["learning_rate=0.1-depth=3", "learning_rate=0.01-depth=3"])

    def test_of_plain_values(self):
        self.assertEqual(self.names(None, True, 1, 0.5, "adam"), ["x=None", "x=True", "x=1", "x=0.5", "x=adam"])

    def test_of_functions_and_classes(self):
        self.assertEqual(self.names(len, OrderedDict), ["x=len", "x=OrderedDict"])

    def test_of_numbers_of_libraries(self):
        self.assertEqual(self.names(Scalar(0.5)), ["x=0.5"])

    def test_of_whole_numbers_of_libraries(self):
        self.assertEqual(self.names(Scalar(32)), ["x=32"])

    def test_of_dicts_with_attributes(self):
        for get in dict.get, dict.__getitem__:
            dots = type("Dots", (dict,), {"__getattr__": get})
            self.assertEqual(self.names(dots(a=1), dots(a=2)), ["x=Dots0", "x=Dots1"])

    def test_of_objects_have_no_addresses(self):
        self.assertEqual(self.names(object(), object(), [1], {}), ["x=object0", "x=object1", "x=list2", "x=dict3"])

    def test_of_equal_values_differ(self):
        self.assertEqual(self.names("a", "a", "a-2", "a"), ["x=a", "x=a-2", "x=a-2-2", "x=a-3"])

    def test_have_no_control_characters(self):
        self.assertEqual(self.names("a\nb\x1b[0m"), ["x=a_b_[0m"])

    def test_of_long_values_are_short_and_differ(self):
        names = self.names("a" * 500 + "1", "a" * 500 + "2")
        self.assertEqual(len(set(names)), 2)
        self.assertLess(max(map(len, names)), 80)

    def test_are_the_same_at_each_start(self):
        script = """
from mlpipeline.utils import Versions
class C: pass
v = Versions()
v.rangeOnParameters(combining_parameters=["o", "f"], parameters={"o": [C(), {"b", "a"}, frozenset("xyz")], "f": [C, len, lambda: 0, "s"]})
print("\\n".join(v.versions))
"""
        first, second = (subprocess.run(
            [sys.executable, "-W", "error", "-c", script], env=dict(os.environ, PYTHONPATH=PACKAGE, PYTHONHASHSEED=seed),
            check=True, stdout=subprocess.PIPE).stdout for seed in "12")
        self.assertEqual(len(first.splitlines()), 12)
        self.assertEqual(first, second)


class DirectoriesOfARangeTest(unittest.TestCase):
    def suffixes(self, names=None, default=None, **parameters):
        versions = Versions(model_dir_suffix=default)
        versions.rangeOnParameters(names, list(parameters)[:1], parameters)
        return [v.model_dir_suffix for v in versions.versions.values()]

    def test_are_called_by_the_names(self):
        self.assertEqual(self.suffixes(x=[1, 0.5]), ["x=1", "x=0.5"])
        self.assertEqual(self.suffixes(["a", "b"], x=[1, 2]), ["a", "b"])

    def test_a_suffix_that_is_given(self):
        self.assertEqual(self.suffixes(x=[1, 2], model_dir_suffix="s"), ["s", "s"])
        self.assertEqual(self.suffixes(x=[1, 2], default="s"), ["s", "s"])
        self.assertEqual(self.suffixes(model_dir_suffix=["s", "t"]), ["s", "t"])

    def test_are_safe_and_differ(self):
        suffixes = self.suffixes(["a/b", "a\\b", "../a", "a b", "\u20ac", "\ud800", "n" * 300, "n" * 301, 5, "5"], x=list(range(10)))
        self.assertEqual(len(set(suffixes[:-2])), 8)
        for suffix in suffixes:
            self.assertRegex(suffix, r"^[A-Za-z0-9+,.=_-]{1,150}$")

    def test_addV_has_none(self):
        self.assertIsNone(Versions().addV("one").model_dir_suffix)


class VersionParametersTest(unittest.TestCase):
    def test_are_the_keys_of_a_version(self):
        values = {k: v for k, v in vars(version_parameters).items() if not k.startswith("_")}
        self.assertEqual(values, {key.upper(): key for key in STANDARD})


if __name__ == "__main__":
    unittest.main()
