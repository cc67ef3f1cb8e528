package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	kardianos "github.com/kardianos/service"
)

// launchd is Host on macOS.
type launchd struct {
	account
	layout Layout
}

// This is the share of this machine that an instance has or would have.
func This(instance string) (Host, error) {
	l, err := LayoutOn("darwin", instance, os.Getenv)
	if err != nil {
		return nil, err
	}
	return &launchd{account: account(l.Account), layout: l}, nil
}

func (l *launchd) Layout() Layout { return l.layout }

// Package: packages have places of their own here, see packaged.
func (l *launchd) Package() string { return "" }

func (l *launchd) Ready() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: run it again with sudo")
	}
	return nil
}

func (l *launchd) kardianos(plist string) (kardianos.Service, error) {
	if strings.Contains(plist, "{{") {
		return nil, errors.New("a path holds {{, which the job can't express")
	}
	return kardianos.New(idle{}, &kardianos.Config{Name: l.layout.Service, DisplayName: l.layout.Title, Description: description,
		Option: kardianos.KeyValue{"LaunchdConfig": plist}})
}

func (l *launchd) Install(ctx context.Context, binary string) (func(context.Context) error, error) {
	before, err := os.ReadFile(l.layout.Definition)
	had := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	undo := func(ctx context.Context) error {
		if err := l.Uninstall(ctx); err != nil || !had {
			return err
		}
		return l.register(string(before))
	}
	if err := l.Uninstall(ctx); err != nil {
		return nil, err
	}
	if err := l.register(Plist(l.layout, binary)); err != nil {
		return nil, errors.Join(err, undo(ctx))
	}
	return undo, nil
}

func (l *launchd) register(plist string) error {
	k, err := l.kardianos(plist)
	if err != nil {
		return err
	}
	if err := k.Install(); err != nil {
		return fmt.Errorf("register %s with launchd: %w", l.layout.Service, err)
	}
	// launchd refuses a job that others than root can write.
	return os.Chmod(l.layout.Definition, 0o644)
}

func (l *launchd) Uninstall(ctx context.Context) error {
	if _, err := os.Stat(l.layout.Definition); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := l.Stop(ctx); err != nil {
		return err
	}
	return os.Remove(l.layout.Definition)
}

// target is the job's name for launchctl: in the domain of the system, as
// opposed to a user's.
func (l *launchd) target() string { return "system/" + l.layout.Service }

// Start loads the job, which starts it: it has RunAtLoad. An agent that was
// stopped is not loaded, and so comes back when the machine starts.
func (l *launchd) Start(ctx context.Context) error {
	status, err := l.Status(ctx)
	if err != nil || status.State == Running {
		return err
	}
	if l.loaded(ctx) {
		_, err := command(ctx, "launchctl", "kickstart", l.target())
		return err
	}
	_, err = command(ctx, "launchctl", "bootstrap", "system", l.layout.Definition)
	return err
}

// Stop unloads the job and waits until it is gone: it can't be loaded again
// before.
func (l *launchd) Stop(ctx context.Context) error {
	if !l.loaded(ctx) {
		return nil
	}
	_, stopErr := command(ctx, "launchctl", "bootout", l.target())
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	for l.loaded(ctx) {
		select {
		case <-ctx.Done():
			return errors.Join(stopErr, fmt.Errorf("%s does not stop: %w", l.layout.Service, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func (l *launchd) Restart(ctx context.Context) error {
	if err := l.Stop(ctx); err != nil {
		return err
	}
	return l.Start(ctx)
}

func (l *launchd) loaded(ctx context.Context) bool {
	_, err := command(ctx, "launchctl", "print", l.target())
	return err == nil
}

func (l *launchd) Status(ctx context.Context) (Status, error) {
	if _, err := os.Stat(l.layout.Definition); errors.Is(err, fs.ErrNotExist) {
		return Status{Name: l.layout.Service, State: NotInstalled}, nil
	}
	text, err := command(ctx, "launchctl", "print", l.target())
	if err != nil {
		return Status{Name: l.layout.Service, State: Stopped, AtBoot: true}, nil
	}
	return readLaunchctl(l.layout.Service, text), nil
}
