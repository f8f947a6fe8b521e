package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	table := &table{columns: []tableColumn{{title: "name"}, {title: "n", right: true}, {title: "end", most: 5}}, cells: []string{"模型", "1", "", "é🙂", "200", "longer than that"}}
	var b strings.Builder
	if err := table.write(&b, table.widths()); err != nil {
		t.Fatal(err)
	}
	want := "name    n  end\n模型    1\né🙂   200  long…\n"
	if b.String() != want {
		t.Errorf("\n%s\n%s", b.String(), want)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1: "0.1", 0.123456789: "0.12346", 1e-7: "1e-07", 64: "64", 123456: "123456", 123456.789: "123457", 12345.678: "12346", -2.5: "-2.5", 1e20: "1e+20"} {
		if got := shortNumber(v); got != want {
			t.Errorf("%v: %s, not %s", v, got, want)
		}
	}
}
