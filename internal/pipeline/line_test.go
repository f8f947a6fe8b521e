package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Those in a line come as the numbers of GPUs that they need; where free are left, which of them get a place?
func TestLine(t *testing.T) {
	for _, c := range []struct {
		free  int
		needs []int
		want  string
	}{
		{3, []int{1, 1, 1, 1}, "yes yes yes no"},
		{3, []int{2, 1, 1}, "yes yes no"},
		{1, []int{2, 1, 0, 1, 0}, "no no yes no yes"},  // who needs few does not go before who needs many, who needs none does
		{0, []int{0, 1, 0, 2, 0}, "yes no yes no yes"}, // who needs none makes nobody wait
		{4, []int{3, 2, 1}, "yes no no"},
	} {
		free := c.free
		l := line{reserve: func(gpus int) (Place, bool) {
			if gpus > free {
				return Place{}, false
			}
			free -= gpus
			return Place{}, true
		}}
		var got []string
		for _, gpus := range c.needs {
			if _, ok := l.place(gpus); ok {
				got = append(got, "yes")
			} else {
				got = append(got, "no")
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%d free, needed %v: %s, want %s", c.free, c.needs, got, c.want)
		}
	}
}

func TestGPUsOf(t *testing.T) {
	const most = 4
	for _, c := range []struct{ parameters, want string }{
		{`{"batch_size":1}`, "-1"},
		{`{"GPUS":null}`, "-1"},
		{`null`, "-1"},
		{`{"batch_size":1,"GPUS":2}`, "2"},
		{`{"gpus":0}`, "0"},
		{`{"Gpus":4.0}`, "4"},
		{`{"gpus":5}`, "GPUS is 5, more than there are: 4 (gpus in mlp.config)"},
		{`{"gpus":1e300}`, "GPUS is 1e300, more than there are: 4 (gpus in mlp.config)"},
		{`{"gpus":-1}`, "GPUS is -1; it must be a whole number, 0 or more"},
		{`{"gpus":1.5}`, "GPUS is 1.5; it must be a whole number, 0 or more"},
		{`{"gpus":"2"}`, `GPUS is "2"; it must be a whole number, 0 or more`},
		{`{"gpus":true}`, "GPUS is true; it must be a whole number, 0 or more"},
		{`{"gpus":[0,1]}`, "GPUS is [0,1]; it must be a whole number, 0 or more"},
	} {
		n, err := gpusOf(json.RawMessage(c.parameters), most)
		got := fmt.Sprint(n)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.parameters, got, c.want)
		}
	}
}
