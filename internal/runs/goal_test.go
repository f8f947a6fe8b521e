package runs

import (
	"math"
	"testing"
)

func TestGoal(t *testing.T) {
	for _, name := range []string{"test.loss", "loss", "val_loss", "valLoss", "logloss", "test.error_rate", "ErrorRate", "rmse", "train.MAE", "perplexity", "cross_entropy", "top5-err"} {
		if !Goal(name) {
			t.Errorf("%s: lower is better", name)
		}
	}
	for _, name := range []string{"test.accuracy", "f1", "auc", "lossless_ratio", "interrupts", "mean_reward", "", "bleu"} {
		if Goal(name) {
			t.Errorf("%s: higher is better", name)
		}
	}
}

func TestBetter(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		metric string
		a, b   float64
		better bool
	}{
		{"accuracy", 2, 1, true}, {"accuracy", 1, 2, false}, {"accuracy", 1, 1, false},
		{"loss", 1, 2, true}, {"loss", 2, 1, false},
		{"accuracy", nan, 1, false}, {"accuracy", -inf, nan, true}, {"loss", inf, nan, true}, {"loss", nan, inf, false}, {"loss", nan, nan, false},
	} {
		if got := (Measure{Metric: c.metric}).For(nil).Better(c.a, c.b); got != c.better {
			t.Errorf("%s: %v better than %v: %t", c.metric, c.a, c.b, got)
		}
	}
}
