package main

import (
	"math/rand/v2"

	"github.com/mlpipeline/mlpipeline/examples/sample-project/digits"
)

const momentum = 0.9

// training is a network on its way, by mini-batch gradient descent with momentum. Its exported fields are the
// checkpoint: with them a resumed training goes on bit for bit as an uninterrupted one would.
type training struct {
	Hidden   int
	Seed     int
	Step     int // steps trained so far
	Params   []float64
	Velocity []float64

	net      *network
	gradient []float64
}

func newTraining(hidden int, seed int) *training {
	t := &training{
		Hidden: hidden, Seed: seed,
		Params: make([]float64, paramCount(hidden)), Velocity: make([]float64, paramCount(hidden)),
	}
	t.ready()
	t.net.initialize(seed)
	return t
}

// ready prepares what is not in the checkpoint.
func (t *training) ready() {
	t.net = newNetwork(t.Params, t.Hidden)
	t.gradient = make([]float64, len(t.Params))
}

// order is the order of an epoch's n samples. It depends on nothing but the seed and the epoch, so there is no state of
// a random generator to save.
func (t *training) order(epoch, n int) []int {
	return rand.New(rand.NewPCG(uint64(t.Seed), uint64(epoch)+1)).Perm(n)
}

// step trains on the images of set that batch lists. It returns their mean loss, and how many of them it
// classified correctly, before the step.
func (t *training) step(set digits.Set, batch []int, learningRate float64) (loss float64, correct int) {
	clear(t.gradient)
	grad := view(t.gradient, t.Hidden)
	for _, i := range batch {
		if t.net.forward(set.Images[i]) == set.Labels[i] {
			correct++
		}
		loss += t.net.loss(set.Labels[i])
		t.net.backward(grad, set.Images[i], set.Labels[i])
	}
	n := float64(len(batch))
	for i, g := range t.gradient {
		t.Velocity[i] = momentum*t.Velocity[i] - learningRate*g/n
		t.Params[i] += t.Velocity[i]
	}
	t.Step++
	return loss / n, correct
}
