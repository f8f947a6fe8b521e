package checkpoint

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSaveLoadRemove(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(other, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	var got []float64
	if found, err := Load(dir, &got); found || err != nil {
		t.Fatalf("Load without a checkpoint = %v, %v", found, err)
	}
	for _, want := range [][]float64{{1, 2, 3}, {4}} {
		if err := Save(dir, want); err != nil {
			t.Fatal(err)
		}
		got = nil
		if found, err := Load(dir, &got); !found || err != nil || len(got) != len(want) || got[0] != want[0] {
			t.Fatalf("Load = %v, %v, %v, want %v", got, found, err, want)
		}
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); err != nil {
		t.Fatalf("Remove of nothing: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("Remove left %v, want notes.txt only", left)
	}
}

func TestSaveFailsAndKeepsTheOldCheckpoint(t *testing.T) {
	dir := t.TempDir()
	if err := Save(dir, 1); err != nil {
		t.Fatal(err)
	}
	if err := Save(dir, func() {}); err == nil {
		t.Fatal("a func was saved")
	}
	var got int
	if found, err := Load(dir, &got); !found || err != nil || got != 1 {
		t.Errorf("Load = %d, %v, %v, want the old state", got, found, err)
	}
}

func TestLoadDamaged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	var got int
	if found, err := Load(dir, &got); found || err == nil {
		t.Errorf("Load of a damaged file = %v, %v, want an error", found, err)
	}
}
