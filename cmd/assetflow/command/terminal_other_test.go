//go:build !linux

package command

import (
	"os"
	"testing"
)

func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	t.Skip("pseudo terminals are made on Linux only")
	return nil, nil
}

func echoes(*testing.T, *os.File) bool { return false }
