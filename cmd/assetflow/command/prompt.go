package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxSecret bounds what is read as a password or key.
const maxSecret = 64 << 10

// secretFromStdin reads a secret from stdin: its first line.
func (a *app) secretFromStdin(name string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(a.stdin, maxSecret)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read the %s from stdin: %w", name, err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", usagef("stdin holds no %s", name)
	}
	return line, nil
}

// askSecret asks on the terminal, without showing what is typed. name is what is asked for, and flag what to use where
// there is no terminal.
func (a *app) askSecret(ctx context.Context, label, name, flag string) (string, error) {
	f, ok := a.stdin.(*os.File)
	if !ok || !a.terminal(a.stdin) {
		return "", usagef("there is no terminal to ask for the %s: give it on stdin with %s", name, flag)
	}
	_, _ = fmt.Fprintf(a.stderr, "%s: ", printable(label))
	state, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask for the %s: %w", name, err)
	}
	type result struct {
		text []byte
		err  error
	}
	typed := make(chan result, 1)
	go func() {
		text, err := term.ReadPassword(int(f.Fd()))
		typed <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		// The read goes on until the process ends; the terminal must not stay without echo.
		_ = term.Restore(int(f.Fd()), state)
		a.say("")
		return "", ctx.Err()
	case r := <-typed:
		a.say("")
		if r.err != nil {
			return "", fmt.Errorf("ask for the %s: %w", name, r.err)
		}
		if len(r.text) == 0 {
			return "", usagef("the %s is empty", name)
		}
		return string(r.text), nil
	}
}

// newPassword asks for a new password twice, or reads it from stdin.
func (a *app) newPassword(ctx context.Context, fromStdin bool) (string, error) {
	if fromStdin {
		return a.secretFromStdin("password")
	}
	password, err := a.askSecret(ctx, "New password", "password", "--password-stdin")
	if err != nil {
		return "", err
	}
	again, err := a.askSecret(ctx, "The same again", "password", "--password-stdin")
	if err != nil {
		return "", err
	}
	if again != password {
		return "", usagef("the two passwords differ")
	}
	return password, nil
}
