import copy
import math
import pickle
import unittest
from decimal import Decimal
from fractions import Fraction

from recorder import PipelineTest

from mlpipeline.utils import Metric, MetricContainer, log_metric

INF = float("inf")


class Scalar:
    """A scalar of NumPy or torch: item() tells its value."""

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class Tensor(Scalar):
    """A tensor that needs its gradient: float() of it is a warning or an error, item() is not."""

    def __float__(self):
        raise RuntimeError("detach it first")


class Array:
    """An array of NumPy with more than one number."""

    def item(self):
        raise ValueError("can only convert an array of size 1 to a Python scalar")


class Str(str):
    """numpy.str_ is a str, with item()."""

    def item(self):
        return str(self)


class Float64(float):
    """numpy.float64 is a float, with item()."""

    def item(self):
        return float(self)


def tracked(window, *values):
    """A Metric with a window of epochs, of one update each."""
    metric = Metric(window)
    for value in values:
        metric.update(value)
        metric.reset_epoc()
    return metric


class MetricTest(unittest.TestCase):
    def test_starts_empty(self):
        metric = Metric()
        self.assertEqual((metric.count, metric.value, metric.epoc_count, metric.epoc_value), (0, 0, 0, 0))
        self.assertEqual((metric.track_average_epoc_count, metric.track_value_list), (1, []))
        self.assertEqual((metric.avg(), metric.avg_epoc()), (0, 0))

    def test_sums_value_and_count(self):
        metric = Metric()
        metric.update(3)
        metric.update(5.0, count=3)
        metric.update(1, 4)
        self.assertEqual((metric.value, metric.count, metric.epoc_value, metric.epoc_count), (9.0, 8, 9.0, 8))
        self.assertEqual((metric.avg(), metric.avg_epoc()), (1.125, 1.125))

    def test_reset_leaves_the_epoch_and_the_epoch_leaves_the_rest(self):
        metric = Metric(3)
        metric.update(4)
        metric.reset()
        metric.update(2)
        self.assertEqual((metric.avg(), metric.avg_epoc()), (2, 3))
        metric.reset_epoc()
        self.assertEqual((metric.avg(), metric.avg_epoc(), metric.track_value_list), (2, 0, [3]))
        self.assertEqual((metric.count, metric.epoc_count, metric.epoc_value), (1, 0, 0))

    def test_no_reset_touches_the_number_of_updates(self):
        metric = Metric()
        for _ in range(3):
            metric.update(1, count=10)
            metric.reset()
            metric.reset_epoc()
        self.assertEqual(metric._updates, 3)

    def test_an_epoch_of_nothing_is_0(self):
        self.assertEqual(tracked(2).track_value_list, [])
        metric = Metric(2)
        metric.reset_epoc()
        self.assertEqual(metric.track_value_list, [0])

    def test_the_window_holds_the_newest_epochs(self):
        self.assertEqual(tracked(3, 1, 2, 3, 4, 5).track_value_list, [3, 4, 5])
        self.assertEqual(tracked(1, 1, 2).track_value_list, [2])

    def test_tracking_average(self):
        averages = [tracked(4, *range(1, n + 1)).get_tracking_average() for n in range(6)]
        self.assertEqual(averages, [0, 0, 1.5, 2, 2.5, 3.5])
        self.assertEqual([tracked(5, *[6] * n).get_tracking_average() for n in range(5)], [0, 0, 0, 6, 6])
        self.assertEqual([tracked(1, *[6] * n).get_tracking_average() for n in range(3)], [0, 6, 6])

    def test_tracking_delta(self):
        squares = [k * k for k in range(5)]
        deltas = [tracked(3, *squares[:n]).get_tracking_delta() for n in range(6)]
        self.assertEqual(deltas, [0, 0, 0, 4, 8, 12])
        self.assertEqual(tracked(1, 5, 7).get_tracking_delta(), 0)

    def test_tracking_stdev(self):
        self.assertEqual([tracked(4).get_tracking_stdev(), tracked(4, 1).get_tracking_stdev()], [0, 0])
        self.assertAlmostEqual(tracked(4, 1, 3).get_tracking_stdev(), math.sqrt(2))
        self.assertAlmostEqual(tracked(8, 2, 4, 4, 4, 5, 5, 7, 9).get_tracking_stdev(), math.sqrt(32 / 7))
        self.assertAlmostEqual(tracked(3, 0.1, 0.1, 0.1).get_tracking_stdev(), 0)

    def test_the_window_is_at_least_1(self):
        for window in 0, -1:
            with self.assertRaises(ValueError):
                Metric(window)

    def test_numbers_of_other_types(self):
        for value in Scalar(2), Scalar(2.0), Tensor(2.0), Float64(2), Fraction(2), Decimal(2):
            metric = Metric()
            metric.update(value)
            self.assertEqual((metric.avg(), type(metric.value)), (2, float), type(value))
        metric = Metric()
        metric.update(True)
        metric.update(False)
        self.assertEqual(metric.avg(), 0.5)

    def test_a_diverged_loss_is_a_value(self):
        for value in INF, -INF:
            metric = tracked(1, value)
            metric.update(value)
            self.assertEqual((metric.avg(), metric.avg_epoc(), metric.get_tracking_average()), (value, value, value))
        metric = Metric()
        metric.update(math.nan)
        self.assertTrue(math.isnan(metric.avg()))

    def test_diverged_epochs_are_tracked(self):
        for values in (INF, -INF), (1e308, 1e308), (1e200, 0.0), (-INF, math.nan):
            metric = tracked(2, *values)
            for average in metric.get_tracking_average, metric.get_tracking_delta, metric.get_tracking_stdev:
                self.assertIsInstance(average(), float)

    def test_an_array_is_no_number(self):
        with self.assertRaisesRegex(TypeError, "Array"):
            Metric().update(Array())

    def test_a_text_with_item_is_no_number(self):
        with self.assertRaisesRegex(TypeError, "Str"):
            Metric().update(Str("1.5"))

    def test_what_is_no_number_is_named(self):
        for value in "1", b"1", None, [1], {}, 1j, object(), Scalar(1j), Scalar([1]), Scalar(None):
            metric = Metric()
            with self.assertRaisesRegex(TypeError, "(?i)str|bytes|none|list|dict|complex|object|scalar"):
                metric.update(value)
            self.assertEqual((metric.count, metric._updates), (0, 0))


