//go:build !linux

package local

import "errors"

var errNoPinning = errors.New("processes are pinned to cores on Linux only")

func affinity() ([]int, error)            { return nil, errNoPinning }
func pin([]int) (unpin func(), err error) { return nil, errNoPinning }
