// Package checkpoint keeps a model's state in its model directory.
//
// A checkpoint is replaced as a whole: whenever the process dies, the file holds either the old state or the new one.
package checkpoint

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	name = "checkpoint.gob"
	temp = name + ".tmp" // one name is enough: two versions never use a model directory at the same time
)

// Save replaces the checkpoint in dir with the exported fields of state.
func Save(dir string, state any) error {
	path := filepath.Join(dir, temp)
	if err := write(path, state); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return os.Rename(path, filepath.Join(dir, name))
}

func write(path string, state any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = gob.NewEncoder(f).Encode(state)
	// Sync comes before the rename that follows, or a power cut could leave the new name with an empty file.
	return errors.Join(err, f.Sync(), f.Close())
}

// Load reads the checkpoint in dir into state, a pointer. Without a checkpoint, found is false and state is left alone.
func Load(dir string, state any) (found bool, err error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := gob.NewDecoder(bufio.NewReader(f)).Decode(state); err != nil {
		return false, fmt.Errorf("load checkpoint %s: %w", f.Name(), err)
	}
	return true, nil
}

// Remove deletes what Save has written to dir, and nothing else.
func Remove(dir string) error {
	for _, file := range []string{name, temp} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
