// Package digits loads the project's data set: images of handwritten digits, split into a training and a test set.
//
// The split is the same in every process: shuffled with a fixed seed, and stratified, so that a quarter of each class
// is kept for the test. Pixels are scaled by their known range, not by anything measured on the data, so nothing of the
// test set leaks into the training.
//
// The file is a gzipped CSV without a header: [Pixels] whole numbers from 0 to 16, then the class from 0 to 9.
package digits

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"

	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

const (
	Pixels  = 8 * 8 // values in an image, row by row
	Classes = 10

	maxPixel  = 16
	splitSeed = 1
)

// Set is a list of images with their classes. It is shared by everything that reads it: do not change it.
type Set struct {
	Images [][]float64 // Pixels values in 0..1 each
	Labels []int       // 0..Classes-1
}

// Len is the number of images.
func (s Set) Len() int { return len(s.Images) }

// Head is the first n images, or all of them if there are fewer.
func (s Set) Head(n int) Set {
	n = min(n, s.Len())
	return Set{s.Images[:n], s.Labels[:n]}
}

// Loader is an [mlp.DataLoader] whose inputs are of type [Set]. It reads its file when it is first asked for data.
type Loader struct {
	load func() (parts, error)
}

type parts struct{ train, test Set }

// New makes a loader of the file at path, which is relative to the project's folder: models start there.
func New(path string) *Loader {
	return &Loader{sync.OnceValues(func() (parts, error) { return open(path) })}
}

// Load reads the file, if that has not been done yet. A model calls it in Setup to fail with the reason,
// as a sample count cannot carry an error.
func (l *Loader) Load() error {
	_, err := l.load()
	return err
}

// TrainInput returns the training set; it is the same for training and for evaluation.
func (l *Loader) TrainInput(context.Context, mlp.Phase) (any, error) {
	data, err := l.load()
	return data.train, err
}

// TestInput returns the test set.
func (l *Loader) TestInput(context.Context) (any, error) {
	data, err := l.load()
	return data.test, err
}

// TrainSampleCount is 0 if the file cannot be read; see [Loader.Load].
func (l *Loader) TrainSampleCount() int {
	data, _ := l.load()
	return data.train.Len()
}

// TestSampleCount is 0 if the file cannot be read; see [Loader.Load].
func (l *Loader) TestSampleCount() int {
	data, _ := l.load()
	return data.test.Len()
}

// Summary is recorded with every run.
func (l *Loader) Summary() string {
	return fmt.Sprintf("handwritten digits, 8x8 pixels, %d classes: %d to train, %d to test (split seed %d)",
		Classes, l.TrainSampleCount(), l.TestSampleCount(), splitSeed)
}

func open(path string) (parts, error) {
	f, err := os.Open(path)
	if err != nil {
		return parts{}, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return parts{}, fmt.Errorf("read %s: %w", path, err)
	}
	all, err := parse(z)
	if err != nil {
		return parts{}, fmt.Errorf("read %s: %w", path, err)
	}
	train, test := split(all.Labels)
	return parts{all.pick(train), all.pick(test)}, nil
}

func parse(r io.Reader) (Set, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = Pixels + 1
	rows.ReuseRecord = true
	var s Set
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return Set{}, err
		}
		var values [Pixels + 1]int
		for i, field := range row {
			limit := maxPixel
			if i == Pixels {
				limit = Classes - 1
			}
			values[i], err = strconv.Atoi(field)
			if err != nil || values[i] < 0 || values[i] > limit {
				line, column := rows.FieldPos(i)
				return Set{}, fmt.Errorf("line %d, column %d: %q is not a whole number from 0 to %d", line, column, field, limit)
			}
		}
		image := make([]float64, Pixels)
		for i := range image {
			image[i] = float64(values[i]) / maxPixel
		}
		s.Images = append(s.Images, image)
		s.Labels = append(s.Labels, values[Pixels])
	}
}

// split deals the indices of labels out to the two sets, in shuffled order: every fourth of a class is for the test.
func split(labels []int) (train, test []int) {
	var seen [Classes]int
	for _, i := range rand.New(rand.NewPCG(splitSeed, 0)).Perm(len(labels)) {
		class := labels[i]
		if seen[class]%4 == 3 {
			test = append(test, i)
		} else {
			train = append(train, i)
		}
		seen[class]++
	}
	return train, test
}

func (s Set) pick(indices []int) Set {
	var picked Set
	for _, i := range indices {
		picked.Images = append(picked.Images, s.Images[i])
		picked.Labels = append(picked.Labels, s.Labels[i])
	}
	return picked
}
