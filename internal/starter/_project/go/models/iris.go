// Command iris is a model: it learns to tell three species of iris by the size of their leaves, with softmax regression.
//
// mlpipeline builds this file, asks it for its versions, and starts it once for each of them. What makes it a model is
// main and the methods of softmax and of iris: change what they do, and leave their names. A second model is a second file,
// or a folder, beside this one, with its name in models.config and models_test.config.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mlpipeline/mlpipeline/pkg/mlp" // comes with mlpipeline: there is nothing to install
)

// main says which versions there are: sets of parameters, each trained, evaluated and recorded for itself.
func main() {
	versions := mlp.NewVersions(mlp.Version{ // what they have in common
		DataLoader:   &iris{file: "datasets/iris.csv", seed: 1},
		BatchSize:    10,
		Epochs:       200,
		LearningRate: 0.1,
		Params:       mlp.Params{"seed": 1}, // parameters of your own, as many as you like
	})
	versions.Add(mlp.Version{Name: "baseline"})
	// A grid adds a version for each value, here learning_rate=0.3 and learning_rate=1; with two axes, for each pair.
	versions.Grid("", mlp.Axis{Param: "learning_rate", Values: []any{0.3, 1.0}})
	mlp.Main(&softmax{}, versions, mlp.AllowDeleteModelDir())
}

// pause is made after each epoch, so that there is something to watch, and to stop. Your model needs none: delete it.
const pause = 5 * time.Millisecond

const (
	species  = 3
	measures = 4
)

// softmax is the model. Its exported fields are what a checkpoint holds.
type softmax struct {
	Step    int                            // that many steps are trained
	Weights [species][measures + 1]float64 // the last of each row is a bias

	seed uint64
}

// Setup is called first. It starts a new model, or takes up the one that an interrupted run has left in run.Dir.
func (m *softmax) Setup(_ context.Context, run *mlp.Run) error {
	seed, ok := run.Version.Params["seed"].(int)
	if !ok {
		return fmt.Errorf("seed is %v, which is no whole number", run.Version.Params["seed"])
	}
	*m = softmax{seed: uint64(seed)}
	if err := m.load(run.Dir); err != nil {
		return err
	}
	if m.Step > 0 {
		run.Logf("goes on after step %d", m.Step)
	}
	return run.Version.DataLoader.(*iris).load()
}

// Train makes steps steps on in, which is what TrainInput has returned.
func (m *softmax) Train(ctx context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	flowers, size := in.([]flower), run.Version.BatchSize
	perEpoch := (len(flowers) + size - 1) / size
	last := m.Step + steps
	for m.Step < last && ctx.Err() == nil { // ctx ends when the run is to stop: what is saved then is taken up by -u
		epoch, batch := m.Step/perEpoch, m.Step%perEpoch
		// The order depends on nothing but seed and epoch, so that a run which was interrupted goes on as if it had not been.
		order := rand.New(rand.NewPCG(m.seed, uint64(epoch))).Perm(len(flowers))
		order = order[batch*size:]
		if len(order) > size {
			order = order[:size]
		}
		loss := m.learn(flowers, order, run.Version.LearningRate)
		m.Step++
		run.Metric("loss", m.Step, loss) // any name, as often as you like: `mlpipeline plot loss` draws the curve
		run.Progress(m.Step, last)
		if m.Step%perEpoch == 0 {
			if err := m.save(run.Dir); err != nil {
				return nil, err
			}
			time.Sleep(pause)
		}
	}
	return nil, errors.Join(m.save(run.Dir), ctx.Err())
}

// Evaluate is called on the training data and then on the test data. What it returns is the result of the run.
func (m *softmax) Evaluate(_ context.Context, run *mlp.Run, in any, steps int) (mlp.Metrics, error) {
	flowers := in.([]flower)
	if n := steps * run.Version.BatchSize; n < len(flowers) {
		flowers = flowers[:n] // in test mode, where there is one step; elsewhere there are as many as it takes
	}
	right, loss := 0.0, 0.0
	for _, f := range flowers {
		p := m.probabilities(f)
		if p[f.species] > p[(f.species+1)%species] && p[f.species] > p[(f.species+2)%species] {
			right++
		}
		loss -= math.Log(p[f.species])
	}
	n := float64(len(flowers))
	return mlp.Metrics{"accuracy": right / n, "loss": loss / n}, nil
}

