// Package folder is the data folder of a stack on one machine: who uses it, the secrets that the stack makes for itself,
// and the first user with what is theirs.
package folder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// LockedError says that another process uses the data folder.
type LockedError struct {
	Dir string
	PID int // of the other process; 0 when it is not known
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("the data folder %s is in use by %s: stop that one, or choose another folder", e.Dir, who)
}

// Lock is held by the process that uses a data folder. The operating system drops it with the process.
type Lock struct{ file *os.File }

// Take makes the folder when it is missing, for its owner only, and takes its lock. A *LockedError says that another process
// has it.
func Take(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // G304: the person names the folder
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		text, _ := os.ReadFile(path) //nolint:gosec // G304: as above
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, errors.Join(&LockedError{Dir: dir, PID: pid}, file.Close())
	}
	if err == nil {
		err = writePID(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder %s: %w", dir, err), file.Close())
	}
	return &Lock{file}, nil
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Release lets the next process use the folder. The file stays: whoever removed it might remove another's lock.
func (l *Lock) Release() { _ = l.file.Close() }