class MetricContainerTest(PipelineTest):
    def test_names(self):
        for names in ["loss", "top-1"], ("loss", "top-1"):
            container = MetricContainer(names, 4)
            self.assertEqual(list(container), ["loss", "top-1"])
            self.assertIs(container.loss, container["loss"])
            self.assertEqual({type(m) for m in container.values()}, {Metric})
            self.assertEqual([m.track_average_epoc_count for m in container.values()], [4, 4])
        self.assertEqual(MetricContainer(metrics=["a"])["a"].track_average_epoc_count, 1)

    def test_sets_with_windows_of_their_own(self):
        container = MetricContainer(track_average_epoc_count=5, metrics=[
            {"metrics": ["a", "b"]}, {"metrics": ["2"], "track_average_epoc_count": 10}])
        self.assertEqual({k: m.track_average_epoc_count for k, m in container.items()}, {"a": 5, "b": 5, "2": 10})

    def test_none_is_empty(self):
        for container in MetricContainer(), MetricContainer([]), MetricContainer(()):
            self.assertEqual(dict(container), {})
            self.assertEqual(container.log_metrics(), "")
        self.assertEqual((self.logged, self.metrics, self.steps), ([], [], []))

    def test_anything_else_is_a_type_error(self):
        for metrics in "loss", {"loss": 1}, 5, {"metrics": ["loss"]}:
            with self.assertRaises(TypeError):
                MetricContainer(metrics)

    def test_a_set_without_its_names_is_a_type_error(self):
        with self.assertRaises(TypeError):
            MetricContainer([{"track_average_epoc_count": 2}])

    def test_other_keywords_are_passed_over_as_in_2019(self):
        self.assertEqual(list(MetricContainer(["loss"], name="training")), ["loss"])

    def test_holds_metrics_only(self):
        container = MetricContainer(["a"])
        metric = container.b = Metric()
        self.assertIs(container["b"], metric)
        container["c"] = metric
        self.assertIs(container.c, metric)
        for value in 1.0, None, "x", MetricContainer():
            with self.assertRaises(TypeError):
                container.a = value
            with self.assertRaises(TypeError):
                container["a"] = value
        self.assertIsInstance(container.a, Metric)

    def test_what_is_missing(self):
        container = MetricContainer(["a"])
        with self.assertRaisesRegex(AttributeError, "loss"):
            container.loss
        with self.assertRaises(KeyError):
            container["loss"]
        self.assertFalse(hasattr(container, "loss"))

    def test_a_name_of_a_method_is_read_by_item(self):
        container = MetricContainer(["items", "update", "reset"])
        container["items"].update(2)
        self.assertEqual(len(container.items()), 3)
        container.reset_epoc(["items"])
        self.assertEqual(container["items"].track_value_list, [2])
        self.assertEqual(container.log_metrics(["items"]), "items: 2.0000    ")

    def test_copies_and_pickles(self):
        container = MetricContainer(["a"], 3)
        container.a.update(4)
        for other in copy.deepcopy(container), pickle.loads(pickle.dumps(container)):
            self.assertIs(type(other), MetricContainer)
            other.a.update(6)
            self.assertEqual((other.a.avg(), container.a.avg(), other.a.track_average_epoc_count), (5, 4, 3))

    def test_reset_of_all_or_of_some(self):
        for reset, count in ("reset", "count"), ("reset_epoc", "epoc_count"):
            container = MetricContainer(["a", "b", "c"])
            for metric in container.values():
                metric.update(1)
            getattr(container, reset)(["a", "c", "nobody"])
            self.assertEqual([getattr(m, count) for m in container.values()], [0, 1, 0])
            getattr(container, reset)()
            self.assertEqual([getattr(m, count) for m in container.values()], [0, 0, 0])

    def test_results(self):
        container = MetricContainer(["whole", "epoch", "never"])
        container.whole.update(2)
        container.whole.update(4)
        container.epoch.update(3)
        container.epoch.reset()
        self.assertEqual(container._results(), {"whole": 3.0, "epoch": 3.0})
        self.assertEqual({type(v) for v in container._results().values()}, {float})
        container.whole.reset_epoc()
        container.epoch.reset_epoc()
        self.assertEqual(container._results(), {"whole": 3.0})


