package main

import (
	"math"
	"math/rand/v2"

	"github.com/mlpipeline/mlpipeline/examples/sample-project/digits"
)

// network classifies an image with one hidden layer of rectified linear units and a softmax over the classes.
//
// All its parameters lie in one vector, so the optimizer and the checkpoint need not know the layers.
type network struct {
	params []float64
	layers           // views of params
	unit   []float64 // activations of the hidden layer for the last image
	prob   []float64 // probabilities of the classes for the last image
}

// layers are views of a vector: weights lie row by row, one row for each unit (w1) or class (w2).
type layers struct{ w1, b1, w2, b2 []float64 }

func view(v []float64, hidden int) layers {
	next := func(n int) []float64 {
		head := v[:n]
		v = v[n:]
		return head
	}
	return layers{
		w1: next(hidden * digits.Pixels), b1: next(hidden),
		w2: next(digits.Classes * hidden), b2: next(digits.Classes),
	}
}

// paramCount is the length of the vector that holds a network.
func paramCount(hidden int) int {
	return hidden*digits.Pixels + hidden + digits.Classes*hidden + digits.Classes
}

// newNetwork wraps params, of length paramCount(hidden), without copying them.
func newNetwork(params []float64, hidden int) *network {
	return &network{
		params: params,
		layers: view(params, hidden),
		unit:   make([]float64, hidden),
		prob:   make([]float64, digits.Classes),
	}
}

// initialize draws the weights as He et al. (2015) do for rectified linear units; biases start at 0.
func (n *network) initialize(seed int) {
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	draw := func(weights []float64, inputs int) {
		for i := range weights {
			weights[i] = random.NormFloat64() * math.Sqrt(2/float64(inputs))
		}
	}
	draw(n.w1, digits.Pixels)
	draw(n.w2, len(n.unit))
}

// forward classifies one image: it fills n.unit and n.prob, and returns the most probable class.
func (n *network) forward(image []float64) (class int) {
	for j := range n.unit {
		n.unit[j] = max(0, n.b1[j]+dot(row(n.w1, j, digits.Pixels), image))
	}
	for c := range n.prob {
		n.prob[c] = n.b2[c] + dot(row(n.w2, c, len(n.unit)), n.unit)
		if n.prob[c] > n.prob[class] {
			class = c
		}
	}
	highest, sum := n.prob[class], 0.0
	for c, logit := range n.prob {
		n.prob[c] = math.Exp(logit - highest) // at most 1: no overflow
		sum += n.prob[c]
	}
	for c := range n.prob {
		n.prob[c] /= sum
	}
	return class
}

// backward adds the gradient of the loss of the image that forward saw last to grad.
func (n *network) backward(grad layers, image []float64, label int) {
	n.prob[label]-- // now the gradient with respect to the logits
	for c, d := range n.prob {
		grad.b2[c] += d
		addScaled(row(grad.w2, c, len(n.unit)), d, n.unit)
	}
	for j, activation := range n.unit {
		if activation == 0 {
			continue
		}
		d := 0.0
		for c := range n.prob {
			d += n.prob[c] * n.w2[c*len(n.unit)+j]
		}
		grad.b1[j] += d
		addScaled(row(grad.w1, j, digits.Pixels), d, image)
	}
}

// loss is the cross entropy of the image that forward saw last.
func (n *network) loss(label int) float64 { return -math.Log(n.prob[label]) }

func row(matrix []float64, i, columns int) []float64 { return matrix[i*columns : (i+1)*columns] }

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// addScaled adds factor*b to a.
func addScaled(a []float64, factor float64, b []float64) {
	for i, x := range b {
		a[i] += factor * x
	}
}
