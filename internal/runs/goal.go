package runs

import (
	"slices"
	"strings"
	"unicode"
)

// lower are the words in the name of a metric that is the better the lower it is.
var lower = []string{
	"bpc", "bpd", "brier", "cer", "cost", "crossentropy", "deviance", "divergence", "eer", "entropy", "err", "error", "errors", "fid",
	"kl", "latency", "loss", "losses", "mae", "mape", "mase", "mse", "msle", "nll", "perplexity", "ppl", "regret", "rmse", "rmsle", "seconds", "smape", "time", "wer",
}

// Goal reports whether a metric is the better the lower it is. Its name tells: test.loss, val_rmse, errorRate, logloss.
func Goal(metric string) (lowerIsBetter bool) {
	for _, word := range words(metric) {
		if slices.Contains(lower, word) || strings.HasSuffix(word, "loss") || strings.HasSuffix(word, "error") {
			return true
		}
	}
	return false
}

// words splits a name at what is no letter, and where small letters are followed by a capital.
func words(name string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			end()
			continue
		case unicode.IsUpper(r) && len(word) > 0 && unicode.IsLower(word[len(word)-1]):
			end()
		}
		word = append(word, r)
	}
	end()
	return words
}
