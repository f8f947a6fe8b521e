package outputs

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mlpipeline/mlpipeline/pkg/mlp/wire"
)

func BenchmarkPoints(b *testing.B) {
	var text []byte
	r := rand.New(rand.NewPCG(1, 2))
	const n = 200_000
	for i := range n {
		text = wire.AppendPoint(text, wire.Point{Name: []string{"loss", "accuracy"}[i%2], Step: int64(i), Value: math.Exp(-r.Float64() * 3), Time: 1795385931228 + int64(i)})
		text = append(text, '\n')
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		if err := readPoints(bytes.NewReader(text), func(string, int64, float64, int64) { got++ }); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/point")
}
