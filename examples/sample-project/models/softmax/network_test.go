package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mlpipeline/mlpipeline/examples/sample-project/digits"
)

// TestGradient compares backward with the slope of the loss, measured by moving each parameter a little.
func TestGradient(t *testing.T) {
	const hidden, label, move = 5, 3, 1e-6
	params := make([]float64, paramCount(hidden))
	net := newNetwork(params, hidden)
	net.initialize(1)
	random := rand.New(rand.NewPCG(2, 0))
	image := make([]float64, digits.Pixels)
	for i := range image {
		image[i] = random.Float64()
	}
	lossAt := func(i int, value float64) float64 {
		old := params[i]
		defer func() { params[i] = old }()
		params[i] = value
		net.forward(image)
		return net.loss(label)
	}

	gradient := make([]float64, len(params))
	net.forward(image)
	net.backward(view(gradient, hidden), image, label)
	nonzero := 0
	for i, got := range gradient {
		want := (lossAt(i, params[i]+move) - lossAt(i, params[i]-move)) / (2 * move)
		if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
			t.Errorf("parameter %d: gradient %g, slope %g", i, got, want)
		}
		if got != 0 {
			nonzero++
		}
	}
	if nonzero < len(gradient)/4 {
		t.Errorf("only %d of %d gradients are not 0: nothing was compared", nonzero, len(gradient))
	}
}

func TestProbabilities(t *testing.T) {
	const hidden = 2
	net := newNetwork(make([]float64, paramCount(hidden)), hidden)
	copy(net.b2, []float64{0, 1000, -1000}) // logits far apart do not overflow
	if class := net.forward(make([]float64, digits.Pixels)); class != 1 || net.prob[1] != 1 || net.prob[0] != 0 {
		t.Errorf("class %d, probabilities %v", class, net.prob)
	}
}
