package digits

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp"
)

const file = "../datasets/digits.csv.gz"

func TestSplitIsDisjointAndComplete(t *testing.T) {
	labels := make([]int, 1797)
	for i := range labels {
		labels[i] = i * i % Classes // classes of unequal size
	}
	train, test := split(labels)
	all := slices.Concat(train, test)
	slices.Sort(all)
	for i, index := range all {
		if i != index {
			t.Fatalf("index %d is in neither set or in both", i)
		}
	}
	if len(all) != len(labels) {
		t.Fatalf("%d indices of %d samples", len(all), len(labels))
	}
	again, _ := split(labels)
	if !slices.Equal(train, again) {
		t.Error("two splits differ")
	}
}

func TestLoader(t *testing.T) {
	loader := New(file)
	in, err := loader.TrainInput(context.Background(), mlp.Training)
	if err != nil {
		t.Fatal(err)
	}
	out, err := loader.TestInput(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	train, test := in.(Set), out.(Set)
	if train.Len() != loader.TrainSampleCount() || test.Len() != loader.TestSampleCount() || train.Len()+test.Len() != 1797 {
		t.Errorf("%d and %d samples, counted as %d and %d, want 1797 in all",
			train.Len(), test.Len(), loader.TrainSampleCount(), loader.TestSampleCount())
	}
	perClass := func(s Set) (n [Classes]int) {
		for i, image := range s.Images {
			n[s.Labels[i]]++
			if len(image) != Pixels || slices.Min(image) < 0 || slices.Max(image) > 1 {
				t.Fatalf("image %d is not %d values in 0..1: %v", i, Pixels, image)
			}
		}
		return n
	}
	inTrain, inTest := perClass(train), perClass(test)
	for class := range Classes {
		if share := float64(inTest[class]) / float64(inTrain[class]+inTest[class]); share < 0.23 || share > 0.27 {
			t.Errorf("class %d: a share of %.3f is in the test set, want 0.25", class, share)
		}
	}
	if again := New(file); again.Load() != nil || !reflect.DeepEqual(mustLoad(t, again), mustLoad(t, loader)) {
		t.Error("two loaders of one file differ")
	}
	if !strings.Contains(loader.Summary(), "1352 to train, 445 to test") {
		t.Errorf("Summary() = %q", loader.Summary())
	}
}

func mustLoad(t *testing.T, l *Loader) parts {
	t.Helper()
	data, err := l.load()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestHead(t *testing.T) {
	s := Set{Images: make([][]float64, 3), Labels: make([]int, 3)}
	for n, want := range map[int]int{0: 0, 2: 2, 3: 3, 9: 3} {
		if got := s.Head(n); got.Len() != want || len(got.Labels) != want {
			t.Errorf("Head(%d) has %d images, want %d", n, got.Len(), want)
		}
	}
}

func TestLoaderSaysWhatIsWrong(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain.csv")
	if err := os.WriteFile(plain, []byte("0,1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{plain, filepath.Join(t.TempDir(), "missing.csv.gz")} {
		loader := New(path)
		if err := loader.Load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Load() = %v, want an error that names %s", err, path)
		}
		if n := loader.TrainSampleCount(); n != 0 {
			t.Errorf("%d samples in %s", n, path)
		}
	}
}

func TestParseErrors(t *testing.T) {
	good := strings.Repeat("16,", Pixels) + "9\n"
	for _, c := range []struct{ text, want string }{
		{good + "1,2\n", "record on line 2: wrong number of fields"},
		{good + strings.Repeat("16,", Pixels) + "10\n", `line 2, column 193: "10" is not a whole number from 0 to 9`},
		{"17" + good[2:], `line 1, column 1: "17" is not a whole number from 0 to 16`},
		{"x" + good[2:], `line 1, column 1: "x" is not a whole number from 0 to 16`},
	} {
		if _, err := parse(strings.NewReader(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("parse = %v, want %s", err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("")
	f.Add("1,2\n")
	f.Add(strings.Repeat("16,", Pixels) + "9\n")
	f.Add(strings.Repeat("-1,", Pixels) + "\"9\"\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse(strings.NewReader(text))
		if err != nil && s.Len() > 0 {
			t.Fatal("an error and data")
		}
		if len(s.Labels) != s.Len() {
			t.Fatalf("%d images, %d labels", s.Len(), len(s.Labels))
		}
		train, test := split(s.Labels) // panics for a label that is not a class
		if len(train)+len(test) != s.Len() {
			t.Fatal("the split lost samples")
		}
	})
}
