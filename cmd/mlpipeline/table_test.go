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
