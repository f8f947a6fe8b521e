//go:build !linux

package outputs

import "os"

func syncData(f *os.File) error { return f.Sync() }