class LogMetricsTest(PipelineTest):
    def container(self, *names):
        container = MetricContainer(list(names))
        for metric in container.values():
            metric.update(1.23456)
        return container

    def rows(self):
        return [message.rstrip() for message in self.messages()]

    def test_text(self):
        container = MetricContainer(["loss", "never"])
        container.loss.update(1.23456)
        text = container.log_metrics()
        self.assertEqual(text, "loss: 1.2346    never: 0.0000    ")
        self.assertEqual(self.logged, [("info", self.messages()[0])])
        self.assertEqual(self.rows(), [text.rstrip()])

    def test_items_per_row(self):
        text = self.container(*"abcdefg").log_metrics()
        self.assertEqual([row.split() for row in text.split("\n")],
                         [[p for n in row for p in (n + ":", "1.2346")] for row in ("abc", "def", "g")])
        self.assertEqual(self.rows(), [row.rstrip() for row in text.split("\n")])
        self.assertEqual(len(self.container("a", "b").log_metrics(items_per_row=1).split("\n")), 2)
        self.assertEqual(len(self.container(*"abcdef").log_metrics(items_per_row=3).split("\n")), 2)

    def test_characters_per_row(self):
        item = len("a: 1.2346    ")
        for width, rows in ((2 * item, 2), (2 * item - 1, 3), (3 * item, 1), (1, 3)):
            text = self.container(*"abc").log_metrics(charachters_per_row=width)
            self.assertEqual(len(text.split("\n")), rows)
        self.assertNotIn("", self.rows())

    def test_a_longer_item_has_a_row_of_its_own(self):
        long = "m" * 60
        text = self.container("a", long, "b").log_metrics()
        self.assertEqual([row.split(":")[0] for row in text.split("\n")], ["a", long, "b"])
        self.assertEqual([row.split(":")[0] for row in self.rows()], ["a", long, "b"])

    def test_records_by_step(self):
        container = MetricContainer(["a", "b", "never"])
        for value in range(4):
            container.a.update(value)
        container.b.update(7)
        self.before = 100
        container.log_metrics()
        self.assertEqual(self.metrics, [("a", 104, 1.5), ("b", 101, 7.0)])
        self.assertEqual({type(value) for _, _, value in self.metrics}, {float})
        self.assertEqual(self.steps, [104])

    def test_steps_go_on_after_a_reset(self):
        container = self.container("a")
        container.log_metrics()
        container.reset()
        container.reset_epoc()
        container.a.update(5)
        container.log_metrics()
        self.assertEqual([step for _, step, _ in self.metrics], [1, 2])

    def test_records_what_was_updated_since_the_reset_that_counts(self):
        container = self.container("a")
        container.reset()
        container.log_metrics()
        self.assertEqual((self.metrics, self.steps), ([], []))
        container.log_metrics(complete_epoc=True)
        self.assertEqual(self.metrics, [("a", 1, 1.23456)])
        container.a.update(3)
        container.reset_epoc()
        container.log_metrics(complete_epoc=True)
        self.assertEqual(len(self.metrics), 1)
        self.assertEqual(container.log_metrics(), "a: 3.0000    ")
        self.assertEqual(self.metrics[1:], [("a", 2, 3.0)])

    def test_records_the_epoch(self):
        container = self.container("a")
        container.reset()
        container.a.update(3.23456)
        self.assertEqual(container.log_metrics(complete_epoc=True), "a: 2.2346    ")
        [(_, _, value)] = self.metrics
        self.assertAlmostEqual(value, 2.23456)

    def test_an_evaluation_has_a_prefix_and_no_progress(self):
        self.prefix = "test."
        text = self.container("a").log_metrics()
        self.assertEqual((self.metrics, self.steps), ([("test.a", 1, 1.23456)], []))
        self.assertEqual(text, "a: 1.2346    ")

    def test_some_and_unknown_ones(self):
        text = self.container("a", "b", "c").log_metrics(["c", "nobody", "a"])
        self.assertEqual(text.split()[::2], ["a:", "c:"])
        self.assertEqual([name for name, _, _ in self.metrics], ["a", "c"])
        self.assertEqual(self.container("a").log_metrics(["nobody"]), "")
        self.assertEqual(len(self.logged), 1)

    def test_values_that_are_no_finite_numbers(self):
        container = MetricContainer(["a", "b"])
        container.a.update(math.nan)
        container.b.update(-INF)
        self.assertEqual(container.log_metrics(), "a: nan    b: -inf    ")
        self.assertTrue(math.isnan(self.metrics[0][2]))
        self.assertEqual(self.metrics[1], ("b", 1, -INF))


class LogMetricTest(PipelineTest):
    def test_records_a_point(self):
        for value in 2.0, 2, Scalar(2), Tensor(2.0), Float64(2.0):
            log_metric("a", value, 7)
        self.assertEqual(self.metrics, [("a", 7, 2.0)] * 5)
        self.assertEqual({type(value) for _, _, value in self.metrics}, {float})
        self.assertEqual((self.logged, self.steps), ([], []))

    def test_what_is_no_number_is_named(self):
        with self.assertRaisesRegex(TypeError, "str"):
            log_metric("a", "2", 7)
        self.assertEqual(self.metrics, [])


if __name__ == "__main__":
    unittest.main()