// TrainedSteps tells how far an interrupted run has come: it goes on there. Without this method it would begin again.
func (*softmax) TrainedSteps(_ context.Context, run *mlp.Run) (int, error) {
	var saved softmax
	err := saved.load(run.Dir)
	return saved.Step, err
}

// CleanModelDir is called before a version starts from scratch. It deletes what save has written, and nothing else.
// mlpipeline itself never deletes anything: without mlp.AllowDeleteModelDir, in main, this is not called.
func (*softmax) CleanModelDir(_ context.Context, dir string) error {
	for _, name := range []string{checkpoint, checkpoint + ".new"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkpoint is the file in the model directory. Each version has a directory of its own, below models/outputs.
const checkpoint = "checkpoint.json"

// save writes to another name first: whenever the process dies, the file holds one whole state.
func (m *softmax) save(dir string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, checkpoint)
	if err := os.WriteFile(file+".new", text, 0o666); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// load reads the checkpoint in dir, if there is one.
func (m *softmax) load(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, checkpoint))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, m)
}

// probabilities says how likely f is of each species.
func (m *softmax) probabilities(f flower) (p [species]float64) {
	sum := 0.0
	for s, w := range m.Weights {
		z := w[measures]
		for i, x := range f.measures {
			z += w[i] * x
		}
		p[s] = math.Exp(z)
		sum += p[s]
	}
	for s := range p {
		p[s] /= sum
	}
	return p
}

// learn makes one step of gradient descent on a batch of flowers. It returns their mean loss before it.
func (m *softmax) learn(flowers []flower, batch []int, rate float64) (loss float64) {
	rate /= float64(len(batch))
	next := m.Weights
	for _, i := range batch {
		f := flowers[i]
		p := m.probabilities(f)
		loss -= math.Log(p[f.species])
		p[f.species]--
		for s := range p {
			for j, x := range f.measures {
				next[s][j] -= rate * p[s] * x
			}
			next[s][measures] -= rate * p[s]
		}
	}
	m.Weights = next
	return loss / float64(len(batch))
}

// iris is the data loader: it gives the versions their data, and says how much there is.
type iris struct {
	file string // from the project's folder, in which models start
	seed uint64 // of the split into training and test data

	train, test []flower
}

type flower struct {
	measures [measures]float64
	species  int
}

func (d *iris) TrainInput(context.Context, mlp.Phase) (any, error) { return d.train, nil }
func (d *iris) TestInput(context.Context) (any, error)             { return d.test, nil }
func (d *iris) TrainSampleCount() int                              { return len(d.train) }
func (d *iris) TestSampleCount() int                               { return len(d.test) }

// load reads the file, and keeps a fifth of each species for the test. It is called by Setup, not by main: mlpipeline starts
// a model also to ask for its versions.
func (d *iris) load() error {
	if d.train != nil {
		return nil
	}
	file, err := os.Open(d.file)
	if err != nil {
		return err
	}
	defer file.Close()
	in := csv.NewReader(file)
	in.FieldsPerRecord = measures + 1
	rows, err := in.ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", d.file, err)
	}
	rows = rows[1:] // the first is a header
	var seen [species]int
	for _, i := range rand.New(rand.NewPCG(d.seed, 0)).Perm(len(rows)) {
		f, err := parse(rows[i])
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", d.file, i+2, err)
		}
		if seen[f.species]++; seen[f.species]%5 == 0 {
			d.test = append(d.test, f)
		} else {
			d.train = append(d.train, f)
		}
	}
	return nil
}

// middle is about the mean of each measure: training is quicker from there.
var middle = [measures]float64{5.8, 3.1, 3.8, 1.2}

func parse(row []string) (f flower, err error) {
	for i := range f.measures {
		cm, err := strconv.ParseFloat(row[i], 64)
		if err != nil {
			return f, err
		}
		f.measures[i] = cm - middle[i]
	}
	f.species, err = strconv.Atoi(row[measures])
	if err == nil && (f.species < 0 || f.species >= species) {
		err = fmt.Errorf("there is no species %d", f.species)
	}
	return f, err
}
